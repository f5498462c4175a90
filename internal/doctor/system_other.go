//go:build !linux

package doctor

func lockedLimit() int64 { return 0 }

func disk(dir string) Disk { return Disk{Path: dir} }
