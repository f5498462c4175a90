package model

import (
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Embedded is the rows of the table that ids (N) name, as the first block takes them: x (N, C).
func (n *Network) Embedded(d device.Device, x, ids tensor.Tensor) {
	d.GatherRows(x, n.Embed.W, ids)
	n.times(d, x, n.Cfg.EmbedFactor(n.Embed.W.DType))
}

// BackwardEmbedded turns the gradient of Embedded's rows, dx (N, C), into that of the table's.
func (n *Network) BackwardEmbedded(d device.Device, dx tensor.Tensor) {
	n.times(d, dx, n.Cfg.EmbedFactor(n.Embed.W.DType))
}

// Logits is z (N, V) F32 of the last block's rows x (N, C); normed (N, C) and rstd (N) F32 are scratch.
func (n *Network) Logits(d device.Device, z, normed, rstd, x tensor.Tensor) {
	n.normed(d, normed, rstd, x)
	n.logits(d, z, normed, n.Head)
}

// normed is the rows that the head is multiplied with: scaling them scales the logits, and the head's gradient with them.
func (n *Network) normed(d device.Device, normed, rstd, x tensor.Tensor) {
	d.RMSNorm(normed, rstd, x, n.Norm.W, n.Cfg.Norm())
	n.times(d, normed, n.Cfg.LogitScale)
}

// logits is z of rows that are normed, for the rows w of the head.
func (n *Network) logits(d device.Device, z, normed tensor.Tensor, w *grad.Param) {
	d.MatMul(z, normed, w.W, false)
	if c := n.Cfg.LogitCap; c > 0 {
		d.SoftCap(z, float32(c))
	}
}

// times is t *= by, where by is given.
func (n *Network) times(d device.Device, t tensor.Tensor, by float64) {
	if by != 0 && by != 1 {
		scale(d, t, float32(by))
	}
}
