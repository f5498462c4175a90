package families

import "lomo/internal/model"

var llama = Family{Defaults: Defaults{Intermediate: 11008, Positions: 2048}, Layers: Llama}

// Llama is a block of the LLaMA family: h = x + attention(norm(x)), y = h + mlp(norm(h)); y is returned.
func Llama(b *model.Builder, x model.Slot) model.Slot {
	c := b.Cfg
	n := b.Norm("input_layernorm", x)
	q := b.Linear("self_attn.q_proj", n, c.QSize())
	k := b.Linear("self_attn.k_proj", n, c.KVSize())
	v := b.Linear("self_attn.v_proj", n, c.KVSize())
	b.Rotate(q, k)
	h := b.Add("self_attn.o_proj", b.Attention(q, k, v), x)
	n = b.Norm("post_attention_layernorm", h)
	gate := b.Linear("mlp.gate_proj", n, c.IntermediateSize)
	up := b.Linear("mlp.up_proj", n, c.IntermediateSize)
	return b.Add("mlp.down_proj", b.SwiGLU(gate, up), h)
}
