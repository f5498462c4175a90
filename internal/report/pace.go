package report

import (
	"slices"
	"time"
)

// pace is how long a run's tasks take, from those of this process.
type pace struct {
	steps []time.Duration // the latest ones
	evals mean
	saves mean
	count int // steps in all
}

// window is how many steps the mean is taken over: enough for data of changing length, few enough to follow a machine that got busier.
const window = 64

// step takes the time of one step. The first of a process is slower than the others (caches, pages) and counts only until there is another.
func (p *pace) step(d time.Duration) {
	p.count++
	if p.count == 2 {
		p.steps = p.steps[:0]
	}
	if p.steps = append(p.steps, d); len(p.steps) > window {
		p.steps = p.steps[1:]
	}
}

// mean is the time of a step, without the longest and the shortest tenth: a machine that was asleep for an hour says nothing of the next step.
// 0: no step has been measured.
func (p *pace) mean() time.Duration {
	n := len(p.steps)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(p.steps))
	if n >= 5 {
		out := max(n/10, 1)
		sorted = sorted[out : n-out]
	}
	var sum time.Duration
	for _, d := range sorted {
		sum += d
	}
	return sum / time.Duration(len(sorted))
}

// mean of times, the longest left out where there are more than two.
type mean struct {
	sum, longest time.Duration
	n            int
}

func (m *mean) add(d time.Duration) { m.sum, m.longest, m.n = m.sum+d, max(m.longest, d), m.n+1 }

func (m *mean) value() time.Duration {
	switch {
	case m.n == 0:
		return 0
	case m.n > 2:
		return (m.sum - m.longest) / time.Duration(m.n-1)
	}
	return m.sum / time.Duration(m.n)
}

// Plan is what a run will do.
type Plan struct {
	Steps     int
	EvalEvery int           // steps; 0: only at the end
	Evaluates bool          // there is held-out data
	SaveEvery int           // steps; 0: never
	Writes    bool          // the trained model is written at the end
	Predicted time.Duration // of a step, before one has been measured; 0: not known
}

// left is the time that is left when done steps are finished and now of the task in work has passed; false: not known yet, two steps are needed.
func (p *pace) left(plan Plan, done int) (time.Duration, bool) {
	if p.count < 2 || plan.Steps == 0 {
		return 0, false
	}
	left := time.Duration(plan.Steps-done) * p.mean()
	if plan.Evaluates {
		left += time.Duration(dueBetween(done, plan.Steps-1, plan.EvalEvery)+1) * p.evals.value()
	}
	saves := dueBetween(done, plan.Steps, plan.SaveEvery)
	if plan.Writes {
		saves++
	}
	return left + time.Duration(saves)*p.saves.value(), true
}

// dueBetween is how many multiples of every are in (from, to].
func dueBetween(from, to, every int) int {
	if every <= 0 || to <= from {
		return 0
	}
	return to/every - from/every
}
