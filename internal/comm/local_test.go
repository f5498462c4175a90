package comm_test

import (
	"encoding/binary"
	"math"
	"sync"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/commtest"
	"lomo/internal/cpukern"
	"lomo/internal/device"
	"lomo/internal/devtest"
	"lomo/internal/tensor"
)

// TestLocal: fewer rows than ranks, uneven ones, even ones, and several messages.
func TestLocal(t *testing.T) {
	commtest.Suite(t, func(t *testing.T, size int) commtest.Group {
		g := commtest.Group{Comms: comm.NewLocal(size)}
		for _, c := range g.Comms {
			d, err := cpukern.Open(cpukern.Options{Capacity: 16 << 20, Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close(); d.Close() })
			g.Devices = append(g.Devices, device.Device(d))
		}
		return g
	}, 1, 7, 16, 200_001)
}

func TestRows(t *testing.T) {
	for _, n := range []int{1, 5, 8, 24, 49152} {
		for _, size := range []int{1, 2, 3, 8} {
			at := 0
			for r := range size {
				r0, r1 := comm.Rows(n, size, r)
				if r0 != at || r1 < r0 || r1-r0 > comm.Each(n, size) {
					t.Fatalf("%d rows on %d: rank %d owns [%d, %d), the one before ends at %d", n, size, r, r0, r1, at)
				}
				at = r1
			}
			if at != n {
				t.Errorf("%d rows on %d: %d are owned", n, size, at)
			}
		}
	}
}

// twice is a channel of two ranks that hold the same numbers. It works at once, or when its event is waited for.
type twice struct {
	comm.Channel
	late bool
}

func (c twice) AllReduce(t tensor.Tensor, after device.Event) device.Event {
	sum := sync.OnceValue(func() error {
		if after != nil {
			if err := after.Sync(); err != nil {
				return err
			}
		}
		for i := range t.F64s() {
			t.F64s()[i] *= 2
		}
		return nil
	})
	if !c.late {
		_ = sum()
	}
	return event(sum)
}

type event func() error

func (e event) Sync() error { return e() }

// TestSumWaits: on a device whose work is late, a sum over ranks holds what was queued before it, and what is queued behind it sees the sum.
func TestSumWaits(t *testing.T) {
	for _, late := range []bool{false, true} {
		own, err := cpukern.Open(cpukern.Options{Capacity: 1 << 20, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		d := &devtest.Late{Device: own, Compute: true}
		var x, y tensor.Tensor
		for _, v := range []*tensor.Tensor{&x, &y} {
			if *v, err = d.Alloc("test", "numbers", tensor.F64, 3); err != nil {
				t.Fatal(err)
			}
		}
		raw := make([]byte, 24)
		for i := range 3 {
			binary.LittleEndian.PutUint64(raw[8*i:], math.Float64bits(float64(i)+0.5))
		}
		d.CopyIn(x, raw)
		comm.Sum(d, twice{late: late}, x)
		d.Copy(y, x)
		comm.Sum(d, twice{late: late}, x)
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if want := float64(i) + 0.5; y.F64s()[i] != 2*want || x.F64s()[i] != 4*want {
				t.Errorf("late %v, element %d: %v after one sum and %v after two, want %v and %v", late, i, y.F64s()[i], x.F64s()[i], 2*want, 4*want)
			}
		}
	}
}

// TestCountingSends: what a plan counts is what ranks of one process send.
func TestCountingSends(t *testing.T) {
	for _, size := range []int{2, 3} {
		for _, wire := range []tensor.DType{tensor.F32, tensor.BF16} {
			group := comm.NewLocal(size)
			var wait sync.WaitGroup
			for r, c := range group {
				wait.Go(func() {
					planned := comm.Counting(r, size)
					real, err := c.Open("all")
					if err != nil {
						t.Error(err)
						return
					}
					plan, _ := planned.Open("all")
					for _, ch := range []comm.Channel{real, plan} {
						full, part, sums := tensor.NewHost("full", tensor.F32, 7*size), tensor.NewHost("part", tensor.F32, 7), tensor.NewHost("sums", tensor.F64, 5)
						half, halves := tensor.NewHost("half", tensor.BF16, 9), tensor.NewHost("halves", tensor.BF16, 9*size)
						for _, e := range []device.Event{ch.ReduceScatter(part, full, wire, nil), ch.Gather(full, part, nil), ch.AllReduce(sums, nil), ch.AllReduce(part, nil), ch.Gather(halves, half, nil)} {
							if err := e.Sync(); err != nil {
								t.Error(err)
							}
						}
					}
					if c.Sent() != planned.Sent() || c.Sent() == 0 {
						t.Errorf("%d ranks, sums in %v: rank %d sent %d bytes, the plan says %d", size, wire, r, c.Sent(), planned.Sent())
					}
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
		}
	}
}
