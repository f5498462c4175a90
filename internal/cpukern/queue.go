package cpukern

import (
	"fmt"
	"slices"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Record is a point that is reached already: operations of the host return when they are done. After a failure it says so,
// and whoever waits for what this device was to make learns that there is nothing.
func (d *Device) Record() device.Event { return reached{d.err} }

// Wait waits at once, which holds back whatever comes later.
func (d *Device) Wait(e device.Event) {
	if err := e.Sync(); err != nil && d.err == nil {
		d.err = err
	}
}

type reached struct{ err error }

func (r reached) Sync() error { return r.err }

// Pinned is ordinary memory, outside the arena.
func (d *Device) Pinned(owner, name string, bytes int64) ([]byte, error) {
	if _, err := d.pinned.Take(owner, name, bytes); err != nil {
		return nil, err
	}
	b, err := reserve(max(bytes, 1))
	if err != nil {
		return nil, fmt.Errorf("host memory %q of %s, %d bytes: %w", name, owner, bytes, err)
	}
	d.pins = append(d.pins, b)
	return b[:bytes:bytes], nil
}

// PinnedMemory is who holds host memory beside the arena.
func (d *Device) PinnedMemory() *device.Arena { return d.pinned }

// NewQueue is a goroutine that copies.
func (d *Device) NewQueue(name string) (device.Queue, error) {
	q := &queue{name: name, jobs: make(chan func(), 64)}
	d.queues = append(d.queues, q)
	go q.run()
	return q, nil
}

// queue does its work on a goroutine of its own, so err is that goroutine's until a point behind it is reached.
type queue struct {
	name string
	jobs chan func()
	err  error
}

func (q *queue) run() {
	for f := range q.jobs {
		f()
	}
}

// do queues f, which is left out once something has failed.
func (q *queue) do(f func() error) {
	q.jobs <- func() {
		if q.err == nil {
			q.err = f()
		}
	}
}

func (q *queue) copyBytes(dst, src []byte) {
	if len(dst) != len(src) {
		panic(fmt.Sprintf("queue %s: copy of %d bytes to %d", q.name, len(src), len(dst)))
	}
	q.do(func() error { copy(dst, src); return nil })
}

func (q *queue) CopyIn(dst tensor.Tensor, src []byte)  { q.copyBytes(dst.Host, src) }
func (q *queue) CopyOut(dst []byte, src tensor.Tensor) { q.copyBytes(dst, src.Host) }
func (q *queue) Copy(dst, src tensor.Tensor)           { q.copyBytes(dst.Host, src.Host) }

// point is reached when its channel is closed; err is the queue's failure up to then.
type point struct {
	done chan struct{}
	err  error
}

func (p *point) Sync() error {
	<-p.done
	return p.err
}

// Record puts a point behind what was queued.
func (q *queue) Record() device.Event {
	p := &point{done: make(chan struct{})}
	q.jobs <- func() {
		p.err = q.err
		close(p.done)
	}
	return p
}

// Wait holds the queue back until e is reached.
func (q *queue) Wait(e device.Event) { q.do(e.Sync) }

// Sync waits until all is done.
func (q *queue) Sync() error { return q.Record().Sync() }

// closeQueues ends the goroutines and gives pinned memory back.
func (d *Device) closeQueues() error {
	for _, q := range d.queues {
		_ = q.Sync() // whoever wanted to know has asked
		close(q.jobs)
	}
	d.queues = nil
	var first error
	for _, b := range slices.Backward(d.pins) {
		if err := unreserve(b); err != nil && first == nil {
			first = err
		}
	}
	d.pins = nil
	return first
}
