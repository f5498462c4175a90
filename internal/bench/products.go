package bench

import (
	"slices"
	"strings"

	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/tensor"
)

// still is an update that leaves its weights where they are, nearly: it may run any number of times.
var still = device.Step{LR: 1e-9, Round: device.Stochastic, Seed: 1}

// groups are all kernels at the shapes of c.
func groups(c *model.Config) []group {
	var all []group
	for _, l := range linears(c) {
		all = append(all, group{name: "linear layer " + l.name, kernels: l.kernels})
	}
	return append(all,
		group{name: "attention", kernels: attention},
		group{name: "rows of a block", kernels: blockRows},
		group{name: "rows to experts, and learned logits", kernels: routing},
		group{name: "embedding", kernels: embedding},
		group{name: "loss", only: tensor.F32, kernels: loss},
		group{name: "optimizers", kernels: optimizers},
		group{name: "gradient", only: tensor.F32, kernels: gradient},
		group{name: "copies", kernels: copies})
}

// linear is a layer y = x·wᵀ. A vocabulary block of the head has out 0: the bed knows its size.
type linear struct {
	name    string
	in, out int
}

// linears are a block's layers of different shapes, each by the first of its names, and the head.
func linears(c *model.Config) []linear {
	one := *c
	one.NumHiddenLayers = 1
	var all []linear
	for _, p := range model.NewNetwork(&one).Blocks[0].ForwardUses(true) {
		parts := strings.Split(p.Name, ".") // … .q_proj.weight
		l := linear{parts[len(parts)-2], p.Shape[1], p.Shape[0]}
		if !slices.ContainsFunc(all, func(o linear) bool { return o.in == l.in && o.out == l.out }) {
			all = append(all, l)
		}
	}
	return append(all, linear{"lm_head", c.HiddenSize, 0})
}

// kernels are the five products of training: forward, the input's gradient, and the weights' gradient stored, squared, applied.
func (l linear) kernels(b *bed) []kernel {
	n, in, out := b.o.Tokens, l.in, l.out
	if out == 0 {
		out = b.vocabBlock()
	}
	x, w, y, dx := b.of(n, in), b.of(out, in), b.of(n, out), b.of(n, in)
	g, sum := b.f32(out, in), b.full(tensor.F64, 0, 1)
	shape, flops := dims(n, in, out), 2*float64(n)*float64(in)*float64(out)
	return []kernel{
		product("MatMul", shape, flops, func() { b.d.MatMul(y, x, w, false) }),
		product("MatMulBackwardInput", shape, flops, func() { b.d.MatMulBackwardInput(dx, y, w, false) }),
		product("OuterAdd", shape, flops, func() { b.d.OuterAdd(g, y, x, false) }),
		product("OuterSumSq", shape, flops, func() { b.d.OuterSumSq(sum, y, x) }),
		product("OuterUpdate", shape, flops, func() { b.d.OuterUpdate(w, y, x, b.step) }),
	}
}

// attention is one sequence, causal: the half of the products above the diagonal does not count as work, nor does the second
// making of the scores in the backward pass, nor the exponentials.
func attention(b *bed) []kernel {
	c, t := b.o.Model, b.o.Tokens
	hd, q, kv := c.HeadDim, c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	xq, xk, xv, o := b.of(1, t, q), b.of(1, t, kv), b.of(1, t, kv), b.of(1, t, q)
	dq, dk, dv, do := b.of(1, t, q), b.of(1, t, kv), b.of(1, t, kv), b.of(1, t, q)
	lse, start := b.full(tensor.F32, 0, 1, c.NumAttentionHeads, t), b.indices(t, 0)
	if b.err != nil {
		return nil
	}
	start = start.View(1, t)
	one := float64(t) * float64(t) * float64(q) // one product
	shape := dims(t, c.NumAttentionHeads, c.NumKeyValueHeads, hd)
	return []kernel{
		product("Attention", shape, 2*one, func() { b.d.Attention(o, lse, xq, xk, xv, start, c.Heads()) }),
		product("AttentionBackward", shape, 5*one, func() { b.d.AttentionBackward(dq, dk, dv, do, o, lse, xq, xk, xv, start, c.Heads()) }),
	}
}
