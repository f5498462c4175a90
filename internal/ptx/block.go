package ptx

import (
	"fmt"
	"math/bits"
	"strings"
	"sync"
)

// block is one thread block being run, and what a goroutine keeps from one block to the next.
type block struct {
	l     *launch
	k     *Kernel
	id    [3]int
	n     int64
	warps []*warp
	live  int // threads that have not exited

	executed int64 // thread instructions

	shared   []byte
	shadow   *shadow // with checks
	barriers [16]barrierState
	time     uint32 // see shadow.go
	start    uint32
	full     uint32
	order    [][]uint32

	pending *Fault // see warp.later
	global  globalCache
	pages   pages
}

// blocks keeps what blocks of a kernel were run with, for the next launch: a launch may be short.
type blocks struct {
	mu   sync.Mutex
	free []*block
}

// take is a block for l: one that has run before, if it was of the same size.
func (p *blocks) take(l *launch) *block {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.free) > 0 {
		b := p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
		if len(b.shared) == l.shared && len(b.warps) == l.warps && (b.order == nil) == l.o.Unchecked {
			b.l, b.global = l, globalCache{}
			for _, w := range b.warps {
				w.main.params = nil
			}
			return b
		}
	}
	return newBlock(l)
}

func (p *blocks) give(b *block) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.l = nil
	p.free = append(p.free, b)
}

func newBlock(l *launch) *block {
	b := &block{l: l, k: l.k, time: 1, shared: make([]byte, l.shared)}
	if !l.o.Unchecked {
		b.shadow = newShadow(spShared, l.shared)
		b.order = make([][]uint32, l.warps)
		for i := range b.order {
			b.order[i] = make([]uint32, l.warps)
		}
	}
	for i := range l.warps {
		w := &warp{b: b, id: i}
		w.main = frame{fn: l.k.fn, r: make([][32]uint64, l.k.fn.nregs), p: make([]uint32, l.k.fn.npreds)}
		if !l.o.Unchecked {
			w.lanes = new([32][32]uint32)
		}
		b.warps = append(b.warps, w)
	}
	return b
}

// run executes the nth block of the grid.
func (b *block) run(n int64) (err error) {
	b.begin(n)
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*Fault)
			if !ok {
				panic(r)
			}
			if b.pending != nil && f.Err != ErrRace && f.Err != ErrAsync && f.Err != ErrGlobalRace {
				f = b.pending
			}
			err = f
		}
	}()
	for running := true; running; {
		running = false
		for _, w := range b.warps {
			if len(w.groups) > 0 && w.run() {
				running = true
			}
		}
		if !running {
			running = b.released()
		}
	}
	b.checkStuck()
	if b.pending != nil {
		panic(b.pending)
	}
	return nil
}

// begin sets all threads to the kernel's first instruction.
func (b *block) begin(n int64) {
	g := b.l.Grid
	b.n = n
	b.id = [3]int{int(n % int64(g[0])), int(n / int64(g[0]) % int64(g[1])), int(n / int64(g[0]) / int64(g[1]))}
	b.live = b.l.Block[0] * b.l.Block[1] * b.l.Block[2]
	b.barriers, b.pending, b.executed = [16]barrierState{}, nil, 0
	b.time++
	b.start, b.full = b.time, b.time
	b.pages.begin(!b.l.o.Unchecked, g == [3]int{1, 1, 1})
	for i := range b.shared {
		b.shared[i] = 0xff // a NaN in every float format
	}
	for i, w := range b.warps {
		threads := min(32, b.live-32*i)
		w.live = uint32(mask(threads))
		w.f, w.exited = &w.main, 0
		w.count, w.turn, w.time, w.full = 0, 0, w.time+1, w.time+1
		w.copies.reset()
		copy(w.main.r, w.main.fn.init)
		clear(w.main.p)
		b.special(w, &w.main)
		w.groups = append(w.groups[:0], &group{mask: w.live, f: &w.main})
	}
}

// released says whether a warp can go on although none could a moment ago: a barrier completed by the last exits.
func (b *block) released() bool {
	for _, w := range b.warps {
		if w.pick() != nil {
			return true
		}
	}
	return false
}

// checkStuck fails if threads are left: nothing can make them go on.
func (b *block) checkStuck() {
	if b.live == 0 {
		return
	}
	var text []string
	var at *warp
	lane := 0
	for _, w := range b.warps {
		for _, g := range w.groups {
			in := &g.f.fn.code[g.pc]
			if at == nil {
				at, lane, w.in = w, lowest(g.mask), in
			}
			if len(text) < 6 {
				text = append(text, fmt.Sprintf("warp %d lanes %08x wait at line %d (%s)", w.id, g.mask, in.stmt.line, in.stmt.text()))
			}
		}
	}
	at.fault(lane, ErrDeadlock, "%d of %d threads wait for others that never come: %s", b.live,
		b.l.Block[0]*b.l.Block[1]*b.l.Block[2], strings.Join(text, "; "))
}

// exited accounts for lanes that the warp has just lost.
func (b *block) exited(w *warp) {
	before := b.live
	b.live = 0
	for _, o := range b.warps {
		b.live += bits.OnesCount32(o.live)
	}
	if b.live != before {
		b.completeImplicit()
	}
}

// tally adds what a warp has executed to the block's count and the launch's. A block alone may take as much as the launch: what
// others have taken by now depends on the workers, and is added in their order when it ends.
func (b *block) tally(w *warp) {
	b.l.count.Add(w.count)
	b.executed += w.count
	w.count = 0
	if b.executed > b.l.o.MaxInstructions {
		w.fault(lowest(w.live), ErrLimit, "%d thread instructions executed, %s", b.executed, b.l.limit())
	}
	if b.n > b.l.bad.Load() {
		w.fault(lowest(w.live), ErrLimit, "stopped: a block below has failed")
	}
}

func (l *launch) limit() string { return fmt.Sprintf("the launch may take %d", l.o.MaxInstructions) }

// newFrame is the frame of a call of fn by the running lanes of w.
func (b *block) newFrame(w *warp, fn *function, up *frame) *frame {
	f := &frame{fn: fn, r: make([][32]uint64, fn.nregs), p: make([]uint32, fn.npreds), params: make([]byte, 32*fn.paramSize),
		up: up, depth: up.depth + 1, local: up.local + (up.fn.localSize+15)&^15}
	copy(f.r, fn.init)
	b.special(w, f)
	return f
}

func lowest(m uint32) int { return bits.TrailingZeros32(m) & 31 }
