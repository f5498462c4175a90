// Package cpukern is the host as a device.Device: plain Go, and assembly chosen at run time where the machine has
// it. Every kernel has a generic twin, which is its definition. Operations are synchronous: they return when done.
//
// Work is cut into tasks by shape alone and every sum has a fixed order, so results do not depend on the number of
// threads. They do depend on the level (fused multiply-adds round once where generic code rounds twice).
package cpukern

import (
	"errors"
	"fmt"
	"os"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

var _ device.Device = (*Device)(nil)

// Options are what a host device needs to know. The zero value takes the whole machine.
type Options struct {
	Capacity int64  // bytes the arena may hand out; 0: as much as the machine has memory
	Threads  int    // 0: one for each CPU this process may use
	Level    string // generic, avx2, avx512 or amx; "": $LOMO_CPU, or the best the machine has

	// PoisonReleased fills memory with NaN once the arena has released it, so that tests see stale reads.
	PoisonReleased bool
}

// Device is the host. One goroutine at a time may use it.
type Device struct {
	k        *kernels
	pool     *pool
	packed   *workspace // for the factors of a product (gemm_shared.go)
	packRoom int        // bytes of it, which tests make smaller
	ghost    *workspace // for products of pairs of tokens (ghost.go)
	arena    memory
	slots    []float64 // partial sums of one operation, one a task; grows to the largest need and stays
	err      error     // the first failure

	queues []*queue
	pinned *device.Arena // of pins
	pins   [][]byte
}

// Open makes a host device. It fails when the level is unknown or lacks on this machine, or when address space
// for the arena cannot be had. Memory is only used as tensors are written.
func Open(o Options) (*Device, error) {
	level := o.Level
	if level == "" {
		level = os.Getenv("LOMO_CPU")
	}
	k, err := chooseLevel(level)
	if err != nil {
		return nil, err
	}
	p, err := newPool(o.Threads)
	if err != nil {
		return nil, fmt.Errorf("workspace of the CPU threads: %w", err)
	}
	packed, err := newWorkspace(sharedBytes)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("workspace of the matrix products: %w", err)
	}
	ghost, err := newWorkspace(ghostBytes + 128)
	if err != nil {
		p.close()
		packed.close()
		return nil, fmt.Errorf("workspace of gradient norms: %w", err)
	}
	d := &Device{k: k, pool: p, packed: packed, packRoom: sharedBytes, ghost: ghost, pinned: device.NewArena("host memory", 0)}
	if err := d.arena.open(d.Name(), o); err != nil {
		p.close()
		packed.close()
		ghost.close()
		return nil, fmt.Errorf("arena of the CPU device: %w", err)
	}
	return d, nil
}

// Name is "cpu" and the level: "cpu avx2+fma".
func (d *Device) Name() string { return "cpu " + d.k.name }

// Memory is the arena; callers take marks and release through it.
func (d *Device) Memory() *device.Arena { return d.arena.Arena }

// Alloc takes a zeroed tensor from the arena.
func (d *Device) Alloc(owner, name string, dt tensor.DType, shape ...int) (tensor.Tensor, error) {
	t, stale, err := d.arena.take(owner, name, dt, shape)
	if err == nil {
		clear(t.Host[:stale])
	}
	return t, err
}

// Scratch takes a tensor whose contents are undefined (NaN with PoisonReleased).
func (d *Device) Scratch(owner, name string, dt tensor.DType, shape ...int) (tensor.Tensor, error) {
	t, _, err := d.arena.take(owner, name, dt, shape)
	if err == nil && d.arena.poisonReleased {
		fillNaN(t.Host)
	}
	return t, err
}

// Sync reports the first failure. There is nothing to wait for.
func (d *Device) Sync() error { return d.err }

// Trim gives the system back the pages of the arena that no tensor uses.
func (d *Device) Trim() {
	d.arena.poison()
	d.arena.trim()
}

// Close ends the threads and unmaps all memory: every tensor of the device becomes invalid.
func (d *Device) Close() error {
	err := d.closeQueues()
	d.pool.close()
	d.packed.close()
	d.ghost.close()
	return errors.Join(err, d.arena.close())
}

// ready says whether an operation may run: not after a failure.
func (d *Device) ready() bool {
	d.arena.poison()
	return d.err == nil
}

// nonFinite makes the failure of an update stick.
func (d *Device) nonFinite(op string, t tensor.Tensor) {
	d.err = &device.NonFiniteError{Op: op, Tensor: t.Name}
}

// partial is n zeroed slots for the partial sums of one operation.
func (d *Device) partial(n int) []float64 {
	if cap(d.slots) < n {
		d.slots = make([]float64, n)
	}
	s := d.slots[:n]
	clear(s)
	return s
}

// total adds partial sums in their order.
func total(slots []float64) float64 {
	var sum float64
	for _, s := range slots {
		sum += s
	}
	return sum
}
