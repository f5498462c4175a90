package cudakern

import (
	"errors"
	"fmt"
	"slices"

	"lomo/internal/cudakern/driver"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// stream is a driver's stream with events to mark its points.
type stream struct {
	driver.Stream
	card   driver.Device
	events []driver.Event
	next   int
	group  *cardGroup // see promise: of one that s has waited for
}

// eventsPerStream is how many points of a stream are told apart. They are used in turn: who waits for one that has been used again waits
// for a later point of the same stream, which is a longer wait and never a wrong one.
const eventsPerStream = 1024

func newStream(card driver.Device) (*stream, error) {
	s, err := card.NewStream()
	if err != nil {
		return nil, err
	}
	return &stream{Stream: s, card: card}, nil
}

// point records an event behind the work queued so far.
func (s *stream) point() (event, error) {
	if len(s.events) < eventsPerStream {
		e, err := s.card.NewEvent()
		if err != nil {
			return event{}, err
		}
		s.events = append(s.events, e)
	}
	e := s.events[s.next]
	s.next = (s.next + 1) % eventsPerStream
	return event{e}, s.Record(e)
}

// event is a device.Event of a card.
type event struct{ driver.Event }

func (e event) Sync() error {
	if e.Event == nil { // the stream had failed before it
		return nil
	}
	return e.Synchronize()
}

// Synchronize waits for all work of s. Where a group has ended that s has waited for, its bytes may not have come.
func (s *stream) Synchronize() error {
	if err := s.Stream.Synchronize(); err != nil || s.group == nil {
		return err
	}
	return s.group.broken()
}

// waitFor holds s back until e; an event that is not a card's is waited for here.
func (s *stream) waitFor(e device.Event) error {
	if p, ok := e.(*promise); ok {
		point, err := p.point()
		if err != nil {
			return err
		}
		if p.group != nil {
			s.group = p.group
		}
		e = point
	}
	own, ok := e.(event)
	switch {
	case !ok:
		return e.Sync()
	case own.Event == nil:
		return nil
	}
	return s.Wait(own.Event)
}

// Record is a point after all work queued so far.
func (d *Device) Record() device.Event {
	e, err := d.stream.point()
	d.fail(err)
	return e
}

// Wait holds back what is queued later until e is reached.
func (d *Device) Wait(e device.Event) { d.fail(d.stream.waitFor(e)) }

// NewQueue is a stream of its own.
func (d *Device) NewQueue(name string) (device.Queue, error) { return d.Queue(name) }

// Queue is NewQueue with what the seam does not have: copies between cards.
func (d *Device) Queue(name string) (*Queue, error) {
	s, err := newStream(d.card)
	if err != nil {
		return nil, fmt.Errorf("%s: queue %s: %w", d.label(), name, err)
	}
	q := &Queue{d: d, name: name, stream: s}
	d.queues = append(d.queues, q)
	return q, nil
}

// Queue is an order of copies beside the device's work.
type Queue struct {
	d      *Device
	name   string
	stream *stream
	err    error
}

func (q *Queue) do(bytes, want int64, f func() error) {
	if bytes != want {
		panic(fmt.Sprintf("queue %s: copy of %d bytes to %d", q.name, bytes, want))
	}
	if q.err != nil || bytes == 0 {
		return
	}
	q.fail(f())
}

func (q *Queue) fail(err error) {
	if err != nil && q.err == nil {
		q.err = fmt.Errorf("%s: queue %s: %w", q.d.label(), q.name, err)
	}
}

// CopyIn copies pinned host memory to the card.
func (q *Queue) CopyIn(dst tensor.Tensor, src []byte) {
	q.do(int64(len(src)), dst.Bytes(), func() error { return q.stream.CopyIn(dst.Addr, src) })
}

// CopyOut copies from the card to pinned host memory.
func (q *Queue) CopyOut(dst []byte, src tensor.Tensor) {
	q.do(src.Bytes(), int64(len(dst)), func() error { return q.stream.CopyOut(dst, src.Addr) })
}

// Copy copies bytes on the card.
func (q *Queue) Copy(dst, src tensor.Tensor) {
	q.do(src.Bytes(), dst.Bytes(), func() error { return q.stream.Stream.Copy(dst.Addr, src.Addr, src.Bytes()) })
}

// CopyFrom copies src, a tensor of another card, to dst of this one, by whatever way the driver has.
func (q *Queue) CopyFrom(dst, src tensor.Tensor, from *Device) {
	q.do(src.Bytes(), dst.Bytes(), func() error {
		return q.d.card.CopyPeer(dst.Addr, q.d.card, src.Addr, from.card, src.Bytes(), q.stream.Stream)
	})
}

// Record puts a point behind what was queued.
func (q *Queue) Record() device.Event {
	e, err := q.stream.point()
	q.fail(err)
	return e
}

// Wait holds the queue back until e is reached.
func (q *Queue) Wait(e device.Event) { q.fail(q.stream.waitFor(e)) }

// Sync waits until all is done.
func (q *Queue) Sync() error {
	q.fail(q.stream.Synchronize())
	return q.err
}

// Pinned is page-locked host memory.
func (d *Device) Pinned(owner, name string, bytes int64) ([]byte, error) {
	if _, err := d.pinned.Take(owner, name, bytes); err != nil {
		return nil, err
	}
	b, err := d.card.AllocHost(max(bytes, 1))
	if err != nil {
		return nil, fmt.Errorf("%s: pinned host memory %q of %s, %d bytes beside %d: %w", d.label(), name, owner, bytes, d.pinned.Used(), err)
	}
	d.pins = append(d.pins, b)
	return b[:bytes:bytes], nil
}

// PinnedMemory is who holds host memory beside the arena.
func (d *Device) PinnedMemory() *device.Arena { return d.pinned }

// closeQueues waits for the queues and gives pinned memory back.
func (d *Device) closeQueues() error {
	var err error
	for _, q := range d.queues {
		err = errors.Join(err, q.stream.Stream.Synchronize())
	}
	for _, b := range slices.Backward(d.pins) {
		err = errors.Join(err, d.card.FreeHost(b))
	}
	d.queues, d.pins = nil, nil
	return err
}
