package cpukern

import (
	"errors"
	"math"
	"testing"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// TestPeakAndBandwidth checks what holds on any machine: rates are there and finite, and the arena is left as it was.
func TestPeakAndBandwidth(t *testing.T) {
	for _, level := range Levels() {
		d := openTest(t, Options{Level: level, Threads: 2, Capacity: 4 << 20})
		defer d.Close() //nolint:errcheck // a device of a test
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			if p := d.PeakFLOPS(dt); !(p > 0) || math.IsInf(p, 1) {
				t.Errorf("%s: peak in %v is %v", level, dt, p)
			}
		}
		copying, triad, err := d.Bandwidth(1 << 20)
		if err != nil || !(copying > 0) || !(triad > 0) || math.IsInf(copying+triad, 1) {
			t.Errorf("%s: bandwidth %v and %v, %v", level, copying, triad, err)
		}
		if used := d.Memory().Used(); used != 0 {
			t.Errorf("%s: %d bytes of the arena are still in use", level, used)
		}
		var full *device.OutOfMemoryError
		if _, _, err := d.Bandwidth(4 << 20); !errors.As(err, &full) {
			t.Errorf("%s: buffers larger than the arena: %v", level, err)
		}
	}
}
