package model

import (
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Network is the table of parameters of a model, in the order of a Hugging Face state dict. The tensors
// behind them are put there by a store.
type Network struct {
	Cfg    *Config
	Embed  *grad.Param // model.embed_tokens.weight (V, C)
	Blocks []*Block
	Norm   *grad.Param // model.norm.weight (C)
	Head   *grad.Param // lm_head.weight (V, C); the same Param as Embed when tied

	params []*grad.Param
}

// NewNetwork makes the table for c. No memory is taken.
func NewNetwork(c *Config) *Network {
	n := &Network{Cfg: c}
	add := func(block int, name string, shape ...int) *grad.Param {
		p := &grad.Param{Name: name, ID: uint32(len(n.params)), Block: block, Shape: shape}
		n.params = append(n.params, p)
		return p
	}
	n.Embed = add(-1, "model.embed_tokens.weight", c.VocabSize, c.HiddenSize)
	for i := 0; i < c.NumHiddenLayers; i++ {
		b, params := newBlock(c, i)
		for _, p := range params {
			p.ID = uint32(len(n.params))
			n.params = append(n.params, p)
		}
		n.Blocks = append(n.Blocks, b)
	}
	n.Norm = add(c.NumHiddenLayers, "model.norm.weight", c.HiddenSize)
	n.Head = n.Embed
	if !c.TieWordEmbeddings {
		n.Head = add(c.NumHiddenLayers, "lm_head.weight", c.VocabSize, c.HiddenSize)
	}
	return n
}

// Params is every parameter once, in state-dict order; a Param's ID is its index here.
func (n *Network) Params() []*grad.Param { return n.params }

// Tied reports whether head and embedding are one tensor.
func (n *Network) Tied() bool { return n.Head == n.Embed }

// NumParams is the number of trained elements.
func (n *Network) NumParams() int64 {
	var s int64
	for _, p := range n.params {
		s += int64(p.Len())
	}
	return s
}

// RowBytes is what the backward pass of the largest block takes for a row of a micro-batch at the least.
func (n *Network) RowBytes(act tensor.DType) int {
	most := 0
	for _, b := range n.Blocks {
		most = max(most, b.RowBytes(act))
	}
	return most
}
