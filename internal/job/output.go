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

const (
	configFile   = "config.yaml"
	finishedFile = "finished.json" // its presence says that the run came to its end
)

// output is a run's folder, locked, with what it holds of the run so far.
type output struct {
	dir      string
	unlock   func() error
	resume   string // checkpoint to continue from, "" to start afresh
	finished bool
}

// openOutput creates, locks and examines output_dir. A folder that holds another run, or files that are not a run, is refused.
func openOutput(c *config.Config) (*output, error) {
	o := &output{dir: c.OutputDir}
	if sameFile(c.OutputDir, c.Model) {
		return nil, &UsageError{hint("choose another output_dir", "output_dir %s is the model itself", c.OutputDir)}
	}
	if err := o.claimable(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, fmt.Errorf("output_dir: %w", err)
	}
	var err error
	if o.unlock, err = checkpoint.LockDir(o.dir); err != nil {
		return nil, fmt.Errorf("output_dir %s: %w", o.dir, err)
	}
	if err := o.examine(c); err != nil {
		o.unlock()
		return nil, err
	}
	return o, nil
}

// claimable reports a folder that has files but no configuration of a run.
func (o *output) claimable() error {
	entries, err := os.ReadDir(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("output_dir: %w", err)
	}
	for _, e := range entries {
		if e.Name() == configFile || e.Name() == ".lock" {
			return nil
		}
	}
	if len(entries) > 0 {
		return hint("choose an empty folder", "output_dir %s holds files that are not a run, such as %s", o.dir, entries[0].Name())
	}
	return nil
}

// examine decides between starting, continuing and being done.
func (o *output) examine(c *config.Config) error {
	old, err := o.saved()
	if err != nil {
		return err
	}
	if c.Resume != "auto" && c.Resume != "none" {
		if err := checkpoint.Complete(c.Resume); err != nil {
			return fmt.Errorf("resume %s: %w", c.Resume, err)
		}
		o.resume = c.Resume
		return nil
	}
	if old == nil {
		return nil
	}
	if c.Resume == "none" {
		return hint("choose another output_dir, remove this one, or continue it with --resume auto", "output_dir %s holds a run, and resume is none", o.dir)
	}
	if diff := config.Diff(*old, *c); len(diff) > 0 {
		return hint("choose another output_dir, or set the keys back to continue that run", "output_dir %s holds another run: %s", o.dir, diff[0])
	}
	dir, step, err := checkpoint.Latest(o.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		o.resume = dir
	}
	return o.checkFinished(c, step)
}

// checkFinished reports in o.finished a run that has come to its end. One that is to go on beyond it needs the state it stopped with.
func (o *output) checkFinished(c *config.Config, step int) error {
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
	if c.MaxSteps == 0 || c.MaxSteps <= done {
		o.finished = true
		return nil
	}
	if o.resume == "" {
		return hint("a run goes on only from a checkpoint: set save_steps before it ends", "output_dir %s: the run finished at step %d and kept no checkpoint to go on from", o.dir, done)
	}
	return nil
}

// saved is the configuration of the run the folder holds, nil for none.
func (o *output) saved() (*config.Config, error) {
	path := filepath.Join(o.dir, configFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	l, err := config.Load(config.Input{File: path})
	if err != nil {
		return nil, fmt.Errorf("output_dir %s: its %s: %w", o.dir, configFile, err)
	}
	return &l.Config, nil
}

// begin writes the run's configuration.
func (o *output) begin(c *config.Loaded) error {
	os.Remove(filepath.Join(o.dir, finishedFile))
	f, err := os.Create(filepath.Join(o.dir, configFile))
	if err != nil {
		return err
	}
	if err := c.WriteYAML(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// end marks the run as finished.
func (o *output) end(step int) error {
	return os.WriteFile(filepath.Join(o.dir, finishedFile), fmt.Appendf(nil, "{\"step\":%d}\n", step), 0o644)
}

// resumedStep is the step the run continues after.
func (o *output) resumedStep() (int, error) {
	if o.resume == "" {
		return 0, nil
	}
	st, err := train.ReadState(o.resume)
	return st.Step, err
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
