package optim

import (
	"math"
	"testing"
)

// TestSchedules: values of transformers 5.x get_scheduler and of LOMO's own trainer, lr 1, 10 steps, 2 of warm-up.
func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		kind string
		want map[int]float64
	}{
		{"constant", map[int]float64{0: 0, 1: 0.5, 2: 1, 9: 1}},
		{"linear", map[int]float64{0: 0, 1: 0.5, 2: 1, 6: 0.5, 9: 0.125, 10: 0}},
		{"cosine", map[int]float64{0: 0, 1: 0.5, 2: 1, 6: 0.5, 4: 0.8535533905932737, 10: 0}},
		{"inverse_sqrt", map[int]float64{0: 0, 2: 1, 8: 0.5}},
		{"polynomial", map[int]float64{0: 0, 2: 1, 6: 0.50000005, 10: 1e-7}},
		{"lomo_linear", map[int]float64{0: 0.5, 1: 1, 5: 0.5, 9: 0}},
		{"wsd", map[int]float64{0: 0, 2: 1, 8: 1, 9: 1, 10: 0}},
	} {
		s := Schedule{Kind: c.kind, LR: 1, Warmup: 2, Total: 10}
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		for step, want := range c.want {
			if got := s.At(step); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s after %d steps: %v, want %v", c.kind, step, got, want)
			}
		}
	}
	if (Schedule{Kind: "cosin"}).Check() == nil {
		t.Error("an unknown schedule is accepted")
	}
}

// TestSchedulesWithoutWarmup: the rates of ten steps from the first one on. lomo_linear is lr·max((step/total - 1)/(warmup - 1), 0) of LOMO's trainer with
// steps from 1 and warmup 0: it falls from its first step, and the last one has rate 0.
func TestSchedulesWithoutWarmup(t *testing.T) {
	for kind, want := range map[string][]float64{
		"lomo_linear": {0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0},
		"linear":      {1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1},
		"constant":    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		"wsd":         {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		"cosine":      {1, 0.975528258147577, 0.904508497187474, 0.793892626146237, 0.654508497187474, 0.5, 0.345491502812526, 0.206107373853763, 0.095491502812526, 0.024471741852423},
		// transformers' timescale without warm-up is 10000 steps: 1/sqrt((n + 10000)/10000)
		"inverse_sqrt": {1, 0.999950003749688, 0.999900014997501, 0.999850033741565, 0.999800059980007},
	} {
		for done, rate := range want {
			if got := (Schedule{Kind: kind, LR: 2, Total: 10}).At(done); math.Abs(got-2*rate) > 1e-12 {
				t.Errorf("%s after %d steps: %v, want %v", kind, done, got, 2*rate)
			}
		}
	}
}

// TestPolynomialBegins: transformers raises ValueError("lr_end (1e-07) must be smaller than initial lr") for the rates that are refused.
func TestPolynomialBegins(t *testing.T) {
	for lr, ok := range map[float64]bool{0: false, 1e-9: false, 9.9e-8: false, 1e-7: false, 1.01e-7: true, 1e-6: true, 1e-3: true} {
		if err := (Schedule{Kind: "polynomial", LR: lr}).Check(); (err == nil) != ok {
			t.Errorf("rate %v: %v", lr, err)
		}
		if err := (Schedule{Kind: "linear", LR: lr}).Check(); err != nil {
			t.Errorf("linear falls to 0 from %v: %v", lr, err)
		}
	}
}

// TestWarmupLongerThanRun: the rate rises to the end, and no schedule divides by what is left.
func TestWarmupLongerThanRun(t *testing.T) {
	for _, kind := range Schedules {
		for _, warmup := range []int{4, 8} {
			s, last := Schedule{Kind: kind, LR: 1, Warmup: warmup, Total: 4}, -1.0
			for done := range 4 {
				at := s.At(done)
				if !(at > last && at <= 1) {
					t.Errorf("%s, %d steps of warm-up: %v after %d steps, %v before", kind, warmup, at, done, last)
				}
				last = at
			}
		}
	}
}

func TestWarmupSteps(t *testing.T) {
	for _, c := range []struct {
		ratio        float64
		steps, total int
		want         int
	}{{0, 0, 100, 0}, {0.03, 0, 100, 3}, {0.03, 0, 101, 4}, {0.03, 7, 100, 7}, {0.1, 0, 10, 1}, {0.07, 0, 100, 7}, {0.14, 0, 50, 7}, {0.56, 0, 100, 56}, {0.55, 0, 100, 55}} { // the last four products are above a whole number by their last bit
		if got := WarmupSteps(c.ratio, c.steps, c.total); got != c.want {
			t.Errorf("ratio %v, steps %d of %d: %d, want %d", c.ratio, c.steps, c.total, got, c.want)
		}
	}
}
