package simserver

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"lomo/internal/cudakern/driver"
)

// pin is pinned memory of the process, mapped here too.
type pin struct {
	at    uintptr // in the process
	bytes []byte  // here
}

// pin maps the file behind the process's memory.
func (p *process) pin(at uintptr, n int64, fd int) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/%d", p.report.PID, fd), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // the mapping stays
	b, err := unix.Mmap(int(f.Fd()), 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return &driver.Error{Call: "cuMemHostAlloc", Card: -1, Code: driver.OutOfMemory, Detail: err.Error()}
	}
	p.m.Pin(b)
	p.pins = append(p.pins, pin{at, b})
	return nil
}

func (p *process) unpin(at uintptr) error {
	i := slices.IndexFunc(p.pins, func(q pin) bool { return q.at == at })
	if i < 0 {
		return &driver.Error{Call: "cuMemFreeHost", Card: -1, Code: driver.InvalidValue, Detail: fmt.Sprintf("nothing is pinned at %#x", at)}
	}
	b := p.pins[i].bytes
	p.pins = slices.Delete(p.pins, i, i+1)
	return errors.Join(p.m.Unpin(b), unix.Munmap(b))
}

// pinned is n bytes that the process has pinned at an address of its own.
func (p *process) pinned(at uintptr, n int64) ([]byte, error) {
	for _, q := range p.pins {
		if at >= q.at && at+uintptr(n) <= q.at+uintptr(len(q.bytes)) {
			off := at - q.at
			return q.bytes[off : off+uintptr(n)], nil
		}
	}
	return nil, &driver.Error{Call: "copy", Card: -1, Code: driver.InvalidValue, Detail: fmt.Sprintf("%d bytes at %#x are not pinned", n, at)}
}

// close unmaps what the process left.
func (p *process) close() error {
	var err error
	for len(p.pins) > 0 {
		err = errors.Join(err, p.unpin(p.pins[0].at))
	}
	return err
}
