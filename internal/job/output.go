package job

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
)

const (
	configFile   = "config.yaml"
	metricsFile  = "metrics.jsonl"
	logFile      = "train.log"
	finishedFile = "finished.json" // its presence says that the run came to its end
)

// output is a run's folder, locked, with what it holds of the run so far.
type output struct {
	dir      string
	unlock   func() error
	resume   string // checkpoint to continue from, "" to start afresh
	finished bool
	fresh    bool                // there was no folder, or an empty one
	above    string              // the nearest folder that was there
	done     int                 // it had been finished after so many steps and goes on; 0: it had not
	changed  []string            // settings that differ from those of the checkpoint the user chose
	unread   bool                // resume has not been compared with its checksums
	passed   []checkpoint.Passed // checkpoints newer than resume that cannot be continued from
}

// lengthOf is asked for the steps of a run. They hang on the checkpoint that it continues ("" for none), and of a finished run without one on the settings
// that it had (nil for none); it may refuse.
type lengthOf func(resume string, had *config.Config) (int, error)

// openOutput creates, locks and examines output_dir. A folder that holds another run, or files that are not a run, is refused.
func openOutput(c *config.Config, steps lengthOf) (*output, error) {
	o := &output{dir: c.OutputDir}
	if err := o.check(c); err != nil {
		return nil, err
	}
	o.above = checkpoint.Standing(o.dir)
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, hint("choose another output_dir", "output_dir %s cannot be made: %w", o.dir, plain(err))
	}
	var err error
	if o.unlock, err = checkpoint.LockDir(o.dir); errors.Is(err, checkpoint.ErrLocked) {
		return nil, inUse(o.dir, err)
	} else if err != nil {
		o.undo()
		return nil, hint("free some space, or choose another output_dir", "output_dir %s cannot be written: %w", o.dir, plain(err))
	}
	if err := o.examine(c, steps); err != nil {
		o.unlock()
		return nil, err
	}
	return o, nil
}

// inUse is the refusal of a folder in which another process works.
func inUse(dir string, err error) error {
	return hint("wait for it, or choose another output_dir", "output_dir %s: %w", dir, err)
}

// check refuses a folder that cannot be a run's, as it stands.
func (o *output) check(c *config.Config) error {
	if sameFile(c.OutputDir, c.Model) {
		return &UsageError{hint("choose another output_dir", "output_dir %s is the model itself", c.OutputDir)}
	}
	if err := placeable(o.dir); err != nil {
		return err
	}
	return o.claimable()
}

// claimable reports a folder that has files but no configuration of a run.
func (o *output) claimable() error {
	entries, err := os.ReadDir(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		o.fresh = true
		return nil
	}
	if err != nil {
		return hint("choose another output_dir", "output_dir %s: %w", o.dir, plain(err))
	}
	o.fresh = len(entries) == 0
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
func (o *output) examine(c *config.Config, steps lengthOf) error {
	old, err := savedIn(o.dir)
	if err != nil {
		return fmt.Errorf("output_dir %s: its %w", o.dir, err)
	}
	if c.Resume != "auto" && c.Resume != "none" {
		if err := o.chosen(c, old); err != nil {
			return err
		}
		_, err := steps(o.resume, nil)
		return err
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
	if err := o.newest(); err != nil {
		return err
	}
	if o.resume == "" && batch(c) != batch(old) && spelling(c) != spelling(old) {
		return hint("choose another output_dir, or set the keys back", "output_dir %s holds another run, with steps of %d sequences and not %d", o.dir, batch(old), batch(c))
	}
	done, err := o.doneSteps()
	if err != nil {
		return err
	}
	if done == 0 {
		old = nil
	}
	n, err := steps(o.resume, old)
	if err != nil {
		return err
	}
	return o.goesOn(c, n, done)
}

// savedIn is the configuration of the run that a folder, or a checkpoint, belongs to, nil for none.
func savedIn(dir string) (*config.Config, error) {
	path := filepath.Join(dir, configFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	l, err := config.Load(config.Input{File: path})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configFile, err)
	}
	return &l.Config, nil
}

// begin writes the run's configuration and returns its text.
func (o *output) begin(c *config.Loaded) (string, error) {
	var text bytes.Buffer
	if err := c.WriteYAML(&text); err != nil {
		return "", err
	}
	os.Remove(filepath.Join(o.dir, finishedFile))
	return text.String(), checkpoint.WriteFile(filepath.Join(o.dir, configFile), text.Bytes())
}

// sayPassed names the checkpoints that are passed over. Damaged ones are taken out of the count, where they would push out good ones.
func (o *output) sayPassed(note func(string, ...any)) error {
	for _, p := range o.passed {
		if !errors.Is(p.Err, checkpoint.ErrDamaged) {
			note("passed over: %v", p.Err)
			continue
		}
		to, err := checkpoint.SetAside(p.Dir)
		if err != nil {
			return err
		}
		note("passed over, and kept as %s: %v", to, p.Err)
	}
	return nil
}

// end marks the run as finished, and removes what saves that were killed have left; keep is how many checkpoints stay.
func (o *output) end(step, keep int) error {
	if err := checkpoint.Prune(o.dir, keep); err != nil {
		return err
	}
	return checkpoint.WriteFile(filepath.Join(o.dir, finishedFile), fmt.Appendf(nil, "{\"step\":%d}\n", step))
}

// undo removes the folder of a run that failed before its first step, such as one whose weights cannot be read. A
// folder that was there before, or that holds anything but what every run begins with, stays.
func (o *output) undo() {
	if !o.fresh {
		return
	}
	if _, err := os.Stat(filepath.Join(o.dir, metricsFile)); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, name := range []string{configFile, logFile, workingCopy, spillFile, tokenizerDir, ".lock"} {
		os.RemoveAll(filepath.Join(o.dir, name))
	}
	for dir := o.dir; os.Remove(dir) == nil && filepath.Dir(dir) != dir; { // it fails where more is in it
		if dir = filepath.Dir(dir); dir == o.above {
			break
		}
	}
}

// outsideData refuses an output_dir within a folder of which all is read as data: a run that goes on would learn its own files.
func outsideData(c *config.Config) error {
	out, err := filepath.Abs(c.OutputDir)
	if err != nil {
		return nil
	}
	for _, d := range slices.Concat(c.Datasets, c.EvalDatasets) {
		at, err := filepath.Abs(d.Path)
		if info, missing := os.Stat(d.Path); err != nil || missing != nil || !info.IsDir() || d.Split != "" {
			continue
		}
		rel, err := filepath.Rel(at, out)
		if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			continue
		}
		if rel != "." && (strings.HasPrefix(rel, ".") || strings.Contains(rel, string(filepath.Separator)+".")) {
			continue // hidden files are no data
		}
		return &UsageError{hint("choose an output_dir that is not in it", "output_dir %s lies in %s, a folder whose files are all read as data, those of the run too", c.OutputDir, d.Path)}
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
