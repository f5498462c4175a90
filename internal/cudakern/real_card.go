//go:build cuda

package cudakern

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"unsafe"

	"gorgonia.org/cu"

	"lomo/internal/cudakern/driver"
)

// realCard is a card with its primary context. A context is current for a thread, and a goroutine may change threads between any
// two calls; so every method makes it current first, for some 50 ns.
type realCard struct {
	dev   cu.Device
	ctx   cu.CUContext
	index int
	info  driver.Info

	modules []cu.Module
	streams []cu.Stream
	events  []cu.Event
}

// resultCode is the number behind cu's error, whose type is not exported.
func resultCode(err error) driver.Code {
	if v := reflect.ValueOf(err); v.Kind() == reflect.Int {
		return driver.Code(v.Int())
	}
	return driver.Unknown
}

// do runs f with the card's context current.
func (c *realCard) do(call string, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.SetCurrentContext(c.ctx); err != nil {
		return callError("cuCtxSetCurrent", c.index, err)
	}
	return callError(call, c.index, f())
}

// code runs f, which gives the driver's code, likewise.
func (c *realCard) code(call string, f func() driver.Code) error {
	var code driver.Code
	if err := c.do(call, func() error { code = f(); return nil }); err != nil {
		return err
	}
	return codeError(call, c.index, code)
}

func (c *realCard) Info() driver.Info { return c.info }

// maxSharedOptIn is CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, which cu does not name.
const maxSharedOptIn = cu.DeviceAttribute(97)

func (c *realCard) readInfo() (driver.Info, error) {
	info := driver.Info{Index: c.index}
	var err error
	if info.Name, err = c.dev.Name(); err != nil {
		return info, callError("cuDeviceGetName", c.index, err)
	}
	id, err := c.dev.UUID()
	if err != nil {
		return info, callError("cuDeviceGetUuid", c.index, err)
	}
	info.UUID = "GPU-" + id.String()
	var domain, bus, slot int
	for _, a := range []struct {
		what cu.DeviceAttribute
		to   *int
	}{
		{cu.ComputeCapabilityMajor, &info.Major}, {cu.ComputeCapabilityMinor, &info.Minor}, {cu.MultiprocessorCount, &info.Multiprocessors},
		{cu.ClockRate, &info.ClockKHz}, {cu.MemoryClockRate, &info.MemoryClockKHz}, {cu.GlobalMemoryBusWidth, &info.BusBits},
		{maxSharedOptIn, &info.SharedPerBlock}, {cu.L2CacheSize, &info.L2Bytes},
		{cu.PciDomainID, &domain}, {cu.PciBusID, &bus}, {cu.PciDeviceID, &slot},
	} {
		if *a.to, err = c.dev.Attribute(a.what); err != nil {
			return info, callError(fmt.Sprintf("cuDeviceGetAttribute %d", a.what), c.index, err)
		}
	}
	info.PCI = fmt.Sprintf("%04x:%02x:%02x.0", domain, bus, slot)
	return info, nil
}

func (c *realCard) Memory() (free, total int64, err error) {
	err = c.do("cuMemGetInfo", func() error {
		free, total, err = cu.MemInfo()
		return err
	})
	return free, total, err
}

func (c *realCard) Alloc(bytes int64) (addr uint64, err error) {
	err = c.do("cuMemAlloc", func() error {
		p, err := cu.MemAlloc(bytes)
		addr = uint64(p)
		return err
	})
	return addr, err
}

func (c *realCard) Free(addr uint64) error {
	return c.do("cuMemFree", func() error { return cu.MemFree(cu.DevicePtr(addr)) })
}

func (c *realCard) AllocHost(bytes int64) (b []byte, err error) {
	err = c.code("cuMemHostAlloc", func() (code driver.Code) {
		b, code = allocHost(bytes)
		return code
	})
	return b, err
}

func (c *realCard) FreeHost(b []byte) error {
	return c.do("cuMemFreeHost", func() error { return cu.MemFreeHost(unsafe.Pointer(unsafe.SliceData(b))) })
}

func (c *realCard) Load(ptx string) (driver.Module, error) {
	var m cu.Module
	var log string
	err := c.code("cuModuleLoadDataEx", func() (code driver.Code) {
		m, code, log = loadModule(ptx)
		return code
	})
	if err != nil {
		var e *driver.Error
		if errors.As(err, &e) && log != "" {
			e.Detail = log
		}
		return nil, err
	}
	c.modules = append(c.modules, m)
	return &realModule{c, m}, nil
}

func (c *realCard) NewStream() (driver.Stream, error) {
	var s cu.Stream
	err := c.do("cuStreamCreate", func() (err error) {
		s, err = cu.MakeStream(cu.NonBlocking)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.streams = append(c.streams, s)
	return &realStream{c: c, s: s}, nil
}

func (c *realCard) NewEvent() (driver.Event, error) {
	var e cu.Event
	err := c.do("cuEventCreate", func() (err error) {
		e, err = cu.MakeEvent(cu.BlockingSyncEvent)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.events = append(c.events, e)
	return &realEvent{c, e}, nil
}

func (c *realCard) CanAccessPeer(other driver.Device) bool {
	o, ok := other.(*realCard)
	if !ok || o.dev == c.dev {
		return false
	}
	can, err := c.dev.CanAccessPeer(o.dev)
	return err == nil && can != 0
}

func (c *realCard) EnablePeer(other driver.Device) error {
	return c.do("cuCtxEnablePeerAccess", func() error { return other.(*realCard).ctx.EnablePeerAccess(0) })
}

func (c *realCard) CopyPeer(dst uint64, to driver.Device, src uint64, from driver.Device, bytes int64, s driver.Stream) error {
	return c.do("cuMemcpyPeerAsync", func() error {
		return cu.MemcpyPeerAsync(cu.DevicePtr(dst), to.(*realCard).ctx, cu.DevicePtr(src), from.(*realCard).ctx, bytes, s.(*realStream).s)
	})
}

func (c *realCard) Synchronize() error { return c.do("cuCtxSynchronize", cu.Synchronize) }

// Close gives back what this opening made. After a fault the calls fail, and the driver cleans up when the process ends.
func (c *realCard) Close() error {
	err := c.do("close", func() (err error) {
		for i := range c.events {
			err = first(err, cu.DestroyEvent(&c.events[i]))
		}
		for i := range c.streams {
			err = first(err, c.streams[i].Destroy())
		}
		for _, m := range c.modules {
			err = first(err, m.Unload())
		}
		return err
	})
	c.events, c.streams, c.modules = nil, nil, nil
	return first(err, callError("cuDevicePrimaryCtxRelease", c.index, c.dev.ReleasePrimaryCtx()))
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
