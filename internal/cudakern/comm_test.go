package cudakern

import (
	"errors"
	"fmt"
	"testing"

	"lomo/internal/commtest"
	"lomo/internal/cudakern/driver"
	"lomo/internal/cudakern/sim"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// group is ranks on the cards of a simulated machine.
func group(t *testing.T, m *sim.Machine, size int) commtest.Group { return groupOn(t, m, m, size) }

// groupOn is a group whose ranks reach m through drv.
func groupOn(t *testing.T, m *sim.Machine, drv driver.Driver, size int) commtest.Group {
	t.Helper()
	var g commtest.Group
	var cards []*Device
	for i := range size {
		d, err := Open(drv, i, Options{Capacity: 8 << 20})
		if err != nil {
			t.Fatal(err)
		}
		watch(d)
		cards = append(cards, d)
		g.Devices = append(g.Devices, d)
	}
	var err error
	if g.Comms, err = NewComm(cards); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.Close(), m.Close()); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return g
}

// TestComm is the suite for every communicator, with and without access between cards, in several orders of the cards' work.
func TestComm(t *testing.T) {
	for _, o := range []sim.Options{{}, {Order: 1, Peers: true}, {Order: 2}} {
		t.Run(fmt.Sprintf("order %d, peers %v", o.Order, o.Peers), func(t *testing.T) {
			commtest.Suite(t, func(t *testing.T, size int) commtest.Group { return group(t, sim.New(o), size) }, 1, 7, 300)
		})
	}
}

// TestCommInPieces: sums of more than one piece, the last one shorter; kernels whose threads go on to further elements; and pieces of less than eight
// elements or, with more ranks than there are bytes, of one.
func TestCommInPieces(t *testing.T) {
	shrink(t, &flatBlock, dim{32, 1, 1})
	shrink(t, &flatBlocks, 1)
	for _, c := range []struct {
		bytes int64
		sizes []int
	}{{1024, []int{1, 7, 300}}, {8192, []int{1000}}, {40, []int{1, 11}}, {1, []int{3}}} { // 1024 of three ranks' float32: 80 elements at a time
		t.Run(fmt.Sprint(c.bytes), func(t *testing.T) {
			shrink(t, &pieceBytes, c.bytes)
			commtest.Suite(t, func(t *testing.T, size int) commtest.Group { return group(t, sim.New(sim.Options{}), size) }, c.sizes...)
		})
	}
}

// TestCommTraffic compares what the group says it sent with what the driver moved between cards.
func TestCommTraffic(t *testing.T) {
	m := sim.New(sim.Options{Cards: 3})
	g := group(t, m, 3)
	ends := make([]device.Event, len(g.Comms))
	for i, c := range g.Comms {
		ch, err := c.Open("traffic")
		if err != nil {
			t.Fatal(err)
		}
		full, err1 := g.Devices[i].Alloc("test", "full", tensor.F32, 30, 5)
		part, err2 := g.Devices[i].Alloc("test", "part", tensor.F32, 10, 5)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		ch.Gather(full, part, g.Devices[i].Record())
		ends[i] = ch.ReduceScatter(part, full, tensor.BF16, nil)
	}
	for i, e := range ends {
		if err := e.Sync(); err != nil {
			t.Fatal(err)
		}
		if got, want := g.Comms[i].Sent(), int64(2*(50*4+50*2)); got != want || m.Traffic().Sent(i) != want {
			t.Errorf("rank %d says %d, the driver moved %d, want %d", i, got, m.Traffic().Sent(i), want)
		}
	}
}

// deaf is a machine whose streams ignore events, as if every wait had been forgotten.
type deaf struct{ *sim.Machine }

func (d deaf) Open(i int) (driver.Device, error) {
	card, err := d.Machine.Open(i)
	return deafCard{card}, err
}

type deafCard struct{ driver.Device }

func (c deafCard) NewStream() (driver.Stream, error) {
	s, err := c.Device.NewStream()
	return &deafStream{s, s}, err
}

func (c deafCard) CanAccessPeer(driver.Device) bool { return false }

func (c deafCard) CopyPeer(dst uint64, to driver.Device, src uint64, from driver.Device, bytes int64, s driver.Stream) error {
	return c.Device.CopyPeer(dst, to.(deafCard).Device, src, from.(deafCard).Device, bytes, s.(*deafStream).hears)
}

type deafStream struct {
	driver.Stream
	hears driver.Stream
}

func (s *deafStream) Wait(driver.Event) error { return nil }

// TestCommNeedsItsWaits has the cards forget to wait for each other: sums must come out wrong.
func TestCommNeedsItsWaits(t *testing.T) {
	for name, drv := range map[string]func(m *sim.Machine) driver.Driver{
		"waits": func(m *sim.Machine) driver.Driver { return m }, "forgets": func(m *sim.Machine) driver.Driver { return deaf{m} },
	} {
		m := sim.New(sim.Options{Cards: 2})
		g := groupOn(t, m, drv(m), 2)
		ends, sums := make([]device.Event, 2), make([]tensor.Tensor, 2)
		for i, c := range g.Comms {
			ch, err := c.Open("sum")
			if err != nil {
				t.Fatal(err)
			}
			if sums[i], err = g.Devices[i].Alloc("test", "x", tensor.F32, 1); err != nil {
				t.Fatal(err)
			}
			g.Devices[i].CopyIn(sums[i], []byte{0, 0, 0x80, 0x3f})
			ends[i] = ch.AllReduce(sums[i], g.Devices[i].Record())
		}
		right := true
		for i, e := range ends {
			got := make([]byte, 4)
			g.Devices[i].Wait(e)
			g.Devices[i].CopyOut(got, sums[i])
			right = right && string(got) == "\x00\x00\x00\x40"
		}
		if right != (name == "waits") {
			t.Errorf("%s: sums right: %v", name, right)
		}
	}
}
