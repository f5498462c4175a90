package cli

import (
	"fmt"
	"os"
	"runtime/pprof"
)

// profileCPU runs f and writes a profile of its processor time to path, for `go tool pprof`; without a path it only runs f.
// The profile is complete also when f fails.
func profileCPU(path string, f func() error) (err error) {
	if path == "" {
		return f()
	}
	w, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("--cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(w); err != nil {
		_ = w.Close()
		return fmt.Errorf("--cpuprofile: %w", err)
	}
	defer func() {
		pprof.StopCPUProfile()
		if closing := w.Close(); err == nil && closing != nil {
			err = fmt.Errorf("--cpuprofile: %w", closing)
		}
	}()
	return f()
}
