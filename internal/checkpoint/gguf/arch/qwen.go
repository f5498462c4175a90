package arch

var qwen2 = Arch{
	Name:       "qwen2",
	Families:   []Family{{"qwen2", "Qwen2ForCausalLM"}},
	Activation: silu,
	Window:     Window{Listed: true},
}

// qwen3 has norms over the heads of queries and keys.
var qwen3 = Arch{
	Name:       "qwen3",
	Families:   []Family{{"qwen3", "Qwen3ForCausalLM"}},
	Activation: silu,
	Window:     Window{Listed: true},
	Biases:     []string{"attention_bias"},
	Blocks:     block("attn_q_norm", "self_attn.q_norm", "attn_k_norm", "self_attn.k_norm"),
}
