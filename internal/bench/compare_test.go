package bench

import (
	"testing"

	"lomo/internal/cpukern"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// faulty is a device with one kernel that does something wrong.
type faulty struct {
	device.Device
	kernel string
}

func (f faulty) OuterUpdate(w, dy, x tensor.Tensor, s device.Step) {
	switch f.kernel {
	case "skipped":
		return
	case "doubled":
		f.Device.OuterUpdate(w, dy, x, s)
	case "flipped":
		s.LR = -s.LR
	case "other noise":
		s.Base++
	}
	f.Device.OuterUpdate(w, dy, x, s)
}

// TestCompare: the levels of this machine agree, and an update that is left out, made twice or with the wrong sign or noise does not pass.
func TestCompare(t *testing.T) {
	twin, err := cpukern.Open(cpukern.Options{Capacity: 1 << 20, Threads: 1, Level: "generic"})
	if err != nil {
		t.Fatal(err)
	}
	defer twin.Close() //nolint:errcheck // a device of a test
	for _, fault := range []string{"", "skipped", "doubled", "flipped", "other noise"} {
		bad, worst := map[string]bool{}, map[tensor.DType]Comparison{}
		err := Compare(faulty{open(t, 1<<20), fault}, twin, Options{Model: tiny(), Tokens: 16}, func(c Comparison) error {
			if !c.OK() {
				bad[c.Kernel] = true
				if fault == "" {
					t.Errorf("%+v", c)
				}
			}
			if c.Error > worst[c.DType].Error {
				worst[c.DType] = c
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if fault == "" {
			t.Logf("worst: %+v", worst)
		} else if len(bad) != 1 || !bad["OuterUpdate"] {
			t.Errorf("%s: the kernels that differ are %v, want OuterUpdate alone", fault, bad)
		}
	}
}
