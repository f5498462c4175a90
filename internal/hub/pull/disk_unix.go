//go:build linux || darwin || freebsd

package pull

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// noFollow refuses a link in place of a file that is to be written.
const noFollow = unix.O_NOFOLLOW

// tryLock takes an exclusive flock, which huggingface_hub takes too, without waiting.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// freeBytes is the space that a user may take on the disk of a folder, -1 when it is not known.
func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Blocks == 0 {
		return -1
	}
	return int64(st.Bavail) * int64(st.Bsize)
}
