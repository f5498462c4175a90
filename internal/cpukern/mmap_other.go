//go:build !unix

package cpukern

// Without mmap the arena is one Go slice, zeroed by the system page by page as it is used.
func reserve(n int64) ([]byte, error) { return make([]byte, n), nil }

func discard([]byte) bool { return false }

func unreserve([]byte) error { return nil }

func physicalMemory() int64 { return 4 << 30 }
