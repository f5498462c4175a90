package bench

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// blockRows is what a block does beside products and attention.
func blockRows(b *bed) []kernel {
	c, n := b.o.Model, b.o.Tokens
	hidden, inter, width := c.HiddenSize, c.IntermediateSize, c.NumAttentionHeads*c.HeadDim
	x, y, dx, w := b.of(n, hidden), b.of(n, hidden), b.of(n, hidden), b.of(hidden)
	rstd, dw := b.f32(n), b.f32(hidden)
	q, pos := b.of(n, width), b.indices(n, 1)
	cos, sin := b.full(tensor.F32, 1, n, c.HeadDim/2), b.full(tensor.F32, 0, n, c.HeadDim/2) // turning again and again must not grow
	gate, up, act, dgate := b.of(n, inter), b.of(n, inter), b.of(n, inter), b.of(n, inter)
	bias, dbias := b.of(inter), b.f32(inter)
	return []kernel{
		moves("AddRow", act, func() { b.d.AddRow(act, bias) }, act, act, bias), // what grows here is written anew below
		moves("ColumnSum", gate, func() { b.d.ColumnSum(dbias, gate, false) }, gate, dbias),
		moves("AddScaled", y, func() { b.d.AddScaled(y, x, 0.5) }, y, y, x),
		moves("RMSNorm", x, func() { b.d.RMSNorm(y, rstd, x, w, c.Norm()) }, x, w, y, rstd),
		moves("RMSNormBackward", x, func() { b.d.RMSNormBackward(dx, dw, y, x, w, rstd, c.Norm(), true, false) }, y, x, w, rstd, dx, dx, dw),
		moves("RoPE", q, func() { b.d.RoPE(q, pos, cos, sin, c.HeadDim, false) }, q, q, pos, cos, sin),
		moves("SwiGLU", gate, func() { b.d.SwiGLU(act, gate, up) }, gate, up, act),
		moves("SwiGLUBackward", gate, func() { b.d.SwiGLUBackward(dgate, up, act, gate, up) }, act, gate, up, dgate, up),
		moves("GeGLU", gate, func() { b.d.GeGLU(act, gate, up) }, gate, up, act),
		moves("GeGLUBackward", gate, func() { b.d.GeGLUBackward(dgate, up, act, gate, up) }, act, gate, up, dgate, up),
	}
}

// embedding is one row a token, all different, of a block of the table.
func embedding(b *bed) []kernel {
	block, hidden := b.vocabBlock(), b.o.Model.HiddenSize
	n := min(b.o.Tokens, block)
	table, x, g, sum := b.of(block, hidden), b.of(n, hidden), b.f32(block, hidden), b.full(tensor.F64, 0, 1)
	r := device.Rows{IDs: b.indices(n, block/n), Offs: b.indices(n+1, 1), Index: b.indices(n, 1), D: x}
	touched := g
	if b.err == nil {
		touched = g.Slice(0, n)
	}
	return []kernel{
		moves("GatherRows", x, func() { b.d.GatherRows(x, table, r.IDs) }, x, x, r.IDs),
		moves("ScatterRows", x, func() { b.d.ScatterRows(table, x, r.IDs) }, x, x, r.IDs),
		moves("RowsAdd", x, func() { b.d.RowsAdd(g, r, 0) }, x, touched, touched),
		moves("RowsSumSq", x, func() { b.d.RowsSumSq(sum, r) }, x),
		moves("RowsUpdate", table, func() { b.d.RowsUpdate(table, r, b.step) }, x, x, x), // without decay only the rows named change
	}
}

// routing is what a mixture does with its rows, two experts of sixteen each, and what attention does with a learned logit of each head.
func routing(b *bed) []kernel {
	c, n, k := b.o.Model, b.o.Tokens, 2
	z, w, dw, ids := b.f32(n, 16), b.f32(n, k), b.f32(n, k), b.indices(n*k, 0)
	x, y, a, at := b.of(n*k, c.HiddenSize), b.of(n, c.HiddenSize), b.of(n*k, c.HiddenSize), b.indices(n*k, 1)
	o, do, lse := b.of(1, n, c.QSize()), b.of(1, n, c.QSize()), b.full(tensor.F32, 4, 1, c.NumAttentionHeads, n)
	sinks, dsinks := b.full(b.dt, -30, c.NumAttentionHeads), b.f32(c.NumAttentionHeads) // so small that results stay what they are
	if b.err != nil {
		return nil
	}
	ids = ids.View(n, k)
	pairs := at.View(n, k)
	return []kernel{
		moves("Route", z, func() { b.d.Route(w, ids, z, true) }, z, z, w, ids),
		moves("RouteBackward", z, func() { b.d.RouteBackward(z, dw, w, ids, z, true) }, z, z, dw, w, ids),
		moves("SumRows", x, func() { b.d.SumRows(y, x, pairs, false) }, x, y),
		moves("ScaleRows", x, func() { b.d.ScaleRows(a, x, w.View(n*k), at) }, x, a),
		moves("RowDots", x, func() { b.d.RowDots(dw.View(n*k), a, x, at) }, a, x),
		moves("Sink", o, func() { b.d.Sink(o, lse, sinks) }, o, o, lse, lse),
		moves("SinkBackward", o, func() { b.d.SinkBackward(dsinks, do, o, lse, sinks, false) }, do, o, lse),
	}
}

// loss is the softmax over a block of logits, which are float32 always.
func loss(b *bed) []kernel {
	n, block := b.o.Tokens, b.vocabBlock()
	z, stats, targets := b.f32(n, block), b.f32(n, 3), b.indices(n, 0)
	lse, losses := b.full(tensor.F32, 4, n), b.f32(n) // exp(z−4) of its own result stays small
	return []kernel{
		moves("SoftmaxStats", z, func() { b.d.SoftmaxStats(stats, z, targets, 0, true) }, z, targets, stats),
		moves("SoftmaxLoss", losses, func() { b.d.SoftmaxLoss(losses, lse, stats) }, stats, lse, losses),
		moves("SoftmaxGrad", z, func() { b.d.SoftmaxGrad(z, z, lse, targets, 0, 1, 0) }, z, z, lse, targets),
		moves("SoftCap", z, func() { b.d.SoftCap(z, 30) }, z, z),
	}
}

// copies go between types, and between host and device.
func copies(b *bed) []kernel {
	x, f := b.of(b.o.Model.IntermediateSize, b.o.Model.HiddenSize), b.f32(b.o.Model.IntermediateSize, b.o.Model.HiddenSize)
	host := make([]byte, x.Bytes())
	return []kernel{
		moves("Copy", x, func() { b.d.Copy(f, x) }, x, f),
		moves("CopyIn", x, func() { b.d.CopyIn(x, host) }, x, x),
		moves("CopyOut", x, func() { b.d.CopyOut(host, x) }, x, x),
		moves("Zero", x, func() { b.d.Zero(x) }, x),
	}
}
