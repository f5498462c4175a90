package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// Curves is what a page shows of the metrics of a run. It takes them one by one and stays small however long the run is: neighbouring steps
// share a bucket, which keeps their least, greatest and mean value.
type Curves struct {
	First, Last Step // logged steps
	Steps       int  // how many were logged
	Skipped     int  // of them, those that were skipped
	Peak        int64
	TookMS      float64 // in logged steps

	FirstEval, LastEval, BestEval Eval
	Evals                         int // how many there were

	width   int // steps of a whole bucket
	buckets []bucket
	evals   thinned[Eval]
	skips   []float64        // the first skipped steps
	speed   thinned[float64] // of steps where it is finite
}

const (
	maxBuckets = 800  // a power of two is not needed, an even number is: they are merged in pairs
	maxEvals   = 400  // of them that are drawn
	maxSkips   = 200  // of them that are drawn
	maxSampled = 4000 // values behind a median
	maxLine    = 1 << 20
)

// bucket is some steps that follow each other.
type bucket struct {
	steps       int
	first, last int
	loss, rate, norm, speed,
	memory extent
}

// extent is the values of some steps; those that are not finite are not in it.
type extent struct {
	n              int
	low, high, sum float64
}

func (e *extent) add(v float64) {
	if !finite(v) {
		return
	}
	e.merge(extent{1, v, v, v})
}

func (e *extent) merge(o extent) {
	switch {
	case o.n == 0:
	case e.n == 0:
		*e = o
	default:
		*e = extent{e.n + o.n, min(e.low, o.low), max(e.high, o.high), e.sum + o.sum}
	}
}

// mean is NaN where there is no value.
func (e extent) mean() float64 { return e.sum / float64(e.n) }

// thinned keeps every gap-th of what it is given, at most so many.
type thinned[T any] struct {
	seen, gap int
	kept      []T
}

func (s *thinned[T]) add(v T, most int) {
	s.gap = max(s.gap, 1)
	if s.seen%s.gap == 0 && len(s.kept) == most {
		s.kept, s.gap = everySecond(s.kept), 2*s.gap
	}
	if s.seen%s.gap == 0 {
		s.kept = append(s.kept, v)
	}
	s.seen++
}

// median is NaN where there is no value.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// everySecond keeps the values with an even index.
func everySecond[T any](v []T) []T {
	n := 0
	for i := 0; i < len(v); i += 2 {
		v[n] = v[i]
		n++
	}
	return v[:n]
}

// Step takes a logged step.
func (c *Curves) Step(s Step) {
	if c.Steps == 0 {
		c.First, c.width = s, 1
	}
	c.Steps++
	c.Last = s
	c.Peak = max(c.Peak, s.PeakBytes)
	if ms := float64(s.StepMS); finite(ms) {
		c.TookMS += ms
	}
	if s.Skipped {
		c.Skipped++
		if len(c.skips) < maxSkips {
			c.skips = append(c.skips, float64(s.Step))
		}
	}
	if speed := float64(s.TokS); finite(speed) {
		c.speed.add(speed, maxSampled)
	}
	n := len(c.buckets)
	if n > 0 && c.buckets[n-1].steps == c.width || n == 0 {
		if n == maxBuckets {
			c.halve()
		}
		c.buckets = append(c.buckets, bucket{first: s.Step})
	}
	c.buckets[len(c.buckets)-1].add(s)
}

func (b *bucket) add(s Step) {
	b.steps++
	b.last = s.Step
	if !s.Skipped { // the loss of a step that was left out is shown as a mark
		b.loss.add(float64(s.Loss))
	}
	b.rate.add(float64(s.LR))
	if s.GradNorm != nil {
		b.norm.add(float64(*s.GradNorm))
	}
	b.speed.add(float64(s.TokS))
	b.memory.add(float64(s.MemBytes))
}

// halve merges neighbouring buckets in pairs.
func (c *Curves) halve() {
	for i := range maxBuckets / 2 {
		a, b := c.buckets[2*i], c.buckets[2*i+1]
		a.steps, a.last = a.steps+b.steps, b.last
		a.loss.merge(b.loss)
		a.rate.merge(b.rate)
		a.norm.merge(b.norm)
		a.speed.merge(b.speed)
		a.memory.merge(b.memory)
		c.buckets[i] = a
	}
	c.buckets, c.width = c.buckets[:maxBuckets/2], 2*c.width
}

// Eval takes an evaluation.
func (c *Curves) Eval(e Eval) {
	if c.Evals == 0 {
		c.FirstEval, c.BestEval = e, e
	}
	c.LastEval = e
	if finite(float64(e.Loss)) && (e.Loss < c.BestEval.Loss || !finite(float64(c.BestEval.Loss))) {
		c.BestEval = e
	}
	c.evals.add(e, maxEvals)
	c.Evals++
}

// shownEvals are the evaluations that are drawn: at most maxEvals, and always the last.
func (c *Curves) shownEvals() []Eval {
	kept := c.evals.kept
	if n := len(kept); n == 0 || kept[n-1].Step == c.LastEval.Step {
		return kept
	}
	return append(slices.Clip(kept), c.LastEval)
}

// line is the mean of one of a bucket's values over steps, drawn at the bucket's middle.
func (c *Curves) line(of func(*bucket) *extent) []point {
	out := make([]point, len(c.buckets))
	for i := range c.buckets {
		b := &c.buckets[i]
		e := of(b)
		out[i] = point{x: float64(b.first+b.last) / 2, y: e.mean(), low: e.low, high: e.high}
		if e.n == 0 {
			out[i].low, out[i].high = math.NaN(), math.NaN()
		}
	}
	return out
}

// smoothed is a weighted mean of the points within half a window before and after each, the nearest ones weighing most. What is not finite
// has no weight.
func smoothed(points []point, half int) []point {
	out := make([]point, len(points))
	for i, p := range points {
		sum, weights := 0.0, 0.0
		for j := max(0, i-half); j <= min(len(points)-1, i+half); j++ {
			w := float64(half + 1 - max(i-j, j-i))
			if y := points[j].y; !math.IsNaN(y) {
				sum, weights = sum+w*y, weights+w
			}
		}
		y := sum / weights
		out[i] = point{x: p.x, y: y, low: y, high: y}
	}
	return out
}

// AddMetrics takes what a metrics.jsonl holds, line by line. A torn last line is left out; any other line that is not JSON is an error.
func (c *Curves) AddMetrics(path string) error {
	return scanMetrics(path, c.Step, c.Eval)
}

// scanMetrics reads a metrics.jsonl line by line.
func scanMetrics(path string, step func(Step), eval func(Eval)) error {
	f, err := openRegular(path, math.MaxInt64)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxLine)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return nil // what has no end is torn
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("%s:%d: a line longer than %s, which no step writes", path, n, Bytes(maxLine))
		case err != nil:
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if err := metric(line, step, eval); err != nil {
			return fmt.Errorf("%s:%d: not a line of metrics: %w", path, n, plainJSON(err))
		}
	}
}

// metric reads one line: a step, or an evaluation, whose loss is null where it is not finite.
func metric(line []byte, step func(Step), eval func(Eval)) error {
	var kind struct {
		EvalLoss json.RawMessage `json:"eval_loss"`
	}
	if err := json.Unmarshal(line, &kind); err != nil {
		return err
	}
	if kind.EvalLoss != nil {
		var e Eval
		err := json.Unmarshal(line, &e)
		eval(e)
		return err
	}
	var s Step
	err := json.Unmarshal(line, &s)
	step(s)
	return err
}
