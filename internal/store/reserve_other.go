//go:build !linux

package store

import "os"

// reserve gives the file its size; whether its blocks are allocated is up to the file system.
func reserve(f *os.File, size int64) error { return f.Truncate(size) }
