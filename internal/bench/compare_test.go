package bench

import (
	"math"
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

// TestCompareTensors: the error by number, and what is not finite on one side alone is an infinite one, whatever stands beside it.
func TestCompareTensors(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		got, want []float64
		error     float64
		at        int // the worst element; -1: none
	}{
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, 0, -1},
		{[]float64{1, 2, 4}, []float64{1, 2, 3}, 1. / 5, 2},   // of the element and of the mean
		{[]float64{2, -2, 3}, []float64{1, 2, 3}, 4. / 4, 1},  // a sign
		{[]float64{0, 0, 0}, []float64{0, 0, 1e-30}, 0.75, 2}, // small tensors have small means
		{[]float64{nan, 2, 3}, []float64{1, 2, 3}, inf, 0},
		{[]float64{1, 2, nan}, []float64{1, 2, 3}, inf, 2},
		{[]float64{1, inf, 3}, []float64{1, 2, 3}, inf, 1},
		{[]float64{1, 2, 3}, []float64{1, nan, 3}, inf, 1},
		{[]float64{1, 2, 3}, []float64{1, 2, inf}, inf, 2},
		{[]float64{1, -inf, 3}, []float64{1, inf, 3}, inf, 1},
		{[]float64{nan, inf, 3}, []float64{nan, inf, 3}, 0, -1}, // on both sides they agree,
		{[]float64{nan, inf, 3}, []float64{nan, inf, 1}, 1, 2},  // and hide nothing
		{[]float64{3, nan, 3}, []float64{3, nan, 1}, 2. / 3, 2},
		{[]float64{-inf, 1, 2}, []float64{-inf, 1, 1}, 0.5, 2},
	} {
		got := compareTensors(c.got, c.want, tensor.F32)
		if !(math.Abs(got.Error-c.error) <= 1e-12 || got.Error == c.error) {
			t.Errorf("%v beside %v: error %v, want %v", c.got, c.want, got.Error, c.error)
		}
		if same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }; c.at >= 0 && !(same(got.Got, c.got[c.at]) && same(got.Want, c.want[c.at])) {
			t.Errorf("%v beside %v: the worst is %v beside %v, want element %d", c.got, c.want, got.Got, got.Want, c.at)
		}
		if got.OK() != (c.error == 0) {
			t.Errorf("%v beside %v: OK is %v", c.got, c.want, got.OK())
		}
	}
}
