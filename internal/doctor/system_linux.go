package doctor

import "golang.org/x/sys/unix"

// lockedLimit is the memory a process may lock, -1 for any.
func lockedLimit() int64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l) != nil {
		return 0
	}
	if l.Cur >= 1<<62 {
		return -1
	}
	return int64(l.Cur)
}

func disk(dir string) Disk {
	d := Disk{Path: dir}
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) == nil {
		d.Free, d.Total = int64(st.Bavail)*int64(st.Bsize), int64(st.Blocks)*int64(st.Bsize)
	}
	return d
}
