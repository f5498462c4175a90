package model

import (
	"fmt"

	"lomo/internal/grad"
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

// Block is the parameters of one decoder block.
type Block struct {
	cfg                    *Config
	InputNorm, PostNorm    *grad.Param // (C)
	Q, K, V, O             *grad.Param // (Hq·Hd, C), (Hkv·Hd, C), (Hkv·Hd, C), (C, Hq·Hd)
	GateProj, UpProj, Down *grad.Param // (F, C), (F, C), (C, F)

	// Use, where it is set, is called with each matrix just before it is read: a store that brings them one at a time needs it.
	Use func(p *grad.Param)
}

// NewNetwork makes the table for c. No memory is taken.
func NewNetwork(c *Config) *Network {
	n := &Network{Cfg: c}
	add := func(block int, name string, shape ...int) *grad.Param {
		p := &grad.Param{Name: name, ID: uint32(len(n.params)), Block: block, Shape: shape}
		n.params = append(n.params, p)
		return p
	}
	H, F, q, kv := c.HiddenSize, c.IntermediateSize, c.QSize(), c.KVSize()
	n.Embed = add(-1, "model.embed_tokens.weight", c.VocabSize, H)
	for i := 0; i < c.NumHiddenLayers; i++ {
		in := func(s string) string { return fmt.Sprintf("model.layers.%d.%s.weight", i, s) }
		n.Blocks = append(n.Blocks, &Block{
			cfg:       c,
			Q:         add(i, in("self_attn.q_proj"), q, H),
			K:         add(i, in("self_attn.k_proj"), kv, H),
			V:         add(i, in("self_attn.v_proj"), kv, H),
			O:         add(i, in("self_attn.o_proj"), H, q),
			GateProj:  add(i, in("mlp.gate_proj"), F, H),
			UpProj:    add(i, in("mlp.up_proj"), F, H),
			Down:      add(i, in("mlp.down_proj"), H, F),
			InputNorm: add(i, in("input_layernorm"), H),
			PostNorm:  add(i, in("post_attention_layernorm"), H),
		})
	}
	n.Norm = add(c.NumHiddenLayers, "model.norm.weight", H)
	n.Head = n.Embed
	if !c.TieWordEmbeddings {
		n.Head = add(c.NumHiddenLayers, "lm_head.weight", c.VocabSize, H)
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

// Params is the block's parameters in the order of the backward pass.
func (b *Block) Params() []*grad.Param {
	return append(b.matrices(), b.PostNorm, b.InputNorm)
}

func (b *Block) matrices() []*grad.Param {
	return []*grad.Param{b.Down, b.GateProj, b.UpProj, b.O, b.Q, b.K, b.V}
}

// MatrixLen is the number of elements of the block's matrices.
func (b *Block) MatrixLen() int {
	n := 0
	for _, p := range b.matrices() {
		n += p.Len()
	}
	return n
}
