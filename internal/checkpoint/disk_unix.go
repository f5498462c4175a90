//go:build linux || darwin || freebsd

package checkpoint

import "golang.org/x/sys/unix"

func freeBytes(dir string) int64 {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Blocks == 0 {
		return -1
	}
	return int64(st.Bavail) * int64(st.Bsize)
}
