//go:build !linux

package report

import "runtime"

// ReadMemory knows only what the Go runtime has taken, which leaves the arenas of weights out.
func ReadMemory() Memory {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Memory{Resident: int64(m.Sys), Peak: int64(m.Sys)}
}
