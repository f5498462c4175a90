package sim

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"lomo/internal/cudakern/driver"
)

const (
	cardShift = 40      // addresses of card i begin at (i+1)<<cardShift
	gap       = 1 << 20 // between allocations
	align     = 256     // what CUDA promises, and no more: addresses are odd multiples of it
	pageBytes = 64 << 10
	bigBytes  = 1 << 20 // from here on memory is taken in pieces of bigPiece
	bigPiece  = 2 << 20
)

// allocation is a range of a card's addresses. Pages are filled with NaN when first touched.
type allocation struct {
	addr  uint64
	size  int64  // as asked
	taken int64  // of the card's memory
	bytes []byte // address space, backed as it is used
	pages []atomic.Bool
	mu    sync.Mutex // one filler at a time
}

func (a *allocation) end() uint64 { return a.addr + uint64(a.size) }

// touch makes the pages of [off, off+n) ready; room says whether the host has memory for one more.
func (a *allocation) touch(off, n int64, room func(int64) error) error {
	for p := off / pageBytes; p <= (off+n-1)/pageBytes; p++ {
		if a.pages[p].Load() {
			continue
		}
		if err := a.fill(p, room); err != nil {
			return err
		}
	}
	return nil
}

func (a *allocation) fill(p int64, room func(int64) error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pages[p].Load() {
		return nil
	}
	if err := room(pageBytes); err != nil {
		return err
	}
	page := a.bytes[p*pageBytes : min((p+1)*pageBytes, a.size)]
	for i := range page {
		page[i] = 0xff // NaN in every float, -1 in every integer
	}
	a.pages[p].Store(true)
	return nil
}

// space is the addresses of one card.
type space struct {
	next  uint64
	used  int64
	live  []*allocation // by address
	freed []*allocation // likewise, without bytes: for messages
}

func (s *space) find(addr uint64) *allocation {
	i, found := slices.BinarySearchFunc(s.live, addr, func(a *allocation, addr uint64) int {
		switch {
		case addr < a.addr:
			return 1
		case addr >= a.end():
			return -1
		}
		return 0
	})
	if !found {
		return nil
	}
	return s.live[i]
}

// take finds addresses for n bytes.
func (s *space) take(n int64) (*allocation, error) {
	b, err := reserve(n)
	if err != nil {
		return nil, fmt.Errorf("the host has no %d bytes of address space: %w", n, err)
	}
	a := &allocation{addr: s.next, size: n, taken: footprint(n), bytes: b, pages: make([]atomic.Bool, (n+pageBytes-1)/pageBytes)}
	s.next = (a.end()+gap)/(2*align)*(2*align) + align
	s.used += a.taken
	s.live = append(s.live, a)
	return a, nil
}

// footprint is what n bytes take of a card's memory.
func footprint(n int64) int64 {
	piece := int64(512)
	if n >= bigBytes {
		piece = bigPiece
	}
	return (n + piece - 1) / piece * piece
}

// release forgets the allocation that begins at addr and returns the host bytes it held.
func (s *space) release(addr uint64) (int64, error) {
	i := slices.IndexFunc(s.live, func(a *allocation) bool { return a.addr == addr })
	if i < 0 {
		return 0, driver.InvalidValue
	}
	a := s.live[i]
	s.live = slices.Delete(s.live, i, i+1)
	s.freed = append(s.freed, &allocation{addr: a.addr, size: a.size})
	s.used -= a.taken
	held := int64(0)
	for p := range a.pages {
		if a.pages[p].Load() {
			held += pageBytes
		}
	}
	return held, unreserve(a.bytes)
}

// describe says what an address that is no good looks like.
func (s *space) describe(addr uint64) string {
	for _, a := range s.freed {
		if addr >= a.addr && addr < a.end() {
			return fmt.Sprintf("it lies in %d bytes at %#x that were freed", a.size, a.addr)
		}
	}
	for _, a := range s.live {
		switch {
		case addr >= a.end() && addr < a.end()+gap:
			return fmt.Sprintf("it lies %d bytes behind the %d bytes at %#x", addr-a.end(), a.size, a.addr)
		case addr < a.addr && addr+gap > a.addr:
			return fmt.Sprintf("it lies %d bytes before the %d bytes at %#x", a.addr-addr, a.size, a.addr)
		}
	}
	return "nothing is there"
}

// home is the card an address belongs to, or -1.
func (m *Machine) home(addr uint64) int {
	i := int(addr>>cardShift) - 1
	if i >= len(m.cards) {
		return -1
	}
	return i
}

// locate finds n bytes at addr as card c sees them: its own memory, or another card's once peer access was asked for.
func (m *Machine) locate(c *card, addr uint64, n int64) (*allocation, int64, error) {
	owner := m.home(addr)
	switch {
	case n < 0:
		return nil, 0, fmt.Errorf("%d bytes", n)
	case owner < 0:
		return nil, 0, fmt.Errorf("address %#x is no card's", addr)
	case owner != c.index && !c.peers[owner]:
		return nil, 0, fmt.Errorf("address %#x is card %d's, and card %d has no peer access to it", addr, owner, c.index)
	}
	s := &m.cards[owner].space
	a := s.find(addr)
	if a == nil {
		return nil, 0, fmt.Errorf("address %#x: %s", addr, s.describe(addr))
	}
	off := int64(addr - a.addr)
	if n > a.size-off {
		return nil, 0, fmt.Errorf("%d bytes at %#x end %d bytes behind the %d bytes at %#x", n, addr, n-(a.size-off), a.size, a.addr)
	}
	return a, off, nil
}

// at is n bytes at addr to read or write. Kernels call it from several goroutines at once.
func (m *Machine) at(c *card, addr uint64, n int64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	a, off, err := m.locate(c, addr, n)
	if err != nil {
		return nil, err
	}
	if err := a.touch(off, n, m.grow); err != nil {
		return nil, err
	}
	return a.bytes[off : off+n : off+n], nil
}

// set fills memory. Zeros on pages never touched cost the host nothing: they are zero already.
func (m *Machine) set(c *card, addr uint64, value byte, n int64) error {
	if n == 0 {
		return nil
	}
	a, off, err := m.locate(c, addr, n)
	if err != nil {
		return err
	}
	for end := off + n; off < end; {
		page := off / pageBytes
		next := min((page+1)*pageBytes, end)
		whole := off == page*pageBytes && (next == (page+1)*pageBytes || next == a.size)
		if value == 0 && whole && a.pages[page].CompareAndSwap(false, true) {
			off = next
			continue
		}
		if err := a.touch(off, next-off, m.grow); err != nil {
			return err
		}
		part := a.bytes[off:next]
		for i := range part {
			part[i] = value
		}
		off = next
	}
	return nil
}

// grow books n bytes of host memory.
func (m *Machine) grow(n int64) error {
	if m.resident.Add(n) > m.opts.Resident {
		return fmt.Errorf("the simulated cards would hold more than %d bytes of host memory", m.opts.Resident)
	}
	return nil
}
