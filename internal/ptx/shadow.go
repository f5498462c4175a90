package ptx

import (
	"fmt"
	"math/bits"
)

// The order of accesses to memory within a block is kept in two clocks. The block's time advances when a barrier completes: order[B][A]
// is the time before which accesses of warp A are ordered before what warp B does now, and full the same for all pairs.
// A warp's time advances with each instruction that synchronises its lanes: lanes[i][j] and full likewise within the warp.

// cell is what is known of a byte of memory, or of four with the same past.
type cell struct {
	wTime   uint32 // of the last write, by the block's clock; before block.start: none
	wWarp   uint32 // the same by the warp's clock
	rTime   uint32 // of the last reads
	rWarp   uint32
	readers uint32 // warps that read at rTime
	lanes   uint32 // lanes of the last reader's warp that have read
	writer  uint16 // thread
	reader  uint8  // warp of the last read
	state   uint8
}

const (
	written  = iota
	byAtomic // the last write was atomic
	inFlight // cp.async has been issued and not waited for
	landed   // by a cp.async
)

// access is what an instruction does to memory.
type access uint8

const (
	load access = iota
	store
	atomicRW
	relaxed // a load that is allowed to meet other blocks' atomics: volatile, relaxed, acquire
	issue   // cp.async: the destination is not to be touched
	land    // cp.async: the bytes arrive
)

// sync orders the lanes of m within the warp.
func (w *warp) sync(m uint32) {
	if w.lanes == nil {
		return
	}
	w.time++
	if m&w.live == w.live {
		w.full = w.time
		return
	}
	for i := range 32 {
		if m>>i&1 == 0 {
			continue
		}
		for j := range 32 {
			if m>>j&1 != 0 {
				w.lanes[i][j] = w.time
			}
		}
	}
}

// ordered tells the clocks that a barrier has completed.
func (b *block) ordered(list []arrival, all bool) {
	if b.pending != nil {
		panic(b.pending)
	}
	b.time++
	if all {
		b.full = b.time
	}
	for _, a := range list {
		a.w.time++
		a.w.full = a.w.time
	}
	if all || b.order == nil {
		return
	}
	for _, x := range list {
		if x.g == nil {
			continue
		}
		to := b.order[x.w.id]
		for _, y := range list {
			to[y.w.id] = max(to[y.w.id], y.until)
			for i, t := range b.order[y.w.id] {
				to[i] = max(to[i], t)
			}
		}
	}
}

// before says whether what thread did at (time, warpTime) is ordered before what lane does now.
func (w *warp) before(thread uint16, time, warpTime uint32, lane int) bool {
	other := int(thread) / 32
	if other == w.id {
		l := int(thread) % 32
		return l == lane || warpTime < w.full || warpTime < w.lanes[lane][l]
	}
	return time < w.b.full || time < w.b.order[w.id][other]
}

// sharedAt is n bytes of shared memory for a lane's access, checked.
func (w *warp) sharedAt(lane int, addr uint64, n int, how access) []byte {
	b := w.b
	if addr > uint64(len(b.shared)) || addr+uint64(n) > uint64(len(b.shared)) {
		w.fault(lane, ErrBounds, "shared memory bytes %d to %d of %d", int64(addr), int64(addr)+int64(n)-1, len(b.shared))
	}
	if addr&uint64(n-1) != 0 {
		w.fault(lane, ErrMisaligned, "shared address %d for %d bytes", addr, n)
	}
	if b.shadow != nil {
		if how == load || how == relaxed {
			w.loads(b.shadow, lane, int(addr), n)
		} else {
			w.stores(b.shadow, lane, int(addr), n, how)
		}
	}
	return b.shared[addr : addr+uint64(n) : addr+uint64(n)]
}

// shadow is the cells of a block's shared memory, or of a page of global memory: one a word of four bytes, or one a byte where
// an access has touched less.
type shadow struct {
	space space
	base  uint64 // address of the first byte
	words []cell
	split []bool
	bytes []cell // four a word, made when the first word is split
}

func newShadow(sp space, bytes int) *shadow {
	n := (bytes + 3) / 4
	return &shadow{space: sp, words: make([]cell, n), split: make([]bool, n)}
}

// at names a byte.
func (s *shadow) at(addr int) string {
	if s.space == spShared {
		return fmt.Sprintf("shared byte %d", addr)
	}
	return fmt.Sprintf("global address %#x", s.base+uint64(addr))
}

// race is the error of accesses that nothing orders.
func (s *shadow) race() error {
	if s.space == spShared {
		return ErrRace
	}
	return ErrGlobalRace
}

// part is the cells of n < 4 bytes of a word.
func (s *shadow) part(addr, n int) []cell {
	word := addr / 4
	if s.bytes == nil {
		s.bytes = make([]cell, 4*len(s.words))
	}
	if !s.split[word] {
		s.split[word] = true
		for i := range 4 {
			s.bytes[4*word+i] = s.words[word]
		}
	}
	return s.bytes[addr : addr+n]
}

// loads notes a read of n bytes.
func (w *warp) loads(s *shadow, lane, addr, n int) {
	if n < 4 {
		for i := range s.part(addr, n) {
			w.loadCell(s, lane, addr+i, &s.bytes[addr+i])
		}
		return
	}
	for at := addr; at < addr+n; at += 4 {
		if !s.split[at/4] {
			w.loadCell(s, lane, at, &s.words[at/4])
			continue
		}
		for i := range 4 {
			w.loadCell(s, lane, at+i, &s.bytes[at+i])
		}
	}
}

// stores notes a write of n bytes.
func (w *warp) stores(s *shadow, lane, addr, n int, how access) {
	if n < 4 {
		for i := range s.part(addr, n) {
			w.storeCell(s, lane, addr+i, &s.bytes[addr+i], how)
		}
		return
	}
	for at := addr; at < addr+n; at += 4 {
		if s.split[at/4] {
			for i := range 4 {
				w.storeCell(s, lane, at+i, &s.bytes[at+i], how)
			}
			s.join(at / 4)
			continue
		}
		w.storeCell(s, lane, at, &s.words[at/4], how)
	}
}

// join makes one cell of a word again, all of which has just been written, if its bytes have the same readers.
func (s *shadow) join(word int) {
	c := s.bytes[4*word : 4*word+4]
	if c[0] == c[1] && c[0] == c[2] && c[0] == c[3] {
		s.words[word], s.split[word] = c[0], false
	}
}

// loadCell notes a read of a cell.
func (w *warp) loadCell(s *shadow, lane, addr int, c *cell) {
	b := w.b
	if c.wTime < b.start || c.state >= inFlight || int(c.writer) != w.id*32+lane && !w.before(c.writer, c.wTime, c.wWarp, lane) {
		w.checkLoad(s, lane, addr, c)
	}
	if c.rTime != b.time || c.rWarp != w.time || int(c.reader) != w.id {
		w.forgetReaders(c, lane)
		c.reader, c.rTime, c.rWarp = uint8(w.id), b.time, w.time
		c.readers |= 1 << w.id
	}
	c.lanes |= 1 << lane
}

// forgetReaders drops the readers of a byte that are ordered before what lane does now: who is ordered after its read is
// ordered after theirs. What remains counts as read at the present time.
func (w *warp) forgetReaders(c *cell, lane int) {
	b := w.b
	if c.rTime < b.full {
		c.readers, c.lanes = 0, 0
		return
	}
	for rest := c.readers; rest != 0 && c.rTime != b.time; rest &= rest - 1 {
		if o := bits.TrailingZeros32(rest); c.rTime < b.order[w.id][o] {
			c.readers &^= 1 << o
		}
	}
	if int(c.reader) != w.id || c.rWarp < w.full {
		c.lanes = 0
		return
	}
	for rest := c.lanes; rest != 0; rest &= rest - 1 {
		if o := bits.TrailingZeros32(rest); c.rWarp < w.lanes[lane][o] {
			c.lanes &^= 1 << o
		}
	}
}

// checkLoad fails if the byte may not be read.
func (w *warp) checkLoad(s *shadow, lane, addr int, c *cell) {
	switch {
	case s.space != spShared && (c.wTime < w.b.start || c.state == byAtomic): // from before the launch, or as a flag that others may set at any time
	case c.wTime < w.b.start:
		w.later(lane, ErrUnwritten, "%s", s.at(addr))
	case c.state == inFlight:
		w.fault(lane, ErrAsync, "%s is the target of a cp.async by thread %v that has not been waited for", s.at(addr), w.b.thread(int(c.writer)))
	case c.writer == uint16(w.id*32+lane) || w.before(c.writer, c.wTime, c.wWarp, lane):
	case c.state == landed:
		w.fault(lane, ErrAsync, "%s came by a cp.async of thread %v; no barrier since its wait", s.at(addr), w.b.thread(int(c.writer)))
	default:
		w.fault(lane, s.race(), "%s was written by thread %v, no barrier since", s.at(addr), w.b.thread(int(c.writer)))
	}
}

// storeCell notes a write of a cell.
func (w *warp) storeCell(s *shadow, lane, addr int, c *cell, how access) {
	b := w.b
	if c.wTime >= b.start {
		if how != land && (c.state == inFlight || !w.before(c.writer, c.wTime, c.wWarp, lane)) {
			w.checkStore(s, lane, addr, c, how)
		}
	} else if how == atomicRW && s.space == spShared {
		w.later(lane, ErrUnwritten, "%s", s.at(addr))
	}
	if c.rTime >= b.full && c.rTime >= b.start && how != land && !(how == atomicRW && s.space != spShared) {
		w.checkReaders(s, lane, addr, c)
	}
	c.wTime, c.wWarp, c.writer, c.state = b.time, w.time, uint16(w.id*32+lane), states[how]
}

// states is what an access leaves a cell in.
var states = [...]uint8{store: written, atomicRW: byAtomic, issue: inFlight, land: landed}

// checkStore fails if another thread's write to the cell is not ordered before this one.
func (w *warp) checkStore(s *shadow, lane, addr int, c *cell, how access) {
	switch {
	case c.state == inFlight:
		w.fault(lane, ErrAsync, "%s is the target of a cp.async by thread %v that has not been waited for", s.at(addr), w.b.thread(int(c.writer)))
	case c.state != byAtomic || how != atomicRW:
		w.fault(lane, s.race(), "%s was written by thread %v too, no barrier since", s.at(addr), w.b.thread(int(c.writer)))
	}
}

// checkReaders fails if a thread has read the byte and no barrier stands between that and this lane's write.
func (w *warp) checkReaders(s *shadow, lane, addr int, c *cell) {
	b := w.b
	for o := range b.warps {
		if o != w.id && c.readers>>o&1 != 0 && c.rTime >= b.order[w.id][o] {
			w.fault(lane, s.race(), "%s was read by a thread of warp %d, no barrier since", s.at(addr), o)
		}
	}
	if int(c.reader) != w.id || c.rWarp < w.full {
		return
	}
	for o := range 32 {
		if c.lanes>>o&1 != 0 && !w.before(uint16(w.id*32+o), c.rTime, c.rWarp, lane) {
			w.fault(lane, s.race(), "%s was read by thread %v, nothing orders the lanes of the warp since", s.at(addr), b.thread(w.id*32+o))
		}
	}
}
