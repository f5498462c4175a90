package cpukern

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// memory backs a device.Arena with one anonymous mapping. Pages appear when first written, outside the Go heap,
// so the garbage collector neither scans nor moves them and the process grows by what the arena predicts.
type memory struct {
	*device.Arena
	bytes []byte
	dirty int64 // bytes below this offset may have been written since the mapping was made

	poisonReleased bool
	top            int64 // the arena's height when last seen
}

func (m *memory) open(name string, o Options) error {
	capacity := o.Capacity
	if capacity <= 0 {
		capacity = physicalMemory()
	}
	b, err := reserve(capacity)
	if err != nil && o.Capacity <= 0 { // the process may not have as much address space as the machine has memory
		if b, err = reserveLess(capacity); err == nil {
			capacity = int64(len(b))
		}
	}
	if err != nil {
		return fmt.Errorf("no address space for %d MiB: %w", capacity>>20, err)
	}
	*m = memory{Arena: device.NewArena(name, capacity), bytes: b, poisonReleased: o.PoisonReleased}
	return nil
}

// reserveLess maps about half of the address space that the process has left; the rest is for the program itself.
func reserveLess(n int64) ([]byte, error) {
	for n /= 2; ; n /= 2 {
		b, err := reserve(n)
		if err != nil && n > smallestArena {
			continue
		}
		if err != nil || n <= smallestArena {
			return b, err
		}
		if err := unreserve(b); err != nil {
			return nil, err
		}
		return reserve(n / 2)
	}
}

const smallestArena = 64 << 20

// take is a tensor of the arena with whatever bytes lie there. Of these only the first stale may not be zero: what lies above the highest
// byte ever handed out is, and writing it would cost pages that the tensor may never use.
func (m *memory) take(owner, name string, dt tensor.DType, shape []int) (t tensor.Tensor, stale int64, err error) {
	m.poison()
	t = tensor.Tensor{Name: name, DType: dt, Shape: slices.Clone(shape)}
	n := t.Bytes()
	off, err := m.Take(owner, name, n)
	if err != nil {
		return tensor.Tensor{}, 0, err
	}
	t.Host = m.bytes[off : off+n : off+n]
	stale = min(max(m.dirty-off, 0), n)
	m.top = m.Used()
	m.dirty = max(m.dirty, m.top)
	return t, stale, nil
}

// poison fills what was released since the last look with NaN.
func (m *memory) poison() {
	if !m.poisonReleased {
		return
	}
	used := m.Used()
	if used < m.top {
		fillNaN(m.bytes[used:m.top])
	}
	m.top = used
}

// fillNaN writes 0x7fc0 everywhere, which is a NaN in BF16 and, twice, in F32.
func fillNaN(b []byte) {
	for n := copy(b, "\xc0\x7f"); n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// trim gives the system back the pages above what is in use, where they come back as zeros.
func (m *memory) trim() {
	lo := (m.Used() + arenaSlack - 1) / arenaSlack * arenaSlack
	if lo < m.dirty && discard(m.bytes[lo:min(int64(len(m.bytes)), m.dirty+arenaSlack)]) {
		m.dirty = lo
	}
}

func (m *memory) close() error {
	b := m.bytes
	m.bytes = nil
	if b == nil {
		return nil
	}
	return unreserve(b)
}

// floatBytes is the bytes as float32, for memory that comes from reserve.
func floatBytes(b []byte) []float32 {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(b)/4)
}

const unknownMemory = math.MaxInt64 >> 24 // 512 GiB of address space where the system does not say
