package ptx

import "math/bits"

// barrierOp is a decoded bar or barrier instruction.
type barrierOp struct {
	id, threads int // registers; threads -1: all of the block
	aligned     bool
	arrive      bool // does not wait
	red         byte // p (popc), a (and), o (or), 0 none
	dst         int  // of red: register or predicate
	src         int  // of red: predicate
	negated     bool
}

// barrierState is one of a block's 16 barriers: who has arrived since it last completed.
type barrierState struct {
	waiting  []arrival
	threads  int // arrived, each lane counted
	rounded  int // arrived, whole warps counted, as an explicit number of threads wants it
	expected int // 0: all live threads of the block
	votes    int
	all      bool
}

type arrival struct {
	w     *warp
	g     *group // nil: it did not wait
	op    *barrierOp
	until uint32 // accesses of the warp before this time are ordered by the barrier
}

// arrive brings the group's lanes to a barrier. It says whether they go on at once.
func (w *warp) arrive(g *group, in *instr) bool {
	op, b := in.bar, w.b
	lane := lowest(g.mask)
	if op.aligned && w.exited != 0 {
		w.fault(lane, ErrDeadlock, "lanes %#x of the warp have exited: all of a warp must come to the same barrier", w.exited)
	}
	if op.aligned && !w.gathered(g, w.live) {
		return false
	}
	id := w.r[op.id][lane]
	if id > 15 {
		w.fault(lane, ErrUnknown, "barrier %d, there are 16", id)
	}
	s := &b.barriers[id]
	expected := 0
	if op.threads >= 0 {
		expected = int(w.r[op.threads][lane])
		if expected == 0 || expected%32 != 0 {
			w.fault(lane, ErrDeadlock, "a barrier for %d threads, want a multiple of 32", expected)
		}
	}
	if len(s.waiting) > 0 && s.expected != expected {
		w.fault(lane, ErrDeadlock, "barrier %d awaits %d threads for some and %d for others", id, s.expected, expected)
	}
	if len(s.waiting) == 0 {
		*s = barrierState{waiting: s.waiting[:0], expected: expected, all: true}
	}
	s.threads += bits.OnesCount32(g.mask)
	s.rounded += 32
	if op.red != 0 {
		v := w.p[op.src]
		if op.negated {
			v = ^v
		}
		yes := bits.OnesCount32(v & g.mask)
		s.votes += yes
		s.all = s.all && yes == bits.OnesCount32(g.mask)
	}
	a := arrival{w: w, g: g, op: op, until: b.time + 1}
	if op.arrive {
		a.g = nil
		b.time++
		g.pc++
	} else {
		g.atBar = true
	}
	s.waiting = append(s.waiting, a)
	if s.complete(b) {
		s.release(b)
	}
	return !g.atBar && op.arrive
}

func (s *barrierState) complete(b *block) bool {
	if len(s.waiting) == 0 {
		return false
	}
	if s.expected == 0 {
		return s.threads >= b.live
	}
	return s.rounded >= s.expected
}

// completeImplicit looks again at barriers for all threads, after some have exited.
func (b *block) completeImplicit() {
	for i := range b.barriers {
		if s := &b.barriers[i]; s.expected == 0 && s.complete(b) {
			s.release(b)
		}
	}
}

// release lets all that wait go on and orders memory between them.
func (s *barrierState) release(b *block) {
	b.ordered(s.waiting, s.expected == 0)
	for _, a := range s.waiting {
		if a.g == nil {
			continue
		}
		a.g.atBar = false
		a.g.pc++
		switch a.op.red {
		case 'p':
			for lane := range 32 {
				if a.g.mask>>lane&1 != 0 {
					a.g.f.r[a.op.dst][lane] = uint64(s.votes)
				}
			}
		case 'a', 'o':
			v := a.op.red == 'a' && s.all || a.op.red == 'o' && s.votes > 0
			p := &a.g.f.p[a.op.dst]
			*p &^= a.g.mask
			if v {
				*p |= a.g.mask
			}
		}
	}
	s.waiting = s.waiting[:0]
}
