package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// failpoint is called before every step of a save with the step's name. Tests replace it to stop a save there.
var failpoint = func(step string) error { return nil }

// fsync makes an open file durable. Crash tests, which save hundreds of times, leave it out.
var fsync = (*os.File).Sync

// isDiskFull reports whether err says that no space or no quota is left.
func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// writeError explains a failed write; size is the size wanted, 0 when it is not known.
func writeError(name string, size int64, err error) error {
	switch {
	case isDiskFull(err) && size > 0:
		return fmt.Errorf("write %s: the disk is full, %s wanted: %w", name, FormatSize(size), err)
	case isDiskFull(err):
		return fmt.Errorf("write %s: the disk is full: %w", name, err)
	case errors.Is(err, os.ErrClosed):
		return fmt.Errorf("write %s: the writer is closed: %w", name, err)
	}
	return fmt.Errorf("write %s: %w", name, err)
}

func rename(from, to string) error {
	if err := failpoint("rename"); err != nil {
		return fmt.Errorf("rename %s: %w", from, err)
	}
	return os.Rename(from, to)
}

// syncFile makes the contents of a file durable.
func syncFile(path string) error {
	if err := failpoint("sync"); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := fsync(f); err != nil {
		return writeError(path, 0, err)
	}
	return nil
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error { return syncFile(dir) }

// WriteFile replaces path with data: written under a temporary name, made durable, renamed. A kill at any instant
// leaves the old contents or the new ones.
func WriteFile(path string, data []byte) error {
	temp := path + tempSuffix
	err := failpoint("write")
	if err == nil {
		err = os.WriteFile(temp, data, 0o644)
	}
	if err == nil {
		err = syncFile(temp)
	}
	if err == nil {
		err = rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return writeError(filepath.Base(path), int64(len(data)), err)
	}
	return nil
}
