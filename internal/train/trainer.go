package train

import (
	"errors"
	"fmt"
	"math"
	"time"

	"lomo/internal/comm"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/optim"
	"lomo/internal/store"
)

// Trainer holds a model on a device and the state of its optimization.
type Trainer struct {
	o     Options
	d     device.Device
	net   *model.Network
	store store.Store
	sweep *Sweep
	opt   optim.Optimizer
	clip  *optim.Clip
	sched optim.Schedule
	state State
	due   bool // a checkpoint waits for a step that is not skipped
	saved int  // the step of the newest checkpoint in the run's folder, 0 for none
	write writing
	asked func() bool // to stop, of a run on one device; before the first step nothing is lost by stopping at once

	compared int // step whose weights were compared with those the run began with
}

// State is the position of a run, all that a resumed one needs beside tensors.
type State struct {
	Step       int        `json:"step"`    // finished steps
	Updates    int        `json:"updates"` // steps that wrote weights: the optimizer's counter
	Total      int        `json:"total"`   // steps the schedule was made for
	SeenTokens int64      `json:"seen_tokens"`
	LastNorm   float64    `json:"last_norm"` // −1: unknown
	Data       data.State `json:"data"`
	Seed       uint64     `json:"seed"`
	Device     string     `json:"device"`
	Devices    int        `json:"devices"`

	Accumulation int `json:"gradient_accumulation_steps"` // micro-batches a device
	MicroBatch   int `json:"micro_batch_size,omitempty"`  // sequences; 0: an older checkpoint does not say

	Skipped      int `json:"skipped,omitempty"`        // steps that were left out because they were not finite
	FirstSkipped int `json:"first_skipped,omitempty"`  // the first of them
	SkippedInRow int `json:"skipped_in_row,omitempty"` // since the last update

	Begun       string   `json:"weights_at_start,omitempty"` // checksums of the weights the run began with
	EvalAtStart *float64 `json:"eval_at_start,omitempty"`    // the held-out loss before the first step; nil: not taken
}

// maxSkips is how many steps in a row may be skipped. One is bad data; where all are, it is the weights.
const maxSkips = 5

// New takes a run's memory on d. The weights are undefined until Load.
func New(d device.Device, o Options) (*Trainer, error) { return NewRank(d, comm.Single(), o) }

// NewRank is New for one rank of a group.
func NewRank(d device.Device, c comm.Comm, o Options) (*Trainer, error) {
	t := &Trainer{o: o, d: d, net: model.NewNetwork(o.Model), asked: func() bool { return false }}
	t.state = State{LastNorm: -1, Seed: o.Seed, Device: d.Name(), Devices: c.Size(), Accumulation: o.Accumulation, MicroBatch: o.MicroBatch}
	d.Memory().SetPhase("setup")
	var err error
	if t.store, err = openStore(d, c, t.net, o); err != nil {
		return nil, err
	}
	rope, err := model.NewRopes(d, o.Model, o.SequenceLen)
	if err != nil {
		return nil, err
	}
	t.sweep = &Sweep{D: d, Net: t.net, Store: t.store, Ropes: rope, Act: o.DType, Recompute: o.Recompute, SpillInputs: o.SpillInputs, Comm: c}
	t.sweep.MicroRows = o.MicroBatch * o.SequenceLen
	t.sweep.StepRows = o.Accumulation * t.sweep.MicroRows
	if err := errors.Join(t.sweep.join(o), t.openSpill()); err != nil {
		return nil, errors.Join(err, t.store.Close())
	}
	return t, nil
}

// openSpill is where the run's block inputs wait.
func (t *Trainer) openSpill() error {
	s, o := t.sweep, t.o
	switch {
	case o.SpillInputs == OnHost:
		bytes := int64(s.StepRows) * int64(o.Model.HiddenSize) * int64(s.Act.Size())
		spill, err := store.NewHostSpill(t.d, len(t.net.Blocks), bytes)
		if err != nil {
			return err
		}
		s.Spill = spill
	case o.SpillInputs == OnDisk && o.SpillFile != "":
		spill, err := store.NewFileSpill(o.SpillFile)
		if err != nil {
			return err
		}
		s.Spill = spill
	}
	return nil
}

// openStore is where the run's weights live.
func openStore(d device.Device, c comm.Comm, net *model.Network, o Options) (store.Store, error) {
	if c.Size() > 1 {
		return store.NewShard(d, c, net.Params(), o.DType, store.ShardOptions{ByMatrix: o.GatherByMatrix, OnHost: o.Offload == OnHost})
	}
	switch o.Offload {
	case OnHost:
		return store.NewHost(d, net.Params(), o.DType)
	case OnDisk:
		return store.NewDisk(d, net.Params(), o.DType, o.WorkingCopy)
	}
	return store.NewResident(d, net.Params(), o.DType)
}

// Close removes the files that hold weights or block inputs during the run.
func (t *Trainer) Close() error {
	if t.sweep.Spill != nil {
		return errors.Join(t.store.Close(), t.sweep.Spill.Close())
	}
	return t.store.Close()
}

// traffic is the bytes that stores and files have moved to and from the device.
func (t *Trainer) traffic() (in, out int64) {
	in, out = t.store.Traffic()
	if t.sweep.Spill != nil {
		a, b := t.sweep.Spill.Traffic()
		in, out = in+a, out+b
	}
	return in, out
}

// Load reads the weights and then takes the optimizer's state, which may start as a copy of them.
func (t *Trainer) Load(src store.Reader) error {
	if src != nil { // nil: the counting device, which reads none
		p := t.newPrinter()
		p.in = src
		err := t.store.Load(p)
		if err != nil {
			return err
		}
		all, err := t.total(p.sums)
		if err != nil {
			return err
		}
		t.state.Begun = all.text()
	}
	cfg := t.o.Optimizer
	cfg.Seed = t.o.Seed
	if t.o.MaxGradNorm > 0 {
		clip, err := optim.NewClip(t.d, t.o.MaxGradNorm, t.o.ClipLagged)
		if err != nil {
			return err
		}
		t.clip, cfg.Clip = clip, clip
	}
	params := t.net.Params()
	if shard, ok := t.store.(*store.Shard); ok {
		params, cfg.Ranks = shard.Owned(), ranks{t.sweep}
	}
	var err error
	if t.opt, err = optim.New(t.d, cfg, params); err != nil {
		return err
	}
	return t.d.Sync()
}

// Schedule fixes the number of steps the learning rate is planned for.
func (t *Trainer) Schedule(total int) {
	t.state.Total = total
	t.sched = t.schedule(total)
}

// schedule is the course of the learning rate over total steps.
func (t *Trainer) schedule(total int) optim.Schedule {
	return optim.Schedule{Kind: t.o.Scheduler, LR: t.o.LearningRate, Total: total, Warmup: optim.WarmupSteps(t.o.WarmupRatio, t.o.WarmupSteps, total)}
}

// Network is the model being trained.
func (t *Trainer) Network() *model.Network { return t.net }

// Sweep is the model's forward and backward.
func (t *Trainer) Sweep() *Sweep { return t.sweep }

// Step trains on one step's micro-batches.
func (t *Trainer) Step(batches []data.Batch) (StepMetrics, error) {
	start := time.Now()
	m := StepMetrics{Step: t.state.Step + 1, LR: t.sched.At(t.state.Step), Total: t.state.Total}
	defer t.watchStep()()
	mark := t.d.Memory().Mark()
	defer t.d.Memory().Release(mark)
	pass, err := t.sweep.Load(batches)
	if err != nil {
		return m, err
	}
	m.Tokens = pass.Trained()
	err = t.update(pass, &m)
	if late := pass.Close(); late != nil { // also of a step that is skipped: what it has under way would meet the next one
		return m, errors.Join(late, err)
	}
	switch {
	case err == nil && pass.Trained() > 0:
		t.state.Updates++
		t.state.SkippedInRow = 0
	case err != nil:
		if m.Skipped, err = true, t.skip(err); err != nil {
			return m, err
		}
		m.Tokens = 0 // none of them was trained on
	}
	t.state.Step++
	t.state.SeenTokens += int64(m.Tokens)
	m.SeenTokens = t.state.SeenTokens
	t.speed(&m, batches, time.Since(start))
	return m, nil
}

// skip leaves out a step that failed with err, where the run allows it.
func (t *Trainer) skip(err error) error {
	if !t.o.SkipBad || !beforeAnyWrite(err) {
		return t.diverged(err)
	}
	s := &t.state
	s.Skipped++
	s.SkippedInRow++
	if s.FirstSkipped == 0 {
		s.FirstSkipped = s.Step + 1
	}
	if s.SkippedInRow < maxSkips {
		return nil
	}
	return &DivergedError{Step: s.Step + 1, Err: fmt.Errorf("%w, and %d steps in a row were skipped; no weight was written in them", err, maxSkips),
		Hint: "it is the weights and not the data of one step: go on from an earlier checkpoint with a lower learning_rate (--resume OUTPUT_DIR/checkpoint-N)"}
}

// noteSkips says at the end of a run what it has left out. A run of which every step was left out has trained nothing.
func (t *Trainer) noteSkips() error {
	s := t.state
	if s.Skipped == 0 {
		return nil
	}
	if s.Updates == 0 {
		return &DivergedError{Step: s.Step, Err: fmt.Errorf("all %d steps with tokens to learn were skipped, because loss or gradient was not finite: nothing was learned and nothing is saved", s.Skipped),
			Hint: "lower learning_rate, or look at the data with lomo inspect"}
	}
	if t.o.Note != nil {
		t.o.Note("%d of %d steps were skipped, because loss or gradient was not finite; the first was step %d", s.Skipped, s.Step, s.FirstSkipped)
	}
	return nil
}

// update runs the sweeps of one step: forward, the norm pass when clipping is exact, and the updating one.
func (t *Trainer) update(pass *Pass, m *StepMetrics) error {
	if pass.Trained() == 0 {
		return nil // nothing to learn: the weights stay as they are
	}
	if err := pass.Forward(true); err != nil {
		return err
	}
	exact := t.clip != nil && !t.clip.Lagged
	if t.clip != nil {
		t.clip.Reset(t.d)
		t.clip.Set(t.d, t.state.LastNorm)
	}
	n := float64(pass.Trained())
	if exact {
		norm := &optim.NormPass{D: t.d, Sum: t.clip.SumSq, MatricesOnly: t.sweep.Comm.Rank() > 0}
		loss, err := pass.Backward(norm, true)
		m.Loss = loss / n
		if err != nil {
			return err
		}
		t.sweep.sum(t.clip.SumSq)
		g := t.clip.Norm(t.d)
		m.GradNorm = &g
		if math.IsNaN(g) || math.IsInf(g, 0) {
			return &NormError{g}
		}
		t.clip.Fix(t.d)
	}
	t.opt.Begin(t.state.Updates+1, m.LR)
	loss, err := pass.Backward(t.opt, false)
	m.Loss = loss / n
	if err != nil {
		return err
	}
	if t.clip != nil && t.clip.Lagged {
		t.sweep.sum(t.clip.SumSq)
		t.state.LastNorm = t.clip.Norm(t.d)
		norm := t.state.LastNorm
		m.GradNorm = &norm
	}
	return nil
}

// speed fills in the step's rates.
func (t *Trainer) speed(m *StepMetrics, batches []data.Batch, took time.Duration) {
	tokens := 0
	for _, b := range batches {
		tokens += b.Tokens
	}
	m.StepMS = float64(took.Microseconds()) / 1000
	if took > 0 {
		m.TokS = float64(tokens) / took.Seconds()
	}
	if t.o.PeakFLOPS > 0 && took > 0 {
		mfu := 6 * float64(t.net.Active()) * float64(tokens) / took.Seconds() / t.o.PeakFLOPS
		m.MFU = &mfu
	}
}

// NormError says that the gradient's norm is not finite. It is found by the norm pass, before any write.
type NormError struct{ Norm float64 }

func (e *NormError) Error() string { return fmt.Sprintf("the gradient norm is %v", e.Norm) }

// beforeAnyWrite reports whether err was found before the step wrote a weight.
func beforeAnyWrite(err error) bool {
	var l *LossError
	var n *NormError
	return errors.As(err, &l) || errors.As(err, &n)
}

// DivergedError ends a run whose numbers are no longer finite.
type DivergedError struct {
	Step int
	Err  error
	Hint string
}

func (e *DivergedError) Error() string { return fmt.Sprintf("step %d: %v", e.Step, e.Err) }
func (e *DivergedError) Unwrap() error { return e.Err }

// diverged adds step, block and what has been written to a non-finite value; other errors pass through.
func (t *Trainer) diverged(err error) error {
	step := t.state.Step + 1
	if beforeAnyWrite(err) {
		return &DivergedError{Step: step, Err: fmt.Errorf("%w; no weight was written in this step", err),
			Hint: "go on from an earlier checkpoint with a lower learning_rate (--resume OUTPUT_DIR/checkpoint-N), or skip such steps: max_grad_norm with clip_policy: exact and on_nonfinite: skip"}
	}
	var nf *device.NonFiniteError
	if !errors.As(err, &nf) {
		return err
	}
	block := -1
	for _, p := range t.net.Params() {
		if p.Name == nf.Tensor {
			block = p.Block
		}
	}
	where := fmt.Sprintf("block %d", block)
	switch block {
	case -1:
		where = "the embedding"
	case len(t.net.Blocks):
		where = "the final norm or the head"
	}
	return &DivergedError{Step: step, Err: fmt.Errorf("%s: %w; the blocks above are already updated in this step", where, err),
		Hint: "go on from the last checkpoint with a lower learning_rate (--resume OUTPUT_DIR/checkpoint-N), or with max_grad_norm and clip_policy: exact, which finds this before any write"}
}
