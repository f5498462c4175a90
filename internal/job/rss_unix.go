//go:build unix

package job

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
)

// maxRSS is the peak resident memory of a finished process in bytes.
func maxRSS(p *os.ProcessState) (int64, error) {
	u, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, fmt.Errorf("the system does not report the peak memory of a process")
	}
	if runtime.GOOS == "darwin" {
		return u.Maxrss, nil // bytes there, KiB elsewhere
	}
	return u.Maxrss * 1024, nil
}
