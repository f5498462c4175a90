package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve allocates the file's blocks, so that later writes cannot find the disk full.
func reserve(f *os.File, size int64) error {
	if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err == nil || !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	return f.Truncate(size)
}
