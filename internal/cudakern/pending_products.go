package cudakern

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// The matrix products and attention.

func (d *Device) MatMul(y, x, w tensor.Tensor, acc bool)                 { panic("not written yet") }
func (d *Device) MatMulBackwardInput(dx, dy, w tensor.Tensor, acc bool)  { panic("not written yet") }
func (d *Device) OuterAdd(g, dy, x tensor.Tensor, acc bool)              { panic("not written yet") }
func (d *Device) OuterSumSq(sum, dy, x tensor.Tensor)                    { panic("not written yet") }
func (d *Device) OuterUpdate(w, dy, x tensor.Tensor, s device.Step)      { panic("not written yet") }
func (d *Device) Attention(o, lse, q, k, v, start tensor.Tensor, hd int) { panic("not written yet") }
func (d *Device) AttentionBackward(dq, dk, dv, do, o, lse, q, k, v, start tensor.Tensor, hd int) {
	panic("not written yet")
}
