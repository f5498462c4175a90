package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"lomo/internal/checkpoint"
	"lomo/internal/comm"
	"lomo/internal/data"
	"lomo/internal/fault"
	"lomo/internal/store"
	"lomo/internal/strictjson"
)

const (
	stateJSON    = "lomo_state.json"
	stateTensors = "lomo_state.safetensors"
)

// save writes checkpoint-N: a loadable model folder with the run's state beside it. A kill at any instant leaves
// the checkpoints before it as they were.
func (t *Trainer) save(in Inputs) (string, error) {
	t.giveBack()
	t.beginWriting(Saving)
	defer t.doing(Waiting, 0, 0)
	t.state.Data = in.Train.State()
	name := fmt.Sprintf("checkpoint-%d", t.state.Step)
	fill := func(dir string) error {
		if err := t.writeModel(dir, true); err != nil {
			return err
		}
		return t.writeState(dir)
	}
	if t.sweep.Comm.Rank() > 0 { // rank 0 makes the folder and its small files; all write their rows
		err := t.notFinite(fill(checkpoint.TempDir(t.o.OutputDir, name)))
		if err == nil {
			t.saved = t.state.Step
		}
		return name, err
	}
	err := checkpoint.SaveDir(t.o.OutputDir, name, fill)
	if still := (*UnchangedError)(nil); errors.As(err, &still) {
		return "", still
	}
	if err != nil {
		return "", t.notFinite(fmt.Errorf("save %s: %w", name, err))
	}
	t.saved = t.state.Step
	if t.o.OnSave != nil {
		t.o.OnSave(filepath.Join(t.o.OutputDir, name), t.state.Step)
	}
	if t.state.SkippedInRow > 0 { // an interrupted run: the checkpoints before it may yet be wanted
		return name, nil
	}
	return name, checkpoint.Prune(t.o.OutputDir, t.o.SaveLimit)
}

// notFinite makes the refusal to write a weight that is not a number the end of a run that has diverged.
func (t *Trainer) notFinite(err error) error {
	var nf *checkpoint.NonFiniteError
	if !errors.As(err, &nf) {
		return err
	}
	return &DivergedError{Step: t.state.Step, Err: fmt.Errorf("%w: the model was not saved, what was saved before is as it was", err),
		Hint: "go on from an earlier checkpoint with a lower learning_rate (--resume OUTPUT_DIR/checkpoint-N)"}
}

// writeModel writes the weights as they are held, config.json and the tokenizer into dir. beside says that the run's state
// will lie there too: an index then keeps readers that take every *.safetensors from loading it as weights.
func (t *Trainer) writeModel(dir string, beside bool) error {
	specs := make([]checkpoint.Spec, 0, len(t.net.Params()))
	for _, p := range t.net.Params() {
		specs = append(specs, checkpoint.Spec{Name: p.Name, DType: t.o.DType, Shape: p.Shape})
	}
	if t.sweep.Comm.Rank() == 0 {
		if err := t.writeBeside(dir); err != nil {
			return err
		}
	}
	return t.together(func(o checkpoint.WriterOptions) (*checkpoint.Writer, error) {
		o.MaxShardSize, o.Index = t.o.MaxShardSize, beside
		return checkpoint.NewWriter(dir, specs, o)
	}, t.saveWeights)
}

// writeBeside writes what lies beside a model's weights: config.json and the tokenizer.
func (t *Trainer) writeBeside(dir string) error {
	cfg, err := t.o.Model.JSON(t.o.DType.HFName())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), cfg, 0o644); err != nil {
		return err
	}
	if t.o.Tokenizer == nil {
		return nil
	}
	return t.o.Tokenizer(dir)
}

// writeTrained writes the trained model. Where a checkpoint holds its weights they are the same files under second names, if the file system can.
func (t *Trainer) writeTrained() error {
	if t.saved == 0 || t.saved != t.state.Step {
		return t.writeModel(t.o.OutputDir, false)
	}
	linked := 0.0
	if t.sweep.Comm.Rank() == 0 {
		ok, err := checkpoint.LinkModel(filepath.Join(t.o.OutputDir, fmt.Sprintf("checkpoint-%d", t.saved)), t.o.OutputDir)
		if ok && err == nil {
			linked, err = 1, t.writeBeside(t.o.OutputDir)
		}
		if err != nil {
			return err
		}
	}
	linked, err := t.sweep.addUp(linked)
	if err != nil {
		return err
	}
	if linked > 0 {
		t.doing(Writing, t.write.of, t.write.of)
		return nil
	}
	return t.writeModel(t.o.OutputDir, false)
}

// together writes files of tensors from all ranks: rank 0 begins and ends them, in between each writes the rows it owns.
func (t *Trainer) together(open func(checkpoint.WriterOptions) (*checkpoint.Writer, error), save func(store.Writer) error) (err error) {
	rank, several := t.sweep.Comm.Rank(), t.sweep.Comm.Size() > 1
	var w *checkpoint.Writer
	defer func() {
		if err != nil && w != nil {
			w.Abort()
		}
	}()
	if rank == 0 {
		if w, err = open(checkpoint.WriterOptions{Shared: several}); err != nil {
			return err
		}
	}
	if _, err := t.sweep.addUp(0); err != nil { // the files are there
		return err
	}
	if rank > 0 {
		if w, err = open(checkpoint.WriterOptions{Join: true}); err != nil {
			return err
		}
	}
	if err := save(t.watchedWriter(w)); err != nil {
		return err
	}
	written := w.Written()
	if rank > 0 {
		if err := w.Close(); err != nil {
			return err
		}
	}
	all, err := t.sweep.addUp(float64(written)) // all rows are there
	if err != nil || rank > 0 {
		return err
	}
	if int64(all) != w.Size() {
		return fmt.Errorf("%d ranks wrote %.0f bytes of %d", t.sweep.Comm.Size(), all, w.Size())
	}
	return w.Close()
}

// writeState writes the position of the run and the optimizer's tensors into dir.
func (t *Trainer) writeState(dir string) error {
	if t.sweep.Comm.Rank() == 0 {
		raw, err := json.MarshalIndent(t.state, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, stateJSON), append(raw, '\n'), 0o644); err != nil {
			return err
		}
		if t.o.Config != "" {
			if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(t.o.Config), 0o644); err != nil {
				return err
			}
		}
	}
	var specs []checkpoint.Spec
	for _, s := range t.opt.State() {
		specs = append(specs, checkpoint.Spec{Name: s.Name, DType: s.T.DType, Shape: s.Shape})
	}
	return t.together(func(o checkpoint.WriterOptions) (*checkpoint.Writer, error) {
		return checkpoint.NewFileWriter(filepath.Join(dir, stateTensors), specs, o)
	}, t.saveStates)
}

// saveStates writes this rank's rows of the optimizer's tensors, and rank 0 those that all ranks hold.
func (t *Trainer) saveStates(w store.Writer) error {
	for _, s := range t.opt.State() {
		row0 := 0
		if s.Split {
			row0, _ = comm.Rows(s.Shape[0], t.sweep.Comm.Size(), t.sweep.Comm.Rank())
		} else if t.sweep.Comm.Rank() > 0 {
			continue
		}
		if err := store.SaveTensorAt(t.d, s.Name, row0, s.T, w); err != nil {
			return fmt.Errorf("save %q: %w", s.Name, err)
		}
	}
	return nil
}

// restore continues from the checkpoint in dir; the weights have been read from it already.
func (t *Trainer) restore(dir string, l *data.Loader) error {
	st, err := ReadState(dir)
	if err != nil {
		return err
	}
	if st.Seed != t.o.Seed {
		return fmt.Errorf("resume %s: seed is %d, the configuration says %d", dir, st.Seed, t.o.Seed)
	}
	if st.Device != t.d.Name() && t.o.Note != nil {
		t.o.Note("the checkpoint was made on %q, this run is on %q: results agree within rounding, not bit for bit", st.Device, t.d.Name())
	}
	if err := st.inMicroBatches(t.o.MicroBatch); err != nil {
		return fmt.Errorf("resume %s: %w", dir, err)
	}
	t.noteTotal(st)
	now := t.state
	t.state = st
	t.state.Total, t.state.Device, t.state.Devices, t.state.Accumulation = now.Total, now.Device, now.Devices, now.Accumulation
	t.state.MicroBatch = now.MicroBatch
	if filepath.Clean(dir) == filepath.Join(t.o.OutputDir, fmt.Sprintf("checkpoint-%d", st.Step)) {
		t.saved = st.Step
	}
	if len(st.Begun) != len(now.Begun) { // an older checkpoint does not say
		t.state.Begun = now.Begun
	}
	if err := l.Restore(st.Data); err != nil {
		return fmt.Errorf("resume %s: %w", dir, err)
	}
	src, err := checkpoint.OpenFile(filepath.Join(dir, stateTensors))
	if err != nil {
		return fmt.Errorf("resume %s: %w", dir, err)
	}
	defer src.Close()
	for _, s := range t.opt.State() {
		row0 := 0
		if s.Split {
			row0, _ = comm.Rows(s.Shape[0], t.sweep.Comm.Size(), t.sweep.Comm.Rank())
		}
		if err := store.LoadRows(t.d, s.Name, row0, s.T, src); err != nil {
			return fmt.Errorf("resume %s: %w", dir, err)
		}
	}
	return t.d.Sync()
}

// inMicroBatches counts the position in the data in micro-batches of another size.
func (st *State) inMicroBatches(size int) error {
	if st.MicroBatch == 0 || st.MicroBatch == size {
		return nil
	}
	at := st.Data.Index * st.MicroBatch
	if at%size != 0 {
		return fmt.Errorf("its place in the data, behind sequence %d of an epoch, is not the end of a micro-batch of %d; set micro_batch_size to a divisor of %d", at, size, at)
	}
	st.Data.Index, st.MicroBatch = at/size, size
	return nil
}

// noteTotal says what another number of steps than the checkpoint's makes of the learning rate.
func (t *Trainer) noteTotal(st State) {
	now, then := t.schedule(t.state.Total), t.schedule(st.Total)
	if st.Total == t.state.Total || t.o.Note == nil {
		return
	}
	if is, was := now.At(st.Step), then.At(st.Step); is != was {
		t.o.Note("the run has %d steps, had %d when the checkpoint was made: the learning rate of step %d is %.4g, it would have been %.4g", now.Total, then.Total, st.Step+1, is, was)
	} else {
		t.o.Note("the run has %d steps, had %d when the checkpoint was made: the learning rate of step %d is %.4g as it was", now.Total, then.Total, st.Step+1, is)
	}
}

// maxState bounds the JSON of a run's position.
const maxState = 1 << 20

// ReadState reads the position of the run that a checkpoint belongs to.
func ReadState(dir string) (State, error) {
	var st State
	raw, err := fault.Read(filepath.Join(dir, stateJSON), maxState)
	if err != nil {
		return st, fmt.Errorf("run state: %w", err)
	}
	err = strictjson.Unmarshal(raw, &st)
	if err == nil {
		err = st.check(filepath.Base(dir))
	}
	if err != nil {
		return st, fmt.Errorf("run state %s: %w", filepath.Join(dir, stateJSON), err)
	}
	return st, nil
}

// check reports a value that no run could have saved in a folder of this name.
func (st *State) check(folder string) error {
	switch n, named := checkpoint.StepOf(folder); {
	case named && n != st.Step:
		return fmt.Errorf("step is %d, and the folder is %s", st.Step, folder)
	case st.Step < 0:
		return fmt.Errorf("step is %d", st.Step)
	case st.Total < 0 || st.Total > 0 && st.Step > st.Total: // a very old one says no total
		return fmt.Errorf("step is %d, the run has %d", st.Step, st.Total)
	case st.Updates < 0 || st.Updates > st.Step:
		return fmt.Errorf("updates is %d, after %d steps", st.Updates, st.Step)
	case st.SeenTokens < 0:
		return fmt.Errorf("seen_tokens is %d", st.SeenTokens)
	case st.LastNorm != -1 && !(st.LastNorm >= 0) || math.IsInf(st.LastNorm, 0):
		return fmt.Errorf("last_norm is %v, want -1 (unknown) or a norm", st.LastNorm)
	case st.Devices < 0 || st.Accumulation < 0 || st.MicroBatch < 0:
		return fmt.Errorf("a step of micro_batch_size %d, gradient_accumulation_steps %d, devices %d", st.MicroBatch, st.Accumulation, st.Devices)
	case st.Skipped < 0 || st.Skipped > st.Step || st.SkippedInRow < 0 || st.SkippedInRow > st.Skipped || st.FirstSkipped < 0 || st.FirstSkipped > st.Step:
		return fmt.Errorf("skipped is %d, %d in a row, the first at step %d, after %d steps", st.Skipped, st.SkippedInRow, st.FirstSkipped, st.Step)
	}
	_, err := printsOf(st.Begun)
	return err
}
