package store

import (
	"sync"
	"sync/atomic"
)

// worker does transfers one after the other in the order they were asked for, beside the computation. That order is
// what keeps a buffer's write before the next read into it.
type worker struct {
	jobs    chan func()
	pending sync.WaitGroup
	in, out counter
	first   atomic.Pointer[error]
}

func newWorker() *worker {
	w := &worker{jobs: make(chan func(), 16)}
	go func() {
		for f := range w.jobs {
			f()
			w.pending.Done()
		}
	}()
	return w
}

func (w *worker) do(f func()) {
	w.pending.Add(1)
	w.jobs <- f
}

// fail keeps the first error of a write, which nobody waits for.
func (w *worker) fail(err error) {
	if err != nil {
		w.first.CompareAndSwap(nil, &err)
	}
}

func (w *worker) err() error {
	if e := w.first.Load(); e != nil {
		return *e
	}
	return nil
}

// drain waits until everything asked for is done.
func (w *worker) drain() error {
	w.pending.Wait()
	return w.err()
}

func (w *worker) stop() { close(w.jobs) }

// counter adds up bytes from one goroutine for another.
type counter struct{ n atomic.Int64 }

func (c *counter) add(n int)    { c.n.Add(int64(n)) }
func (c *counter) value() int64 { return c.n.Load() }
