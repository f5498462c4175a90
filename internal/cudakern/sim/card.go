package sim

import (
	"errors"
	"fmt"

	"lomo/internal/cudakern/driver"
)

// card is one device.
type card struct {
	m       *Machine
	index   int
	open    int // how often Open gave it and Close did not take it
	space   space
	streams []*stream
	peers   map[int]bool
	err     error // the fault that sticks
	faults  faults
}

func newCard(m *Machine, index int) *card {
	base := uint64(index+1) << cardShift
	return &card{m: m, index: index, space: space{next: base + gap + align}, peers: map[int]bool{}}
}

// reset gives back what the card holds.
func (c *card) reset() {
	for len(c.space.live) > 0 {
		held, _ := c.space.release(c.space.live[0].addr) // of a machine that goes away
		c.m.resident.Add(-held)
	}
	for _, s := range c.streams {
		for _, j := range s.queue {
			c.m.staged -= j.aside
		}
	}
	c.streams = nil
}

// check is the fault that sticks, as a failure of call.
func (c *card) check(call string) error {
	if c.err == nil {
		return nil
	}
	var e *driver.Error
	if errors.As(c.err, &e) {
		return &driver.Error{Call: call, Card: c.index, Code: e.Code, Detail: e.Detail}
	}
	return c.err
}

// refuse is a failure of this call alone.
func (c *card) refuse(call string, code driver.Code, format string, args ...any) error {
	return &driver.Error{Call: call, Card: c.index, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// enter locks the machine and reports a fault that sticks. The caller defers leave.
func (c *card) enter(call string) error {
	c.m.mu.Lock()
	return c.check(call)
}

func (c *card) leave() { c.m.mu.Unlock() }

func (c *card) Info() driver.Info {
	return driver.Info{
		Index: c.index, Name: "simulated RTX 3090", UUID: fmt.Sprintf("GPU-51b0c0de-0000-0000-0000-%012x", c.index), PCI: fmt.Sprintf("0000:%02x:00.0", c.index+1),
		Major: 8, Minor: 6, Multiprocessors: 82, ClockKHz: 1695000, MemoryClockKHz: 9751000, BusBits: 384, SharedPerBlock: maxShared, L2Bytes: 6 << 20,
	}
}

func (c *card) Memory() (free, total int64, err error) {
	defer c.leave()
	if err := c.enter("cuMemGetInfo"); err != nil {
		return 0, 0, err
	}
	return c.free(), c.m.opts.Memory, nil
}

func (c *card) free() int64 { return c.m.opts.Memory - contextBytes - c.space.used }

func (c *card) Alloc(bytes int64) (uint64, error) {
	defer c.leave()
	if err := c.enter("cuMemAlloc"); err != nil {
		return 0, err
	}
	switch {
	case bytes <= 0:
		return 0, c.refuse("cuMemAlloc", driver.InvalidValue, "%d bytes", bytes)
	case footprint(bytes) > c.free() || c.faults.refuseAlloc():
		return 0, c.refuse("cuMemAlloc", driver.OutOfMemory, "%d bytes wanted, %d of %d free", bytes, c.free(), c.m.opts.Memory)
	}
	a, err := c.space.take(bytes)
	if err != nil {
		return 0, c.refuse("cuMemAlloc", driver.OutOfMemory, "%v", err)
	}
	return a.addr, nil
}

// Free does not wait: what is queued and touches the memory fails, as it may on a card.
func (c *card) Free(addr uint64) error {
	defer c.leave()
	if err := c.enter("cuMemFree"); err != nil {
		return err
	}
	held, err := c.space.release(addr)
	if err != nil {
		return c.refuse("cuMemFree", driver.InvalidValue, "address %#x begins no allocation; %s", addr, c.space.describe(addr))
	}
	c.m.resident.Add(-held)
	return nil
}

func (c *card) AllocHost(bytes int64) ([]byte, error) {
	defer c.leave()
	if err := c.enter("cuMemHostAlloc"); err != nil {
		return nil, err
	}
	b, err := c.m.host.alloc(bytes)
	if err != nil {
		return nil, c.refuse("cuMemHostAlloc", driver.OutOfMemory, "%v", err)
	}
	return b, nil
}

func (c *card) FreeHost(b []byte) error {
	defer c.leave()
	if err := c.enter("cuMemFreeHost"); err != nil {
		return err
	}
	if err := c.m.host.release(b); err != nil {
		return c.refuse("cuMemFreeHost", driver.InvalidValue, "%v", err)
	}
	return nil
}

// sibling is other as a card of this machine.
func (c *card) sibling(call string, other driver.Device) (*card, error) {
	o, ok := other.(*card)
	if !ok || o.m != c.m {
		return nil, c.refuse(call, driver.InvalidDevice, "%T is no card of this machine", other)
	}
	return o, nil
}

func (c *card) CanAccessPeer(other driver.Device) bool {
	o, err := c.sibling("cuDeviceCanAccessPeer", other)
	return err == nil && o != c && c.m.opts.Peers
}

func (c *card) EnablePeer(other driver.Device) error {
	defer c.leave()
	if err := c.enter("cuCtxEnablePeerAccess"); err != nil {
		return err
	}
	o, err := c.sibling("cuCtxEnablePeerAccess", other)
	switch {
	case err != nil:
		return err
	case o == c || !c.m.opts.Peers:
		return c.refuse("cuCtxEnablePeerAccess", driver.InvalidDevice, "card %d cannot be addressed", o.index)
	case c.peers[o.index]:
		return c.refuse("cuCtxEnablePeerAccess", driver.PeerAlreadyEnabled, "card %d", o.index)
	}
	c.peers[o.index] = true
	return nil
}

func (c *card) Synchronize() error {
	defer c.leave()
	if err := c.enter("cuCtxSynchronize"); err != nil {
		return err
	}
	for _, s := range c.streams {
		s.drain()
	}
	return c.check("cuCtxSynchronize")
}

// Close drops the caller's hold. With the last one everything the card has is gone, queued work included.
func (c *card) Close() error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.open--; c.open == 0 {
		c.reset()
		c.peers = map[int]bool{}
	}
	return nil
}
