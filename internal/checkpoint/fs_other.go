//go:build !linux

package checkpoint

import "os"

// adviseDontNeed is advice that only Linux is given.
func adviseDontNeed(*os.File, int64, int64) {}

// preallocate sets the size of f; the blocks follow when they are written.
func preallocate(f *os.File, n int64) error { return f.Truncate(n) }

// exchange is not to be had here.
func exchange(string, string) (supported bool, err error) { return false, nil }
