package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"lomo/internal/grad"
)

// Builder makes a block: a family's file calls it layer by layer, in the order of the forward pass, and each call returns the slots that
// it makes. Names are Hugging Face's within the block, without ".weight" and ".bias".
type Builder struct {
	Cfg   *Config
	Layer int // the block's number

	*Block
	params []*grad.Param
}

// newBlock makes block i of c, and gives its parameters in the order of a state dict.
func newBlock(c *Config, i int) (*Block, []*grad.Param) {
	b := &Builder{Block: &Block{}, Cfg: c, Layer: i}
	b.slot(slot{name: "x", cols: c.HiddenSize, residual: true})
	b.out = c.Layers(b, 0)
	b.wire()
	slices.SortStableFunc(b.params, func(p, q *grad.Param) int { return cmp.Compare(b.rank(p), b.rank(q)) })
	return b.Block, b.params
}

// rank is where a module lists what belongs to p: attention, MLP, then the norms around them.
func (b *Builder) rank(p *grad.Param) int {
	for i, module := range []string{"self_attn.", "mlp.", "block_sparse_moe."} {
		if strings.HasPrefix(p.Name, b.name(module)) {
			return i
		}
	}
	return 3
}

func (b *Builder) name(s string) string { return fmt.Sprintf("model.layers.%d.%s", b.Layer, s) }

func (b *Builder) param(name string, shape ...int) *grad.Param {
	p := &grad.Param{Name: b.name(name), Block: b.Layer, Shape: shape}
	b.params = append(b.params, p)
	return p
}

func (b *Builder) slot(s slot) Slot {
	b.slots = append(b.slots, s)
	return Slot(len(b.slots) - 1)
}

func (b *Builder) then(l layer) { b.layers = append(b.layers, l) }

// Norm is RMSNorm of a slot.
func (b *Builder) Norm(name string, from Slot) Slot { return b.norm(name, from, 0) }

// HeadNorm is RMSNorm over each head of a slot.
func (b *Builder) HeadNorm(name string, from Slot) Slot {
	return b.norm(name, from, b.slots[from].cols/b.Cfg.HeadDim)
}

func (b *Builder) norm(name string, from Slot, heads int) Slot {
	of := b.slots[from]
	l := norm{kind: b.Cfg.Norm(), from: from, heads: heads, stream: of.residual}
	l.w = b.param(name+".weight", of.cols/max(1, heads))
	l.to = b.slot(slot{name: name, cols: of.cols})
	l.rstd = b.slot(slot{name: "rstd of " + name, cols: heads, f32: true})
	b.then(l)
	return l.to
}

// Linear is a linear layer that makes cols numbers a row. Linear layers of one input, one after another, are one layer of the block.
func (b *Builder) Linear(name string, from Slot, cols int, bias bool) Slot {
	return b.linear(from, linear{w: b.param(name+".weight", cols, b.slots[from].cols), bias: b.bias(name, cols, bias), to: []Slot{b.slot(slot{name: name, cols: cols})}})[0]
}

// Fused is several linear layers of one input without biases, whose rows lie one after another in one matrix: each makes so many numbers a row.
func (b *Builder) Fused(name string, from Slot, cols ...int) []Slot {
	var w linear
	all := 0
	for i, n := range cols {
		w.to = append(w.to, b.slot(slot{name: fmt.Sprintf("%s.%d", name, i), cols: n}))
		all += n
	}
	w.w = b.param(name+".weight", all, b.slots[from].cols)
	return b.linear(from, w)
}

func (b *Builder) linear(from Slot, w linear) []Slot {
	many := len(w.to) > 1
	if last := len(b.layers) - 1; last >= 0 {
		if l, ok := b.layers[last].(project); ok && l.from == from {
			l.linear = append(l.linear, w)
			b.layers[last] = l
			b.slots[from].sum = true
			return w.to
		}
	}
	b.slots[from].sum = b.slots[from].sum || many
	b.then(project{from: from, stream: b.slots[from].residual, linear: []linear{w}})
	return w.to
}

func (b *Builder) bias(name string, cols int, is bool) *grad.Param {
	if !is {
		return nil
	}
	return b.param(name+".bias", cols)
}

// Rotate turns queries and keys to their tokens' positions, in layers that do so. Of scores of another scale it stretches the queries.
func (b *Builder) Rotate(q, k Slot) {
	if scale := b.Cfg.ScoreScale; scale > 0 && !b.Cfg.Rotates(b.Layer) {
		b.then(stretch{q: q, by: float32(scale * math.Sqrt(float64(b.Cfg.HeadDim)))})
	}
	if b.Cfg.Rotates(b.Layer) {
		l := rotate{q: q, k: k, headDim: b.Cfg.HeadDim}
		l.qTable, l.kTable = b.Cfg.tables(b.Layer)
		b.then(l)
	}
}

// Attention is of queries, keys and values, within the layer's window.
func (b *Builder) Attention(q, k, v Slot) Slot {
	l := attention{q: q, k: k, v: v, heads: b.Cfg.Heads(), window: b.Cfg.Window(b.Layer)}
	l.to = b.slot(slot{name: "att", cols: b.slots[q].cols})
	l.lse = b.slot(slot{name: "lse", cols: b.Cfg.NumAttentionHeads, f32: true, heads: true})
	b.then(l)
	return l.to
}

// SwiGLU is the product of a gate through silu and what it lets through.
func (b *Builder) SwiGLU(gate, up Slot) Slot { return b.gated(gate, up, false) }

// GeGLU is SwiGLU with gelu, in its form with tanh.
func (b *Builder) GeGLU(gate, up Slot) Slot { return b.gated(gate, up, true) }

func (b *Builder) gated(gate, up Slot, gelu bool) Slot {
	l := gated{gate: gate, up: up, gelu: gelu, to: b.slot(slot{name: "hidden", cols: b.slots[gate].cols, times: b.slots[gate].times})}
	b.then(l)
	return l.to
}

// Add is the linear layer that adds what it makes of from to the residual stream, and returns the stream after it.
func (b *Builder) Add(name string, from, stream Slot, bias bool) Slot {
	cols := b.slots[stream].cols
	l := add{w: b.param(name+".weight", cols, b.slots[from].cols), bias: b.bias(name, cols, bias), from: from, stream: stream}
	l.to = b.slot(slot{name: "h", cols: cols, residual: true})
	b.then(l)
	return l.to
}

// Join adds a slot, times scale, to the residual stream, and returns the stream after it.
func (b *Builder) Join(from, stream Slot, scale float32) Slot {
	l := join{from: from, stream: stream, scale: scale, to: b.slot(slot{name: "h", cols: b.slots[stream].cols, residual: true})}
	b.then(l)
	return l.to
}
