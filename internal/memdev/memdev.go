// Package memdev is the counting device: it computes nothing and adds up bytes and work. A step of a run on it
// makes the same requests in the same order as on real hardware, so the arena's peak is the run's peak.
package memdev

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Device implements device.Device. Its tensors have no bytes; what is copied out of it is zero.
type Device struct {
	arena, pinned *device.Arena
	work          []*Work
	calls         map[Call]float64
	factors       int64 // Factors
}

var _ device.Device = (*Device)(nil)

// Open makes a counting device of capacity bytes, 0 for no limit.
func Open(capacity int64) *Device {
	return &Device{arena: device.NewArena("counting device", capacity), pinned: device.NewArena("host memory", 0)}
}

func (d *Device) Name() string          { return "counting" }
func (d *Device) Memory() *device.Arena { return d.arena }
func (d *Device) Sync() error           { return nil }
func (d *Device) Close() error          { return nil }

// Alloc books the bytes of a tensor and returns one without storage.
func (d *Device) Alloc(owner, name string, dt tensor.DType, shape ...int) (tensor.Tensor, error) {
	t := tensor.Tensor{Name: name, DType: dt, Shape: shape}
	_, err := d.arena.Take(owner, name, t.Bytes())
	return t, err
}

// Scratch is Alloc: there are no contents to clear.
func (d *Device) Scratch(owner, name string, dt tensor.DType, shape ...int) (tensor.Tensor, error) {
	return d.Alloc(owner, name, dt, shape...)
}

func (d *Device) CopyIn(tensor.Tensor, []byte) {}

// CopyOut zeroes dst: every number read from the counting device is 0.
func (d *Device) CopyOut(dst []byte, _ tensor.Tensor) { clear(dst) }

func (d *Device) Record() device.Event                  { return done{} }
func (d *Device) Wait(device.Event)                     {}
func (d *Device) NewQueue(string) (device.Queue, error) { return queue{d: d}, nil }
func (d *Device) PinnedMemory() *device.Arena           { return d.pinned }

// Pinned books the bytes and returns none.
func (d *Device) Pinned(owner, name string, bytes int64) ([]byte, error) {
	_, err := d.pinned.Take(owner, name, bytes)
	return nil, err
}

// queue is the counting device's queue.
type queue struct {
	done
	d *Device
}

func (q queue) CopyIn(dst tensor.Tensor, _ []byte)  { q.d.Now().In += dst.Bytes() }
func (q queue) CopyOut(_ []byte, src tensor.Tensor) { q.d.Now().Out += src.Bytes() }
func (q queue) Copy(dst, src tensor.Tensor)         { q.d.elements("Copy", dst, src) }

// done is the counting device's event: there is nothing to wait for.
type done struct{}

func (done) Record() device.Event { return done{} }
func (done) Wait(device.Event)    {}
func (done) Sync() error          { return nil }
