package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ErrLocked says that another process works in a folder.
var ErrLocked = errors.New("another run is using this folder")

const lockName = ".lock"

// LockDir takes the lock of dir, which is made when it is not there, so that two runs cannot write into it. The
// system releases the lock of a process that ends in any way. An error that wraps ErrLocked says who holds it.
func LockDir(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	locked, err := tryLock(f)
	if err == nil && !locked {
		err = held(f)
	}
	if err == nil {
		err = sign(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f.Close, nil // the file stays: removing it would let two processes lock two files of this name
}

func held(f *os.File) error {
	return fmt.Errorf("%w%s", ErrLocked, holder(f))
}

// HeldBy is InUse with the error that LockDir would return.
func HeldBy(dir string) (err error, used bool) {
	if !InUse(dir) {
		return nil, false
	}
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return err, true
	}
	defer f.Close()
	return held(f), true
}

// holder is " (process 123)" when the lock file says so.
func holder(f *os.File) string {
	b := make([]byte, 20)
	n, err := f.ReadAt(b, 0)
	pid := strings.TrimSpace(string(b[:n]))
	if err != nil && err != io.EOF || pid == "" || strings.Trim(pid, "0123456789") != "" {
		return ""
	}
	return fmt.Sprintf(" (process %s)", pid)
}

// sign writes the number of this process into the file.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// InUse tells whether a process holds the lock of a run's folder. It changes nothing there.
func InUse(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false
	}
	defer f.Close() // which gives the lock back
	locked, err := tryLock(f)
	return err == nil && !locked
}
