package train

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	"lomo/internal/checkpoint"
	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

var errLost = errors.New("device lost")

// lostDevice is gone after a number of operations: nothing is computed any more, and Sync says so.
type lostDevice struct {
	device.Device
	left int
}

func (d *lostDevice) lost() bool { d.left--; return d.left < 0 }

func (d *lostDevice) MatMul(y, x, w tensor.Tensor, acc bool) {
	if !d.lost() {
		d.Device.MatMul(y, x, w, acc)
	}
}

func (d *lostDevice) Sync() error {
	if d.left < 0 {
		return errLost
	}
	return d.Device.Sync()
}

func (d *lostDevice) Record() device.Event {
	if d.left < 0 {
		return broken{}
	}
	return d.Device.Record()
}

// faultAt makes a rank fail in its channels: panic when a call is made, or an error of what it waits for.
type faultAt struct {
	comm.Comm
	left *int
	kind string
}

func (c *faultAt) Open(name string) (comm.Channel, error) {
	ch, err := c.Comm.Open(name)
	return &faultAtChannel{ch, c}, err
}

type faultAtChannel struct {
	comm.Channel
	c *faultAt
}

func (ch *faultAtChannel) Gather(full, part tensor.Tensor, after device.Event) device.Event {
	if *ch.c.left--; *ch.c.left == 0 {
		if ch.c.kind == "panic" {
			panic("index out of range, say")
		}
		after = broken{}
	}
	return ch.Channel.Gather(full, part, after)
}

type broken struct{}

func (broken) Sync() error { return errLost }

// TestRankFaultStopsAll: whatever happens to one rank in the middle of a step, all stop, one message names the rank, and the
// last checkpoint can be gone on from.
func TestRankFaultStopsAll(t *testing.T) { eachFixture(t, 7, testRankFaultStopsAll) }

func testRankFaultStopsAll(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	for _, kind := range []string{"lost", "panic", "event"} {
		t.Run(kind, func(t *testing.T) {
			o := f.options(t.TempDir(), "adalomo")
			o.MicroBatch, o.Accumulation, o.SaveSteps = 1, 1, 2
			var last string
			o.OnSave = func(dir string, _ int) { last = dir }
			err := f.runRanksOn(context.Background(), 3, o, "", func(rank int, d device.Device, c comm.Comm) (device.Device, comm.Comm) {
				left := 300 // matrices gathered, 86 in a step
				switch {
				case rank != 1:
				case kind == "lost":
					d = &lostDevice{d, 400}
				default:
					c = &faultAt{c, &left, kind}
				}
				return d, c
			})
			if err == nil || !strings.Contains(err.Error(), "rank 1") || strings.Count(err.Error(), "rank ") > 2 {
				t.Errorf("got %v", err)
			}
			if last == "" || checkpoint.Complete(last) != nil {
				t.Fatalf("last checkpoint: %q", last)
			}
			o.OutputDir, o.SaveSteps = t.TempDir(), 0
			if err := f.runRanks(context.Background(), 3, o, last); err != nil {
				t.Errorf("from %s: %v", filepath.Base(last), err)
			}
		})
	}
}

// arenaComm checks that a rank's channels are given nothing but memory of its own arena.
type arenaComm struct {
	comm.Comm
	lo, hi uintptr
	seen   *atomic.Int64
	t      *testing.T
}

func (c *arenaComm) Open(name string) (comm.Channel, error) {
	ch, err := c.Comm.Open(name)
	return &arenaChannel{ch, c}, err
}

type arenaChannel struct {
	comm.Channel
	c *arenaComm
}

func (ch *arenaChannel) own(ts ...tensor.Tensor) {
	for _, x := range ts {
		at := uintptr(unsafe.Pointer(unsafe.SliceData(x.Host)))
		if at < ch.c.lo || at+uintptr(len(x.Host)) > ch.c.hi {
			ch.c.t.Errorf("rank %d: %v is not in its arena", ch.c.Rank(), x)
		}
		ch.c.seen.Add(1)
	}
}

func (ch *arenaChannel) Gather(full, part tensor.Tensor, after device.Event) device.Event {
	ch.own(full, part)
	return ch.Channel.Gather(full, part, after)
}

func (ch *arenaChannel) ReduceScatter(part, full tensor.Tensor, wire tensor.DType, after device.Event) device.Event {
	ch.own(full, part)
	return ch.Channel.ReduceScatter(part, full, wire, after)
}

func (ch *arenaChannel) AllReduce(x tensor.Tensor, after device.Event) device.Event {
	ch.own(x)
	return ch.Channel.AllReduce(x, after)
}

// TestRanksKeepToTheirArenas: what a rank computes with and sends lies in its own arena, and the arenas are apart. What it
// receives are copies (commtest), so no rank can reach another's memory.
func TestRanksKeepToTheirArenas(t *testing.T) { eachFixture(t, 7, testRanksKeepToTheirArenas) }

func testRanksKeepToTheirArenas(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	o := f.options(t.TempDir(), "adalomo")
	o.MicroBatch, o.Accumulation, o.NumEpochs, o.MaxSteps, o.SaveSteps = 1, 1, 0, 2, 0
	var arenas [][2]uintptr
	seen := &atomic.Int64{}
	err := f.runRanksOn(context.Background(), 4, o, "", func(_ int, d device.Device, c comm.Comm) (device.Device, comm.Comm) {
		first, err := d.(*cpukern.Device).Scratch("test", "first", tensor.F32, 1)
		if err != nil {
			t.Fatal(err)
		}
		lo := uintptr(unsafe.Pointer(unsafe.SliceData(first.Host)))
		hi := lo + uintptr(d.Memory().Capacity())
		for _, a := range arenas {
			if lo < a[1] && a[0] < hi {
				t.Errorf("arenas overlap: %x and %x", a, [2]uintptr{lo, hi})
			}
		}
		arenas = append(arenas, [2]uintptr{lo, hi})
		return d, &arenaComm{c, lo, hi, seen, t}
	})
	if err != nil || seen.Load() == 0 {
		t.Errorf("%d tensors, %v", seen.Load(), err)
	}
}

// TestRanksDiverge: a loss that is not finite on one rank ends the run on all of them as it does on one device.
func TestRanksDiverge(t *testing.T) { eachFixture(t, 7, testRanksDiverge) }

func testRanksDiverge(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	o := f.options(t.TempDir(), "lomo")
	o.DType, o.MicroBatch, o.Accumulation, o.SaveSteps, o.LearningRate, o.MaxGradNorm = tensor.F32, 1, 1, 0, 1e30, 0
	err := f.runRanks(context.Background(), 3, o, "")
	if diverged := (*DivergedError)(nil); !errors.As(err, &diverged) || diverged.Hint == "" {
		t.Errorf("got %v", err)
	}
}
