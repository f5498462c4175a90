package sim

import (
	"fmt"
	"slices"
	"time"

	"lomo/internal/cudakern/driver"
)

// stagedBytes is how much ordinary host memory may wait, copied aside, before a copy from it waits itself.
const stagedBytes = 64 << 20

// job is one piece of queued work.
type job struct {
	stream *stream
	call   string
	run    func() error // nil for a point and a wait
	aside  int64        // bytes of ordinary memory it holds a copy of
	after  *job         // a wait: the point it waits for, maybe nil
	done   bool
	at     time.Time // when a point was reached
}

// ready says whether the job may run once it is the first of its stream.
func (j *job) ready() bool { return j.after == nil || j.after.done }

// stream is a queue. Nothing in it has run.
type stream struct {
	c     *card
	queue []*job
}

func (c *card) NewStream() (driver.Stream, error) {
	defer c.leave()
	if err := c.enter("cuStreamCreate"); err != nil {
		return nil, err
	}
	s := &stream{c: c}
	c.streams = append(c.streams, s)
	return s, nil
}

// event is the last point recorded in it, nil before any.
type event struct {
	c     *card
	point *job
}

func (c *card) NewEvent() (driver.Event, error) {
	defer c.leave()
	if err := c.enter("cuEventCreate"); err != nil {
		return nil, err
	}
	return &event{c: c}, nil
}

// push queues a job.
func (s *stream) push(call string, run func() error) *job {
	j := &job{stream: s, call: call, run: run}
	s.queue = append(s.queue, j)
	return j
}

// drain runs all that is queued.
func (s *stream) drain() {
	if n := len(s.queue); n > 0 {
		s.c.m.reach(s.queue[n-1])
	}
}

// CopyIn reads pinned memory when it runs; ordinary memory is read now.
func (s *stream) CopyIn(dst uint64, src []byte) error {
	const call = "cuMemcpyHtoDAsync"
	c := s.c
	defer c.leave()
	if err := c.enter(call); err != nil {
		return err
	}
	p, err := c.m.host.holder(src)
	if err != nil {
		return c.refuse(call, driver.InvalidValue, "%v", err)
	}
	aside := int64(0)
	if p == nil {
		src, aside = slices.Clone(src), int64(len(src))
		c.m.staged += aside
	}
	j := s.push(call, func() error {
		if p != nil && p.bytes == nil {
			return fmt.Errorf("the pinned memory it reads was freed")
		}
		to, err := c.m.at(c, dst, int64(len(src)))
		if err != nil {
			return err
		}
		copy(to, src)
		c.m.traffic.In[c.index] += int64(len(src))
		return nil
	})
	j.aside = aside
	if c.m.staged > stagedBytes {
		s.drain()
	}
	return nil
}

// CopyOut writes pinned memory when it runs; for ordinary memory it waits.
func (s *stream) CopyOut(dst []byte, src uint64) error {
	const call = "cuMemcpyDtoHAsync"
	c := s.c
	defer c.leave()
	if err := c.enter(call); err != nil {
		return err
	}
	p, err := c.m.host.holder(dst)
	if err != nil {
		return c.refuse(call, driver.InvalidValue, "%v", err)
	}
	s.push(call, func() error {
		if p != nil && p.bytes == nil {
			return fmt.Errorf("the pinned memory it writes was freed")
		}
		from, err := c.m.at(c, src, int64(len(dst)))
		if err != nil {
			return err
		}
		copy(dst, from)
		c.m.traffic.Out[c.index] += int64(len(dst))
		return nil
	})
	if p == nil {
		s.drain()
		return c.check(call)
	}
	return nil
}

func (s *stream) Copy(dst, src uint64, bytes int64) error {
	return s.add("cuMemcpyDtoDAsync", func() error {
		to, err := s.c.m.at(s.c, dst, bytes)
		if err != nil {
			return err
		}
		from, err := s.c.m.at(s.c, src, bytes)
		if err != nil {
			return err
		}
		if dst < src+uint64(bytes) && src < dst+uint64(bytes) {
			return fmt.Errorf("%d bytes from %#x to %#x overlap", bytes, src, dst)
		}
		copy(to, from)
		return nil
	})
}

func (s *stream) Set(dst uint64, value byte, bytes int64) error {
	return s.add("cuMemsetD8Async", func() error { return s.c.m.set(s.c, dst, value, bytes) })
}

// add queues a job of the card that needs no look at host memory.
func (s *stream) add(call string, run func() error) error {
	defer s.c.leave()
	if err := s.c.enter(call); err != nil {
		return err
	}
	s.push(call, run)
	return nil
}

// CopyPeer goes through the host unless one card can address the other; the bytes count as sent either way.
func (c *card) CopyPeer(dst uint64, to driver.Device, src uint64, from driver.Device, bytes int64, st driver.Stream) error {
	const call = "cuMemcpyPeerAsync"
	defer c.leave()
	if err := c.enter(call); err != nil {
		return err
	}
	s, ok := st.(*stream)
	if !ok || s.c != c {
		return c.refuse(call, driver.InvalidHandle, "the stream is not of this card")
	}
	t, err := c.sibling(call, to)
	if err != nil {
		return err
	}
	f, err := c.sibling(call, from)
	if err != nil {
		return err
	}
	s.push(call, func() error { return c.m.copyPeer(dst, t, src, f, bytes) })
	return nil
}

func (m *Machine) copyPeer(dst uint64, to *card, src uint64, from *card, bytes int64) error {
	if m.home(dst) != to.index || m.home(src) != from.index {
		return fmt.Errorf("%#x is not card %d's or %#x not card %d's", dst, to.index, src, from.index)
	}
	t, err := m.at(to, dst, bytes)
	if err != nil {
		return err
	}
	f, err := m.at(from, src, bytes)
	if err != nil {
		return err
	}
	if from.err != nil { // what the bus reads from a card that does not answer
		for i := range t {
			t[i] = 0xff
		}
	} else {
		copy(t, f)
	}
	m.traffic.Peer[from.index][to.index] += bytes
	return nil
}

func (s *stream) Record(ev driver.Event) error {
	defer s.c.leave()
	if err := s.c.enter("cuEventRecord"); err != nil {
		return err
	}
	e, ok := ev.(*event)
	if !ok || e.c != s.c {
		return s.c.refuse("cuEventRecord", driver.InvalidHandle, "the event is not of this card")
	}
	e.point = s.push("cuEventRecord", nil)
	return nil
}

// Wait takes the event as it is now; one that was never recorded holds nothing back, as in CUDA.
func (s *stream) Wait(ev driver.Event) error {
	defer s.c.leave()
	if err := s.c.enter("cuStreamWaitEvent"); err != nil {
		return err
	}
	e, ok := ev.(*event)
	if !ok || e.c.m != s.c.m {
		return s.c.refuse("cuStreamWaitEvent", driver.InvalidHandle, "the event is not of this machine")
	}
	s.push("cuStreamWaitEvent", nil).after = e.point
	return nil
}

func (s *stream) Synchronize() error {
	defer s.c.leave()
	if err := s.c.enter("cuStreamSynchronize"); err != nil {
		return err
	}
	s.drain()
	return s.c.check("cuStreamSynchronize")
}

func (e *event) Synchronize() error {
	defer e.c.leave()
	if err := e.c.enter("cuEventSynchronize"); err != nil {
		return err
	}
	if e.point != nil {
		e.c.m.reach(e.point)
	}
	return e.c.check("cuEventSynchronize")
}

func (e *event) Since(start driver.Event) (float64, error) {
	const call = "cuEventElapsedTime"
	defer e.c.leave()
	if err := e.c.enter(call); err != nil {
		return 0, err
	}
	s, ok := start.(*event)
	switch {
	case !ok || s.point == nil || e.point == nil:
		return 0, e.c.refuse(call, driver.InvalidHandle, "an event was never recorded")
	case !s.point.done || !e.point.done:
		return 0, e.c.refuse(call, driver.NotReady, "an event was not waited for")
	}
	return float64(e.point.at.Sub(s.point.at).Nanoseconds()) / 1e6, nil
}
