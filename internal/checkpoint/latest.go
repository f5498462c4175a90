package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const checkpointPrefix = "checkpoint-"

// numbered is a folder that looks like a checkpoint.
type numbered struct {
	dir  string
	step int
}

// list finds the folders named checkpoint-N in parent, newest first. One that stood aside when a kill interrupted
// its replacement counts as long as nothing has its name.
func list(parent string) ([]numbered, error) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, err
	}
	var all []numbered
	for _, e := range entries {
		name := e.Name()
		if original, aside := strings.CutPrefix(name, replacedPrefix); aside {
			if _, err := os.Lstat(filepath.Join(parent, original)); !errors.Is(err, os.ErrNotExist) {
				continue
			}
			name = original
		}
		if step, ok := StepOf(name); ok {
			all = append(all, numbered{filepath.Join(parent, e.Name()), step})
		}
	}
	slices.SortFunc(all, func(a, b numbered) int { return b.step - a.step })
	return all, nil
}

// StepOf reads N of checkpoint-N; only the spelling that a run writes counts.
func StepOf(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, checkpointPrefix)
	step, err := strconv.Atoi(digits)
	return step, ok && err == nil && step >= 0 && strconv.Itoa(step) == digits
}

// Latest finds the complete checkpoint-N in parent with the largest N. The error wraps os.ErrNotExist when there is
// none, and then names the incomplete ones. One that this user may not read is an error of its own: it may be the newest.
func Latest(parent string) (dir string, step int, err error) {
	all, err := list(parent)
	if err != nil {
		return "", 0, err
	}
	var skipped []error
	for _, c := range all {
		err := Complete(c.dir)
		if err == nil {
			return c.dir, c.step, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return "", 0, err
		}
		skipped = append(skipped, err)
	}
	return "", 0, errors.Join(append([]error{fmt.Errorf("%s: no complete checkpoint: %w", parent, os.ErrNotExist)}, skipped...)...)
}

// Whole is how many complete checkpoints lie in parent: those that Prune counts.
func Whole(parent string) (n int) {
	all, _ := list(parent) // of a folder that is not there none
	for _, c := range all {
		if Complete(c.dir) == nil {
			n++
		}
	}
	return n
}

// Passed is a checkpoint that cannot be continued from, and why: Err wraps ErrIncomplete or ErrDamaged.
type Passed struct {
	Dir string
	Err error
}

// LatestIntact is Latest among the checkpoints whose bytes are those that were saved; passed are the newer ones. Without one dir is empty.
func LatestIntact(parent string) (dir string, passed []Passed, err error) {
	all, err := list(parent)
	if err != nil {
		return "", nil, err
	}
	for _, c := range all {
		err := Intact(c.dir)
		if err == nil {
			return c.dir, passed, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return "", nil, err
		}
		passed = append(passed, Passed{c.dir, err})
	}
	return "", passed, nil
}

// SetAside takes the name of a checkpoint from a damaged one: it is no longer counted, and nothing of it is lost.
func SetAside(dir string) (string, error) {
	for n := 1; ; n++ {
		to := dir + ".damaged"
		if n > 1 {
			to = fmt.Sprintf("%s-%d", to, n)
		}
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		return to, os.Rename(dir, to)
	}
}

// Prune removes the oldest complete checkpoints of parent but the newest keep (0 keeps all), and what killed saves
// have left. Incomplete checkpoints are neither counted nor touched: a person has changed them, a save cannot.
// It is for the process that holds the lock of parent.
func Prune(parent string, keep int) error {
	if err := removeLeftovers(parent); err != nil {
		return err
	}
	if keep <= 0 {
		return nil
	}
	all, err := list(parent)
	if err != nil {
		return err
	}
	for _, c := range all {
		if Complete(c.dir) != nil {
			continue
		}
		if keep--; keep >= 0 {
			continue
		}
		if err := removeCheckpoint(c.dir); err != nil {
			return fmt.Errorf("prune %s: %w", c.dir, err)
		}
	}
	return nil
}

// removeCheckpoint takes the name away first, so that a kill leaves no checkpoint with files missing.
func removeCheckpoint(dir string) error {
	doomed := filepath.Join(filepath.Dir(dir), tempPrefix+filepath.Base(dir))
	if err := rename(dir, doomed); err != nil {
		return err
	}
	if err := failpoint("remove"); err != nil {
		return err
	}
	return os.RemoveAll(doomed)
}

// removeLeftovers removes temporary folders, and those replaced whose successor is in place.
func removeLeftovers(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, temp := strings.CutPrefix(e.Name(), tempPrefix)
		original, aside := strings.CutPrefix(e.Name(), replacedPrefix)
		if aside {
			name = original
			temp = Complete(filepath.Join(parent, original)) == nil
		}
		if _, ok := StepOf(strings.TrimPrefix(name, replacedPrefix)); !ok || !temp {
			continue
		}
		if err := os.RemoveAll(filepath.Join(parent, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
