package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

	"lomo/internal/checkpoint"
	"lomo/internal/comm"
	"lomo/internal/data"
	"lomo/internal/device"
)

// ErrInterrupted says that a run was stopped by its context, after the step was finished and a checkpoint saved.
var ErrInterrupted = errors.New("interrupted")

// Run trains from in on d until the last step, ctx's end or an error. resume is a checkpoint folder to continue from, or "".
func Run(ctx context.Context, d device.Device, o Options, in Inputs, resume string) error {
	return runRank(ctx, d, comm.Single(), o, in, resume)
}

func runRank(ctx context.Context, d device.Device, c comm.Comm, o Options, in Inputs, resume string) (err error) {
	t, err := NewRank(d, c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	t.asked = func() bool { return ctx.Err() != nil && c.Size() == 1 }
	if in.Eval != nil {
		in.Eval = t.watched(in)
	}
	if err := t.start(in, resume); err != nil {
		return err
	}
	if t.state.Step == 0 {
		if err := t.atEnds(); err != nil {
			return err
		}
	}
	if o.EvalOnStart && t.state.Step == 0 {
		if err := t.evaluate(in); err != nil {
			return err
		}
	}
	if stop, err := t.Stop(ctx); err != nil || stop && t.state.Step < t.state.Total {
		return cmp.Or(err, ErrInterrupted) // nothing was learned that is not saved
	}
	for t.state.Step < t.state.Total {
		if err := t.next(in); err != nil {
			return err
		}
		stop, err := t.Stop(ctx)
		if err != nil {
			return err
		}
		if stop && t.state.Step < t.state.Total {
			if t.saved < t.state.Step {
				if _, err := t.save(in); err != nil {
					return err
				}
			}
			return ErrInterrupted
		}
	}
	return t.finish(in)
}

// start loads weights and, when resuming, the run's state, and fixes the number of steps.
func (t *Trainer) start(in Inputs, resume string) error {
	if err := t.load(in.Weights); err != nil {
		return err
	}
	total := t.o.MaxSteps
	if total == 0 {
		var err error
		if total, err = TotalSteps(in.Train, t.o.NumEpochs, t.perStep()); err != nil {
			return err
		}
	}
	t.Schedule(total)
	if resume == "" {
		return nil
	}
	return t.restore(resume, in.Train)
}

// load reads the weights; of several ranks it says what each of them has read.
func (t *Trainer) load(src checkpoint.Source) error {
	defer t.doing(Waiting, 0, 0)
	size := t.sweep.Comm.Size()
	if size == 1 {
		return t.Load(t.watchedReader(src))
	}
	counted := checkpoint.Count(src)
	if err := t.Load(t.watchedReader(counted)); err != nil {
		return err
	}
	for r := range size {
		mine := 0.0
		if r == t.sweep.Comm.Rank() {
			mine = float64(counted.Bytes())
		}
		bytes, err := t.sweep.addUp(mine)
		if err != nil {
			return err
		}
		if t.o.Note != nil {
			t.o.Note("rank %d: read %s of weights (%.0f bytes), holds %s of them", r, checkpoint.FormatSize(int64(bytes)), bytes, checkpoint.FormatSize(t.d.Memory().OwnerPeak("weights")))
		}
	}
	return nil
}

// TotalSteps is the number of steps of the given number of epochs: a step never crosses the end of an epoch, so an
// epoch has ⌈micro-batches/accumulation⌉ of them.
func TotalSteps(l *data.Loader, epochs float64, accumulation int) (int, error) {
	whole := int(epochs)
	total := 0
	for e := 0; e < whole; e++ {
		total += (l.BatchesIn(e) + accumulation - 1) / accumulation
	}
	if rest := epochs - float64(whole); rest > 0 {
		total += int(math.Ceil(rest * float64((l.BatchesIn(whole)+accumulation-1)/accumulation)))
	}
	if total == 0 {
		return 0, fmt.Errorf("num_epochs %v of this data set is not one step", epochs)
	}
	return total, nil
}

// next trains one step and does what is due after it.
func (t *Trainer) next(in Inputs) error {
	t.doing(Stepping, 0, 0)
	batches, err := t.take(in.Train)
	if err != nil {
		return err
	}
	m, err := t.Step(batches)
	if err != nil {
		return err
	}
	t.doing(Waiting, 0, 0)
	pos := in.Train.State()
	m.Epoch = float64(pos.Epoch) + float64(pos.Index)/float64(max(1, in.Train.BatchesIn(pos.Epoch)))
	last := t.state.Step == t.state.Total
	if every(t.state.Step, t.o.LoggingSteps) || t.state.Step == 1 || last || m.Skipped {
		if err := call(t.o.OnStep, m); err != nil {
			return err
		}
	}
	if every(t.state.Step, t.o.EvalSteps) && !last {
		if err := t.evaluate(in); err != nil {
			return err
		}
	}
	return t.saveDue(in)
}

// saveDue saves a checkpoint when it is time, and after the last step, so that a longer run may go on from there. One that is due while steps are skipped waits for the next that is not: should the weights be at
// fault, it would take the place of a good one.
func (t *Trainer) saveDue(in Inputs) error {
	t.due = t.due || every(t.state.Step, t.o.SaveSteps) || t.o.SaveSteps > 0 && t.state.Step == t.state.Total
	if !t.due {
		return nil
	}
	if t.state.SkippedInRow > 0 {
		if t.o.Note != nil && every(t.state.Step, t.o.SaveSteps) {
			t.o.Note("no checkpoint after step %d, which was skipped: it is saved after the next step that is not", t.state.Step)
		}
		return nil
	}
	t.due = false
	_, err := t.save(in)
	return err
}

// perStep is the micro-batches of a step, on all ranks.
func (t *Trainer) perStep() int { return t.o.Accumulation * t.sweep.Comm.Size() }

// take is the micro-batches of the next step, those of all ranks; fewer at the end of an epoch.
func (t *Trainer) take(l *data.Loader) ([]data.Batch, error) {
	epoch := l.State().Epoch
	var out []data.Batch
	for len(out) < t.perStep() && l.State().Epoch == epoch {
		b, err := l.Next()
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (t *Trainer) evaluate(in Inputs) error {
	if in.Eval == nil {
		return nil
	}
	t.giveBack()
	m, err := t.sweep.Evaluate(in.Eval)
	if t.state.Step == 0 && t.asked() {
		return ErrInterrupted // in the middle of it: what was found is of a part of the data
	}
	if err != nil {
		return err
	}
	t.doing(Waiting, 0, 0)
	if m.Step = t.state.Step; m.Step == 0 && !math.IsNaN(m.Loss) && !math.IsInf(m.Loss, 0) {
		t.state.EvalAtStart = &m.Loss
	}
	if err := call(t.o.OnEval, m); err != nil || m.Step < t.state.Total {
		return err
	}
	t.noteMoved(m)
	return nil
}

// atEnds shows the weights before the first step and after the last to whoever wants them.
func (t *Trainer) atEnds() error {
	if t.o.OnEnds == nil || t.sweep.Comm.Rank() > 0 {
		return nil
	}
	t.giveBack()
	return t.o.OnEnds(t.state.Step, t.d, t.net, t.store)
}

// finish evaluates and writes the trained model.
func (t *Trainer) finish(in Inputs) error {
	if err := t.evaluate(in); err != nil {
		return err
	}
	if t.o.OnDone != nil {
		t.o.OnDone(t.traffic())
	}
	if err := t.noteSkips(); err != nil {
		return err
	}
	if err := t.atEnds(); err != nil {
		return err
	}
	if !t.o.SaveFinal {
		return nil
	}
	if t.state.SkippedInRow > 0 {
		if err := t.checkHealth(in.Train); err != nil {
			return err
		}
	}
	t.giveBack()
	t.beginWriting(Writing)
	defer t.doing(Waiting, 0, 0)
	return t.notFinite(t.writeTrained())
}

// checkHealth tells bad data from bad weights where the last steps of a run were skipped: some of the next batches must have a finite loss, or the
// model, which may take the place of a good one, is not written.
func (t *Trainer) checkHealth(l *data.Loader) error {
	for range maxSkips {
		b, err := l.Next()
		if err != nil {
			return err
		}
		losses, err := t.sweep.TurnLosses([]data.Batch{b})
		if err != nil {
			return err
		}
		sum := 0.0
		for _, x := range losses {
			sum += float64(x)
		}
		if sum, err = t.sweep.addUp(sum); err != nil {
			return err
		}
		if !math.IsNaN(sum) && !math.IsInf(sum, 0) {
			return nil
		}
	}
	return &DivergedError{Step: t.state.Step, Err: fmt.Errorf("the run ends with %d skipped steps, and the loss of other data is not finite either: the trained model is not written", t.state.SkippedInRow),
		Hint: "go on from an earlier checkpoint with a lower learning_rate (--resume OUTPUT_DIR/checkpoint-N)"}
}

// giveBack returns the memory of a step to the system while something is done that needs less of it, or none.
func (t *Trainer) giveBack() {
	if d, ok := t.d.(interface{ Trim() }); ok {
		d.Trim()
	}
}

func every(step, n int) bool { return n > 0 && step%n == 0 }

func call[T any](f func(T) error, v T) error {
	if f == nil {
		return nil
	}
	return f(v)
}
