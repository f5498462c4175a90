// Package commtest is the suite that every comm.Comm passes: each collective against its definition, with odd sizes, on one,
// two, three and eight ranks, the bytes sent, the order of channels and events, and the end of a group.
package commtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"lomo/internal/comm"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Group is the ranks under test and the device of each, with room for a few MiB of tensors.
type Group struct {
	Comms   []comm.Comm
	Devices []device.Device
}

// Close closes the communicators and then the devices.
func (g Group) Close() error {
	var err error
	for _, c := range g.Comms {
		err = errors.Join(err, c.Close())
	}
	for _, d := range g.Devices {
		err = errors.Join(err, d.Close())
	}
	return err
}

// Open makes a fresh group of a size; what it opens is closed at the end of the test.
type Open func(t *testing.T, size int) Group

// Sizes are the group sizes tried.
var Sizes = []int{1, 2, 3, 8}

// Suite runs every case. rows are the heights of matrices to try: the last should be more than one message holds.
func Suite(t *testing.T, open Open, rows ...int) {
	for _, size := range Sizes {
		for _, n := range rows {
			t.Run(fmt.Sprintf("collectives/%d ranks/%d rows", size, n), func(t *testing.T) { collectives(t, open, size, n) })
		}
		t.Run(fmt.Sprintf("channels/%d ranks", size), func(t *testing.T) { channels(t, open, size) })
	}
	t.Run("order", func(t *testing.T) { order(t, open) })
	t.Run("abort", func(t *testing.T) { abort(t, open) })
	t.Run("failed event", func(t *testing.T) { failedEvent(t, open) })
}

// rank is one rank at work.
type rank struct {
	comm.Comm
	d device.Device
}

// each runs f on every rank at once and wants no error.
func each(t *testing.T, g Group, f func(r rank) error) {
	t.Helper()
	for i, err := range all(g, f) {
		if err != nil {
			t.Errorf("rank %d of %d: %v", i, len(g.Comms), err)
		}
	}
}

func all(g Group, f func(r rank) error) []error {
	errs := make([]error, len(g.Comms))
	var wg sync.WaitGroup
	for i, c := range g.Comms {
		wg.Go(func() {
			if errs[i] = f(rank{c, g.Devices[i]}); errs[i] != nil {
				c.Abort(fmt.Errorf("rank %d: %w", i, errs[i]))
			}
		})
	}
	wg.Wait()
	return errs
}

// cols is the width of test matrices: odd, so that slices begin at addresses of little alignment.
const cols = 3

// put makes a float32 tensor of the given values, or of zeros.
func (r rank) put(name string, vals []float32, shape ...int) (tensor.Tensor, error) {
	t, err := r.d.Alloc("commtest", name, tensor.F32, shape...)
	if err != nil || vals == nil {
		return t, err
	}
	raw := make([]byte, 4*len(vals))
	for i, v := range vals {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	r.d.CopyIn(t, raw)
	return t, nil
}

// get reads a float32 tensor behind e.
func (r rank) get(t tensor.Tensor, e device.Event) ([]float32, error) {
	if e != nil {
		r.d.Wait(e)
	}
	raw := make([]byte, t.Bytes())
	r.d.CopyOut(raw, t)
	out := make([]float32, t.Len())
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out, r.d.Sync()
}

// value is what a rank holds at an index: no two are alike, sums depend on their order and BF16 loses some of it.
func value(rank, i int) float32 {
	return float32(1+rank) / float32(3+(i*7919+rank*104729)%1009)
}

func values(rank, i0, i1 int) []float32 {
	out := make([]float32, i1-i0)
	for i := range out {
		out[i] = value(rank, i0+i)
	}
	return out
}

// sum is the sum over ranks as comm defines it.
func sum(size, i int, wire tensor.DType) float32 {
	var s float32
	for r := range size {
		v := value(r, i)
		if wire == tensor.BF16 {
			v = tensor.BF16ToF32(tensor.F32ToBF16(v))
		}
		s += v
	}
	return s
}

func same(what string, got []float32, want func(i int) float32) error {
	for i, g := range got {
		if w := want(i); g != w {
			return fmt.Errorf("%s: element %d is %v, want %v", what, i, g, w)
		}
	}
	return nil
}

func collectives(t *testing.T, open Open, size, rows int) {
	g := open(t, size)
	n := comm.Each(rows, size) * cols // elements of a part
	each(t, g, func(r rank) error { return r.collect(n) })
	part := int64(n)
	want := comm.GatherSends(4*part, size) + comm.ReduceSends(part, tensor.F32, size) + comm.ReduceSends(part, tensor.BF16, size) +
		comm.AllReduceSends(4*part*int64(size), size) + comm.AllReduceSends(8*2, size)
	for i, c := range g.Comms {
		if c.Sent() != want {
			t.Errorf("rank %d sent %d bytes, planned %d", i, c.Sent(), want)
		}
	}
}

// collect tries each collective with parts of n elements.
func (r rank) collect(n int) error {
	ch, err := r.Open("test")
	if err != nil {
		return err
	}
	size, first := r.Size(), r.Rank()*n
	part, err1 := r.put("part", values(0, first, first+n), n/cols, cols)
	full, err2 := r.put("full", nil, size*n/cols, cols)
	mine, err3 := r.put("gradient", values(r.Rank(), 0, size*n), size*n/cols, cols)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	got, err := r.get(full, ch.Gather(full, part, r.d.Record()))
	if err == nil {
		err = same("gather", got, func(i int) float32 { return value(0, i) })
	}
	for _, wire := range []tensor.DType{tensor.F32, tensor.BF16} {
		if err != nil {
			return err
		}
		if got, err = r.get(part, ch.ReduceScatter(part, mine, wire, r.d.Record())); err == nil {
			err = same(fmt.Sprintf("reduce-scatter in %v", wire), got, func(i int) float32 { return sum(size, first+i, wire) })
		}
	}
	if err != nil {
		return err
	}
	if got, err = r.get(mine, ch.AllReduce(mine, nil)); err == nil {
		err = same("all-reduce", got, func(i int) float32 { return sum(size, i, tensor.F32) })
	}
	if err := errors.Join(err, r.doubles(ch)); err != nil {
		return err
	}
	if got, err = r.get(full, nil); err == nil { // every rank has overwritten its part meanwhile
		err = same("gathered copy", got, func(i int) float32 { return value(0, i) })
	}
	return err
}

// doubles is an all-reduce in float64.
func (r rank) doubles(ch comm.Channel) error {
	t, err := r.d.Alloc("commtest", "doubles", tensor.F64, 2)
	if err != nil {
		return err
	}
	raw := make([]byte, 16)
	want := [2]float64{}
	for i := range want {
		binary.LittleEndian.PutUint64(raw[8*i:], math.Float64bits(1/float64(3+r.Rank()+10*i)))
		for rank := range r.Size() {
			want[i] += 1 / float64(3+rank+10*i)
		}
	}
	r.d.CopyIn(t, raw)
	comm.Sum(r.d, ch, t)
	r.d.CopyOut(raw, t)
	for i, w := range want {
		if got := math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])); got != w {
			return fmt.Errorf("all-reduce of doubles: element %d is %v, want %v", i, got, w)
		}
	}
	return r.d.Sync()
}

// channels: many calls on two channels, queued without waiting, do not disturb each other.
func channels(t *testing.T, open Open, size int) {
	const n, turns = 5 * cols, 12
	g := open(t, size)
	each(t, g, func(r rank) error {
		gather, err1 := r.Open("gather")
		reduce, err2 := r.Open("reduce")
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		var parts, fulls, sums []tensor.Tensor
		for i := range turns {
			part, err1 := r.put("part", values(i, r.Rank()*n, (r.Rank()+1)*n), 5, cols)
			full, err2 := r.put("full", nil, 5*size, cols)
			grad, err3 := r.put("gradient", values(r.Rank()+i, 0, n*size), 5*size, cols)
			out, err4 := r.put("sum", nil, 5, cols)
			if err := errors.Join(err1, err2, err3, err4); err != nil {
				return err
			}
			parts, fulls, sums = append(parts, part), append(fulls, full, grad), append(sums, out)
		}
		after := r.d.Record()
		var last, lastSum device.Event
		for i := range turns {
			last = gather.Gather(fulls[2*i], parts[i], after)
			lastSum = reduce.ReduceScatter(sums[i], fulls[2*i+1], tensor.F32, after)
		}
		for i := range turns {
			got, err := r.get(fulls[2*i], last)
			if err == nil {
				err = same(fmt.Sprintf("gather %d", i), got, func(j int) float32 { return value(i, j) })
			}
			if err != nil {
				return err
			}
			if got, err = r.get(sums[i], lastSum); err == nil {
				err = same(fmt.Sprintf("sum %d", i), got, func(j int) float32 {
					var s float32
					for rank := range size {
						s += value(rank+i, r.Rank()*n+j)
					}
					return s
				})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// gate is an event that the test reaches when it likes.
type gate struct {
	open chan struct{}
	err  error
}

func (g *gate) Sync() error { <-g.open; return g.err }

// order: a call does not begin before the event it is told to wait for, and its own event is not reached before it is done.
func order(t *testing.T, open Open) {
	g := open(t, 2)
	gates := []*gate{{open: make(chan struct{})}, {open: make(chan struct{})}}
	each(t, g, func(r rank) error {
		ch, err := r.Open("order")
		if err != nil {
			return err
		}
		part, err1 := r.put("part", make([]float32, cols), 1, cols)
		full, err2 := r.put("full", nil, 2, cols)
		if err := errors.Join(err1, err2, r.d.Sync()); err != nil {
			return err
		}
		reached := make(chan error, 1)
		e := ch.Gather(full, part, gates[r.Rank()])
		go func() { reached <- e.Sync() }()
		select {
		case <-reached:
			return errors.New("a gather was done before it could begin")
		case <-time.After(20 * time.Millisecond):
		}
		raw := make([]byte, 4*cols) // the part changes while the call waits
		for i, v := range values(0, r.Rank()*cols, (r.Rank()+1)*cols) {
			binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
		}
		r.d.CopyIn(part, raw)
		if err := r.d.Sync(); err != nil {
			return err
		}
		close(gates[r.Rank()].open)
		if err := <-reached; err != nil {
			return err
		}
		got, err := r.get(full, e)
		if err != nil {
			return err
		}
		return same("gather behind an event", got, func(i int) float32 { return value(0, i) })
	})
}

// abort: a rank that gives up ends the calls that the others wait in, and later ones.
func abort(t *testing.T, open Open) {
	cause := errors.New("the card is lost")
	g := open(t, 3)
	errs := all(g, func(r rank) error {
		if r.Rank() == 1 {
			return cause
		}
		ch, err := r.Open("abort")
		if err != nil {
			return err
		}
		x, err := r.put("x", []float32{1}, 1)
		if err != nil {
			return err
		}
		first := ch.AllReduce(x, nil).Sync()
		if again := ch.AllReduce(x, nil).Sync(); !errors.Is(again, cause) {
			return fmt.Errorf("a later call: %v", again)
		}
		return first
	})
	for i, err := range errs {
		if i != 1 && (!errors.Is(err, comm.ErrAborted) || !errors.Is(err, cause)) {
			t.Errorf("rank %d: got %v", i, err)
		}
	}
}

// failedEvent: a rank whose computation has failed takes no part, and nobody waits for it.
func failedEvent(t *testing.T, open Open) {
	cause := errors.New("not finite")
	g := open(t, 2)
	errs := all(g, func(r rank) error {
		ch, err := r.Open("failed")
		if err != nil {
			return err
		}
		x, err := r.put("x", []float32{1}, 1)
		if err != nil {
			return err
		}
		after := &gate{open: make(chan struct{})}
		if close(after.open); r.Rank() == 0 {
			after.err = cause
		}
		return ch.AllReduce(x, after).Sync()
	})
	for i, err := range errs {
		if !errors.Is(err, cause) || errors.Is(err, comm.ErrAborted) != (i == 1) {
			t.Errorf("rank %d: got %v", i, err)
		}
	}
}
