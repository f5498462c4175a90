package store

import (
	"fmt"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// HostSpill keeps pieces in pinned host memory. The copies go on a queue of their own; only events order them and the
// computation, so the host waits for neither.
type HostSpill struct {
	d       device.Device
	q       device.Queue
	pieces  [][]byte
	in, out int64
}

// NewHostSpill takes n pieces of at most bytes each.
func NewHostSpill(d device.Device, n int, bytes int64) (*HostSpill, error) {
	s := &HostSpill{d: d, pieces: make([][]byte, n)}
	var err error
	for i := range s.pieces {
		if s.pieces[i], err = d.Pinned("block inputs", fmt.Sprintf("block input %d", i), bytes); err != nil {
			return nil, fmt.Errorf("host memory for block inputs: %w", err)
		}
	}
	if s.q, err = d.NewQueue("block inputs"); err != nil {
		return nil, fmt.Errorf("queue for block inputs: %w", err)
	}
	return s, nil
}

// Put copies t out, after what has been computed so far.
func (s *HostSpill) Put(i int, t tensor.Tensor) (wait func() error) {
	s.q.Wait(s.d.Record())
	s.q.CopyOut(part(s.pieces[i], t.Bytes()), t)
	s.out += t.Bytes()
	return s.behind()
}

// Get copies t in, after what has been computed so far: that may still read what t held before.
func (s *HostSpill) Get(i int, t tensor.Tensor) (wait func() error) {
	s.q.Wait(s.d.Record())
	s.q.CopyIn(t, part(s.pieces[i], t.Bytes()))
	s.in += t.Bytes()
	return s.behind()
}

// behind holds the computation back until what was queued so far is done, when it is called.
func (s *HostSpill) behind() func() error {
	e := s.q.Record()
	return func() error { s.d.Wait(e); return nil }
}

// part is the first n bytes of pinned memory; none on the counting device, which has none.
func part(b []byte, n int64) []byte {
	if b == nil {
		return nil
	}
	return b[:n]
}

// Traffic is the bytes copied so far.
func (s *HostSpill) Traffic() (in, out int64) { return s.in, s.out }

// Close waits for the copies. The memory goes back with the device.
func (s *HostSpill) Close() error {
	if err := s.q.Sync(); err != nil {
		return fmt.Errorf("block inputs in host memory: %w", err)
	}
	return nil
}
