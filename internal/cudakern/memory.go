package cudakern

import (
	"fmt"
	"slices"

	"lomo/internal/cudakern/driver"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// memory backs a device.Arena with the card's one allocation, made at start: a step can then never run out of memory.
type memory struct {
	*device.Arena
	block uint64 // the allocation; the workspace comes first
	base  uint64 // of the workspace and, above it, of the arena

	poisonReleased bool
	top            int64 // the arena's height when last seen
}

// poisonByte makes NaN of every BF16, F32 and F64, and −1 of integers.
const poisonByte = 0xff

func (m *memory) open(label string, card driver.Device, o Options) error {
	free, total, err := card.Memory()
	if err != nil {
		return fmt.Errorf("%s: free memory: %w", label, err)
	}
	capacity := o.Capacity
	if capacity <= 0 {
		capacity = max(free-reserveBytes-WorkspaceBytes, 0) &^ (device.Align - 1)
	}
	want := capacity + WorkspaceBytes
	refused := func(why string) error {
		return fmt.Errorf("%s: out of memory at start: the run needs %d bytes, %d of %d are free and %d are held by other programs and the driver (nvidia-smi lists them)%s",
			label, want, free, total, total-free, why)
	}
	if want > free {
		return refused("")
	}
	block, err := card.Alloc(want)
	if err != nil {
		return refused(": " + err.Error())
	}
	*m = memory{Arena: device.NewArena(label, capacity), block: block, base: block, poisonReleased: o.PoisonReleased}
	return nil
}

// at is the address of an offset of the arena.
func (m *memory) at(offset int64) uint64 { return m.base + WorkspaceBytes + uint64(offset) }

func (m *memory) close(card driver.Device) error {
	if m.block == 0 {
		return nil
	}
	block := m.block
	m.block = 0
	return card.Free(block)
}

// take is a tensor of the arena with whatever bytes lie there.
func (d *Device) take(owner, name string, dt tensor.DType, shape []int) (tensor.Tensor, error) {
	d.poison()
	t := tensor.Tensor{Name: name, DType: dt, Shape: slices.Clone(shape)}
	off, err := d.arena.Take(owner, name, t.Bytes())
	if err != nil {
		return tensor.Tensor{}, err
	}
	t.Addr = d.arena.at(off)
	d.arena.top = d.arena.Used()
	return t, nil
}

// poison fills what was released since the last look with NaN.
func (d *Device) poison() {
	if !d.arena.poisonReleased {
		return
	}
	used := d.arena.Used()
	if n := d.arena.top - used; n > 0 {
		d.fail(d.stream.Set(d.arena.at(used), poisonByte, n))
	}
	d.arena.top = used
}
