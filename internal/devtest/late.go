package devtest

import (
	"fmt"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Late is a device whose queues do nothing until somebody waits for them, and then no more than is waited for: copies come
// as late as events allow, or with Eager as early. A missing wait shows as bytes that are not there yet, or not any more.
type Late struct {
	device.Device
	Compute bool            // Copy, Zero, CopyIn and Record of the device itself are late too; no other operation may be used
	Eager   bool            // queues work at once, also when the computation is late
	Deaf    map[string]bool // faults on purpose: the queues of these names, or "device", ignore what they are told to wait for
	own     lateQueue
}

// NewQueue is late.
func (d *Late) NewQueue(name string) (device.Queue, error) {
	return &lateQueue{deaf: d.Deaf[name], eager: d.Eager}, nil
}

// Record is a point behind the device's work so far.
func (d *Late) Record() device.Event { return d.own.Record() }

// Wait holds the device's later work back until e.
func (d *Late) Wait(e device.Event) {
	d.own.deaf = d.Deaf["device"]
	d.do(func() error { return d.own.await(e) })
}

func (d *Late) do(f func() error) {
	d.own.ops = append(d.own.ops, f)
	if !d.Compute {
		if err := d.own.Sync(); err != nil {
			panic(err) // only this file's queues fail, and they do not
		}
	}
}

func (d *Late) Copy(dst, src tensor.Tensor) {
	d.do(func() error { d.Device.Copy(dst, src); return nil })
}

func (d *Late) Zero(t tensor.Tensor) { d.do(func() error { d.Device.Zero(t); return nil }) }

func (d *Late) CopyIn(dst tensor.Tensor, src []byte) {
	d.do(func() error { d.Device.CopyIn(dst, src); return nil })
}

func (d *Late) CopyOut(dst []byte, src tensor.Tensor) {
	d.do(func() error { d.Device.CopyOut(dst, src); return nil })
	_ = d.own.Sync()
}

// Sync does the device's own work, and of queues what that waits for.
func (d *Late) Sync() error {
	if err := d.own.Sync(); err != nil {
		return err
	}
	return d.Device.Sync()
}

// lateQueue is an order of work that is done when asked for.
type lateQueue struct {
	ops   []func() error
	done  int
	deaf  bool
	eager bool
	err   error
}

func (q *lateQueue) do(f func() error) {
	q.ops = append(q.ops, f)
	if q.eager {
		_ = q.Sync() // the failure sticks
	}
}

// runTo does what is left of the first n.
func (q *lateQueue) runTo(n int) error {
	for q.done < n && q.err == nil {
		q.done++
		q.err = q.ops[q.done-1]()
	}
	return q.err
}

func (q *lateQueue) await(e device.Event) error {
	if q.deaf {
		return nil
	}
	return e.Sync()
}

func (q *lateQueue) copyBytes(dst, src []byte) {
	if len(dst) != len(src) {
		panic(fmt.Sprintf("copy of %d bytes to %d", len(src), len(dst)))
	}
	q.do(func() error { copy(dst, src); return nil })
}

func (q *lateQueue) CopyIn(dst tensor.Tensor, src []byte)  { q.copyBytes(dst.Host, src) }
func (q *lateQueue) CopyOut(dst []byte, src tensor.Tensor) { q.copyBytes(dst, src.Host) }
func (q *lateQueue) Copy(dst, src tensor.Tensor)           { q.copyBytes(dst.Host, src.Host) }
func (q *lateQueue) Wait(e device.Event) {
	q.do(func() error { return q.await(e) })
}
func (q *lateQueue) Record() device.Event { return lateEvent{q, len(q.ops)} }
func (q *lateQueue) Sync() error          { return q.runTo(len(q.ops)) }

type lateEvent struct {
	q *lateQueue
	n int
}

func (e lateEvent) Sync() error { return e.q.runTo(e.n) }
