package checkpoint

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Standing is a folder, or the nearest above it that is there.
func Standing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// FreeBytes is the space that a user may take on the disk where a folder is or would be, -1 when it is not known.
func FreeBytes(dir string) int64 { return freeBytes(Standing(dir)) }

// CopyFile copies a file, of which nothing is made durable.
func CopyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
