package checkpoint

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// adviseDontNeed drops [off, off+n) of f from the page cache. Pages are widened to whole ones, since the kernel keeps
// those that are only partly named.
func adviseDontNeed(f *os.File, off, n int64) {
	page := int64(os.Getpagesize())
	end := (off + n + page - 1) / page * page
	off = off / page * page
	_ = unix.Fadvise(int(f.Fd()), off, end-off, unix.FADV_DONTNEED)
}

// preallocate reserves n bytes for f, so that a full disk is noticed before the first weight is written. It asks for
// the free space first: fallocate itself would fill the disk before it fails.
func preallocate(f *os.File, n int64) error {
	fd := int(f.Fd())
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) == nil && st.Blocks > 0 {
		if free := int64(st.Bavail) * int64(st.Bsize); n > free {
			return fmt.Errorf("%s free: %w", FormatSize(free), unix.ENOSPC)
		}
	}
	err := unix.Fallocate(fd, 0, 0, n)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return f.Truncate(n)
	}
	return err
}

// exchange swaps two folders in one step. supported is false where the kernel or the file system cannot.
func exchange(a, b string) (supported bool, err error) {
	err = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		return false, nil
	}
	return true, err
}
