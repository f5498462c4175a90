package comm

import (
	"encoding/binary"
	"fmt"
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// equal panics unless full holds one part for each rank.
func (c *channel) equal(what string, full, part tensor.Tensor) {
	if full.Len() != part.Len()*c.size {
		panic(fmt.Sprintf("comm: %s: whole %v, part %v, %d ranks", what, full, part, c.size))
	}
}

// Gather sends the part to all.
func (c *channel) Gather(full, part tensor.Tensor, after device.Event) device.Event {
	c.equal("gather", full, part)
	return c.do("gather", full, after, func() error {
		n := len(part.Host)
		return c.exchange(n, piece,
			func(msg []byte, _, i0, i1 int) []byte { return append(msg, part.Host[i0:i1]...) },
			func(msg []byte, from, i0, _ int) { copy(full.Host[from*n+i0:], msg) })
	})
}

// ReduceScatter sends each rank its rows, in the wire's type, and adds up those that come.
func (c *channel) ReduceScatter(part, full tensor.Tensor, wire tensor.DType, after device.Event) device.Event {
	c.equal("reduce-scatter", full, part)
	return c.do("reduce-scatter", full, after, func() error {
		whole, sum, n := full.F32s(), part.F32s(), part.Len()
		return c.exchange(n, piece/4,
			func(msg []byte, to, i0, i1 int) []byte {
				msg = msg[:(i1-i0)*wire.Size()]
				must(tensor.PutFloat32s(msg, whole[to*n+i0:to*n+i1], wire))
				return msg
			},
			func(msg []byte, from, i0, i1 int) { c.add(sum[i0:i1], msg, wire, from == 0) })
	})
}

// AllReduce sends the whole to all; the sum overwrites only what was sent.
func (c *channel) AllReduce(t tensor.Tensor, after device.Event) device.Event {
	size := t.DType.Size()
	return c.do("all-reduce", t, after, func() error {
		return c.exchange(t.Len(), piece/size,
			func(msg []byte, _, i0, i1 int) []byte { return append(msg, t.Host[i0*size:i1*size]...) },
			func(msg []byte, from, i0, i1 int) {
				if t.DType == tensor.F64 {
					addF64(t.F64s()[i0:i1], msg, from == 0)
				} else {
					c.add(t.F32s()[i0:i1], msg, tensor.F32, from == 0)
				}
			})
	})
}

// add adds a message of dtype wire to sum, or with first puts it there.
func (c *channel) add(sum []float32, msg []byte, wire tensor.DType, first bool) {
	if first {
		must(tensor.Float32s(sum, msg, wire))
		return
	}
	terms := c.terms(len(sum))
	must(tensor.Float32s(terms, msg, wire))
	for i, v := range terms {
		sum[i] += v
	}
}

// terms is room for one message's numbers.
func (c *channel) terms(n int) []float32 {
	if len(c.buf) < n {
		c.buf = make([]float32, piece/4)
	}
	return c.buf[:n]
}

func addF64(sum []float64, msg []byte, first bool) {
	for i := range sum {
		v := math.Float64frombits(binary.LittleEndian.Uint64(msg[8*i:]))
		if !first {
			v += sum[i]
		}
		sum[i] = v
	}
}

// must is for conversions whose lengths and dtypes this package has made itself.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
