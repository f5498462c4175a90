package families

import "lomo/internal/model"

// qwen3 is LLaMA with a norm over each head of queries and keys, and a window in the upper layers where it is used.
var qwen3 = Family{Class: "qwen3", Defaults: Defaults{Vocab: 151936, Intermediate: 22016, KVHeads: 32, HeadDim: 128, Positions: 32768, Window: 4096},
	Read: func(c *model.Config, r *reader, d Defaults) {
		from := r.int("max_window_layers", 28)
		windows(c, r, used(r, window(r, d.Window)), func(layer int) bool { return layer >= from })
	},
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		c := b.Cfg
		n := b.Norm("input_layernorm", x)
		q := b.Linear("self_attn.q_proj", n, c.QSize())
		k := b.Linear("self_attn.k_proj", n, c.KVSize())
		v := b.Linear("self_attn.v_proj", n, c.KVSize())
		q, k = b.HeadNorm("self_attn.q_norm", q), b.HeadNorm("self_attn.k_norm", k)
		b.Rotate(q, k)
		return mlp(b, b.Add("self_attn.o_proj", b.Attention(q, k, v), x))
	}}
