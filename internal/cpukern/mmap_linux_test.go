package cpukern

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resident is how many bytes of whole pages in b have memory.
func resident(t *testing.T, b []byte) (n int64) {
	t.Helper()
	page := os.Getpagesize()
	in := make([]byte, len(b)/page)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&in[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for _, v := range in {
		n += int64(v&1) * int64(page)
	}
	return n
}
