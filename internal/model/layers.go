package model

import (
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// norm is RMSNorm of whole rows or of each head.
type norm struct {
	w              *grad.Param // (cols of from / heads)
	kind           device.Norm
	from, to, rstd Slot
	heads          int  // 0: whole rows
	stream         bool // from is part of the residual stream
}

func (l norm) forward(f *Frame) {
	f.d.RMSNorm(l.rows(f.acts[l.to]), l.stats(f.acts[l.rstd]), l.rows(f.acts[l.from]), l.w.W, l.kind)
}

func (l norm) backward(f *Frame) error {
	f.d.RMSNormBackward(l.rows(f.grads[l.from]), f.vecs[l.w], l.rows(f.grads[l.to]), l.rows(f.acts[l.from]), l.w.W, l.stats(f.acts[l.rstd]), l.kind, l.stream, f.acc)
	return nil
}

// rows is t (N, cols) as what is normed: with heads (N·heads, cols/heads).
func (l norm) rows(t tensor.Tensor) tensor.Tensor {
	if l.heads == 0 {
		return t
	}
	return t.View(t.Shape[0]*l.heads, t.Cols()/l.heads)
}

func (l norm) stats(t tensor.Tensor) tensor.Tensor { return t.View(t.Len()) }

func (l norm) wires() wires {
	return wires{from: []Slot{l.from}, to: []Slot{l.to}, reads: []Slot{l.from, l.rstd}, vectors: []*grad.Param{l.w}}
}

// project is the linear layers of one input: to = from·wᵀ + bias each. They are one layer because their gradients of the input add up. A matrix that
// has several layers' rows one after another makes a slot of each.
type project struct {
	from   Slot
	stream bool // from is part of the residual stream
	more   bool // a layer after this one is given from too, and has begun its gradient
	linear []linear
}

type linear struct {
	w    *grad.Param // (cols of all to, cols of from)
	bias *grad.Param // (cols of to); nil: none, as where there are several
	to   []Slot
}

// rows calls f with each slot that the layer makes, the tensor that t has there, and the rows of the matrix w that make it.
func (p linear) rows(t []tensor.Tensor, w tensor.Tensor, f func(t, rows tensor.Tensor)) {
	r := 0
	for _, s := range p.to {
		n := t[s].Cols()
		f(t[s], w.Slice(r, r+n))
		r += n
	}
}

func (l project) forward(f *Frame) {
	for _, p := range l.linear {
		p.rows(f.acts, f.w(p.w), func(y, w tensor.Tensor) { f.d.MatMul(y, f.acts[l.from], w, false) })
		if p.bias != nil {
			f.d.AddRow(f.acts[p.to[0]], p.bias.W)
		}
	}
}

func (l project) backward(f *Frame) error {
	add := l.stream || l.more
	for _, p := range l.linear {
		p.rows(f.grads, f.w(p.w), func(dy, w tensor.Tensor) {
			f.d.MatMulBackwardInput(f.grads[l.from], dy, w, add)
			add = true
		})
	}
	for _, p := range l.linear {
		if p.bias != nil {
			f.d.ColumnSum(f.vecs[p.bias], f.grads[p.to[0]], f.acc)
		}
		var dy []tensor.Tensor
		for _, s := range p.to {
			dy = append(dy, f.grads[s])
		}
		if err := f.emit(p.w, grad.FromOuter(f.acts[l.from], dy...)); err != nil {
			return err
		}
	}
	return nil
}

func (l project) wires() wires {
	w := wires{from: []Slot{l.from}, reads: []Slot{l.from}}
	for _, p := range l.linear {
		w.to = append(w.to, p.to...)
		w.matrices = append(w.matrices, Matrix{Param: p.w, x: l.from, y: p.to})
		if p.bias != nil {
			w.vectors = append(w.vectors, p.bias)
		}
	}
	return w
}

// rotate is the rotary embedding of queries and keys, in place, each by a table.
type rotate struct {
	q, k           Slot
	qTable, kTable int
	headDim        int
}

func (l rotate) forward(f *Frame) { l.turn(f, f.acts, false) }

func (l rotate) backward(f *Frame) error {
	l.turn(f, f.grads, true)
	return nil
}

func (l rotate) turn(f *Frame, t []tensor.Tensor, back bool) {
	q, k := f.ropes[l.qTable], f.ropes[l.kTable]
	f.d.RoPE(t[l.q], f.layout.Pos, q.Cos, q.Sin, l.headDim, back)
	f.d.RoPE(t[l.k], f.layout.Pos, k.Cos, k.Sin, l.headDim, back)
}

func (l rotate) wires() wires {
	both := []Slot{l.q, l.k}
	return wires{from: both, to: both}
}

// stretch is q *= by, in place: what the tables of rotate do to queries beside turning them.
type stretch struct {
	q  Slot
	by float32
}

func (l stretch) forward(f *Frame) { scale(f.d, f.acts[l.q], l.by) }

func (l stretch) backward(f *Frame) error {
	scale(f.d, f.grads[l.q], l.by)
	return nil
}

func (l stretch) wires() wires { return wires{from: []Slot{l.q}, to: []Slot{l.q}} }

// attention is causal attention within documents; with a cache, over the tokens before the frame's too.
type attention struct {
	q, k, v, to, lse Slot
	heads            device.Heads
	window           int // 0: all tokens before
}

func (l attention) forward(f *Frame) {
	k, v := f.seq(f.acts[l.k]), f.seq(f.acts[l.v])
	if c := f.Cache; c != nil {
		n, end := f.layout.T, c.Seen+f.layout.T
		f.d.Copy(c.K.Slice(end-n, end), f.acts[l.k])
		f.d.Copy(c.V.Slice(end-n, end), f.acts[l.v])
		k, v = c.K.Slice(0, end).View(1, end, c.K.Cols()), c.V.Slice(0, end).View(1, end, c.V.Cols())
	}
	f.d.Attention(f.seq(f.acts[l.to]), f.acts[l.lse], f.seq(f.acts[l.q]), k, v, f.layout.starts(l.window), l.heads)
}

func (l attention) backward(f *Frame) error {
	a, g := f.acts, f.grads
	f.d.AttentionBackward(f.seq(g[l.q]), f.seq(g[l.k]), f.seq(g[l.v]), f.seq(g[l.to]), f.seq(a[l.to]), a[l.lse],
		f.seq(a[l.q]), f.seq(a[l.k]), f.seq(a[l.v]), f.layout.starts(l.window), l.heads)
	return nil
}

func (l attention) wires() wires {
	return wires{from: []Slot{l.q, l.k, l.v}, to: []Slot{l.to}, reads: []Slot{l.q, l.k, l.v, l.to, l.lse}}
}

// gated is to = f(gate) ⊙ up, f silu or gelu.
type gated struct {
	gate, up, to Slot
	gelu         bool
}

func (l gated) forward(f *Frame) {
	glu := f.d.SwiGLU
	if l.gelu {
		glu = f.d.GeGLU
	}
	glu(f.acts[l.to], f.acts[l.gate], f.acts[l.up])
}

func (l gated) backward(f *Frame) error {
	glu := f.d.SwiGLUBackward
	if l.gelu {
		glu = f.d.GeGLUBackward
	}
	glu(f.grads[l.gate], f.grads[l.up], f.grads[l.to], f.acts[l.gate], f.acts[l.up])
	return nil
}

func (l gated) wires() wires {
	both := []Slot{l.gate, l.up}
	return wires{from: both, to: []Slot{l.to}, reads: both, over: true}
}

// add is the linear layer whose result goes into the residual stream: to = stream + from·wᵀ + bias.
type add struct {
	w                *grad.Param // (C, cols of from)
	bias             *grad.Param // (C); nil: none
	from, stream, to Slot
}

func (l add) forward(f *Frame) {
	f.d.Copy(f.acts[l.to], f.acts[l.stream])
	f.d.MatMul(f.acts[l.to], f.acts[l.from], f.w(l.w), true)
	if l.bias != nil {
		f.d.AddRow(f.acts[l.to], l.bias.W)
	}
}

func (l add) backward(f *Frame) error {
	dy := f.residual()
	f.d.MatMulBackwardInput(f.grads[l.from], dy, f.w(l.w), false)
	if l.bias != nil {
		f.d.ColumnSum(f.vecs[l.bias], dy, f.acc)
	}
	return f.emit(l.w, grad.FromOuter(f.acts[l.from], dy))
}

func (l add) wires() wires {
	w := wires{from: []Slot{l.from, l.stream}, to: []Slot{l.to}, reads: []Slot{l.from},
		matrices: []Matrix{{Param: l.w, x: l.from, y: []Slot{l.to}, Residual: true}}}
	if l.bias != nil {
		w.vectors = []*grad.Param{l.bias}
	}
	return w
}

// join adds a slot to the residual stream: to = stream + scale·from.
type join struct {
	from, stream, to Slot
	scale            float32
}

func (l join) forward(f *Frame) {
	f.d.Copy(f.acts[l.to], f.acts[l.stream])
	f.d.AddScaled(f.acts[l.to], f.acts[l.from], l.scale)
}

func (l join) backward(f *Frame) error {
	f.d.Copy(f.grads[l.from], f.dres)
	if l.scale != 1 {
		scale(f.d, f.grads[l.from], l.scale)
	}
	return nil
}

func (l join) wires() wires { return wires{from: []Slot{l.from, l.stream}, to: []Slot{l.to}} }

// scale is t *= by, as t + (by−1)·t: rounded once.
func scale(d device.Device, t tensor.Tensor, by float32) { d.AddScaled(t, t, by-1) }
