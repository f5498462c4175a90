package cudakern

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

func (d *Device) SumSq(sum, g tensor.Tensor)                       { panic("not written yet") }
func (d *Device) Update(w, g tensor.Tensor, s device.Step)         { panic("not written yet") }
func (d *Device) RMSNorm(y, rstd, x, w tensor.Tensor, eps float32) { panic("not written yet") }
func (d *Device) RMSNormBackward(dx, dw, dy, x, w, rstd tensor.Tensor, acc bool) {
	panic("not written yet")
}
func (d *Device) RoPE(x, pos, cos, sin tensor.Tensor, headDim int, inverse bool) {
	panic("not written yet")
}
func (d *Device) SwiGLU(act, gate, up tensor.Tensor)                       { panic("not written yet") }
func (d *Device) SwiGLUBackward(dgate, dup, dact, gate, up tensor.Tensor)  { panic("not written yet") }
func (d *Device) GatherRows(dst, src, idx tensor.Tensor)                   { panic("not written yet") }
func (d *Device) ScatterRows(dst, src, idx tensor.Tensor)                  { panic("not written yet") }
func (d *Device) RowsAdd(g tensor.Tensor, r device.Rows, row0 int)         { panic("not written yet") }
func (d *Device) RowsSumSq(sum tensor.Tensor, r device.Rows)               { panic("not written yet") }
func (d *Device) RowsUpdate(w tensor.Tensor, r device.Rows, s device.Step) { panic("not written yet") }
func (d *Device) SoftmaxStats(stats, z, targets tensor.Tensor, v0 int, first bool) {
	panic("not written yet")
}
func (d *Device) SoftmaxLoss(loss, lse, stats tensor.Tensor) { panic("not written yet") }
func (d *Device) SoftmaxGrad(z, lse, targets tensor.Tensor, v0 int, scale float32) {
	panic("not written yet")
}
func (d *Device) Sum(sum, x tensor.Tensor) { panic("not written yet") }
func (d *Device) ClipCoef(coef, sumSq tensor.Tensor, maxNorm, scale float32) {
	panic("not written yet")
}
func (d *Device) FactorSums(rows, cols, stats, w, g tensor.Tensor, eps1 float32, s device.Step) {
	panic("not written yet")
}
func (d *Device) FactorEMA(r, c, stats, rows, cols tensor.Tensor, beta float32, wholeRows int) {
	panic("not written yet")
}
func (d *Device) FactorNorm(stats, g, r, c tensor.Tensor, s device.Step) { panic("not written yet") }
func (d *Device) FactorUpdate(w, g, r, c, stats tensor.Tensor, eps2, dd float32, s device.Step) {
	panic("not written yet")
}
func (d *Device) VectorStats(v, stats, w, g tensor.Tensor, beta, eps1 float32, s device.Step) {
	panic("not written yet")
}
func (d *Device) VectorUpdate(w, g, v, stats tensor.Tensor, eps2, dd float32, s device.Step) {
	panic("not written yet")
}
func (d *Device) AdamW(w, m, v, master, g tensor.Tensor, a device.AdamW, s device.Step) {
	panic("not written yet")
}
func (d *Device) SGD(w, buf, g tensor.Tensor, m device.Momentum, s device.Step) {
	panic("not written yet")
}
func (d *Device) AbsMax(out, x tensor.Tensor) { panic("not written yet") }
