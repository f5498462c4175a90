package families

import "lomo/internal/model"

// phi3 is LLaMA with one matrix for queries, keys and values, one for gate and up, heads that may turn in part, and longrope.
var phi3 = Family{Class: "phi3", OnlyLongRope: true, Defaults: Defaults{Vocab: 32064, Hidden: 3072, Intermediate: 8192, Positions: 4096, Padding: 32000, Eps: 1e-5,
	Original: 4096, BOS: 1, EOS: 32000},
	Reads: []string{"partial_rotary_factor"},
	Read:  everyLayer,
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		c := b.Cfg
		qkv := b.Fused("self_attn.qkv_proj", b.Norm("input_layernorm", x), c.QSize(), c.KVSize(), c.KVSize())
		h := output(b, attention(b, qkv[0], qkv[1], qkv[2]), x)
		mlp := b.Fused("mlp.gate_up_proj", b.Norm("post_attention_layernorm", h), c.IntermediateSize, c.IntermediateSize)
		return branch(b, "mlp.down_proj", b.SwiGLU(mlp[0], mlp[1]), h, false)
	}}
