//go:build unix

package sim

import "golang.org/x/sys/unix"

// reserve maps n bytes of zeroed address space; pages cost memory once written.
func reserve(n int64) ([]byte, error) {
	return unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|noReserve)
}

func unreserve(b []byte) error { return unix.Munmap(b) }
