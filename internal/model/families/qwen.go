package families

import "lomo/internal/model"

// qwen3 is LLaMA with a norm over each head of queries and keys, and a window in the upper layers where it is used.
var qwen3 = Family{Class: "qwen3", Defaults: Defaults{Vocab: 151936, Intermediate: 22016, KVHeads: 32, HeadDim: 128, Positions: 32768, Window: 4096},
	Reads: []string{"attention_bias"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		c.QKVBias = r.bool("attention_bias", false)
		c.OutBias = c.QKVBias
		upperWindows(c, r, d)
	},
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		q, k, v := qkv(b, b.Norm("input_layernorm", x))
		q, k = b.HeadNorm("self_attn.q_norm", q), b.HeadNorm("self_attn.k_norm", k)
		h := output(b, attention(b, q, k, v), x)
		return mlp(b, b.Norm("post_attention_layernorm", h), h)
	}}

// qwen2 is LLaMA with biases on queries, keys and values, and such windows.
var qwen2 = Family{Class: "qwen2", Defaults: Defaults{Vocab: 151936, Intermediate: 22016, KVHeads: 32, Positions: 32768, Window: 4096},
	Read: func(c *model.Config, r *reader, d Defaults) {
		c.QKVBias = true
		upperWindows(c, r, d)
	},
	Layers: Llama}

// upperWindows gives the layers from max_window_layers on their window.
func upperWindows(c *model.Config, r *reader, d Defaults) {
	from := r.int("max_window_layers", 28)
	windows(c, r, used(r, window(r, d.Window)), func(layer int) bool { return layer >= from })
}
