package simserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"lomo/internal/cudakern/driver"
	"lomo/internal/cudakern/sim"
)

// Server gives every process that connects a machine of its own.
type Server struct {
	Machine sim.Options
	// Prepare, if not nil, sees each machine before its first call: to inject faults.
	Prepare func(*sim.Machine)
	// Log gets a line for every call that fails, with what the simulator knows beyond the code. nil: nowhere.
	Log func(format string, args ...any)

	mu      sync.Mutex
	reports []Report
	wait    sync.WaitGroup
}

// Report is what one process did.
type Report struct {
	PID     int         `json:"pid"`
	Calls   int64       `json:"calls"`
	Traffic sim.Traffic `json:"traffic"`
	Errors  []string    `json:"errors"` // of failed calls, each once
}

// Serve answers until l is closed.
func (s *Server) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		s.wait.Go(func() { s.serve(conn) })
	}
}

// Reports waits until all processes have hung up.
func (s *Server) Reports() []Report {
	s.wait.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports
}

func (s *Server) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // it is over
	m := sim.New(s.Machine)
	if s.Prepare != nil {
		s.Prepare(m)
	}
	p := newProcess(m, s.log)
	if err := p.talk(conn); err != nil {
		s.log("process %d: %v", p.report.PID, err)
	}
	p.report.Traffic = m.Traffic()
	if err := errors.Join(p.close(), m.Close()); err != nil {
		s.log("process %d: %v", p.report.PID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, p.report)
}

func (s *Server) log(format string, args ...any) {
	if s.Log != nil {
		s.Log(format, args...)
	}
}

// process is one that has connected.
type process struct {
	m      *sim.Machine
	log    func(string, ...any)
	report Report
	cards  []driver.Device
	held   []int          // how often the process retained each card
	things map[uint64]any // by handle
	next   uint64
	pins   []pin
	known  map[string]bool // errors reported
}

func newProcess(m *sim.Machine, log func(string, ...any)) *process {
	n := m.Count()
	return &process{m: m, log: log, cards: make([]driver.Device, n), held: make([]int, n), things: map[uint64]any{}, known: map[string]bool{}}
}

// talk answers until the process hangs up.
func (p *process) talk(conn io.ReadWriter) error {
	in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriterSize(conn, 64<<10)
	for {
		q, data, err := receive(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p.report.Calls++
		var r [2]uint64
		back, err := p.call(q, data, &r)
		if err := answer(out, p.code(err), r, back); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// code is the CUresult of a call's error, which is told once.
func (p *process) code(err error) driver.Code {
	if err == nil {
		return 0
	}
	code := driver.InvalidHandle // of a number that nobody gave
	var e *driver.Error
	if errors.As(err, &e) {
		code = e.Code
	}
	if text := err.Error(); !p.known[text] {
		p.known[text] = true
		p.report.Errors = append(p.report.Errors, text)
		p.log("process %d: %s", p.report.PID, text)
	}
	return code
}

// card is card i, opened at the first look.
func (p *process) card(i uint64) (driver.Device, error) {
	if i >= uint64(len(p.cards)) {
		return nil, &driver.Error{Call: "cuDeviceGet", Card: int(i), Code: driver.InvalidDevice}
	}
	if p.cards[i] == nil {
		d, err := p.m.Open(int(i))
		if err != nil {
			return nil, err
		}
		p.cards[i] = d
	}
	return p.cards[i], nil
}

// current is the card of the calling thread's context, which must be retained.
func (p *process) current(q request) (driver.Device, error) {
	i := int(q.Card) - 1
	if i < 0 || i >= len(p.held) || p.held[i] == 0 {
		return nil, &driver.Error{Call: fmt.Sprintf("call %d", q.Op), Card: i, Code: driver.InvalidContext, Detail: "the thread has no current context, or one that was released"}
	}
	return p.card(uint64(i))
}

// keep gives v a handle.
func (p *process) keep(v any) uint64 {
	p.next++
	p.things[p.next] = v
	return p.next
}

// thing is what a handle stands for.
func thing[T any](p *process, handle uint64) (T, error) {
	v, ok := p.things[handle].(T)
	if !ok {
		return v, &driver.Error{Call: "handle", Card: -1, Code: driver.InvalidHandle, Detail: fmt.Sprintf("%d is no %T", handle, v)}
	}
	return v, nil
}
