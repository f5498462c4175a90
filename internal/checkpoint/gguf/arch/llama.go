package arch

// llama is the oldest: rows of queries and keys lie as Meta's own files have them. Mistral's models are stored so too.
var llama = Arch{
	Name:       "llama",
	Families:   []Family{{"llama", "LlamaForCausalLM"}, {"ministral", "MinistralForCausalLM"}},
	MetaRows:   true,
	Activation: silu,
	Biases:     []string{"attention_bias", "mlp_bias"},
	Rotary:     Rotary{Divisors: true},
	Window:     Window{Key: true, Family: Family{"mistral", "MistralForCausalLM"}}, // transformers' llama computes none
}

var silu = Word{"hidden_act", "silu"}

// smollm3 is LLaMA whose every fourth layer rotates nothing, which is not written in its files.
var smollm3 = Arch{
	Name:       "smollm3",
	Families:   []Family{{"smollm3", "SmolLM3ForCausalLM"}},
	MetaRows:   true,
	Activation: silu,
	Biases:     []string{"attention_bias", "mlp_bias"},
	Window:     Window{Listed: true},
	Rotary:     Rotary{NoneEvery: 4},
}

// granite is LLaMA with multipliers.
var granite = Arch{
	Name:       "granite",
	Families:   []Family{{"granite", "GraniteForCausalLM"}},
	MetaRows:   true,
	Activation: silu,
	Biases:     []string{"attention_bias", "mlp_bias"},
	Rotary:     Rotary{Divisors: true},
	Keys: []Key{
		{"logit_scale", "logits_scaling", Real, nil, false},
		{"embedding_scale", "embedding_multiplier", Real, 1.0, false},
		{"residual_scale", "residual_multiplier", Real, 1.0, false},
		{"attention.scale", "attention_multiplier", Real, nil, true}, // none: as other models have it
	},
}
