//go:build amd64 && !noasm

package cpukern

import "golang.org/x/sys/unix"

// requestTiles asks Linux for the state of the tiles, for all threads of the process (arch_prctl, ARCH_REQ_XCOMP_PERM). The stacks for
// signals must have room for it, 8 KiB, which Go's have.
func requestTiles() bool {
	const reqPermission, tileData = 0x1023, 18
	_, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, reqPermission, tileData, 0)
	return errno == 0
}
