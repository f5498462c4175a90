package job

import (
	"time"

	"lomo/internal/bench"
	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/memdev"
	"lomo/internal/memprof"
	"lomo/internal/train"
)

// Forecast is about how long a run takes on this machine's processor.
type Forecast struct {
	StepSeconds  float64 // a step, on average
	EvalSeconds  float64 // one evaluation, 0 without held-out data
	TotalSeconds float64 // all steps and evaluations; 0: their number is not known
	TokS         float64 // tokens a second, as step lines count them
}

// forecastMoment is how long each operation of a step is tried: some twenty of them make a third of a second.
const forecastMoment = 15 * time.Millisecond

// sampledSteps is how many steps of a run stand for all.
const sampledSteps = 16

// forecast predicts the time of a run on the CPU: what its steps ask of the machine is counted, and each operation is tried for a moment at the run's shapes,
// type, threads and level. Without data every sequence is full. Saving and what a disk takes are not in it. nil says that nothing can be told; a run
// never fails for it.
func forecast(c *config.Config, o train.Options, ds *dataset, total int) *Forecast {
	if c.Device == "cuda" {
		return nil
	}
	load, err := sample(c, o, ds)
	if err != nil {
		return nil
	}
	d, err := (&compute{Device: "cpu", Devices: c.Devices, Threads: c.Threads}).open(0, 0)
	if err != nil {
		return nil
	}
	defer d.Close() //nolint:errcheck // nothing of it is used
	f := bench.Forecast{Device: d, Model: o.Model, DType: o.DType, Start: load.start, Moment: forecastMoment}
	s, err := f.Seconds(load.steps, load.evals)
	if err != nil {
		return nil
	}
	out := &Forecast{StepSeconds: s[0] / float64(load.n)}
	if out.StepSeconds > 0 {
		out.TokS = float64(load.tokens) / s[0]
	}
	if load.nEval > 0 {
		out.EvalSeconds = s[1] * float64(load.allEval) / float64(load.nEval)
	}
	if total > 0 {
		out.TotalSeconds = float64(total)*out.StepSeconds + float64(evaluations(c, total))*out.EvalSeconds
	}
	return out
}

// evaluations is how often a run of so many steps evaluates: at its end always.
func evaluations(c *config.Config, total int) int {
	n := 1
	if c.EvalOnStart {
		n++
	}
	if c.EvalSteps > 0 {
		n += (total - 1) / c.EvalSteps
	}
	return n
}

// sampled is what some steps and evaluation batches ask of a rank.
type sampled struct {
	steps, evals   map[memdev.Call]float64
	n              int // steps
	tokens         int // in them, of all ranks
	nEval, allEval int // evaluation batches, and how many an evaluation has
	start          []int32
}

// sample counts steps that stand for all of a run.
func sample(c *config.Config, o train.Options, ds *dataset) (*sampled, error) {
	s := &sampled{steps: map[memdev.Call]float64{}, evals: map[memdev.Call]float64{}}
	steps, evals := [][]data.Batch{memprof.FullStep(o, c.Devices)}, []data.Batch(nil)
	if ds != nil {
		var err error
		if steps, err = someSteps(ds, o.Accumulation*c.Devices); err != nil {
			return nil, err
		}
		evals, s.allEval = firstEvals(ds)
	}
	longest := 0
	for i, step := range steps {
		var ev []data.Batch
		if i == 0 {
			ev = evals
		}
		asked, score, err := memprof.Calls(o, c.Devices, step, ev...)
		if err != nil {
			return nil, err
		}
		addCalls(s.steps, asked, step)
		addCalls(s.evals, score, ev)
		for _, b := range step {
			s.tokens += b.Tokens
			if b.T > longest {
				longest, s.start = b.T, b.Start[:b.T]
			}
		}
	}
	s.n, s.nEval = len(steps), len(evals)
	s.allEval = (s.allEval + c.Devices - 1) / c.Devices // ranks take them in turn
	return s, nil
}

// addCalls adds what batches asked, attention's part as far as their documents see.
func addCalls(sum, calls map[memdev.Call]float64, batches []data.Batch) {
	pairs, all := 0.0, 0.0
	for _, b := range batches {
		p, a := bench.Seen(b.Start, b.T)
		pairs, all = pairs+p, all+a
	}
	for c, n := range calls {
		if (c.Op == "Attention" || c.Op == "AttentionBackward") && all > 0 {
			n *= pairs / all
		}
		sum[c] += n
	}
}

// someSteps are steps of a run, evenly over its first epoch, each of at most so many micro-batches.
func someSteps(ds *dataset, most int) (steps [][]data.Batch, err error) {
	l := data.NewLoader(ds.train, ds.opts)
	all := (l.BatchesPerEpoch() + most - 1) / most
	for i := range min(all, sampledSteps) {
		if err := l.Restore(data.State{Index: i * all / min(all, sampledSteps) * most}); err != nil {
			return nil, err
		}
		var step []data.Batch
		for len(step) < most && l.State().Epoch == 0 {
			b, err := l.Next()
			if err != nil {
				return nil, err
			}
			step = append(step, b)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// firstEvals are the first batches of an evaluation, and how many it has.
func firstEvals(ds *dataset) (some []data.Batch, all int) {
	if ds.val.Len() == 0 {
		return nil, 0
	}
	for b := range data.Batches(ds.val, ds.opts) {
		if some = append(some, b); len(some) == sampledSteps {
			break
		}
	}
	return some, data.NewLoader(ds.val, ds.opts).BatchesIn(0)
}
