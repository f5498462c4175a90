package memprof

import (
	"lomo/internal/comm"
	"lomo/internal/device"
	"lomo/internal/memdev"
	"lomo/internal/tensor"
)

// counted is a rank's communicator on the counting device: what it would send is work of the present phase.
type counted struct {
	comm.Comm
	d *memdev.Device
}

// Open counts what goes through the channel.
func (c *counted) Open(name string) (comm.Channel, error) {
	ch, err := c.Comm.Open(name)
	return countedChannel{ch, c}, err
}

type countedChannel struct {
	comm.Channel
	c *counted
}

func (ch countedChannel) Gather(full, part tensor.Tensor, after device.Event) device.Event {
	ch.c.d.Now().Gathered += comm.GatherSends(part.Bytes(), ch.c.Size())
	return ch.Channel.Gather(full, part, after)
}

func (ch countedChannel) ReduceScatter(part, full tensor.Tensor, wire tensor.DType, after device.Event) device.Event {
	ch.c.d.Now().Reduced += comm.ReduceSends(int64(part.Len()), wire, ch.c.Size())
	return ch.Channel.ReduceScatter(part, full, wire, after)
}

func (ch countedChannel) AllReduce(t tensor.Tensor, after device.Event) device.Event {
	ch.c.d.Now().Reduced += comm.AllReduceSends(t.Bytes(), ch.c.Size())
	return ch.Channel.AllReduce(t, after)
}
