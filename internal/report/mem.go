package report

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// Memory is how much of the machine's memory this process holds and has held at most, in bytes.
type Memory struct{ Resident, Peak int64 }

// parseStatus reads VmRSS and VmHWM of /proc/self/status; the kernel's "kB" are 1024 bytes.
func parseStatus(r io.Reader) Memory {
	var m Memory
	for lines := bufio.NewScanner(r); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "VmRSS":
			m.Resident = n << 10
		case "VmHWM":
			m.Peak = n << 10
		}
	}
	return m
}
