package memdev

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// The operations: nothing to count, since results go into tensors the caller owns.

func (d *Device) Zero(tensor.Tensor)                                                          {}
func (d *Device) Copy(tensor.Tensor, tensor.Tensor)                                           {}
func (d *Device) MatMul(tensor.Tensor, tensor.Tensor, tensor.Tensor, bool)                    {}
func (d *Device) MatMulBackwardInput(tensor.Tensor, tensor.Tensor, tensor.Tensor, bool)       {}
func (d *Device) OuterAdd(tensor.Tensor, tensor.Tensor, tensor.Tensor, bool)                  {}
func (d *Device) OuterSumSq(tensor.Tensor, tensor.Tensor, tensor.Tensor)                      {}
func (d *Device) OuterUpdate(tensor.Tensor, tensor.Tensor, tensor.Tensor, device.Step)        {}
func (d *Device) SumSq(tensor.Tensor, tensor.Tensor)                                          {}
func (d *Device) Update(tensor.Tensor, tensor.Tensor, device.Step)                            {}
func (d *Device) RMSNorm(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, float32) {}
func (d *Device) RMSNormBackward(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, bool) {
}
func (d *Device) RoPE(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, int, bool) {}
func (d *Device) Attention(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, int) {
}
func (d *Device) AttentionBackward(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, int) {
}
func (d *Device) SwiGLU(tensor.Tensor, tensor.Tensor, tensor.Tensor) {}
func (d *Device) SwiGLUBackward(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor) {
}
func (d *Device) GatherRows(tensor.Tensor, tensor.Tensor, tensor.Tensor)                {}
func (d *Device) ScatterRows(tensor.Tensor, tensor.Tensor, tensor.Tensor)               {}
func (d *Device) RowsAdd(tensor.Tensor, device.Rows, int)                               {}
func (d *Device) RowsSumSq(tensor.Tensor, device.Rows)                                  {}
func (d *Device) RowsUpdate(tensor.Tensor, device.Rows, device.Step)                    {}
func (d *Device) SoftmaxStats(tensor.Tensor, tensor.Tensor, tensor.Tensor, int, bool)   {}
func (d *Device) SoftmaxLoss(tensor.Tensor, tensor.Tensor, tensor.Tensor)               {}
func (d *Device) SoftmaxGrad(tensor.Tensor, tensor.Tensor, tensor.Tensor, int, float32) {}
func (d *Device) Sum(tensor.Tensor, tensor.Tensor)                                      {}
func (d *Device) ClipCoef(tensor.Tensor, tensor.Tensor, float32, float32)               {}
func (d *Device) FactorSums(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, float32, device.Step) {
}
func (d *Device) FactorEMA(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, float32, int) {
}
func (d *Device) FactorNorm(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, device.Step) {
}
func (d *Device) FactorUpdate(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, float32, float32, device.Step) {
}
func (d *Device) VectorStats(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, float32, float32, device.Step) {
}
func (d *Device) VectorUpdate(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, float32, float32, device.Step) {
}
func (d *Device) AdamW(tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, tensor.Tensor, device.AdamW, device.Step) {
}
func (d *Device) SGD(tensor.Tensor, tensor.Tensor, tensor.Tensor, device.Momentum, device.Step) {}
func (d *Device) AbsMax(tensor.Tensor, tensor.Tensor)                                           {}
