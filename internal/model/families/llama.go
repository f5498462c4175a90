package families

import "lomo/internal/model"

// llama computes no window: transformers does not know one here, so that what is longer than a sliding_window in the file is refused.
var llama = Family{Class: "llama", Defaults: Defaults{Intermediate: 11008, Positions: 2048}, Read: func(c *model.Config, r *reader, d Defaults) {
	w := window(r, 0)
	if r.given("use_sliding_window") && !r.bool("use_sliding_window", true) {
		w = 0
	}
	windows(c, r, w, func(int) bool { return true })
	if c.Windows != nil {
		c.Windows, c.SlidingWindow = nil, w
	}
}, Layers: Llama}

// Llama is a block of the LLaMA family: h = x + attention(norm(x)), y = h + mlp(norm(h)); y is returned.
func Llama(b *model.Builder, x model.Slot) model.Slot {
	c := b.Cfg
	n := b.Norm("input_layernorm", x)
	q := b.Linear("self_attn.q_proj", n, c.QSize())
	k := b.Linear("self_attn.k_proj", n, c.KVSize())
	v := b.Linear("self_attn.v_proj", n, c.KVSize())
	b.Rotate(q, k)
	return mlp(b, b.Add("self_attn.o_proj", b.Attention(q, k, v), x))
}

// mlp is the second half of a block: h + down(silu(gate(norm(h))) ⊙ up(norm(h))).
func mlp(b *model.Builder, h model.Slot) model.Slot {
	n := b.Norm("post_attention_layernorm", h)
	gate := b.Linear("mlp.gate_proj", n, b.Cfg.IntermediateSize)
	up := b.Linear("mlp.up_proj", n, b.Cfg.IntermediateSize)
	return b.Add("mlp.down_proj", b.SwiGLU(gate, up), h)
}
