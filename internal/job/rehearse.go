package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/tokenizer"
	"lomo/internal/train"
)

// rehearse is the rest of a dry run: it refuses what runTraining would, with the same messages, tells the plan, and writes nothing.
func rehearse(c *config.Loaded, o train.Options, m *Model, tok *tokenizer.Tokenizer, ds *dataset, sum Summary, rep Reporter, anyFolder bool) error {
	if anyFolder {
		sum.Time = forecast(&c.Config, o, ds, sum.Steps)
		return announce(c, &o, &output{}, ds, &sum, rep)
	}
	out, err := lookOutput(&c.Config, func(resume string, had *config.Config) (int, error) {
		err := keepBatch(&o, &c.Config, resume, had, ds, &sum, rep)
		return sum.Steps, err
	})
	if err != nil {
		rep.Planned(sum)
		return err
	}
	if out.finished {
		return rep.Finished(o.OutputDir, Done{Steps: sum.Steps, Model: o.OutputDir, Already: true})
	}
	sum.Time = forecast(&c.Config, o, ds, sum.Steps-stepsBefore(out))
	if err := announce(c, &o, out, ds, &sum, rep); err != nil {
		return err
	}
	if out.resume != "" {
		old, _, err := checkpointOf(out, m)
		if err != nil {
			return err
		}
		old.Close()
	} else if err := m.checkTied(); err != nil {
		return err
	}
	for _, d := range out.changed {
		rep.Note("changed since the checkpoint was made: %s", d)
	}
	for _, p := range out.passed {
		rep.Note("passed over: %v", p.Err)
	}
	if err := checkSpace(&c.Config, o, &sum); err != nil {
		return err
	}
	return trySideFiles(m, tok, &c.Config, rep.Note)
}

// stepsBefore is how many steps of a run are done.
func stepsBefore(out *output) int {
	n, err := out.resumedStep()
	if err != nil {
		return 0
	}
	return n
}

// trySideFiles makes the files beside the trained model in a place that is removed.
func trySideFiles(m *Model, tok *tokenizer.Tokenizer, c *config.Config, note func(string, ...any)) error {
	dir, err := os.MkdirTemp("", "lomo-dry-run-")
	if err != nil {
		return nil // nothing is wrong with the run
	}
	defer os.RemoveAll(dir)
	there := *c
	there.OutputDir = dir
	_, err = keepSideFiles(m, tok, &there, note)
	return err
}

// lookOutput is openOutput for a run that is not to begin: it takes no lock and makes no folder.
func lookOutput(c *config.Config, steps lengthOf) (*output, error) {
	o := &output{dir: c.OutputDir, unlock: func() error { return nil }}
	if err := o.check(c); err != nil {
		return nil, err
	}
	if holder, used := checkpoint.HeldBy(o.dir); used {
		return nil, inUse(o.dir, holder)
	}
	return o, o.examine(c, steps)
}

// placeable refuses a folder that cannot be made or written into.
func placeable(dir string) error {
	at := checkpoint.Standing(dir)
	for link := filepath.Clean(dir); link != at && filepath.Dir(link) != link; link = filepath.Dir(link) {
		if _, err := os.Lstat(link); err == nil {
			return hint("choose another output_dir, or remove the link", "output_dir %s: %s is a link that leads nowhere", dir, link)
		}
	}
	info, err := os.Stat(at)
	switch {
	case err != nil:
		return fmt.Errorf("output_dir %s: %w", dir, plain(err))
	case !info.IsDir() && at == dir:
		return hint("choose another output_dir", "output_dir %s is a file, not a folder", dir)
	case !info.IsDir():
		return hint("choose another output_dir", "output_dir %s: %s is a file, so no folder can be made in it", dir, at)
	case writable(at):
		return nil
	case at == dir:
		return hint("choose another output_dir, or allow it with chmod", "output_dir %s: this user may not write into it", dir)
	}
	return hint("choose another output_dir, or allow it with chmod", "output_dir %s: this user may not make a folder in %s", dir, at)
}

// plain is an error of the file system without the path and the call that it names.
func plain(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// writable tells whether files can be made in a folder: by its permissions, and on a file system that is not read-only.
func writable(dir string) bool {
	err := accessible(dir)
	return err == nil || !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EPERM)
}

// checkpointOf opens the checkpoint that a run goes on from, which must be of its model, and says at which step it is.
func checkpointOf(out *output, m *Model) (*Model, int, error) {
	step, err := out.resumedStep()
	if err != nil {
		return nil, 0, err
	}
	old, err := OpenModel(out.resume)
	if err != nil {
		return nil, 0, fmt.Errorf("resume: %w", err)
	}
	p, q := m.Net.Params(), old.Net.Params()
	same := len(p) == len(q)
	for i := 0; same && i < len(p); i++ {
		same = p[i].Name == q[i].Name && fmt.Sprint(p[i].Shape) == fmt.Sprint(q[i].Shape)
	}
	if !same {
		old.Close()
		return nil, 0, fmt.Errorf("resume %s: it is a checkpoint of another model than %s", filepath.Clean(out.resume), m.Path)
	}
	return old, step, nil
}
