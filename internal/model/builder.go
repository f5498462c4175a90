package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lomo/internal/grad"
)

// builder makes a block: a family's file calls it layer by layer, in the order of the forward pass, and each call returns the slots that
// it makes. Parameters have their Hugging Face names within the block, without ".weight".
type builder struct {
	*Block
	cfg    *Config
	layer  int
	params []*grad.Param
}

// newBlock makes block i of c, and gives its parameters in the order of a state dict.
func newBlock(c *Config, i int) (*Block, []*grad.Param) {
	b := &builder{Block: &Block{}, cfg: c, layer: i}
	b.slot(slot{name: "x", cols: c.HiddenSize, residual: true})
	b.out = llama(b, 0)
	b.wire()
	slices.SortStableFunc(b.params, func(p, q *grad.Param) int { return cmp.Compare(b.rank(p), b.rank(q)) })
	return b.Block, b.params
}

// rank is where a module lists what belongs to p: attention, MLP, then the norms around them.
func (b *builder) rank(p *grad.Param) int {
	for i, module := range []string{"self_attn.", "mlp."} {
		if strings.HasPrefix(p.Name, b.name(module)) {
			return i
		}
	}
	return 2
}

func (b *builder) name(s string) string { return fmt.Sprintf("model.layers.%d.%s", b.layer, s) }

func (b *builder) param(name string, shape ...int) *grad.Param {
	p := &grad.Param{Name: b.name(name + ".weight"), Block: b.layer, Shape: shape}
	b.params = append(b.params, p)
	return p
}

func (b *builder) slot(s slot) Slot {
	b.slots = append(b.slots, s)
	return Slot(len(b.slots) - 1)
}

func (b *builder) then(l layer) { b.layers = append(b.layers, l) }

// norm is RMSNorm of a slot of the residual stream.
func (b *builder) norm(name, slotName string, from Slot) Slot {
	l := norm{w: b.param(name, b.slots[from].cols), eps: b.cfg.RMSNormEps, from: from}
	l.to = b.slot(slot{name: slotName, cols: b.slots[from].cols})
	l.rstd = b.slot(slot{name: "rstd of " + slotName, f32: true})
	b.then(l)
	return l.to
}

// width is a linear layer of project: its name, and the columns it makes.
type width struct {
	name, slot string
	cols       int
}

// project is linear layers of one input, of as many outputs.
func (b *builder) project(from Slot, to ...width) []Slot {
	l := project{from: from}
	var made []Slot
	for _, w := range to {
		s := b.slot(slot{name: w.slot, cols: w.cols})
		l.linear = append(l.linear, linear{w: b.param(w.name, w.cols, b.slots[from].cols), to: s})
		made = append(made, s)
	}
	b.slots[from].sum = true
	b.then(l)
	return made
}

// rotate turns slots to their tokens' positions.
func (b *builder) rotate(of ...Slot) { b.then(rotate{of: of, headDim: b.cfg.HeadDim}) }

// attention is of queries, keys and values.
func (b *builder) attention(q, k, v Slot) Slot {
	l := attention{q: q, k: k, v: v, headDim: b.cfg.HeadDim}
	l.to = b.slot(slot{name: "att", cols: b.slots[q].cols})
	l.lse = b.slot(slot{name: "lse", cols: b.cfg.NumAttentionHeads, f32: true, heads: true})
	b.then(l)
	return l.to
}

// swiglu is the product of a gate and what it lets through.
func (b *builder) swiglu(gate, up Slot) Slot {
	l := swiglu{gate: gate, up: up, to: b.slot(slot{name: "hidden", cols: b.slots[gate].cols})}
	b.then(l)
	return l.to
}

// add is the linear layer that adds what it makes of from to the residual stream, and returns the stream after it.
func (b *builder) add(name string, from, stream Slot) Slot {
	l := add{w: b.param(name, b.slots[stream].cols, b.slots[from].cols), from: from, stream: stream}
	l.to = b.slot(slot{name: "h", cols: b.slots[stream].cols, residual: true})
	b.then(l)
	return l.to
}
