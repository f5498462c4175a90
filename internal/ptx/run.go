package ptx

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Memory is the global memory of one card. Blocks run on several goroutines, which call it at the same time.
type Memory interface {
	// Range is the n bytes at a device address, or an error that says why a kernel may not touch them: no allocation there,
	// freed, another card's. n is at most 16 but for Whole.
	Range(addr uint64, n int, write bool) ([]byte, error)
}

// Allocations is a Memory that can also tell the allocation around an address, all of which may be read and written. Looking
// up is then done once for many accesses.
type Allocations interface {
	Memory
	// Whole is the allocation that holds addr and its first address, or nil.
	Whole(addr uint64) (base uint64, data []byte)
}

// Launch is a grid, as cuLaunchKernel takes it.
type Launch struct {
	Grid, Block [3]int
	Shared      int      // bytes of dynamic shared memory
	Args        []uint64 // a slot a parameter, of which the parameter's size is used
}

// Options are how a launch is run. The zero value is right: all processors, all checks.
type Options struct {
	Workers         int   // goroutines that run blocks; 0: GOMAXPROCS
	Unchecked       bool  // no checks but those of global memory's bounds and of barriers
	MaxInstructions int64 // thread instructions of the launch; 0: 20 thousand million
}

// Stats is what a launch took.
type Stats struct {
	Instructions int64 // by threads: a warp instruction counts its active lanes
}

// launch is what all blocks of a grid share.
type launch struct {
	Launch
	k       *Kernel
	m       Memory
	whole   Allocations // m, if it can
	o       Options
	params  []byte
	shared  int // bytes of shared memory a block
	dynamic int // where dynamic shared memory begins
	warps   int

	next  atomic.Int64 // the block to take next
	count atomic.Int64
	bad   atomic.Int64 // the lowest block that failed; the number of blocks while none has
	order inOrder
}

// inOrder is what blocks do one after the other, from block 0 up, however they were run.
type inOrder struct {
	sync.Mutex
	changed *sync.Cond
	turn    int64 // the block whose turn it is
	count   int64 // thread instructions of the blocks before it
	touched map[uint64]*touchedPage
	err     error // of block bad
}

// Run executes the grid. On a failure, a *Fault where a thread caused it, what other threads did remains done. The failure is
// the lowest block's, whatever the order in which workers took them: blocks below one that has failed are run to their end.
// Only a kernel that lets blocks see one another's atomics can fail otherwise each time.
func (k *Kernel) Run(m Memory, args Launch, o Options) (Stats, error) {
	l, err := newLaunch(k, m, args, o)
	if err != nil {
		return Stats{}, fmt.Errorf("kernel %s: %w", k.Name, err)
	}
	blocks := int64(l.Grid[0]) * int64(l.Grid[1]) * int64(l.Grid[2])
	l.bad.Store(blocks)
	l.order.changed = sync.NewCond(&l.order)
	var wait sync.WaitGroup
	for range min(int64(l.o.Workers), blocks) {
		wait.Go(func() { l.work() })
	}
	wait.Wait()
	return Stats{Instructions: l.count.Load()}, l.order.err
}

func newLaunch(k *Kernel, m Memory, args Launch, o Options) (*launch, error) {
	l := &launch{Launch: args, k: k, m: m, o: o}
	l.whole, _ = m.(Allocations)
	if l.o.Workers <= 0 {
		l.o.Workers = runtime.GOMAXPROCS(0)
	}
	if l.o.MaxInstructions <= 0 {
		l.o.MaxInstructions = 20e9
	}
	threads := 1
	for i, limit := range [3]int{1024, 1024, 64} {
		if l.Block[i] < 1 || l.Block[i] > limit || l.Grid[i] < 1 || i > 0 && l.Grid[i] > 65535 || l.Grid[i] > 1<<31-1 {
			return nil, fmt.Errorf("grid %v of blocks %v is not allowed", l.Grid, l.Block)
		}
		if threads *= l.Block[i]; k.MaxNTID[i] > 0 && l.Block[i] > k.MaxNTID[i] {
			return nil, fmt.Errorf("blocks of %v threads, compiled for at most %v", l.Block, k.MaxNTID)
		}
	}
	if threads > 1024 {
		return nil, fmt.Errorf("blocks of %v are %d threads, at most 1024 are allowed", l.Block, threads)
	}
	l.warps = (threads + 31) / 32
	if len(l.Args) != len(k.Params) {
		return nil, fmt.Errorf("%d arguments for %d parameters", len(l.Args), len(k.Params))
	}
	l.params = make([]byte, k.fn.paramSize)
	for i, p := range k.Params {
		if p.Size > 8 {
			return nil, fmt.Errorf("parameter %s has %d bytes, at most 8 are supported", p.Name, p.Size)
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], l.Args[i])
		copy(l.params[p.Offset:], b[:p.Size])
	}
	l.dynamic = (k.Static + 15) &^ 15
	l.shared = l.dynamic + l.Shared
	if limit := 99 << 10; l.Shared < 0 || l.shared > limit {
		return nil, fmt.Errorf("%d bytes of static and %d of dynamic shared memory, at most %d are there", k.Static, l.Shared, limit)
	}
	return l, nil
}

// work runs blocks until none is left that could be the lowest to fail.
func (l *launch) work() {
	b := l.k.blocks.take(l)
	defer l.k.blocks.give(b)
	for {
		n := l.next.Add(1) - 1
		if n >= l.bad.Load() {
			return
		}
		l.ended(b, b.run(n))
	}
}

// ended takes the end of a block: a failure at once, so that blocks above it stop; what it did beside other blocks in its turn.
func (l *launch) ended(b *block, err error) {
	o := &l.order
	o.Lock()
	defer o.Unlock()
	for err == nil && o.turn < b.n && b.n < l.bad.Load() {
		o.changed.Wait()
	}
	if b.n > l.bad.Load() {
		return
	}
	if err == nil {
		err = b.beside(o)
	}
	if err != nil {
		l.bad.Store(b.n)
		o.err = err
	} else {
		o.turn++
	}
	o.changed.Broadcast()
}
