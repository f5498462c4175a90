package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/fault"
	"lomo/internal/train"
)

// chosen continues from the checkpoint that c.Resume names, which may be another run's. Its settings may have been
// changed, as after a divergence; the optimizer may not, since its state would be lost. What the folder holds must then
// be no newer, or --resume auto would later continue what was left behind.
func (o *output) chosen(c, old *config.Config) error {
	if !isThere(c.Resume) {
		return hint(othersOf(c.Resume), "resume %s: there is no such folder", c.Resume)
	}
	if err := checkpoint.Intact(c.Resume); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return err
		}
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

// othersOf says which checkpoints there are in place of one that is missing.
func othersOf(dir string) string {
	above := filepath.Dir(dir)
	newest, _, err := checkpoint.Latest(above)
	if err != nil {
		return "--resume takes auto, none or a checkpoint-N folder"
	}
	return fmt.Sprintf("the newest in %s is %s; --resume auto takes it", above, filepath.Base(newest))
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

// doneSteps is the steps of a run that has come to its end, 0 for one that has not.
func (o *output) doneSteps() (int, error) {
	raw, err := fault.Read(filepath.Join(o.dir, finishedFile), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var done int
	if _, err := fmt.Sscanf(string(raw), `{"step":%d}`, &done); err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Join(o.dir, finishedFile), err)
	}
	return done, nil
}

// goesOn decides what becomes of a run that has ended after done steps and is to have so many: nothing where they are as many, which o.finished says. One
// that is to have more needs the state it stopped with.
func (o *output) goesOn(c *config.Config, steps, done int) error {
	switch {
	case done == 0:
		return nil
	case steps == done:
		o.finished = true
		return nil
	case steps < done:
		return shorter(c, steps, done, o.dir)
	}
	if o.resume != "" {
		o.done = done
		if o.unread {
			if err := checkpoint.Intact(o.resume); err != nil {
				return hint("put its files back, or continue from another checkpoint with --resume DIR", "resume: %w", err)
			}
		}
		return nil
	}
	why := "has no checkpoint to go on from"
	if c.SaveSteps == 0 {
		why = "kept no state to go on from, as save_steps is 0"
	}
	return hint(fmt.Sprintf("train on from its weights with model: %s and another output_dir, where rates and optimizer begin anew; or train all %s anew there", o.dir, fault.Number(steps, "step")),
		"output_dir %s: the run finished at step %d and %s", o.dir, done, why)
}

// resumedStep is the step the run continues after.
func (o *output) resumedStep() (int, error) {
	if o.resume == "" {
		return 0, nil
	}
	st, err := train.ReadState(o.resume)
	return st.Step, err
}

// shorter refuses a length below the steps that were taken: a run does not go back.
func shorter(c *config.Config, steps, taken int, dir string) error {
	key := fmt.Sprintf("num_epochs: %v makes %s", c.NumEpochs, fault.Number(steps, "step"))
	if c.MaxSteps > 0 {
		key = fmt.Sprintf("max_steps: %d", c.MaxSteps)
	}
	advice := fmt.Sprintf("max_steps: %d ends the run where it is; train anew in another output_dir for a shorter one", taken)
	if dir == c.OutputDir {
		advice = fmt.Sprintf("the model in %s is that of step %d; train anew in another output_dir for a shorter run", dir, taken)
	}
	if at := filepath.Join(c.OutputDir, fmt.Sprintf("checkpoint-%d", steps)); checkpoint.Complete(at) == nil {
		advice = fmt.Sprintf("%s is the model after step %d; train anew in another output_dir for a schedule of as many steps", at, steps)
	}
	return hint(advice, "%s: %s, and %s were taken already: a run does not go back", dir, key, fault.Number(taken, "step"))
}
