package cpukern

import "golang.org/x/sys/unix"

const mapNoReserve = unix.MAP_NORESERVE

const largePage = arenaSlack

// largePages asks for pages of 2 MiB, which panels and tiles of large matrices need: they jump by whole rows, and a processor knows the
// place of few thousand pages only. A mapping that is written from its beginning on grows by at most one page more than by small ones.
func largePages(b []byte) {
	if len(b) >= largePage {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a system without them goes on with small ones
	}
}

// discard gives the pages back, and says whether reading them gives zeros now.
func discard(b []byte) bool { return unix.Madvise(b, unix.MADV_DONTNEED) == nil }

// physicalMemory is the machine's memory in bytes.
func physicalMemory() int64 {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return unknownMemory
	}
	return int64(s.Totalram) * int64(s.Unit)
}
