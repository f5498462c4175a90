package sim

import (
	"fmt"
	"slices"
	"unsafe"
)

// hostMemory knows which host memory is pinned.
type hostMemory struct {
	blocks []*pinned
}

// pinned is one block. ours says that unreserve gives it back.
type pinned struct {
	bytes []byte
	ours  bool
}

// address is where b begins; b is not on the Go heap or is kept alive by the table, so it does not move.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// alloc is n new zeroed bytes.
func (h *hostMemory) alloc(n int64) ([]byte, error) {
	b, err := reserve(max(n, 1))
	if err != nil {
		return nil, err
	}
	h.blocks = append(h.blocks, &pinned{bytes: b, ours: true})
	return b[:n:n], nil
}

// holder is the block that b lies in, nil when b is ordinary memory. Half in is an error.
func (h *hostMemory) holder(b []byte) (*pinned, error) {
	at, end := address(b), address(b)+uintptr(len(b))
	for _, p := range h.blocks {
		from, to := address(p.bytes), address(p.bytes)+uintptr(len(p.bytes))
		switch {
		case at >= from && end <= to:
			return p, nil
		case at < to && end > from:
			return nil, fmt.Errorf("%d bytes at %#x lie only partly in %d bytes of pinned memory", len(b), at, len(p.bytes))
		}
	}
	return nil, nil
}

// release unpins the block that begins with b.
func (h *hostMemory) release(b []byte) error {
	i := slices.IndexFunc(h.blocks, func(p *pinned) bool { return address(p.bytes) == address(b) })
	if i < 0 {
		return fmt.Errorf("%d bytes at %#x are not the beginning of pinned memory", len(b), address(b))
	}
	p := h.blocks[i]
	h.blocks = slices.Delete(h.blocks, i, i+1)
	whole := p.bytes
	p.bytes = nil // queued copies find it gone
	if !p.ours {
		return nil
	}
	return unreserve(whole)
}

func (h *hostMemory) close() error {
	var first error
	for len(h.blocks) > 0 {
		if err := h.release(h.blocks[0].bytes); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Pin makes b, which the caller keeps in place and frees, count as pinned memory: a file that two processes map, say.
func (m *Machine) Pin(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.host.blocks = append(m.host.blocks, &pinned{bytes: b})
}

// Unpin ends what Pin began.
func (m *Machine) Unpin(b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.host.release(b)
}
