package model

import (
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Layout is how the rows of a micro-batch are arranged: B sequences of T tokens, their positions and the
// start of each token's document.
type Layout struct {
	B, T  int
	Pos   tensor.Tensor // (B·T) I32
	Start tensor.Tensor // (B, T) I32
}

// Acts is what a block's forward pass leaves for its backward pass, N = B·T rows. With gradient checkpointing
// one set serves all blocks and is filled again before each block's backward pass.
type Acts struct {
	N1, Rstd1        tensor.Tensor // (N, C), (N) F32: input_layernorm
	Q, K, V          tensor.Tensor // (N, Hq·Hd), (N, Hkv·Hd) ×2, after RoPE
	Att, LSE         tensor.Tensor // (N, Hq·Hd), (B, Hq, T) F32
	H                tensor.Tensor // (N, C): x + attention
	N2, Rstd2        tensor.Tensor // (N, C), (N) F32: post_attention_layernorm
	Gate, Up, Hidden tensor.Tensor // (N, F): gate, up, silu(gate)⊙up
}

// Forward computes h = x + attn(norm(x)), out = h + mlp(norm(h)); x, out: (N, C). With out the zero Tensor the last
// product, which no backward pass reads, is left out (recomputation).
func (b *Block) Forward(d device.Device, out, x tensor.Tensor, a *Acts, l Layout, r *Rope) {
	b.Project(d, x, a, l, r)
	d.Attention(seq(a.Att, l), a.LSE, seq(a.Q, l), seq(a.K, l), seq(a.V, l), l.Start, b.cfg.HeadDim)
	b.Finish(d, out, x, a)
}

// Project is the first part of Forward: a.Q, a.K and a.V of x, rotated to their positions.
func (b *Block) Project(d device.Device, x tensor.Tensor, a *Acts, l Layout, r *Rope) {
	d.RMSNorm(a.N1, a.Rstd1, x, b.InputNorm.W, b.cfg.Norm()) // (N, C)
	d.MatMul(a.Q, a.N1, b.w(b.Q), false)                     // (N, Hq·Hd)
	d.MatMul(a.K, a.N1, b.w(b.K), false)                     // (N, Hkv·Hd)
	d.MatMul(a.V, a.N1, b.w(b.V), false)                     // (N, Hkv·Hd)
	d.RoPE(a.Q, l.Pos, r.Cos, r.Sin, b.cfg.HeadDim, false)
	d.RoPE(a.K, l.Pos, r.Cos, r.Sin, b.cfg.HeadDim, false)
}

// Finish is the last part of Forward: from a.Att to out.
func (b *Block) Finish(d device.Device, out, x tensor.Tensor, a *Acts) {
	d.Copy(a.H, x)
	d.MatMul(a.H, a.Att, b.w(b.O), true)                      // (N, C)
	d.RMSNorm(a.N2, a.Rstd2, a.H, b.PostNorm.W, b.cfg.Norm()) // (N, C)
	d.MatMul(a.Gate, a.N2, b.w(b.GateProj), false)            // (N, F)
	d.MatMul(a.Up, a.N2, b.w(b.UpProj), false)                // (N, F)
	d.SwiGLU(a.Hidden, a.Gate, a.Up)                          // (N, F)
	if !out.IsZero() {
		d.Copy(out, a.H)
		d.MatMul(out, a.Hidden, b.w(b.Down), true) // (N, C)
	}
}

// Grads is the scratch of a block's backward pass for one micro-batch, N rows.
type Grads struct {
	DHidden       tensor.Tensor // (N, F)
	DGate, DUp    tensor.Tensor // (N, F); may be the Acts' Gate and Up
	DOut          tensor.Tensor // (N, C): the residual gradient in the dtype of activations; zero Tensor where that is F32
	DNorm         tensor.Tensor // (N, C) F32
	DAtt          tensor.Tensor // (N, Hq·Hd)
	DQ, DK, DV    tensor.Tensor // (N, Hq·Hd), (N, Hkv·Hd) ×2
	DInput, DPost tensor.Tensor // (C) F32: gradients of the two norm gains
}

// out is the residual gradient as products take it: where activations are BF16 it is rounded to them, so that both factors of
// a product are, which hardware multiplies faster. The residual itself adds up in F32.
func (g *Grads) out(d device.Device, dres tensor.Tensor) tensor.Tensor {
	if g.DOut.IsZero() {
		return dres
	}
	d.Copy(g.DOut, dres)
	return g.DOut
}

// Emit receives a matrix's gradient factors as soon as its dX has been taken from the old weights.
type Emit func(p *grad.Param, dy, x tensor.Tensor) error

// Backward turns dres (N, C) F32 from the gradient of the block's output into that of its input x, and emits every
// matrix's gradient on the way. The gains' gradients are left in g.DInput and g.DPost (with acc, added to them).
func (b *Block) Backward(d device.Device, dres, x tensor.Tensor, a *Acts, g *Grads, l Layout, r *Rope, acc bool, emit Emit) error {
	if err := b.backwardMLP(d, dres, a, g, acc, emit); err != nil {
		return err
	}
	hd := b.cfg.HeadDim
	dout := g.out(d, dres)
	d.MatMulBackwardInput(g.DAtt, dout, b.w(b.O), false) // (N, Hq·Hd)
	if err := emit(b.O, dout, a.Att); err != nil {
		return err
	}
	d.AttentionBackward(seq(g.DQ, l), seq(g.DK, l), seq(g.DV, l), seq(g.DAtt, l), seq(a.Att, l), a.LSE,
		seq(a.Q, l), seq(a.K, l), seq(a.V, l), l.Start, hd)
	d.RoPE(g.DQ, l.Pos, r.Cos, r.Sin, hd, true)
	d.RoPE(g.DK, l.Pos, r.Cos, r.Sin, hd, true)
	d.MatMulBackwardInput(g.DNorm, g.DQ, b.w(b.Q), false) // (N, C)
	d.MatMulBackwardInput(g.DNorm, g.DK, b.w(b.K), true)
	d.MatMulBackwardInput(g.DNorm, g.DV, b.w(b.V), true)
	for _, e := range []struct {
		p  *grad.Param
		dy tensor.Tensor
	}{{b.Q, g.DQ}, {b.K, g.DK}, {b.V, g.DV}} {
		if err := emit(e.p, e.dy, a.N1); err != nil {
			return err
		}
	}
	d.RMSNormBackward(dres, g.DInput, g.DNorm, x, b.InputNorm.W, a.Rstd1, b.cfg.Norm(), true, acc)
	return nil
}

func (b *Block) backwardMLP(d device.Device, dres tensor.Tensor, a *Acts, g *Grads, acc bool, emit Emit) error {
	dout := g.out(d, dres)
	d.MatMulBackwardInput(g.DHidden, dout, b.w(b.Down), false) // (N, F)
	if err := emit(b.Down, dout, a.Hidden); err != nil {
		return err
	}
	d.SwiGLUBackward(g.DGate, g.DUp, g.DHidden, a.Gate, a.Up)
	d.MatMulBackwardInput(g.DNorm, g.DGate, b.w(b.GateProj), false) // (N, C)
	d.MatMulBackwardInput(g.DNorm, g.DUp, b.w(b.UpProj), true)
	if err := emit(b.GateProj, g.DGate, a.N2); err != nil {
		return err
	}
	if err := emit(b.UpProj, g.DUp, a.N2); err != nil {
		return err
	}
	d.RMSNormBackward(dres, g.DPost, g.DNorm, a.H, b.PostNorm.W, a.Rstd2, b.cfg.Norm(), true, acc)
	return nil
}

// w is a matrix about to be read.
func (b *Block) w(p *grad.Param) tensor.Tensor {
	if b.Use != nil {
		b.Use(p)
	}
	return p.W
}

// ForwardUses is the matrices in the order that Forward reads them; withOut as Forward has an out.
func (b *Block) ForwardUses(withOut bool) []*grad.Param {
	uses := []*grad.Param{b.Q, b.K, b.V, b.O, b.GateProj, b.UpProj}
	if withOut {
		uses = append(uses, b.Down)
	}
	return uses
}

// BackwardUses is the matrices in the order that Backward reads them.
func (b *Block) BackwardUses() []*grad.Param {
	return []*grad.Param{b.Down, b.GateProj, b.UpProj, b.O, b.Q, b.K, b.V}
}

// seq is t (N, n) as (B, T, n).
func seq(t tensor.Tensor, l Layout) tensor.Tensor { return t.View(l.B, l.T, t.Cols()) }
