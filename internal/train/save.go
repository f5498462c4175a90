package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lomo/internal/checkpoint"
	"lomo/internal/comm"
	"lomo/internal/data"
	"lomo/internal/store"
)

const (
	stateJSON    = "lomo_state.json"
	stateTensors = "lomo_state.safetensors"
)

// save writes checkpoint-N: a loadable model folder with the run's state beside it. A kill at any instant leaves
// the checkpoints before it as they were.
func (t *Trainer) save(in Inputs) (string, error) {
	t.state.Data = in.Train.State()
	name := fmt.Sprintf("checkpoint-%d", t.state.Step)
	if t.sweep.Comm.Rank() > 0 { // rank 0 writes; the others give it their rows
		return name, errors.Join(t.store.Save(nil), t.saveStates(nil))
	}
	err := checkpoint.SaveDir(t.o.OutputDir, name, func(dir string) error {
		if err := t.writeModel(dir); err != nil {
			return err
		}
		return t.writeState(dir)
	})
	if err != nil {
		return "", fmt.Errorf("save %s: %w", name, err)
	}
	if t.o.OnSave != nil {
		t.o.OnSave(filepath.Join(t.o.OutputDir, name), t.state.Step)
	}
	return name, checkpoint.Prune(t.o.OutputDir, t.o.SaveLimit)
}

// writeModel writes the weights as they are held, config.json and the tokenizer into dir.
func (t *Trainer) writeModel(dir string) error {
	specs := make([]checkpoint.Spec, 0, len(t.net.Params()))
	for _, p := range t.net.Params() {
		specs = append(specs, checkpoint.Spec{Name: p.Name, DType: t.o.DType, Shape: p.Shape})
	}
	cfg, err := t.o.Model.JSON(t.o.DType.HFName())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), cfg, 0o644); err != nil {
		return err
	}
	if t.o.Tokenizer != nil {
		if err := t.o.Tokenizer(dir); err != nil {
			return err
		}
	}
	w, err := checkpoint.NewWriter(dir, specs, checkpoint.WriterOptions{MaxShardSize: t.o.MaxShardSize})
	if err != nil {
		return err
	}
	if err := t.store.Save(w); err != nil {
		w.Abort()
		return err
	}
	return w.Close()
}

// writeState writes the position of the run and the optimizer's tensors into dir.
func (t *Trainer) writeState(dir string) error {
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
	var specs []checkpoint.Spec
	for _, s := range t.opt.State() {
		specs = append(specs, checkpoint.Spec{Name: s.Name, DType: s.T.DType, Shape: s.Shape})
	}
	w, err := checkpoint.NewFileWriter(filepath.Join(dir, stateTensors), specs)
	if err != nil {
		return err
	}
	if err := t.saveStates(w); err != nil {
		w.Abort()
		return err
	}
	return w.Close()
}

// saveStates writes the optimizer's tensors to w, or on a rank that does not write (nil) gives its rows to the one that does.
func (t *Trainer) saveStates(w store.Writer) error {
	shard, split := t.store.(*store.Shard)
	for _, s := range t.opt.State() {
		var err error
		switch {
		case split && s.Split:
			err = shard.SaveRows(s.Name, s.Shape, s.T, w)
		case w != nil:
			err = store.SaveTensor(t.d, s.Name, s.T, w)
		}
		if err != nil {
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
	now := t.state
	t.state = st
	t.state.Total, t.state.Device, t.state.Devices, t.state.Accumulation = now.Total, now.Device, now.Devices, now.Accumulation
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

// ReadState reads the position of the run that a checkpoint belongs to.
func ReadState(dir string) (State, error) {
	var st State
	raw, err := os.ReadFile(filepath.Join(dir, stateJSON))
	if err != nil {
		return st, fmt.Errorf("run state: %w", err)
	}
	if err := json.Unmarshal(raw, &st); err != nil {
		return st, fmt.Errorf("run state %s: %w", filepath.Join(dir, stateJSON), err)
	}
	return st, nil
}
