package report

import (
	"math"
	"time"
)

// Digest is a run in a few numbers, over all its processes.
type Digest struct {
	Logged    int   // steps in metrics.jsonl
	First     Step  // the first whose loss is finite; Step 0: none is
	FirstEval Eval  // the two are the same where there is one
	LastEval  Eval  // Tokens 0: there is none
	Peak      int64 // bytes
	Skipped   int

	elapsed    time.Duration
	tokens, ms float64
	last       []Step // the newest finite ones, at most lastSteps
	finite     int
}

// lastSteps is how many steps at most the last loss is the mean of.
const lastSteps = 10

// ReadDigest sums a metrics.jsonl up.
func ReadDigest(path string) (*Digest, error) {
	d := &Digest{}
	return d, scanMetrics(path, d.step, d.eval)
}

func (d *Digest) step(s Step) {
	d.Logged++
	if s.TokS > 0 && s.StepMS > 0 {
		d.tokens += float64(s.TokS) * float64(s.StepMS) / 1000
		d.ms += float64(s.StepMS)
	}
	d.Peak = max(d.Peak, s.PeakBytes)
	if s.ElapsedS > 0 {
		d.elapsed = seconds(s.ElapsedS)
	} else if s.StepMS > 0 { // a file of an older version
		d.elapsed += seconds(s.StepMS / 1000)
	}
	if s.Skipped {
		d.Skipped++
	}
	if s.Skipped || math.IsNaN(float64(s.Loss)) || s.Tokens == 0 {
		return
	}
	if d.finite++; d.finite == 1 {
		d.First = s
	}
	if d.last = append(d.last, s); len(d.last) > lastSteps {
		d.last = d.last[1:]
	}
}

func (d *Digest) eval(e Eval) {
	if d.LastEval.Tokens == 0 {
		d.FirstEval = e
	}
	d.LastEval = e
}

// TokS is the mean of tokens a second, over the time of the steps; 0: not known.
func (d *Digest) TokS() float64 {
	if d.ms == 0 {
		return 0
	}
	return d.tokens * 1000 / d.ms
}

// Last is the mean loss of the last steps, each with the weight of its tokens, and how many they are: a tenth of those logged, at least one and at
// most ten.
func (d *Digest) Last() (loss float64, steps int) {
	if d.finite == 0 {
		return math.NaN(), 0
	}
	steps = max(1, min(lastSteps, d.finite/10))
	var sum, tokens float64
	for _, s := range d.last[len(d.last)-steps:] {
		sum += float64(s.Loss) * float64(s.Tokens)
		tokens += float64(s.Tokens)
	}
	return sum / tokens, steps
}

// Elapsed is how long the run has taken up to its last logged step, over all its processes. Where the file does not say it, it is the time of the
// logged steps.
func (d *Digest) Elapsed() time.Duration { return d.elapsed }
