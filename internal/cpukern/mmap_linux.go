package cpukern

import "golang.org/x/sys/unix"

const mapNoReserve = unix.MAP_NORESERVE

// physicalMemory is the machine's memory in bytes.
func physicalMemory() int64 {
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return unknownMemory
	}
	return int64(s.Totalram) * int64(s.Unit)
}
