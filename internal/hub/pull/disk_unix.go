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
