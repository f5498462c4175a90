package arch

// olmo2 has its norms behind attention and MLP. With windows it is OLMo 3.
var olmo2 = Arch{
	Name:       "olmo2",
	Families:   []Family{{"olmo2", "Olmo2ForCausalLM"}},
	Activation: silu,
	OwnHead:    true,
	Biases:     []string{"attention_bias"},
	Window:     Window{Key: true, Every: 4, Family: Family{"olmo3", "Olmo3ForCausalLM"}},
	Rotary:     Rotary{ScaledFull: true, ByLayer: true},
	Blocks: block("attn_norm", "", "ffn_norm", "", "attn_q_norm", "self_attn.q_norm", "attn_k_norm", "self_attn.k_norm",
		"post_attention_norm", "post_attention_layernorm", "post_ffw_norm", "post_feedforward_layernorm"),
}
