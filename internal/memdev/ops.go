package memdev

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// The operations: results go into tensors the caller owns, so there is only work to count. A tensor that is read and
// written counts twice.

func (d *Device) Zero(t tensor.Tensor)        { d.elements("Zero", t) }
func (d *Device) Copy(dst, src tensor.Tensor) { d.elements("Copy", dst, src) }

func (d *Device) MatMul(_, x, w tensor.Tensor, _ bool) {
	d.packs(x, w)
	d.forward("MatMul", x.Shape[0], w)
}
func (d *Device) MatMulBackwardInput(_, dy, w tensor.Tensor, _ bool) {
	d.packs(dy, w)
	d.backward("MatMulBackwardInput", dy.Shape[0], w)
}
func (d *Device) OuterAdd(g, dy, x tensor.Tensor, _ bool) {
	d.packs(dy, x)
	d.backward("OuterAdd", dy.Shape[0], g)
}
func (d *Device) OuterSumSq(_, dy, x tensor.Tensor) {
	d.packs(dy, x)
	d.packs(dy, dy) // products of pairs of tokens, of either factor
	d.packs(x, x)
	flops := 2 * float64(dy.Len()) * float64(x.Cols())
	d.Now().Backward += flops
	d.call("OuterSumSq", dy.Shape[0], x.Cols(), dy.Cols(), flops)
}
func (d *Device) OuterUpdate(w, dy, x tensor.Tensor, _ device.Step) {
	d.packs(dy, x)
	d.backward("OuterUpdate", dy.Shape[0], w)
	d.Now().Updates += 2 * w.Bytes() // within the product
}

// SoftmaxGrad is in place and then a copy on cards, whose time this is.
func (d *Device) SoftmaxGrad(dz, z, _, _ tensor.Tensor, _ int, _, _ float32) {
	d.elements("SoftmaxGrad", z, z)
	if dz.DType != z.DType {
		d.Copy(dz, z)
	}
}

func (d *Device) AddRow(y, _ tensor.Tensor)               { d.elements("AddRow", y, y) }
func (d *Device) AddScaled(y, x tensor.Tensor, _ float32) { d.elements("AddScaled", y, y, x) }
func (d *Device) ColumnSum(_, dy tensor.Tensor, _ bool) {
	d.packs(dy)
	d.elements("ColumnSum", dy)
}

func (d *Device) SumSq(_, g tensor.Tensor)                 { d.updates("SumSq", g) }
func (d *Device) Update(w, g tensor.Tensor, _ device.Step) { d.updates("Update", w, w, g) }

func (d *Device) RMSNorm(y, _, x, _ tensor.Tensor, _ device.Norm) { d.elements("RMSNorm", y, x) }
func (d *Device) RMSNormBackward(dx, _, dy, x, _, _ tensor.Tensor, _ device.Norm, addX, _ bool) {
	d.packs(x)
	var old tensor.Tensor
	if addX {
		old = dx
	}
	d.elements("RMSNormBackward", dx, old, dy, x)
}
func (d *Device) RoPE(x, _, _, _ tensor.Tensor, _ int, _ bool) { d.elements("RoPE", x, x) }

// Attention is two products over the pairs of queries and keys, its backward pass five.
func (d *Device) Attention(_, _, q, k, _, _ tensor.Tensor, _ int) {
	d.Now().Forward += 2 * pairs(q, k)
	d.call("Attention", q.Shape[0]*q.Shape[1], q.Shape[1], q.Cols(), 2*pairs(q, k))
}
func (d *Device) AttentionBackward(_, _, _, _, _, _, q, k, _, _ tensor.Tensor, _ int) {
	d.Now().Backward += 5 * pairs(q, k)
	d.call("AttentionBackward", q.Shape[0]*q.Shape[1], q.Shape[1], q.Cols(), 5*pairs(q, k))
}

func (d *Device) SwiGLU(act, gate, up tensor.Tensor) { d.elements("SwiGLU", act, gate, up) }
func (d *Device) SwiGLUBackward(dgate, dup, dact, gate, up tensor.Tensor) {
	d.elements("SwiGLUBackward", dgate, dup, dact, gate, up)
}
func (d *Device) GeGLU(act, gate, up tensor.Tensor) { d.elements("GeGLU", act, gate, up) }
func (d *Device) GeGLUBackward(dgate, dup, dact, gate, up tensor.Tensor) {
	d.elements("GeGLUBackward", dgate, dup, dact, gate, up)
}

func (d *Device) GatherRows(dst, _, _ tensor.Tensor)            { d.elements("GatherRows", dst, dst) }
func (d *Device) ScatterRows(_, src, _ tensor.Tensor)           { d.elements("ScatterRows", src, src) }
func (d *Device) RowsAdd(_ tensor.Tensor, r device.Rows, _ int) { d.elements("RowsAdd", r.D, r.D, r.D) }
func (d *Device) RowsSumSq(_ tensor.Tensor, r device.Rows)      { d.elements("RowsSumSq", r.D) }
func (d *Device) RowsUpdate(_ tensor.Tensor, r device.Rows, _ device.Step) {
	d.updates("RowsUpdate", r.D, r.D)
}

func (d *Device) SoftCap(z tensor.Tensor, _ float32)                { d.elements("SoftCap", z, z) }
func (d *Device) SoftmaxStats(_, z, _ tensor.Tensor, _ int, _ bool) { d.elements("SoftmaxStats", z) }
func (d *Device) SoftmaxLoss(_, _, stats tensor.Tensor)             { d.elements("SoftmaxLoss", stats) }
func (d *Device) Sum(_, x tensor.Tensor)                            { d.elements("Sum", x) }
func (d *Device) ClipCoef(_, _ tensor.Tensor, _, _ float32)         {}

func (d *Device) FactorSums(_, _, _, w, g tensor.Tensor, _ float32, _ device.Step) {
	d.updates("FactorSums", w, g)
}
func (d *Device) FactorEMA(r, c, _, _, _ tensor.Tensor, _ float32, _ int) {
	d.updates("FactorEMA", r, c)
}
func (d *Device) FactorNorm(_, g, _, _ tensor.Tensor, _ device.Step) { d.updates("FactorNorm", g) }
func (d *Device) FactorUpdate(w, g, _, _, _ tensor.Tensor, _, _ float32, _ device.Step) {
	d.updates("FactorUpdate", w, w, g)
}
func (d *Device) VectorStats(v, _, w, g tensor.Tensor, _, _ float32, _ device.Step) {
	d.updates("VectorStats", v, v, w, g)
}
func (d *Device) VectorUpdate(w, g, v, _ tensor.Tensor, _, _ float32, _ device.Step) {
	d.updates("VectorUpdate", w, w, g, v)
}
func (d *Device) AdamW(w, m, v, master, g tensor.Tensor, _ device.AdamW, _ device.Step) {
	d.updates("AdamW", w, w, m, m, v, v, master, master, g)
}
func (d *Device) SGD(w, buf, g tensor.Tensor, _ device.Momentum, _ device.Step) {
	d.updates("SGD", w, w, buf, buf, g)
}
func (d *Device) AbsMax(_, x tensor.Tensor) { d.elements("AbsMax", x) }
