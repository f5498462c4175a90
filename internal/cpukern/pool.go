package cpukern

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// pool is the device's threads: the caller and threads−1 goroutines that wait for work. Each has a workspace.
type pool struct {
	mu   sync.Mutex // one operation at a time
	ws   []*workspace
	wake []chan struct{}

	task func(ws *workspace, i int)
	n    int64
	next atomic.Int64
	done sync.WaitGroup
}

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
			c := make(chan struct{}, 1)
			p.wake = append(p.wake, c)
			go p.worker(ws, c)
		}
	}
	return p, nil
}

// run calls task for 0 … n−1, each exactly once, on whichever thread is free, and returns when all are done.
// A task may only write what no other task of the call touches.
func (p *pool) run(n int, task func(ws *workspace, i int)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n <= 1 || len(p.wake) == 0 {
		for i := range n {
			p.ws[0].reset()
			task(p.ws[0], i)
		}
		return
	}
	p.task, p.n = task, int64(n)
	p.next.Store(0)
	helpers := min(n-1, len(p.wake))
	p.done.Add(helpers)
	for _, c := range p.wake[:helpers] {
		c <- struct{}{}
	}
	p.drain(p.ws[0])
	p.done.Wait()
	p.task = nil
}

func (p *pool) worker(ws *workspace, wake chan struct{}) {
	for range wake {
		p.drain(ws)
		p.done.Done()
	}
}

func (p *pool) drain(ws *workspace) {
	for i := p.next.Add(1) - 1; i < p.n; i = p.next.Add(1) - 1 {
		ws.reset()
		p.task(ws, int(i))
	}
}

// blocks calls task for the ranges [lo, hi) of size block that cover n; index numbers them.
func (p *pool) blocks(n, block int, task func(ws *workspace, index, lo, hi int)) {
	p.run(ceilDiv(n, block), func(ws *workspace, i int) {
		task(ws, i, i*block, min(n, (i+1)*block))
	})
}

func (p *pool) close() {
	for _, c := range p.wake {
		close(c)
	}
	for _, ws := range p.ws {
		ws.close()
	}
	p.wake, p.ws = nil, nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
func roundUp(a, b int) int { return ceilDiv(a, b) * b }
