package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/train"
)

// chosen continues from the checkpoint that c.Resume names, which may be another run's. Its settings may have been
// changed, as after a divergence; the optimizer may not, since its state would be lost. What the folder holds must then
// be no newer, or --resume auto would later continue what was left behind.
func (o *output) chosen(c, old *config.Config) error {
	if err := checkpoint.Intact(c.Resume); err != nil {
		if errors.Is(err, checkpoint.ErrDamaged) {
			return hint("put the saved files back, or continue from another checkpoint", "resume: %w", err)
		}
		return hint("--resume takes auto, none or a checkpoint-N folder", "resume %s: %w", c.Resume, err)
	}
	o.resume = c.Resume
	was, err := savedIn(c.Resume)
	if err != nil {
		return fmt.Errorf("resume %s: its %w", c.Resume, err)
	}
	if was == nil {
		return nil
	}
	if was.Optimizer != c.Optimizer {
		return hint("set it back, or start from the checkpoint's weights with model: "+c.Resume, "resume %s: optimizer: %s, was %s", c.Resume, c.Optimizer, was.Optimizer)
	}
	o.changed = config.Diff(*was, *c)
	if old == nil || len(config.Diff(*old, *c)) == 0 {
		return nil
	}
	if !sameFile(o.dir, filepath.Dir(c.Resume)) {
		return hint("choose another output_dir", "output_dir %s holds another run: %s", o.dir, config.Diff(*old, *c)[0])
	}
	if newest, _, err := checkpoint.Latest(o.dir); err == nil && !sameFile(newest, c.Resume) {
		return hint("choose another output_dir", "output_dir %s holds %s, made with other settings than these: %s", o.dir, filepath.Base(newest), config.Diff(*old, *c)[0])
	}
	return nil
}

// newest finds the checkpoint that an automatic resume continues from, if there is one. Where the run goes on, every byte of it has been compared
// with what was saved; a finished run is not read for nothing.
func (o *output) newest() error {
	dir, _, err := checkpoint.Latest(o.dir)
	if errors.Is(err, fs.ErrNotExist) { // incomplete ones at most
		_, o.passed, err = checkpoint.LatestIntact(o.dir)
		return err
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(o.dir, finishedFile)); err == nil {
		o.resume, o.unread = dir, true
		return nil
	}
	if o.resume, o.passed, err = checkpoint.LatestIntact(o.dir); err == nil && o.resume == "" {
		return hint("put its files back, or rename the folder to start the run afresh", "resume: %w", o.passed[0].Err)
	}
	return err
}

// checkFinished reports in o.finished a run that has come to its end. One that is to have more steps needs the state it stopped with.
func (o *output) checkFinished(steps int) error {
	raw, err := os.ReadFile(filepath.Join(o.dir, finishedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var done int
	if _, err := fmt.Sscanf(string(raw), `{"step":%d}`, &done); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(o.dir, finishedFile), err)
	}
	if steps <= done {
		o.finished = true
		return nil
	}
	if o.unread {
		if err := checkpoint.Intact(o.resume); err != nil {
			return hint("put its files back, or continue from another checkpoint with --resume DIR", "resume: %w", err)
		}
	}
	if o.resume == "" {
		return hint("a run goes on only from a checkpoint: set save_steps before it ends", "output_dir %s: the run finished at step %d and kept no checkpoint to go on from", o.dir, done)
	}
	return nil
}

// resumedStep is the step the run continues after.
func (o *output) resumedStep() (int, error) {
	if o.resume == "" {
		return 0, nil
	}
	st, err := train.ReadState(o.resume)
	return st.Step, err
}
