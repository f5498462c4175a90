package optim

import (
	"fmt"
	"math"
	"slices"
)

// Schedule gives the learning rate of each step (algorithms.md 15; transformers/optimization.py).
type Schedule struct {
	Kind   string // linear, cosine, constant, wsd, polynomial, inverse_sqrt, lomo_linear
	LR     float64
	Warmup int // steps
	Total  int // steps
}

// Schedules are the names Schedule.Kind may take.
var Schedules = []string{"linear", "cosine", "constant", "wsd", "polynomial", "inverse_sqrt", "lomo_linear"}

// WarmupSteps is the number of warm-up steps of a run of total steps: steps when it is given, else ⌈ratio·total⌉.
func WarmupSteps(ratio float64, steps, total int) int {
	if steps > 0 {
		return steps
	}
	return int(math.Ceil(ratio*float64(total) - 1e-9))
}

// polynomialEnd is the rate that polynomial falls to: transformers' lr_end, with power 1.
const polynomialEnd = 1e-7

// Check reports an unknown kind, and a rate that its course cannot begin with.
func (s Schedule) Check() error {
	if !slices.Contains(Schedules, s.Kind) {
		return fmt.Errorf("lr_scheduler %q: want one of %v", s.Kind, Schedules)
	}
	if s.Kind == "polynomial" && s.LR <= polynomialEnd {
		return fmt.Errorf("lr_scheduler: polynomial with learning_rate: %v: the rate falls to %v and must begin above it", s.LR, polynomialEnd)
	}
	return nil
}

// At is the learning rate of the step that follows done finished ones.
func (s Schedule) At(done int) float64 {
	n, w, total := float64(done), float64(s.Warmup), float64(s.Total)
	if s.Kind == "lomo_linear" {
		return s.LR * lomoLinear(n+1, w, total)
	}
	if n < w {
		return s.LR * n / math.Max(1, w)
	}
	p := (n - w) / math.Max(1, total-w)
	switch s.Kind {
	case "linear":
		return s.LR * math.Max(0, 1-p)
	case "cosine":
		return s.LR * math.Max(0, 0.5*(1+math.Cos(math.Pi*p)))
	case "polynomial":
		if p >= 1 {
			return polynomialEnd
		}
		return (s.LR-polynomialEnd)*(1-p) + polynomialEnd
	case "inverse_sqrt":
		tau := w
		if tau == 0 {
			tau = 10000
		}
		return s.LR / math.Sqrt((n+tau-w)/tau)
	case "wsd":
		return s.LR * wsdDecay(n, w, total)
	}
	return s.LR
}

// Moves is the first of the steps from … Total-1, counted in finished ones, whose rate is not 0 as an optimizer takes it, in float32. It is Total when
// there is none: such steps leave every weight as it is.
func (s Schedule) Moves(from int) int {
	if float32(s.LR) == 0 {
		return s.Total
	}
	for from < s.Total && float32(s.At(from)) == 0 {
		from++
	}
	return from
}

// Peak is the highest rate of the run: LR, or less where warm-up does not end within it.
func (s Schedule) Peak() float64 {
	if s.Warmup < s.Total || s.Total == 0 {
		return s.LR
	}
	return s.At(s.Total - 1)
}

// wsdDecay holds 1 and falls along a cosine over the last tenth of the run.
func wsdDecay(n, w, total float64) float64 {
	decay := math.Ceil(0.1 * total)
	y := (n - math.Max(w, total-decay)) / math.Max(1, decay)
	if y < 0 {
		return 1
	}
	return math.Max(0, 0.5*(1+math.Cos(math.Pi*math.Min(y, 1))))
}

// lomoLinear is the schedule of LOMO's own trainer: steps count from 1 and the last one has rate 0.
func lomoLinear(step, warmup, total float64) float64 {
	p, w := step/math.Max(2, total), warmup/math.Max(1, total)
	if p < w || w >= 1 { // w >= 1: there is nothing behind the warm-up
		return math.Min(p/w, 1)
	}
	return math.Max((p-1)/(w-1), 0)
}
