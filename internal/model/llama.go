package model

// llama is a block of the LLaMA family: h = x + attention(norm(x)), y = h + mlp(norm(h)); y is returned.
func llama(b *builder, x Slot) Slot {
	c := b.cfg
	n := b.norm("input_layernorm", "n1", x)
	qkv := b.project(n, width{"self_attn.q_proj", "q", c.QSize()}, width{"self_attn.k_proj", "k", c.KVSize()}, width{"self_attn.v_proj", "v", c.KVSize()})
	q, k, v := qkv[0], qkv[1], qkv[2]
	b.rotate(q, k)
	h := b.add("self_attn.o_proj", b.attention(q, k, v), x)
	n = b.norm("post_attention_layernorm", "n2", h)
	mlp := b.project(n, width{"mlp.gate_proj", "gate", c.IntermediateSize}, width{"mlp.up_proj", "up", c.IntermediateSize})
	return b.add("mlp.down_proj", b.swiglu(mlp[0], mlp[1]), h)
}
