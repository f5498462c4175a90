package cudakern

import (
	"fmt"

	"lomo/internal/tensor"
)

// Sink lets a logit of each head join the softmax of Attention's result.
func (d *Device) Sink(o, lse, sinks tensor.Tensor) {
	const op = "Sink"
	n, heads, hd, t := sinkShapes(op, o, lse, sinks)
	if d.ready() {
		d.launch(op, "sink", dim{min(ceilDiv(n*heads, 8), flatBlocks), 1, 1}, dim{8 * 32, 1, 1}, 0, o, lse, sinks, n*heads, heads, hd, t, halves(op, o, sinks))
	}
}

// SinkBackward is dsinks = −Σ over tokens of exp(sink − lse)·Σ do·o.
func (d *Device) SinkBackward(dsinks, do, o, lse, sinks tensor.Tensor, acc bool) {
	const op = "SinkBackward"
	n, heads, hd, t := sinkShapes(op, o, lse, sinks)
	wantLen(op, do, o.Len())
	wantLen(op, dsinks, heads)
	wantType(op, tensor.F32, dsinks)
	if d.ready() {
		d.sumRows(op, dsinks, n, acc, func(part uint64, grid, _ dim, perRange int) {
			d.launch(op, "sink_backward", dim{heads, grid[1], 1}, dim{32, 1, 1}, 0, part, do, o, lse, sinks, n, heads, hd, t, perRange, halves(op, do, o, sinks))
		})
	}
}

// sinkShapes is n rows of heads of hd numbers, and log-sums as (B, heads, t).
func sinkShapes(op string, o, lse, sinks tensor.Tensor) (n, heads, hd, t int) {
	n, c := rowsCols(o)
	heads, t = sinks.Len(), lse.Cols()
	if heads == 0 || c%heads != 0 || lse.Len() != n*heads || t > 0 && n%t != 0 {
		panic(fmt.Sprintf("%s: o %v, lse %v and sinks %v do not fit", op, o, lse, sinks))
	}
	wantType(op, tensor.F32, lse)
	return n, heads, c / heads, t
}
