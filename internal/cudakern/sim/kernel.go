package sim

import (
	"errors"
	"fmt"
	"sync"

	"lomo/internal/cudakern/driver"
	"lomo/internal/ptx"
)

const (
	defaultShared = 48 << 10 // bytes of shared memory a block has without SetShared
	maxShared     = 99 << 10 // what an sm_86 block may have
	maxThreads    = 1024     // of a block
)

// module is PTX as one card has loaded it.
type module struct {
	c *card
	m *ptx.Module
}

// function is a kernel of a module. Params, the bytes of each parameter, is there for the simulated libcuda.
type function struct {
	c      *card
	k      *ptx.Kernel
	shared int // bytes of dynamic shared memory allowed
}

func (c *card) Load(text string) (driver.Module, error) {
	const call = "cuModuleLoadDataEx"
	defer c.leave()
	if err := c.enter(call); err != nil {
		return nil, err
	}
	m, err := parse(text)
	if err != nil {
		return nil, c.refuse(call, driver.InvalidPTX, "%v", err)
	}
	return &module{c, m}, nil
}

// parsed keeps what was parsed: eight cards load the same text, and tests open many cards.
var parsed sync.Map

// parse is ptx.Parse, once a text.
func parse(text string) (*ptx.Module, error) {
	if m, ok := parsed.Load(text); ok {
		return m.(*ptx.Module).Clone(), nil
	}
	m, err := ptx.Parse(text)
	if err != nil {
		return nil, err
	}
	parsed.Store(text, m)
	return m.Clone(), nil
}

func (m *module) Function(name string) (driver.Function, error) {
	const call = "cuModuleGetFunction"
	defer m.c.leave()
	if err := m.c.enter(call); err != nil {
		return nil, err
	}
	k := m.m.Kernel(name)
	if k == nil {
		return nil, m.c.refuse(call, driver.NotFound, "kernel %s", name)
	}
	return &function{c: m.c, k: k, shared: defaultShared - k.Static}, nil
}

// Params is the bytes of each parameter of f, which must come from a Machine.
func Params(f driver.Function) []int {
	var sizes []int
	for _, p := range f.(*function).k.Params {
		sizes = append(sizes, p.Size)
	}
	return sizes
}

func (f *function) SetShared(bytes int) error {
	const call = "cuFuncSetAttribute"
	defer f.c.leave()
	if err := f.c.enter(call); err != nil {
		return err
	}
	if bytes < 0 || bytes+f.k.Static > maxShared {
		return f.c.refuse(call, driver.InvalidValue, "kernel %s: %d bytes of dynamic shared memory beside %d, a block has %d", f.k.Name, bytes, f.k.Static, maxShared)
	}
	f.shared = max(f.shared, bytes)
	return nil
}

// Launch queues a kernel. What the driver would refuse is refused now, what the kernel does wrong sticks when it runs.
func (s *stream) Launch(fn driver.Function, grid, block [3]int, shared int, args []uint64) error {
	const call = "cuLaunchKernel"
	c := s.c
	defer c.leave()
	if err := c.enter(call); err != nil {
		return err
	}
	f, ok := fn.(*function)
	if !ok || f.c != c {
		return c.refuse(call, driver.InvalidHandle, "the kernel was not loaded on this card")
	}
	if why := f.refuses(grid, block, shared, args); why != "" {
		return c.refuse(call, driver.InvalidValue, "kernel %s: %s", f.k.Name, why)
	}
	l := ptx.Launch{Grid: grid, Block: block, Shared: shared, Args: append([]uint64(nil), args...)}
	s.push(call, func() error {
		if err := c.faults.lost(c.index); err != nil {
			return err
		}
		times := 1
		if t := c.m.tamper; t != nil {
			times = t(c.index, f.k.Name, l.Args)
		}
		for range times {
			if _, err := f.k.Run(view{c}, l, ptx.Options{}); err != nil {
				return launchError(c.index, err)
			}
		}
		return nil
	})
	return nil
}

// refuses says what is wrong with a launch, "" if nothing is.
func (f *function) refuses(grid, block [3]int, shared int, args []uint64) string {
	switch {
	case min(grid[0], grid[1], grid[2]) < 1 || max(grid[1], grid[2]) > 65535 || grid[0] > 1<<31-1:
		return fmt.Sprintf("grid %v", grid)
	case min(block[0], block[1], block[2]) < 1 || block[2] > 64 || block[0]*block[1]*block[2] > maxThreads:
		return fmt.Sprintf("block %v", block)
	case shared > f.shared:
		return fmt.Sprintf("%d bytes of dynamic shared memory, %d are allowed", shared, f.shared)
	case len(args) != len(f.k.Params):
		return fmt.Sprintf("%d arguments for %d parameters", len(args), len(f.k.Params))
	}
	if m := f.k.MaxNTID; m[0] > 0 && block[0]*block[1]*block[2] > m[0]*max(m[1], 1)*max(m[2], 1) {
		return fmt.Sprintf("block %v, it was compiled for at most %v", block, m)
	}
	return ""
}

// view is memory as the kernels of one card see it.
type view struct{ c *card }

func (v view) Range(addr uint64, n int, write bool) ([]byte, error) {
	return v.c.m.at(v.c, addr, int64(n))
}

// launchError gives a kernel's fault the code that a card would.
func launchError(card int, err error) error {
	if err == nil {
		return nil
	}
	code := driver.LaunchFailed
	switch {
	case errors.Is(err, ptx.ErrBounds):
		code = driver.IllegalAddress
	case errors.Is(err, ptx.ErrMisaligned):
		code = driver.MisalignedAddress
	}
	return &driver.Error{Call: "cuLaunchKernel", Card: card, Code: code, Detail: err.Error()}
}
