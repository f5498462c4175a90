package cudakern

import (
	"errors"
	"fmt"
	"runtime/debug"

	"lomo/internal/comm"
	"lomo/internal/cudakern/driver"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

const driverPeerEnabled = driver.PeerAlreadyEnabled

// channel queues its collectives one after the other, on a goroutine and a stream of its own; err is that goroutine's.
type channel struct {
	*cardComm
	name    string
	stream  *stream
	mail    [][]chan note
	by      mover  // of bytes; nil: copies
	staging uint64 // what is sent, then what comes
	jobs    chan func()
	stopped chan struct{}
	err     error
}

func (c *channel) run() {
	defer close(c.stopped)
	for f := range c.jobs {
		f()
	}
}

// do queues f behind after. When it fails the others would wait for ever, so all of them fail.
func (c *channel) do(what string, t tensor.Tensor, after device.Event, f func() error) device.Event {
	p := &promise{done: make(chan struct{})}
	if c.by != nil {
		p.group = c.cardGroup
	}
	c.jobs <- func() {
		defer close(p.done)
		if c.err == nil {
			p.ev, c.err = c.try(what, t, after, f)
		}
		p.err = c.err
	}
	return p
}

func (c *channel) try(what string, t tensor.Tensor, after device.Event, f func() error) (ev event, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		if err != nil && !errors.Is(err, comm.ErrAborted) {
			err = fmt.Errorf("%s of %q: %w", what, t.Name, err)
			c.Abort(fmt.Errorf("rank %d: %w", c.rank, err))
		}
	}()
	if after != nil {
		if err := c.stream.waitFor(after); err != nil {
			return event{}, err
		}
	}
	if err := f(); err != nil {
		return event{}, err
	}
	return c.stream.point()
}

// round is one exchange: every rank offers what lies at addr once its stream is there, copies what it wants from every rank, its
// own included, and goes on when all have read what it offered.
func (c *channel) round(addr uint64, pull func(from *Device, rank int, addr uint64) error) error {
	ready, err := c.stream.point()
	if err != nil {
		return err
	}
	if err := c.tell(note{ready, addr}); err != nil {
		return err
	}
	size := c.Size()
	for i := range size { // each rank begins with its right-hand neighbour, so that no card is asked by all at once
		rank := (c.rank + 1 + i) % size
		offer := addr
		if rank != c.rank {
			n, err := c.hear(rank)
			if err != nil {
				return err
			}
			if err := c.stream.waitFor(n.ready); err != nil {
				return err
			}
			offer = n.addr
		}
		if err := pull(c.cards[rank], rank, offer); err != nil {
			return err
		}
	}
	return c.allRead()
}

// allRead says that this rank has read, and waits for the others to have.
func (c *channel) allRead() error {
	read, err := c.stream.point()
	if err != nil {
		return err
	}
	if err := c.tell(note{ready: read}); err != nil {
		return err
	}
	for rank := range c.cards {
		if rank == c.rank {
			continue
		}
		n, err := c.hear(rank)
		if err != nil {
			return err
		}
		if err := c.stream.waitFor(n.ready); err != nil {
			return err
		}
	}
	return nil
}

// tell leaves a note for every other rank.
func (c *channel) tell(n note) error {
	for rank := range c.cards {
		if rank == c.rank {
			continue
		}
		select {
		case <-c.aborted:
			return c.fail()
		case c.mail[c.rank][rank] <- n:
		}
	}
	return nil
}

// hear waits for another rank's next note.
func (c *channel) hear(rank int) (note, error) {
	select {
	case <-c.aborted:
		return note{}, c.fail()
	case n := <-c.mail[rank][c.rank]:
		return n, nil
	}
}

// copyFrom copies bytes of a rank to this one and counts them as sent by it.
func (c *channel) copyFrom(from *Device, rank int, dst, src uint64, bytes int64) error {
	switch {
	case bytes == 0:
		return nil
	case rank == c.rank:
		return c.stream.Copy(dst, src, bytes)
	}
	c.sent[rank].Add(bytes)
	return c.d.card.CopyPeer(dst, c.d.card, src, from.card, bytes, c.stream.Stream)
}

// equal panics unless full holds one part for each rank.
func (c *channel) equal(what string, full, part tensor.Tensor) {
	if full.Len() != part.Len()*c.Size() {
		panic(fmt.Sprintf("cudakern: %s: whole %v, part %v, %d ranks", what, full, part, c.Size()))
	}
}

// Gather copies every rank's part to its place.
func (c *channel) Gather(full, part tensor.Tensor, after device.Event) device.Event {
	c.equal("gather", full, part)
	wantType("Gather", full.DType, part)
	n := part.Bytes()
	return c.do("gather", full, after, func() error {
		if c.by != nil {
			return c.gatherBy(full.Addr, part.Addr, n)
		}
		return c.round(part.Addr, func(from *Device, rank int, addr uint64) error {
			return c.copyFrom(from, rank, full.Addr+uint64(int64(rank)*n), addr, n)
		})
	})
}

// ReduceScatter sends each rank its rows in the wire's type, piece by piece, and adds up what comes.
func (c *channel) ReduceScatter(part, full tensor.Tensor, wire tensor.DType, after device.Event) device.Event {
	c.equal("reduce-scatter", full, part)
	wantType("ReduceScatter", tensor.F32, full, part)
	n, size := int64(part.Len()), int64(wire.Size())
	return c.do("reduce-scatter", full, after, func() error {
		return c.pieces(n, size, func(i0, m int64) error {
			offer := full.Addr + uint64(4*i0)
			stride := 4 * n // between what one rank and the next one want
			if wire != tensor.F32 {
				offer, stride = c.staging, size*m
				if err := c.narrow(full.Addr, n, i0, m); err != nil {
					return err
				}
			}
			if err := c.collect(offer, stride, size*m); err != nil {
				return err
			}
			return c.sum("ReduceScatter", part.Addr+uint64(4*i0), m, wire)
		})
	})
}

// AllReduce sends the whole to all; the sum overwrites a piece when all have read it.
func (c *channel) AllReduce(t tensor.Tensor, after device.Event) device.Event {
	n, size := int64(t.Len()), int64(t.DType.Size())
	return c.do("all-reduce", t, after, func() error {
		return c.pieces(n, size, func(i0, m int64) error {
			at := t.Addr + uint64(size*i0)
			if err := c.collect(at, 0, size*m); err != nil {
				return err
			}
			return c.sum("AllReduce", at, m, t.DType)
		})
	})
}

// pieces runs f for elements i0 … i0+m−1 of n, of which all ranks' fit the staging memory.
func (c *channel) pieces(n, size int64, f func(i0, m int64) error) error {
	most := max(pieceBytes/size/int64(c.Size()), 1)
	if most >= 8 {
		most &^= 7 // whole eights, so that kernels take them at once
	}
	for i0 := int64(0); i0 < n; i0 += most {
		if err := f(i0, min(most, n-i0)); err != nil {
			return err
		}
	}
	return nil
}

// arrived is where a rank's piece of so many bytes is put.
func (c *channel) arrived(rank int, bytes int64) uint64 {
	return c.staging + stagingBytes + uint64(int64(rank)*bytes)
}

// collect copies this rank's piece of so many bytes from every rank's offer.
func (c *channel) collect(offer uint64, stride, bytes int64) error {
	if c.by != nil {
		return c.collectBy(offer, stride, bytes)
	}
	return c.round(offer, func(from *Device, rank int, addr uint64) error {
		return c.copyFrom(from, rank, c.arrived(rank, bytes), addr+uint64(int64(c.rank)*stride), bytes)
	})
}

// narrow rounds m elements from i0 of every rank's n to BF16, into what is sent.
func (c *channel) narrow(full uint64, n, i0, m int64) error {
	for rank := range int64(c.Size()) {
		src, dst := full+uint64(4*(rank*n+i0)), c.staging+uint64(2*m*rank)
		if err := c.d.launchOn(c.stream, "ReduceScatter", "convert", flat(m), flatBlock, 0, dst, src, m, uint32(1)); err != nil {
			return err
		}
	}
	return nil
}

// sum adds up the m elements that came from each rank, in the ranks' order.
func (c *channel) sum(op string, out uint64, m int64, dt tensor.DType) error {
	in, ranks := c.arrived(0, 0), c.Size()
	switch dt {
	case tensor.F64:
		return c.d.launchOn(c.stream, op, "sum_parts_f64", each(int(m)), flatBlock, 0, out, in, m, m, ranks)
	case tensor.BF16:
		return c.d.launchOn(c.stream, op, "sum_parts", flat(m), flatBlock, 0, out, in, m, m, ranks, uint32(1))
	}
	return c.d.launchOn(c.stream, op, "sum_parts", flat(m), flatBlock, 0, out, in, m, m, ranks, uint32(0))
}
