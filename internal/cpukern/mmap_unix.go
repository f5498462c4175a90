//go:build unix

package cpukern

import "golang.org/x/sys/unix"

// reserve maps n bytes of zeroed address space; pages cost memory once written, large ones where the system has them.
func reserve(n int64) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|mapNoReserve)
	if err == nil {
		largePages(b)
	}
	return b, err
}

func unreserve(b []byte) error { return unix.Munmap(b) }
