package job

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/memprof"
	"lomo/internal/tensor"
	"lomo/internal/tokenizer"
	"lomo/internal/train"
)

// Reporter receives what a run has to say.
type Reporter interface {
	Note(format string, args ...any)        // a line of talk
	Doing(a train.Activity)                 // what the run is busy with, often; from any goroutine
	Planned(s Summary)                      // before anything is loaded
	Began(dir string)                       // the output folder is this run's, and locked
	Resumed(dir string, step, of int) error // metrics beyond step belong to steps that will be run again
	Step(m train.StepMetrics) error         // each logged step
	Eval(m train.EvalMetrics) error         // each evaluation
	Saved(dir string, step int)             // each checkpoint

	// Sampled is what the model answers before the first step and after the last; note says why there is none.
	Sampled(step int, samples []Sample, note string) error
	Finished(dir string, state Done) error // the run is over
}

// Summary is what is known of a run before it starts.
type Summary struct {
	Model      string
	Params     int64
	Active     int64 // of them, those that work on one token: fewer where there are experts
	Train, Val data.Stats
	Rows       data.PackStats // of the first epoch
	Steps      int
	Course     Course // of the steps; its Lines say more of them
	Memory     *memprof.Profile
	Time       *Forecast // dry runs on the CPU; nil: not known
	Device     string
	Cards      Cards // what the plan for cards took as given

	Accumulation int // micro-batches of a step; a run that goes on may have others than its settings say

	known known
}

// TrainOptions is how a run is started.
type TrainOptions struct {
	AnyFolder bool  // a dry run does not look at the output folder
	DryRun    bool  // only what comes before the first weight is read
	Cards     Cards // what a plan for cards takes as given
}

// Done is how a run ended.
type Done struct {
	Steps   int
	Model   string // folder of the trained model, "" when it was not written
	Already bool   // it had been finished before
	Chat    bool   // the model has a chat template, or has learned conversations
}

// dataset is a run's data, ready to be dealt out.
type dataset struct {
	train, val *data.Dataset
	opts       data.Options
}

// Train runs the training that c describes.
func Train(ctx context.Context, c *config.Loaded, rep Reporter, t TrainOptions) error {
	if name := presetOf(c.Model); t.DryRun && name != "" {
		return planWithout(c, name, rep, t.Cards)
	}
	rep.Doing(train.Activity{Task: train.Opening})
	m, err := OpenModel(c.Model)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := settleDevice(&c.Config, rep, &t); err != nil {
		return err
	}
	if err := m.Config.Trainable(); err != nil {
		return fmt.Errorf("model %s: %w", c.Model, err)
	}
	m.note(rep.Note)
	c.FitSequenceLen(m.Config.Reach())
	o, err := trainOptions(&c.Config, m.Config)
	if err != nil {
		return err
	}
	m.noteRounding(o.DType, rep.Note)
	if err := checkLength(m.Config, "sequence_len", o.SequenceLen, rep.Note); err != nil {
		return err
	}
	tok, err := runTokenizer(c, m, rep)
	if err != nil {
		return err
	}
	if c.ChatTemplate, err = ChatTemplate(tok, c.ChatTemplate); err != nil {
		return err
	}
	if err := m.exportable(&c.Config, rep.Note); err != nil {
		return err
	}
	if !t.AnyFolder {
		if err := outsideData(&c.Config); err != nil {
			return err
		}
	}
	ds, err := loadData(&c.Config, m, tok, rep)
	if err != nil {
		return err
	}
	ds.note(rep.Note)
	rep.Doing(train.Activity{Task: train.Planning})
	sum, err := summarize(&c.Config, &o, m, ds, t.Cards)
	if err != nil {
		return err
	}
	if t.DryRun {
		return rehearse(c, o, m, tok, ds, sum, rep, t.AnyFolder)
	}
	return runTraining(ctx, c, o, m, tok, ds, sum, rep)
}

// settleDevice decides where a run computes, and takes the memory of its cards from them. A plan for cards needs none.
func settleDevice(c *config.Config, rep Reporter, t *TrainOptions) error {
	where, asked := computeOf(c), c.Device
	if t.DryRun && c.Device == "cuda" {
		where.noteMissing(rep.Note, t.Cards)
		return nil
	}
	err := where.settle(rep.Note, c.Offload, c.ActivationOffload)
	c.Device = where.Device
	if err == nil && asked == "auto" && c.Device == "cpu" { // of device: cpu the configuration's check says it
		for _, o := range [][2]string{{"offload", c.Offload}, {"activation_offload", c.ActivationOffload}} {
			if o[1] == "host" {
				rep.Note("lomo: warning: %s: host has no effect, because the run is on the CPU, whose memory the host's is; %s: disk saves some", o[0], o[0])
			}
		}
	}
	if err == nil && !t.DryRun && c.Device == "cuda" {
		t.Cards.DeviceMemory, err = where.cardMemory()
	}
	return err
}

// runTokenizer opens the tokenizer where the data needs one; a model of token ids alone may lack it.
func runTokenizer(c *config.Loaded, m *Model, rep Reporter) (*tokenizer.Tokenizer, error) {
	tok, err := m.Tokenizer()
	if err == nil {
		m.noteTokenizer(tok, rep.Note)
		return tok, nil
	}
	for _, d := range slices.Concat(c.Datasets, c.EvalDatasets) {
		if d.Type != "tokenized" {
			return nil, err
		}
	}
	if m.Source.AuxFiles() != nil && m.Source.AuxFiles()["tokenizer.json"] != "" {
		return nil, err // there is one, and it is broken or of another model
	}
	rep.Note("the model has no tokenizer; the data is tokenized, so none is needed")
	return nil, nil
}

func loadData(c *config.Config, m *Model, tok *tokenizer.Tokenizer, rep Reporter) (*dataset, error) {
	ds := &dataset{opts: dataOptions(c, m.Config)}
	told := ds.opts
	told.OnSample = func(n int) { rep.Doing(train.Activity{Task: train.Encoding, Done: int64(n)}) }
	told.OnSample(0)
	all, err := data.Load(sources(c.Datasets), asTokenizer(tok), told)
	if len(c.EvalDatasets) > 0 {
		var late error
		ds.val, late = data.Load(sources(c.EvalDatasets), asTokenizer(tok), told)
		err = data.Join(err, late)
	}
	if err != nil {
		return nil, err
	}
	ds.train = all
	if c.ValSetSize > 0 {
		ds.train, ds.val = all.Split(c.ValSetSize, c.Seed)
		if ds.train.Len() == 0 {
			return nil, &UsageError{hint(fewerHeldOut(all.Len()), "val_set_size %v leaves no sample of %d to train on", c.ValSetSize, all.Len())}
		}
	}
	return ds, nil
}

// fewerHeldOut is the way out of a val_set_size that takes all of n samples.
func fewerHeldOut(n int) string {
	if n < 2 {
		return "leave val_set_size out: one sample cannot be shared"
	}
	return fmt.Sprintf("val_set_size: 0.1 holds out %d", max(1, int(math.Round(0.1*float64(n)))))
}

// note says what of the data was not taken as it stands in the files.
func (ds *dataset) note(say func(string, ...any)) {
	for _, n := range ds.train.Notes() {
		say("data: %s", n)
	}
	for _, n := range ds.val.Notes() {
		say("evaluation data: %s", n)
	}
}

// asTokenizer keeps a nil *Tokenizer from becoming a non-nil interface.
func asTokenizer(t *tokenizer.Tokenizer) data.Tokenizer {
	if t == nil {
		return nil
	}
	return t
}

// summarize plans steps and memory. Without packing no sequence is longer than the longest sample, so o.SequenceLen may shrink.
func summarize(c *config.Config, o *train.Options, m *Model, ds *dataset, cards Cards) (Summary, error) {
	s := Summary{Model: m.Given, Params: m.Net.NumParams(), Active: m.Net.Active(), Train: ds.train.Stats(), Val: ds.val.Stats(), Device: deviceName(c), Cards: cards}
	if !c.Packing {
		o.SequenceLen = max(1, min(o.SequenceLen, max(s.Train.MaxLen, s.Val.MaxLen)))
	}
	evalLen := 0
	if ds.val.Len() > 0 {
		evalLen = o.SequenceLen
	}
	l := data.NewLoader(ds.train, ds.opts)
	s.Rows = l.PackedSequences()
	s.Steps = c.MaxSteps
	var err error
	if s.Steps == 0 {
		if s.Steps, err = train.TotalSteps(l, c.NumEpochs, c.GradientAccumulationSteps*c.Devices); err != nil {
			return s, &UsageError{err}
		}
	}
	s.Course.batches = l.BatchesIn(0)
	s.course(o, c, ds)
	s.known = known{bytes: data.Bytes(ds.train, ds.val) + int64(c.Devices)*l.Bytes(), rows: s.Rows.Rows}
	s.Memory, err = s.known.plan(*o, c, evalLen, cards)
	return s, err
}

// runTraining takes the output folder and the device, and trains.
func runTraining(ctx context.Context, c *config.Loaded, o train.Options, m *Model, tok *tokenizer.Tokenizer, ds *dataset, sum Summary, rep Reporter) error {
	out, err := openOutput(&c.Config, func(resume string, had *config.Config) (int, error) {
		err := keepBatch(&o, &c.Config, resume, had, ds, &sum, rep)
		return sum.Steps, err
	})
	if err != nil {
		return err
	}
	defer out.unlock()
	if out.finished {
		if err := exportRun(ctx, &c.Config, rep.Note, false); err != nil {
			return err
		}
		return rep.Finished(o.OutputDir, Done{Steps: sum.Steps, Model: o.OutputDir, Already: true})
	}
	if err := announce(c, &o, out, ds, &sum, rep); err != nil {
		out.undo()
		return err
	}
	weights, err := startingWeights(out, m, sum.Steps, rep)
	if err != nil {
		return err
	}
	if weights != m.Source {
		defer weights.Close()
	} else if err := m.checkTied(); err != nil {
		return err
	}
	if err := out.sayPassed(rep.Note); err != nil {
		return err
	}
	if err := checkSpace(&c.Config, o, &sum); err != nil {
		out.undo()
		return err
	}
	for _, d := range out.changed {
		rep.Note("changed since the checkpoint was made: %s", d)
	}
	if o.Config, err = out.begin(c); err != nil {
		return err
	}
	rep.Began(o.OutputDir)
	if o.Tokenizer, err = keepSideFiles(m, tok, &c.Config, rep.Note); err != nil {
		return err
	}
	chat := isChat(tok, &c.Config) // nothing of this run holds the tokenizer while it trains: it is not part of the plan
	questions := newSampler(ctx, &c.Config, &o, m, tok, ds, rep)
	if out.resume != "" {
		questions.tok = nil // it is opened again when the run has ended
	}
	o.OnEnds = questions.ask
	o.OnStep, o.OnEval, o.OnSave, o.Note, o.OnDoing = rep.Step, rep.Eval, rep.Saved, rep.Note, rep.Doing
	o.WorkingCopy, o.SpillFile = filepath.Join(o.OutputDir, workingCopy), filepath.Join(o.OutputDir, spillFile)
	if o.Offload != train.OnDevice || o.SpillInputs != train.OnDevice {
		o.OnDone = func(in, out int64) {
			rep.Note("moved during the run, of weights and block inputs: %s to the device, %s from it", checkpoint.FormatSize(in), checkpoint.FormatSize(out))
		}
	}
	debug.FreeOSMemory() // what loading the data left behind
	if err := onDevices(ctx, &c.Config, o, weights, ds, sum.Memory.Arena, out.resume); err != nil {
		if diverged := (*train.DivergedError)(nil); !errors.As(err, &diverged) {
			out.undo()
		}
		if errors.Is(err, syscall.ENOSPC) {
			err = advise("free some space and give the same command again: it continues from the newest checkpoint", err)
		}
		return err
	}
	if err := out.end(sum.Steps, c.SaveTotalLimit); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(o.OutputDir, tokenizerDir)); err != nil {
		return err
	}
	if err := exportRun(ctx, &c.Config, rep.Note, true); err != nil {
		return err
	}
	done := Done{Steps: sum.Steps, Chat: chat}
	if o.SaveFinal {
		done.Model = o.OutputDir
	}
	return rep.Finished(o.OutputDir, done)
}

// announce tells the plan of a run, from the step where it begins or goes on, and refuses one that has nothing left to train.
func announce(c *config.Loaded, o *train.Options, out *output, ds *dataset, sum *Summary, rep Reporter) error {
	planned := 0
	if out.resume != "" {
		st, err := train.ReadState(out.resume)
		if err != nil {
			return err
		}
		if planned, sum.Course.From = st.Total, st.Step; st.Step > sum.Steps {
			return shorter(&c.Config, sum.Steps, st.Step, out.resume)
		}
	}
	switch from := sum.Course.From; {
	case out.done > from:
		rep.Note("the run had finished at step %d, from which there is no checkpoint: it goes on after step %d to step %d; the trained model in %s stays until then", out.done, from, sum.Steps, out.dir)
	case out.done > 0:
		rep.Note("the run had finished at step %d and goes on to step %d; the trained model in %s stays until then", out.done, sum.Steps, out.dir)
	}
	sum.course(o, &c.Config, ds)
	rep.Planned(*sum)
	evalLen := 0
	if ds.val.Len() > 0 {
		evalLen = o.SequenceLen
	}
	warnMemory(*o, &c.Config, sum.Memory, evalLen, rep.Note)
	if err := sum.checkRates(c, planned, rep); err != nil {
		return err
	}
	if sum.Course.From == 0 {
		sum.warn(&c.Config, rep)
	}
	return nil
}

// onDevices opens the run's devices and trains on them.
func onDevices(ctx context.Context, c *config.Config, o train.Options, weights checkpoint.Source, ds *dataset, arena int64, resume string) (err error) {
	where := computeOf(c)
	devices, closeAll, err := where.openAll(arena)
	if err != nil {
		return err
	}
	defer func() {
		if left := (*train.AbandonedError)(nil); !errors.As(err, &left) {
			closeAll()
		}
	}()
	ranks, err := group(devices)
	if err != nil {
		return err
	}
	noteLibraries(o.Note, devices, ranks)
	var in []train.Inputs
	for range devices {
		one := train.Inputs{Weights: weights, Train: data.NewLoader(ds.train, ds.opts)}
		if ds.val.Len() > 0 {
			one.Eval, one.EvalBatches = data.Batches(ds.val, ds.opts), data.BatchCount(ds.val, ds.opts)
		}
		in = append(in, one)
	}
	if d, ok := devices[0].(interface {
		PeakFLOPS(dt tensor.DType) float64
	}); ok {
		o.PeakFLOPS = float64(len(devices)) * d.PeakFLOPS(o.DType)
	}
	if len(devices) == 1 {
		return train.Run(ctx, devices[0], o, in[0], resume)
	}
	o.OnRank = rankLogs(o.OutputDir)
	return train.RunRanks(ctx, devices, ranks, o, in, resume)
}

// startingWeights is the checkpoint to continue from, or the model itself.
func startingWeights(out *output, m *Model, steps int, rep Reporter) (checkpoint.Source, error) {
	if out.resume == "" {
		return m.Source, nil
	}
	old, step, err := checkpointOf(out, m)
	if err != nil {
		return nil, err
	}
	return old.Source, rep.Resumed(out.resume, step, steps)
}

// workingCopy holds the weights during a run with offload: disk, spillFile the block inputs with activation_offload: disk.
const (
	workingCopy = ".weights"
	spillFile   = ".block-inputs"
)

// Exit is the exit code an error of this package means.
func Exit(err error) int {
	var usage *UsageError
	var diverged *train.DivergedError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, train.ErrInterrupted):
		return 130
	case errors.As(err, &diverged), errors.Is(err, device.ErrNotFinite):
		return 3
	case errors.As(err, &usage):
		return 2
	}
	return 1
}
