package commtest

import (
	"strings"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// spoiled is a communicator with a fault put in on purpose.
type spoiled struct {
	comm.Comm
	fault string
}

func (c *spoiled) Open(name string) (comm.Channel, error) {
	ch, err := c.Comm.Open(name)
	return &spoiledChannel{ch, c}, err
}

type spoiledChannel struct {
	comm.Channel
	c *spoiled
}

func (ch *spoiledChannel) Gather(full, part tensor.Tensor, after device.Event) device.Event {
	e := ch.Channel.Gather(full, part, after)
	if ch.c.fault == "a part twice" && e.Sync() == nil {
		n := len(part.Host)
		copy(full.Host[n:2*n], full.Host[:n])
	}
	return e
}

func (ch *spoiledChannel) ReduceScatter(part, full tensor.Tensor, wire tensor.DType, after device.Event) device.Event {
	if ch.c.fault == "not narrowed" {
		wire = tensor.F32
	}
	e := ch.Channel.ReduceScatter(part, full, wire, after)
	if ch.c.fault == "unsummed" && e.Sync() == nil {
		copy(part.Host, full.Slice(ch.c.Rank()*part.Shape[0], (ch.c.Rank()+1)*part.Shape[0]).Host)
	}
	return e
}

func (ch *spoiledChannel) AllReduce(t tensor.Tensor, after device.Event) device.Event {
	if ch.c.fault == "another order" && t.DType == tensor.F32 && ch.c.Rank() == 0 { // one bit, as another order of the sum makes
		e := ch.Channel.AllReduce(t, after)
		if e.Sync() == nil {
			t.Host[0] ^= 1
		}
		return e
	}
	return ch.Channel.AllReduce(t, after)
}

// TestFaultsAreFound: the suite's checks refuse a communicator that moves or adds up the wrong things.
func TestFaultsAreFound(t *testing.T) {
	for fault, want := range map[string]string{
		"none": "", "a part twice": "gather: ", "unsummed": "reduce-scatter in F32", "not narrowed": "reduce-scatter in BF16", "another order": "all-reduce: ",
	} {
		g := Group{}
		for _, c := range comm.NewLocal(3) {
			d, err := cpukern.Open(cpukern.Options{Capacity: 1 << 20, Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			defer c.Close()
			g.Comms, g.Devices = append(g.Comms, &spoiled{c, fault}), append(g.Devices, d)
		}
		found := ""
		for _, err := range all(g, func(r rank) error { return r.collect(5 * cols) }) {
			if err != nil {
				found += err.Error() + "\n"
			}
		}
		if (found == "") != (want == "") || !strings.Contains(found, want) {
			t.Errorf("%s: found %q, want %q", fault, found, want)
		}
	}
}
