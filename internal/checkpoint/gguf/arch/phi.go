package arch

// phi3 keeps queries, keys and values in one matrix, and gate and up in another, as its Hugging Face folders do.
var phi3 = Arch{
	Name:       "phi3",
	Families:   []Family{{"phi3", "Phi3ForCausalLM"}},
	Activation: silu,
	Window:     Window{Key: true},
	Rotary:     Rotary{Partial: true, Original: true},
	Blocks: block("attn_q", "", "attn_k", "", "attn_v", "", "ffn_gate", "",
		"attn_qkv", "self_attn.qkv_proj", "ffn_up", "mlp.gate_up_proj"),
}
