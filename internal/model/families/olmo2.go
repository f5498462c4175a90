package families

import "lomo/internal/model"

// olmo2 has its norms behind attention and MLP, and norms over all of the queries and keys.
var olmo2 = Family{Class: "olmo2", Defaults: Defaults{Vocab: 50304, Intermediate: 11008, Positions: 2048, Padding: 1, Eps: 1e-5}, Reads: []string{"attention_bias"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		c.QKVBias = r.bool("attention_bias", false)
		c.OutBias = c.QKVBias
	},
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		q, k, v := qkv(b, x)
		q, k = b.Norm("self_attn.q_norm", q), b.Norm("self_attn.k_norm", k)
		return normsBehind(b, attention(b, q, k, v), x)
	}}

// normsBehind ends a block whose branches have no norm before them, but one behind.
func normsBehind(b *model.Builder, att, x model.Slot) model.Slot {
	c := b.Cfg
	out := b.Linear("self_attn.o_proj", att, c.HiddenSize, c.OutBias)
	h := b.Join(b.Norm("post_attention_layernorm", out), x, 1)
	down := b.Linear("mlp.down_proj", hiddenOf(b, h), c.HiddenSize, false)
	return b.Join(b.Norm("post_feedforward_layernorm", down), h, 1)
}
