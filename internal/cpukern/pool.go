package cpukern

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// pool is the device's threads: the caller and threads−1 goroutines that wait for work. Each has a workspace. An operation is often shorter
// than it takes to wake a sleeping thread, and the next one follows at once: so who waits looks for a moment before it sleeps.
type pool struct {
	mu      sync.Mutex // one operation at a time
	ws      []*workspace
	helpers []*helper

	task func(ws *workspace, i int)
	n    int64
	next atomic.Int64

	call atomic.Uint64 // counts operations; in the low bits, how many helpers take part
	busy countdown     // of those that take part
}

// helper is one of the goroutines.
type helper struct {
	number   uint64
	sleeping atomic.Bool
	wake     chan struct{} // closed: the end
}

const (
	helperBits = 16
	looks      = 1 << 14 // before sleeping: some 20 µs
)

func newPool(threads int) (*pool, error) {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &pool{}
	for i := range threads {
		ws, err := newWorkspace(workspaceBytes)
		if err != nil {
			p.close()
			return nil, err
		}
		p.ws = append(p.ws, ws)
		if i > 0 {
			h := &helper{number: uint64(i - 1), wake: make(chan struct{}, 1)}
			p.helpers = append(p.helpers, h)
			go p.help(h, ws)
		}
	}
	return p, nil
}

// run calls task for 0 … n−1, each exactly once, on whichever thread is free, and returns when all are done.
// A task may only write what no other task of the call touches.
func (p *pool) run(n int, task func(ws *workspace, i int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n <= 1 || len(p.helpers) == 0 {
		for i := range n {
			p.ws[0].reset()
			task(p.ws[0], i)
		}
		return
	}
	p.task, p.n = task, int64(n)
	p.next.Store(0)
	with := min(n-1, len(p.helpers))
	p.busy.add(with)
	p.call.Store((p.call.Load()>>helperBits+1)<<helperBits | uint64(with))
	for _, h := range p.helpers[:with] {
		if h.sleeping.CompareAndSwap(true, false) {
			h.wake <- struct{}{}
		}
	}
	p.drain(p.ws[0])
	p.busy.wait()
	p.task = nil
}

func (p *pool) help(h *helper, ws *workspace) {
	seen := uint64(0)
	for {
		call, ok := p.nextCall(h, seen)
		if !ok {
			return
		}
		if seen = call; h.number >= call&(1<<helperBits-1) {
			continue
		}
		p.drain(ws)
		p.busy.done()
	}
}

// nextCall waits for another operation than the one seen last; not ok: there will be none.
//
// A wake-up says nothing of the operation: a caller that was held up between the start of an operation and its wake-ups wakes a helper
// that has seen the call, taken part, and fallen asleep again. It must not take part twice.
func (p *pool) nextCall(h *helper, seen uint64) (call uint64, ok bool) {
	for {
		for range looks {
			if call := p.call.Load(); call != seen {
				return call, true
			}
		}
		h.sleeping.Store(true)
		if call := p.call.Load(); call != seen && h.sleeping.CompareAndSwap(true, false) {
			return call, true
		}
		if _, ok := <-h.wake; !ok {
			return 0, false
		}
	}
}

func (p *pool) drain(ws *workspace) {
	for i := p.next.Add(1) - 1; i < p.n; i = p.next.Add(1) - 1 {
		ws.reset()
		p.task(ws, int(i))
	}
}

// countdown is a WaitGroup whose waiters look for a moment before they sleep.
type countdown struct {
	left atomic.Int64
	all  sync.WaitGroup
}

func (c *countdown) add(n int) {
	c.left.Add(int64(n))
	c.all.Add(n)
}

func (c *countdown) done() {
	c.left.Add(-1)
	c.all.Done()
}

func (c *countdown) wait() {
	for range looks {
		if c.left.Load() == 0 {
			return
		}
	}
	c.all.Wait()
}

// blocks calls task for the ranges [lo, hi) of size block that cover n; index numbers them.
func (p *pool) blocks(n, block int, task func(ws *workspace, index, lo, hi int)) {
	p.run(ceilDiv(n, block), func(ws *workspace, i int) {
		task(ws, i, i*block, min(n, (i+1)*block))
	})
}

func (p *pool) close() {
	for _, h := range p.helpers {
		close(h.wake)
	}
	for _, ws := range p.ws {
		ws.close()
	}
	p.helpers, p.ws = nil, nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
func roundUp(a, b int) int { return ceilDiv(a, b) * b }
