//go:build cuda

package cudakern

import (
	"unsafe"

	"gorgonia.org/cu"

	"lomo/internal/cudakern/driver"
)

type realModule struct {
	c *realCard
	m cu.Module
}

func (m *realModule) Function(name string) (driver.Function, error) {
	var f cu.Function
	err := m.c.do("cuModuleGetFunction "+name, func() (err error) {
		f, err = m.m.Function(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &realFunction{m.c, f}, nil
}

type realFunction struct {
	c *realCard
	f cu.Function
}

func (f *realFunction) SetShared(bytes int) error {
	return f.c.code("cuFuncSetAttribute", func() driver.Code { return setShared(f.f, bytes) })
}

type realStream struct {
	c      *realCard
	s      cu.Stream
	params []unsafe.Pointer // of Launch, kept to allocate nothing
}

// Launch: cu reads eight bytes behind each pointer.
func (s *realStream) Launch(f driver.Function, grid, block [3]int, shared int, args []uint64) error {
	s.params = s.params[:0]
	for i := range args {
		s.params = append(s.params, unsafe.Pointer(&args[i]))
	}
	return s.c.do("cuLaunchKernel", func() error {
		return f.(*realFunction).f.Launch(grid[0], grid[1], grid[2], block[0], block[1], block[2], shared, s.s, s.params)
	})
}

// CopyIn: from memory that is not pinned the driver copies aside before it returns.
func (s *realStream) CopyIn(dst uint64, src []byte) error {
	return s.c.do("cuMemcpyHtoDAsync", func() error {
		return cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Pointer(unsafe.SliceData(src)), int64(len(src)), s.s)
	})
}

// CopyOut: to memory that is not pinned the driver waits.
func (s *realStream) CopyOut(dst []byte, src uint64) error {
	return s.c.do("cuMemcpyDtoHAsync", func() error {
		return cu.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(dst)), cu.DevicePtr(src), int64(len(dst)), s.s)
	})
}

func (s *realStream) Copy(dst, src uint64, bytes int64) error {
	return s.c.do("cuMemcpyDtoDAsync", func() error { return cu.MemcpyDtoDAsync(cu.DevicePtr(dst), cu.DevicePtr(src), bytes, s.s) })
}

func (s *realStream) Set(dst uint64, value byte, bytes int64) error {
	return s.c.do("cuMemsetD8Async", func() error { return cu.MemsetD8Async(cu.DevicePtr(dst), value, bytes, s.s) })
}

func (s *realStream) Record(e driver.Event) error {
	return s.c.do("cuEventRecord", func() error { return e.(*realEvent).e.Record(s.s) })
}

func (s *realStream) Wait(e driver.Event) error {
	return s.c.do("cuStreamWaitEvent", func() error { return s.s.Wait(e.(*realEvent).e, 0) })
}

func (s *realStream) Synchronize() error { return s.c.do("cuStreamSynchronize", s.s.Synchronize) }

type realEvent struct {
	c *realCard
	e cu.Event
}

func (e *realEvent) Synchronize() error { return e.c.do("cuEventSynchronize", e.e.Synchronize) }

func (e *realEvent) Since(start driver.Event) (ms float64, err error) {
	err = e.c.do("cuEventElapsedTime", func() error {
		ms, err = start.(*realEvent).e.Elapsed(e.e)
		return err
	})
	return ms, err
}
