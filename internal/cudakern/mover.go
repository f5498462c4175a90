package cudakern

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"lomo/internal/comm"
	"lomo/internal/cudakern/driver"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// mover moves bytes between the cards of a group instead of copies of our own, for one channel: NCCL. All ranks make the same calls, which return
// before the bytes are there; a rank's are in the order of its stream s. Sums stay with our own kernels, for NCCL's have another order.
type mover interface {
	Name() string
	// Gather puts every rank's part, of so many bytes, to rank's place in full.
	Gather(rank int, full, part uint64, bytes int64, s driver.Stream) error
	// Exchange sends bytes from out + r·stride to every other rank r; what comes from r is put at in + r·bytes.
	Exchange(rank int, in, out uint64, stride, bytes int64, s driver.Stream) error
	// Abort ends all ranks' present and later calls, and work that waits on the cards; it does not wait for that.
	Abort()
	Close() error
}

// groupChannels is how many channels of a group have a mover: those of a training. Any further ones copy.
const groupChannels = 2

// trialTime is how long the cards may take to try a mover before they are told to stop.
const trialTime = time.Minute

// roomBeside is what a mover must leave free on each card for the channels' own memory and the driver.
const roomBeside = groupChannels*ChannelBytes + 64<<20

// findMovers has the library of this machine move the group's bytes, when there is one and it agrees with our own copies. An error is only what
// leaves a card unusable.
func (g *cardGroup) findMovers() error {
	g.movers, g.refused = openMovers(g.cards)
	if g.movers != nil {
		if g.refused = g.tryMovers(); g.refused != nil {
			g.refused = errors.Join(g.refused, g.closeMovers())
			g.movers = nil
		}
	}
	for _, d := range g.cards {
		if d.err != nil {
			return fmt.Errorf("trying NCCL (LOMO_NCCL=off leaves it out): %w", d.err)
		}
	}
	return nil
}

func (g *cardGroup) closeMovers() error {
	var err error
	for _, m := range g.movers {
		err = errors.Join(err, m.Close())
	}
	return err
}

// Collectives is what moves bytes for c's group instead of our own copies, "" if nothing does, and why one that was found does not.
func Collectives(c comm.Comm) (by string, refused error) {
	own, ok := c.(*cardComm)
	if !ok {
		return "", nil
	}
	if len(own.movers) > 0 {
		by = own.movers[0].Name()
	}
	return by, own.refused
}

// tryMovers compares what each makes of small tensors with what copies make of them, bit by bit. It also has NCCL connect the cards, which it does
// at the first call of a kind, before there is work that could wait for it.
func (g *cardGroup) tryMovers() error {
	want, err := newGroup(g.cards).tryOut()
	if err != nil {
		return fmt.Errorf("our own collectives: %w", err)
	}
	for _, m := range g.movers {
		trial := newGroup(g.cards)
		trial.movers = []mover{m}
		got, err := trial.tryOut()
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name(), err)
		}
		for rank := range want {
			for i, w := range want[rank] {
				if !bytes.Equal(got[rank][i], w) {
					return fmt.Errorf("%s: %s on %s has other bits than by our own copies", m.Name(), trials[i].name, g.cards[rank].label())
				}
			}
		}
	}
	for _, d := range g.cards {
		free, _, err := d.card.Memory()
		if err != nil {
			return err
		}
		if free < roomBeside {
			return fmt.Errorf("%s: it leaves %d bytes free on %s, the channels need %d", g.movers[0].Name(), free, d.label(), int64(roomBeside))
		}
	}
	return nil
}

// tryOut makes each collective once on every rank, and closes the group. The result is what they wrote: by rank, then as in trials.
func (g *cardGroup) tryOut() ([][][]byte, error) {
	late := time.AfterFunc(trialTime, func() { g.abort(fmt.Errorf("no result within %v", trialTime)) })
	defer late.Stop()
	got, errs, done := make([][][]byte, len(g.cards)), make([]error, len(g.cards)), make(chan struct{})
	for i, c := range g.ranks() {
		go func() {
			got[i], errs[i] = c.tryOut()
			if errs[i] != nil {
				c.Abort(fmt.Errorf("rank %d: %w", i, errs[i]))
			}
			errs[i] = errors.Join(errs[i], c.Close())
			done <- struct{}{}
		}()
	}
	for range g.cards {
		<-done
	}
	for _, err := range errs { // rather the cause than what others say of it
		if err != nil && !errors.Is(err, comm.ErrAborted) {
			return nil, err
		}
	}
	return got, errors.Join(errs...)
}

// trials are the calls tried: part is a rank's share of full. Each result differs with the rank that a term came from.
var trials = []struct {
	name string
	call func(ch comm.Channel, full, part, doubles tensor.Tensor) (device.Event, tensor.Tensor)
}{
	{"reduce-scatter", func(ch comm.Channel, full, part, _ tensor.Tensor) (device.Event, tensor.Tensor) {
		return ch.ReduceScatter(part, full, tensor.F32, nil), part
	}},
	{"reduce-scatter in BF16", func(ch comm.Channel, full, part, _ tensor.Tensor) (device.Event, tensor.Tensor) {
		return ch.ReduceScatter(part, full, tensor.BF16, nil), part
	}},
	{"gather", func(ch comm.Channel, full, part, _ tensor.Tensor) (device.Event, tensor.Tensor) {
		return ch.Gather(full, part, nil), full
	}},
	{"all-reduce", func(ch comm.Channel, _, part, _ tensor.Tensor) (device.Event, tensor.Tensor) {
		return ch.AllReduce(part, nil), part
	}},
	{"all-reduce of doubles", func(ch comm.Channel, _, _, doubles tensor.Tensor) (device.Event, tensor.Tensor) {
		return ch.AllReduce(doubles, nil), doubles
	}},
}

// tryOut is one rank's part. The device waits for no event of it, so that a failure is not the device's.
func (c *cardComm) tryOut() ([][]byte, error) {
	const each = 1021 // odd, and more than one message of any protocol that sends small ones
	d, size := c.d, c.Size()
	defer d.arena.Release(d.arena.Mark())
	full, err1 := d.Scratch("collectives", "tried", tensor.F32, size*each)
	part, err2 := d.Scratch("collectives", "tried", tensor.F32, each)
	doubles, err3 := d.Scratch("collectives", "tried", tensor.F64, 5)
	ch, err4 := c.Open("trial")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	value := func(i int) float64 { return float64(1+c.rank) / float64(3+(i*7919+c.rank*104729)%1009) }
	var raw, raw64 []byte
	for i := range full.Len() {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(value(i))))
	}
	for i := range doubles.Len() {
		raw64 = binary.LittleEndian.AppendUint64(raw64, math.Float64bits(value(i)))
	}
	d.CopyIn(full, raw)
	d.CopyIn(doubles, raw64)
	if err := d.Sync(); err != nil {
		return nil, err
	}
	var got [][]byte
	for _, t := range trials {
		e, result := t.call(ch, full, part, doubles)
		if err := e.Sync(); err != nil {
			return nil, err
		}
		out := make([]byte, result.Bytes())
		d.CopyOut(out, result)
		got = append(got, out)
	}
	return got, d.Sync()
}

// gatherBy has the mover gather.
func (c *channel) gatherBy(full, part uint64, bytes int64) error {
	return c.moved(bytes, func() error { return c.by.Gather(c.rank, full, part, bytes, c.stream.Stream) })
}

// collectBy has the mover bring this rank's piece of so many bytes from every rank's offer; stride 0: all want the same.
func (c *channel) collectBy(offer uint64, stride, bytes int64) error {
	in := c.arrived(0, bytes)
	if stride == 0 {
		return c.gatherBy(in, offer, bytes)
	}
	if err := c.stream.Copy(c.arrived(c.rank, bytes), offer+uint64(int64(c.rank)*stride), bytes); err != nil {
		return err
	}
	return c.moved(bytes, func() error { return c.by.Exchange(c.rank, in, offer, stride, bytes, c.stream.Stream) })
}

// moved makes a call that sends so many bytes to every other rank, and counts them.
func (c *channel) moved(bytes int64, call func() error) error {
	if err := c.broken(); err != nil || bytes == 0 {
		return err
	}
	if err := call(); err != nil {
		if other := c.broken(); other != nil { // it was ended
			return other
		}
		return fmt.Errorf("%s: %w", c.by.Name(), err)
	}
	c.sent[c.rank].Add(bytes * int64(c.Size()-1))
	return nil
}
