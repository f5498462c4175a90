package ptx

import (
	"math/bits"
	"sync"
)

type atomicLock = sync.Mutex

const allLanes = ^uint32(0)

// kind says what the loop of a warp does with an instruction.
type kind uint8

const (
	plain    kind = iota // run it for the lanes whose guard holds
	together             // the same, once all lanes it needs stand at it
	branch
	branchTable
	call
	ret
	exit
	barrier
)

// instr is a decoded instruction.
type instr struct {
	kind    kind
	negated bool
	pred    int // -1: no guard
	target  int // of a branch
	run     func(w *warp, m uint32)
	need    func(w *warp, m uint32) uint32 // lanes that must stand here, of those that have not exited
	table   []int                          // of a branchTable, by index in register target
	bar     *barrierOp
	call    *callOp
	stmt    *stmt
}

// frame is the registers and parameters of one call of a function, for up to 32 lanes.
type frame struct {
	fn     *function
	r      [][32]uint64
	p      []uint32 // predicates, a bit a lane
	params []byte   // of a .func: fn.paramSize bytes a lane
	local  int      // where its local memory begins
	up     *frame
	op     *callOp // the call that made it
	back   int     // where the caller goes on
	depth  int
}

// group is lanes of one warp that stand at the same instruction of the same frame.
type group struct {
	pc    int
	mask  uint32
	f     *frame
	wait  bool   // for the lanes in need to arrive at pc
	need  uint32 // see wait
	atBar bool   // it has arrived at a barrier and waits for its completion
}

// warp is 32 threads.
type warp struct {
	b      *block
	id     int
	f      *frame // of the running group, with its registers and predicates at hand
	r      [][32]uint64
	p      []uint32
	cur    *group
	in     *instr
	live   uint32 // lanes that have not exited
	exited uint32
	groups []*group
	count  int64 // thread instructions since the last look at the limit
	carry  uint32

	time   uint32 // counts what orders lanes of the warp, see shadow.go
	full   uint32
	lanes  *[32][32]uint32
	copies copies
	locals [32][]byte
	main   frame
	turn   int
}

// quantum is how many instructions a warp runs before others get their turn.
const quantum = 1 << 14

// run goes on until every lane has exited or waits at a barrier, or the quantum is over. It says whether the warp can go on.
func (w *warp) run() bool {
	for left := quantum; left > 0; {
		g := w.pick()
		if g == nil {
			w.b.tally(w)
			return false
		}
		limit := w.enter(g)
		left = w.steps(g, limit, left)
	}
	w.turn++
	w.b.tally(w)
	return true
}

// pick is the runnable group that is deepest in calls and then furthest behind; after a full quantum of divergence another
// one, so that lanes that spin for others do not starve them.
func (w *warp) pick() *group {
	var best *group
	n := 0
	for _, g := range w.groups {
		if g.atBar || g.wait && (g.need&w.live)&^g.mask != 0 {
			continue
		}
		n++
		if best == nil || g.f.depth > best.f.depth || g.f.depth == best.f.depth && g.pc < best.pc {
			best = g
		}
	}
	if n > 1 && w.turn%8 == 7 {
		k := w.turn / 8 % n
		for _, g := range w.groups {
			if g.atBar || g.wait && (g.need&w.live)&^g.mask != 0 {
				continue
			}
			if k--; k < 0 {
				return g
			}
		}
	}
	return best
}

// enter makes g the running group and returns the instruction at which another one must be looked at.
func (w *warp) enter(g *group) int {
	g.wait = false
	w.cur, w.f, w.r, w.p = g, g.f, g.f.r, g.f.p
	w.merge(g)
	limit := len(g.f.fn.code)
	for _, o := range w.groups {
		if o != g && o.f == g.f && !o.atBar && o.pc > g.pc {
			limit = min(limit, o.pc)
		}
	}
	return limit
}

// merge takes in the groups that stand where g does.
func (w *warp) merge(g *group) {
	if len(w.groups) == 1 {
		return
	}
	kept := w.groups[:0]
	for _, o := range w.groups {
		if o != g && o.f == g.f && o.pc == g.pc && !o.atBar {
			g.mask |= o.mask
			continue
		}
		kept = append(kept, o)
	}
	w.groups = kept
}

func (w *warp) drop(g *group) {
	for i, o := range w.groups {
		if o == g {
			w.groups = append(w.groups[:i], w.groups[i+1:]...)
			return
		}
	}
}

// split lets the lanes of g that are not in m go on at pc as a group of their own.
func (w *warp) split(g *group, m uint32, pc int) {
	w.groups = append(w.groups, &group{pc: pc, mask: g.mask &^ m, f: g.f})
	g.mask = m
}

// steps runs g until it reaches limit, waits, ends or diverges, or until the quantum is over.
func (w *warp) steps(g *group, limit, left int) int {
	code := g.f.fn.code
	pc := g.pc
	for ; left > 0 && pc < limit; left-- {
		in := &code[pc]
		w.in = in
		m := g.mask
		if in.pred >= 0 {
			guard := w.p[in.pred]
			if in.negated {
				guard = ^guard
			}
			m &= guard
		}
		w.count += int64(bits.OnesCount32(m))
		if in.kind == plain {
			if m != 0 {
				in.run(w, m)
			}
			pc++
			continue
		}
		if in.kind == branch {
			switch {
			case m == g.mask:
				pc = in.target
			case m == 0:
				pc++
			default:
				g.pc = in.target
				w.split(g, m, pc+1)
				return left - 1
			}
			continue
		}
		if m == 0 {
			pc++
			continue
		}
		g.pc = pc
		if m != g.mask {
			w.split(g, m, pc+1)
			limit = min(limit, pc+1)
		}
		if !w.control(g, in) {
			return left - 1
		}
		pc = g.pc
	}
	g.pc = pc
	return left
}

// control runs an instruction that is more than work on registers and memory for the group's lanes. It says whether
// the group goes on in the same frame at g.pc.
func (w *warp) control(g *group, in *instr) bool {
	switch in.kind {
	case together:
		need := in.need(w, g.mask)
		if !w.gathered(g, need) {
			return false
		}
		in.run(w, g.mask)
		g.pc++
		return true
	case barrier:
		return w.arrive(g, in)
	case branchTable:
		w.branchTable(g, in)
	case call:
		w.call(g, in)
	case ret:
		w.ret(g)
	case exit:
		w.exit(g)
	}
	return false
}

// gathered says whether all live lanes of need are in g, after joining groups that wait at the same place; else g waits.
func (w *warp) gathered(g *group, need uint32) bool {
	if need&w.live&^g.mask == 0 {
		return true
	}
	w.merge(g)
	if need&w.live&^g.mask == 0 {
		return true
	}
	g.wait, g.need = true, need
	return false
}

// exit ends the group's lanes.
func (w *warp) exit(g *group) {
	w.live &^= g.mask
	w.exited |= g.mask
	w.drop(g)
	w.b.exited(w)
}

func (w *warp) branchTable(g *group, in *instr) {
	rest := g.mask
	r := &w.r[in.target]
	w.drop(g)
	for rest != 0 {
		lane := bits.TrailingZeros32(rest)
		index := uint32(r[lane])
		if int(index) >= len(in.table) {
			w.fault(lane, ErrBounds, "index %d of %d branch targets", index, len(in.table))
		}
		var same uint32
		for i := range 32 {
			if rest>>i&1 != 0 && uint32(r[i]) == index {
				same |= 1 << i
			}
		}
		rest &^= same
		w.groups = append(w.groups, &group{pc: in.table[index], mask: same, f: g.f})
	}
}

// callOp is a call of a device function: where its arguments and results lie in the caller's parameter bytes.
type callOp struct {
	name    string
	fn      *function
	args    []*symbol
	results []*symbol
}

func (w *warp) call(g *group, in *instr) {
	op := in.call
	if op.fn == nil {
		w.fault(bits.TrailingZeros32(g.mask), ErrUnknown, "function %s has no body in this module", op.name)
	}
	if g.f.depth > 1000 {
		w.fault(bits.TrailingZeros32(g.mask), ErrBounds, "calls nest more than 1000 deep")
	}
	f := w.b.newFrame(w, op.fn, g.f)
	f.op, f.back = op, g.pc+1
	for lane := range 32 {
		from := w.params(lane)
		for i, a := range op.args {
			to := op.fn.params[i]
			copy(f.params[lane*op.fn.paramSize+to.off:][:to.size], from[a.off:][:a.size])
		}
	}
	g.f, g.pc = f, 0
}

func (w *warp) ret(g *group) {
	f := g.f
	if f.up == nil {
		w.exit(g)
		return
	}
	for lane := range 32 {
		if g.mask>>lane&1 == 0 {
			continue
		}
		for i, a := range f.op.results {
			from := f.fn.results[i]
			copy(f.up.params[lane*f.up.fn.paramSize+a.off:][:a.size], f.params[lane*f.fn.paramSize+from.off:][:from.size])
		}
	}
	g.f, g.pc = f.up, f.back
}
