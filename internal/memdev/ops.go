package memdev

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// The operations: results go into tensors the caller owns, so there is only work to count. Those that pass over tensors element by element
// are in counted.go, made from what device.Device says of them. A tensor that is read and written counts twice.

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

func (d *Device) ColumnSum(_, dy tensor.Tensor, _ bool) {
	d.packs(dy)
	d.elements("ColumnSum", dy)
}

func (d *Device) RMSNormBackward(dx, _, dy, x, _, _ tensor.Tensor, _ device.Norm, addX, _ bool) {
	d.packs(x)
	var old tensor.Tensor
	if addX {
		old = dx
	}
	d.elements("RMSNormBackward", dx, old, dy, x)
}

// Attention is two products over the pairs of queries and keys, its backward pass five.
func (d *Device) Attention(_, _, q, k, _, _ tensor.Tensor, _ device.Heads) {
	d.Now().Forward += 2 * pairs(q, k)
	d.call("Attention", q.Shape[0]*q.Shape[1], q.Shape[1], q.Cols(), 2*pairs(q, k))
}
func (d *Device) AttentionBackward(_, _, _, _, _, _, q, k, _, _ tensor.Tensor, _ device.Heads) {
	d.Now().Backward += 5 * pairs(q, k)
	d.call("AttentionBackward", q.Shape[0]*q.Shape[1], q.Shape[1], q.Cols(), 5*pairs(q, k))
}
