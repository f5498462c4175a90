package arch

// Gemma's norms multiply by one more than their gain, and its files hold that sum. The head is the embedding's table.

var gemma = Arch{
	Name:       "gemma",
	Families:   []Family{{"gemma", "GemmaForCausalLM"}},
	GainOffset: 1,
	Activation: Word{"hidden_act", geluTanh},
	AlwaysTied: true,
}

const geluTanh = "gelu_pytorch_tanh"

// gemma2 has four norms a block, caps on scores and logits, and a window in every other layer.
var gemma2 = Arch{
	Name:       "gemma2",
	Families:   []Family{{"gemma2", "Gemma2ForCausalLM"}},
	GainOffset: 1,
	Activation: Word{"hidden_activation", geluTanh},
	AlwaysTied: true,
	Keys: []Key{
		{"attn_logit_softcapping", "attn_logit_softcapping", Cap, 50.0, false},
		{"final_logit_softcapping", "final_logit_softcapping", Cap, 30.0, false},
	},
	Window:             Window{Key: true, Every: 2, Default: 4096},
	Blocks:             fourNorms(),
	PreAttentionScalar: scalarOf(46),
}

// gemma3 has norms over the heads of queries and keys, and layers with a window have a rotary base of their own.
var gemma3 = Arch{
	Name:       "gemma3",
	Families:   []Family{{"gemma3_text", "Gemma3ForCausalLM"}},
	GainOffset: 1,
	Activation: Word{"hidden_activation", geluTanh},
	Keys: []Key{
		{"attn_logit_softcapping", "attn_logit_softcapping", Cap, nil, false},
		{"final_logit_softcapping", "final_logit_softcapping", Cap, nil, false},
	},
	Window:             Window{Key: true, Every: 6},
	Rotary:             Rotary{Local: true, ScaledFull: true},
	Blocks:             fourNorms("attn_q_norm", "self_attn.q_norm", "attn_k_norm", "self_attn.k_norm"),
	PreAttentionScalar: scalarOf(62),
}

func fourNorms(more ...string) map[string]string {
	return block(append(more, "post_attention_norm", "post_attention_layernorm", "ffn_norm", "pre_feedforward_layernorm",
		"post_ffw_norm", "post_feedforward_layernorm")...)
}

// scalarOf is a head's size, but in the model of 27B, which its number of layers tells: hidden_size by heads.
func scalarOf(largest int) func(layers, hidden, heads, headDim int) int {
	return func(layers, hidden, heads, headDim int) int {
		if layers == largest {
			return hidden / heads
		}
		return headDim
	}
}
