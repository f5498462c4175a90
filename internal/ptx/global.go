package ptx

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"slices"
)

// globalCache is the allocations that a goroutine touched last.
type globalCache struct {
	base [4]uint64
	data [4][]byte
	next int
}

// at is n bytes of global memory for an access by a lane, checked.
func (w *warp) globalAt(lane int, addr uint64, n int, how access) []byte {
	b := w.b
	if addr&uint64(n-1) != 0 {
		w.fault(lane, ErrMisaligned, "global address %#x for %d bytes", addr, n)
	}
	if addr >= moduleBase {
		return w.moduleAt(lane, addr, n)
	}
	if b.pages.on {
		b.pages.mark(w, lane, addr, n, how)
	}
	c := &b.global
	for i := range c.base {
		if off := addr - c.base[i]; off < uint64(len(c.data[i])) && off+uint64(n) <= uint64(len(c.data[i])) {
			return c.data[i][off : off+uint64(n) : off+uint64(n)]
		}
	}
	if b.l.whole != nil {
		if base, data := b.l.whole.Whole(addr); data != nil && addr-base+uint64(n) <= uint64(len(data)) {
			c.base[c.next], c.data[c.next] = base, data
			c.next = (c.next + 1) % len(c.base)
			return data[addr-base : addr-base+uint64(n)]
		}
	}
	bytes, err := b.l.m.Range(addr, n, how != load && how != relaxed)
	if err != nil {
		w.fault(lane, ErrBounds, "%v", err)
	}
	return bytes[:n:n]
}

// moduleAt is bytes of the module's own variables.
func (w *warp) moduleAt(lane int, addr uint64, n int) []byte {
	data := w.b.k.mod.data
	off := addr - moduleBase
	if off > uint64(len(data)) || off+uint64(n) > uint64(len(data)) {
		w.fault(lane, ErrBounds, "address %#x for %d bytes is in no variable of the module (%d bytes)", addr, n, len(data))
	}
	return data[off : off+uint64(n) : off+uint64(n)]
}

// pages notes which bytes of global memory a block touches: a bit a byte, so that blocks in conflict are found when they end, and
// cells, so that threads of the block are.
type pages struct {
	on    bool
	alone bool // the grid is one block
	byNo  map[uint64]*page
	cache [16]*page
	free  []*page
}

// begin forgets the block before.
func (p *pages) begin(on, alone bool) {
	p.on, p.alone = on, alone
	if p.byNo == nil {
		p.byNo = map[uint64]*page{}
	}
	for _, pg := range p.byNo {
		p.free = append(p.free, pg)
	}
	clear(p.byNo)
	p.cache = [16]*page{}
}

const pageBytes = 4096

// page is one block's accesses to 4096 bytes.
type page struct {
	no      uint64
	reads   [pageBytes / 64]uint64
	writes  [pageBytes / 64]uint64
	atomics [pageBytes / 64]uint64
	stores  []*stmt // that wrote, a few of them
	shadow  *shadow
}

// mark notes an access of n bytes, a power of two at a multiple of it.
func (p *pages) mark(w *warp, lane int, addr uint64, n int, how access) {
	no := addr / pageBytes
	pg := p.cache[no%16]
	if pg == nil || pg.no != no {
		pg = p.find(no)
	}
	switch how {
	case load:
		w.loads(pg.shadow, lane, int(addr%pageBytes), n)
	case store, atomicRW:
		w.stores(pg.shadow, lane, int(addr%pageBytes), n, how)
	}
	if p.alone {
		return
	}
	word := addr % pageBytes / 64
	bit := mask(n) << (addr % 64)
	switch how {
	case load:
		pg.reads[word] |= bit
	case store:
		if pg.writes[word] |= bit; len(pg.stores) == 0 || pg.stores[len(pg.stores)-1] != w.in.stmt && len(pg.stores) < 8 {
			pg.stores = append(pg.stores, w.in.stmt)
		}
	default:
		pg.atomics[word] |= bit
	}
}

func (p *pages) find(no uint64) *page {
	pg := p.byNo[no]
	if pg == nil {
		if n := len(p.free); n > 0 {
			pg, p.free = p.free[n-1], p.free[:n-1]
			*pg = page{stores: pg.stores[:0], shadow: pg.shadow}
		} else {
			pg = &page{shadow: newShadow(spGlobal, pageBytes)}
		}
		pg.no, pg.shadow.base = no, no*pageBytes
		p.byNo[no] = pg
	}
	p.cache[no%16] = pg
	return pg
}

// touchedPage is what the blocks that have had their turn did to a page of global memory.
type touchedPage struct {
	reads, writes, atomics [pageBytes / 64]uint64
	writers                []writer
}

// writer is a block that wrote plainly, with its bytes.
type writer struct {
	block  [3]int
	writes [pageBytes / 64]uint64
	stores []*stmt
}

// beside adds what the block did to what the blocks below it did. It fails if they are in conflict, or too long together.
func (b *block) beside(o *inOrder) error {
	if o.count += b.executed; o.count > b.l.o.MaxInstructions {
		return &Fault{Kernel: b.k.Name, Block: b.id, Err: ErrLimit, Text: fmt.Sprintf("%d thread instructions executed up to this block's end, %s", o.count, b.l.limit())}
	}
	if !b.pages.on || b.pages.alone {
		return nil
	}
	if o.touched == nil {
		o.touched = map[uint64]*touchedPage{}
	}
	for _, no := range slices.Sorted(maps.Keys(b.pages.byNo)) {
		all := o.touched[no]
		if all == nil {
			all = new(touchedPage)
			o.touched[no] = all
		}
		if err := b.merge(all, b.pages.byNo[no]); err != nil {
			return err
		}
	}
	return nil
}

// merge adds p to all. Writes meet no other block's access, atomics no other block's plain write.
func (b *block) merge(all *touchedPage, p *page) error {
	wrote := false
	for i := range p.reads {
		if bad := p.writes[i] & (all.writes[i] | all.reads[i] | all.atomics[i]); bad != 0 {
			return b.conflict(all, p, i, bad, "writes")
		}
		if bad := (p.reads[i] | p.atomics[i]) & all.writes[i]; bad != 0 {
			what := "reads"
			if p.atomics[i]&bad != 0 {
				what = "atomically changes"
			}
			return b.conflict(all, p, i, bad, what)
		}
		all.reads[i] |= p.reads[i]
		all.writes[i] |= p.writes[i]
		all.atomics[i] |= p.atomics[i]
		wrote = wrote || p.writes[i] != 0
	}
	if wrote {
		all.writers = append(all.writers, writer{b.id, p.writes, append([]*stmt(nil), p.stores...)})
	}
	return nil
}

func (b *block) conflict(all *touchedPage, p *page, word int, bad uint64, what string) error {
	bit := bits.TrailingZeros64(bad)
	addr := p.no*pageBytes + uint64(word)*64 + uint64(bit)
	f := &Fault{Kernel: b.k.Name, Block: b.id, Err: ErrBlocks, Text: fmt.Sprintf("the block %s address %#x, which another block reads or changes in the same launch", what, addr)}
	stores := p.stores
	for _, o := range all.writers {
		if o.writes[word]>>bit&1 != 0 {
			f.Text = fmt.Sprintf("the block %s address %#x, which block %v writes in the same launch", what, addr, o.block)
			if p.writes[word]>>bit&1 == 0 {
				stores = o.stores
			}
		}
	}
	if len(stores) > 0 {
		f.Line, f.Source, f.Instruction = stores[0].line, stores[0].source, stores[0].text()
	}
	return f
}

// at is n bytes in a space for an access by a lane, checked. Generic addresses say by their range what they are of.
func (w *warp) at(sp space, lane int, addr uint64, n int, how access) []byte {
	switch sp {
	case spGlobal:
		return w.globalAt(lane, addr, n, how)
	case spShared:
		return w.sharedAt(lane, addr, n, how)
	case spLocal:
		return w.localAt(lane, addr, n)
	case spConst:
		if how != load {
			w.fault(lane, ErrBounds, "store to constant memory")
		}
		if addr < moduleBase {
			w.fault(lane, ErrBounds, "constant address %#x is in no variable of the module", addr)
		}
		return w.globalAt(lane, addr, n, how)
	}
	switch {
	case addr >= localBase:
		return w.localAt(lane, addr-localBase, n)
	case addr >= sharedBase:
		return w.sharedAt(lane, addr-sharedBase, n, how)
	}
	return w.globalAt(lane, addr, n, how)
}

// localAt is bytes of a lane's own local memory: the stack of its frames.
func (w *warp) localAt(lane int, addr uint64, n int) []byte {
	size := uint64(w.f.local + (w.f.fn.localSize+15)&^15)
	if addr > size || addr+uint64(n) > size {
		w.fault(lane, ErrBounds, "local memory bytes %d to %d of %d", int64(addr), int64(addr)+int64(n)-1, size)
	}
	if addr&uint64(n-1) != 0 {
		w.fault(lane, ErrMisaligned, "local address %d for %d bytes", addr, n)
	}
	if uint64(len(w.locals[lane])) < size {
		w.locals[lane] = append(w.locals[lane], make([]byte, size-uint64(len(w.locals[lane])))...)
	}
	return w.locals[lane][addr : addr+uint64(n) : addr+uint64(n)]
}

func get(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

func set(b []byte, v uint64) {
	switch len(b) {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, v)
	}
}
