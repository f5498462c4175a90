package cudakern

import (
	"math"
	"testing"

	"lomo/internal/cudakern/driver"
	"lomo/internal/tensor"
)

// TestPeaks: what NVIDIA's data sheets and white papers say of some cards, in 10¹² operations a second without sparsity, at the clock that goes with it.
func TestPeaks(t *testing.T) {
	for _, c := range []struct {
		info      driver.Info
		bf16, f32 float64
	}{
		{driver.Info{Name: "A100", Major: 8, Minor: 0, Multiprocessors: 108, ClockKHz: 1410000}, 312, 19.5},
		{driver.Info{Name: "RTX 3090", Major: 8, Minor: 6, Multiprocessors: 82, ClockKHz: 1695000}, 71.2, 35.6},
		{driver.Info{Name: "RTX 4090", Major: 8, Minor: 9, Multiprocessors: 128, ClockKHz: 2520000}, 165.2, 82.6},
		{driver.Info{Name: "H100 SXM", Major: 9, Minor: 0, Multiprocessors: 132, ClockKHz: 1830000}, 989.4, 61.8},
	} {
		d := &Device{info: c.info}
		for dt, want := range map[tensor.DType]float64{tensor.BF16: c.bf16, tensor.F32: c.f32} {
			if got := d.PeakFLOPS(dt) / 1e12; math.Abs(got-want) > 0.005*want {
				t.Errorf("%s, %v: %.1f TFLOPS, want %v", c.info.Name, dt, got, want)
			}
		}
	}
}
