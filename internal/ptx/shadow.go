package ptx

// The order of accesses to shared memory is kept in two clocks. The block's time advances when a barrier completes: order[B][A]
// is the time before which accesses of warp A are ordered before what warp B does now, and full the same for all pairs.
// A warp's time advances with each instruction that synchronises its lanes: lanes[i][j] and full likewise within the warp.

// cell is what is known of one byte of shared memory.
type cell struct {
	wTime   uint32 // of the last write, by the block's clock; before block.start: unwritten
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
	if b.cells != nil {
		cells := b.cells[addr : addr+uint64(n)]
		if how == load || how == relaxed {
			w.sharedLoad(lane, addr, cells)
		} else {
			w.sharedStore(lane, addr, cells, how)
		}
	}
	return b.shared[addr : addr+uint64(n) : addr+uint64(n)]
}

func (w *warp) sharedLoad(lane int, addr uint64, cells []cell) {
	b := w.b
	me := uint16(w.id*32 + lane)
	bit := uint32(1) << w.id
	for i := range cells {
		c := &cells[i]
		if c.wTime < b.start || c.state >= inFlight || !(c.writer == me || w.before(c.writer, c.wTime, c.wWarp, lane)) {
			w.checkLoad(lane, addr+uint64(i), c)
		}
		if c.rTime < b.full {
			c.readers = 0
		}
		if int(c.reader) != w.id || c.rTime < b.full || c.rWarp < w.full {
			c.lanes = 0
		}
		c.readers |= bit
		c.lanes |= 1 << lane
		c.reader, c.rTime, c.rWarp = uint8(w.id), b.time, w.time
	}
}

// checkLoad fails if the byte may not be read.
func (w *warp) checkLoad(lane int, addr uint64, c *cell) {
	switch {
	case c.wTime < w.b.start:
		w.fault(lane, ErrUnwritten, "shared byte %d", addr)
	case c.state == inFlight:
		w.fault(lane, ErrAsync, "shared byte %d is the target of a cp.async by thread %v that has not been waited for", addr, w.b.thread(int(c.writer)))
	case c.writer == uint16(w.id*32+lane) || w.before(c.writer, c.wTime, c.wWarp, lane):
	case c.state == landed:
		w.fault(lane, ErrAsync, "shared byte %d came by a cp.async of thread %v; no barrier since its wait", addr, w.b.thread(int(c.writer)))
	default:
		w.fault(lane, ErrRace, "shared byte %d was written by thread %v, no barrier since", addr, w.b.thread(int(c.writer)))
	}
}

func (w *warp) sharedStore(lane int, addr uint64, cells []cell, how access) {
	b := w.b
	me := uint16(w.id*32 + lane)
	state := uint8(written)
	switch how {
	case atomicRW:
		state = byAtomic
	case issue:
		state = inFlight
	case land:
		state = landed
	}
	for i := range cells {
		c := &cells[i]
		if how == atomicRW && c.wTime < b.start {
			w.fault(lane, ErrUnwritten, "shared byte %d", addr+uint64(i))
		}
		if c.wTime >= b.start && how != land {
			switch {
			case c.state == inFlight:
				w.fault(lane, ErrAsync, "shared byte %d is the target of a cp.async by thread %v that has not been waited for",
					addr+uint64(i), b.thread(int(c.writer)))
			case c.state == byAtomic && how == atomicRW:
			case !w.before(c.writer, c.wTime, c.wWarp, lane):
				w.fault(lane, ErrRace, "shared byte %d was written by thread %v too, no barrier since", addr+uint64(i), b.thread(int(c.writer)))
			}
		}
		if c.rTime >= b.start && how != land {
			w.checkReaders(lane, addr+uint64(i), c)
		}
		c.wTime, c.wWarp, c.writer, c.state = b.time, w.time, me, state
	}
}

// checkReaders fails if a thread has read the byte and no barrier stands between that and this lane's write.
func (w *warp) checkReaders(lane int, addr uint64, c *cell) {
	b := w.b
	if c.rTime < b.full {
		return
	}
	for o := range b.warps {
		if o != w.id && c.readers>>o&1 != 0 && c.rTime >= b.order[w.id][o] {
			w.fault(lane, ErrRace, "shared byte %d was read by a thread of warp %d, no barrier since", addr, o)
		}
	}
	if int(c.reader) != w.id || c.rWarp < w.full {
		return
	}
	for o := range 32 {
		if c.lanes>>o&1 != 0 && !w.before(uint16(w.id*32+o), c.rTime, c.rWarp, lane) {
			w.fault(lane, ErrRace, "shared byte %d was read by thread %v, nothing orders the lanes of the warp since", addr, b.thread(w.id*32+o))
		}
	}
}
