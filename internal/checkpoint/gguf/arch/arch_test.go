package arch

import (
	"slices"
	"strings"
	"testing"
)

// TestNames: what llama.cpp's converter calls each tensor (gguf-py's tensor_mapping and llama-arch.cpp), both ways.
func TestNames(t *testing.T) {
	llamaNames := map[string]string{
		"token_embd.weight":         "model.embed_tokens.weight",
		"output_norm.weight":        "model.norm.weight",
		"output.weight":             "lm_head.weight",
		"blk.0.attn_norm.weight":    "model.layers.0.input_layernorm.weight",
		"blk.31.attn_q.weight":      "model.layers.31.self_attn.q_proj.weight",
		"blk.31.attn_q.bias":        "model.layers.31.self_attn.q_proj.bias",
		"blk.2.attn_k.weight":       "model.layers.2.self_attn.k_proj.weight",
		"blk.2.attn_v.weight":       "model.layers.2.self_attn.v_proj.weight",
		"blk.2.attn_output.weight":  "model.layers.2.self_attn.o_proj.weight",
		"blk.2.ffn_norm.weight":     "model.layers.2.post_attention_layernorm.weight",
		"blk.2.ffn_gate.weight":     "model.layers.2.mlp.gate_proj.weight",
		"blk.2.ffn_up.weight":       "model.layers.2.mlp.up_proj.weight",
		"blk.2.ffn_down.weight":     "model.layers.2.mlp.down_proj.weight",
		"blk.120.ffn_down.weight":   "model.layers.120.mlp.down_proj.weight",
		"blk.0.attn_output.bias":    "model.layers.0.self_attn.o_proj.bias",
		"blk.0.ffn_gate.bias":       "model.layers.0.mlp.gate_proj.bias",
		"blk.0.attn_v.bias":         "model.layers.0.self_attn.v_proj.bias",
		"blk.9999.attn_norm.weight": "model.layers.9999.input_layernorm.weight",
	}
	heads := map[string]string{
		"blk.1.attn_q_norm.weight": "model.layers.1.self_attn.q_norm.weight",
		"blk.1.attn_k_norm.weight": "model.layers.1.self_attn.k_norm.weight",
	}
	post := map[string]string{
		"blk.1.post_attention_norm.weight": "model.layers.1.post_attention_layernorm.weight",
		"blk.1.post_ffw_norm.weight":       "model.layers.1.post_feedforward_layernorm.weight",
	}
	pre := map[string]string{"blk.1.ffn_norm.weight": "model.layers.1.pre_feedforward_layernorm.weight", "blk.1.attn_norm.weight": "model.layers.1.input_layernorm.weight"}
	for name, lists := range map[string][]map[string]string{
		"llama": {llamaNames}, "smollm3": {llamaNames}, "granite": {llamaNames}, "qwen2": {llamaNames}, "gemma": {llamaNames},
		"qwen3": {llamaNames, heads}, "olmo2": {heads, post}, "gemma2": {post, pre}, "gemma3": {post, pre, heads},
		"phi3": {{"blk.3.attn_qkv.weight": "model.layers.3.self_attn.qkv_proj.weight", "blk.3.ffn_up.weight": "model.layers.3.mlp.gate_up_proj.weight",
			"blk.3.ffn_norm.weight": "model.layers.3.post_attention_layernorm.weight", "blk.3.ffn_down.weight": "model.layers.3.mlp.down_proj.weight"}},
	} {
		a, _ := Of(name)
		for _, names := range lists {
			for gguf, hf := range names {
				if a.AlwaysTied && gguf == "output.weight" {
					gguf, hf = "blk.0.ffn_up.weight", "model.layers.0.mlp.up_proj.weight"
				}
				if got, known := a.HF(gguf); got != hf || !known {
					t.Errorf("%s: %s is %q, %v, want %q", name, gguf, got, known, hf)
				}
				if got, known := a.GGUF(hf); got != gguf || !known {
					t.Errorf("%s: %s is stored as %q, %v, want %q", name, hf, got, known, gguf)
				}
			}
		}
	}
}

// TestUnknownNames: what an architecture has no tensor for is not translated, and what is no weight becomes none.
func TestUnknownNames(t *testing.T) {
	for _, c := range []struct{ arch, names string }{
		{"llama", "output output.scale blk.0.ffn_gate_exps.weight blk.00.attn_q.weight blk.-1.attn_q.weight blk.attn_q.weight attn_q.weight blk.0.attn_q_norm.weight"},
		{"qwen3", "blk.0.post_ffw_norm.weight blk.0.attn_sinks.weight"},
		{"olmo2", "blk.0.attn_norm.weight blk.0.ffn_norm.weight"},
		{"gemma2", "output.weight blk.0.attn_q_norm.weight per_layer_model_proj.weight"},
		{"phi3", "blk.0.attn_q.weight blk.0.ffn_gate.weight"},
		{"granite", "blk.0.ssm_in.weight"},
	} {
		a, _ := Of(c.arch)
		for _, name := range append(strings.Fields(c.names), "") {
			if got, known := a.HF(name); known {
				t.Errorf("%s: %q becomes %q", c.arch, name, got)
			}
		}
	}
	for _, name := range []string{RopeFreqs, RopeFactorsLong, RopeFactorsShort, "blk.2.attn_rot_embd.weight"} {
		if hf, known := llama.HF(name); hf != "" || !known {
			t.Errorf("%s is %q, %v, want no weight", name, hf, known)
		}
	}
	for _, name := range []string{"", "model.embed_tokens", "model.layers.x.self_attn.q_proj.weight", "model.layers.01.self_attn.q_proj.weight", "model.layers.0.self_attn.q_norm.weight", "layers.0.mlp.up_proj.weight"} {
		if got, known := llama.GGUF(name); known {
			t.Errorf("%q is stored as %q", name, got)
		}
	}
}

// TestFused: matrices of queries, keys and values below each other are cut where the family keeps them apart, and not where it does not.
func TestFused(t *testing.T) {
	for _, c := range []struct {
		arch, name, want string
		fused            bool
	}{
		{"llama", "blk.3.attn_qkv.weight", "model.layers.3.self_attn.%s_proj.weight", true},
		{"qwen2", "blk.3.attn_qkv.bias", "model.layers.3.self_attn.%s_proj.bias", true},
		{"phi3", "blk.3.attn_qkv.weight", "", false},
		{"llama", "blk.3.attn_q.weight", "", false},
		{"llama", "blk.x.attn_qkv.weight", "", false},
	} {
		a, _ := Of(c.arch)
		if got, fused := a.Fused(c.name); fused != c.fused || fused && got != c.want {
			t.Errorf("%s %s: %q, %v, want %q, %v", c.arch, c.name, got, fused, c.want, c.fused)
		}
	}
}

// TestRowsAndGains: which architectures keep rows in Meta's order and gains with one added is llama.cpp's converter's: the classes that
// derive from LlamaModel without undo_permute = False, and Gemma's.
func TestRowsAndGains(t *testing.T) {
	for _, name := range Names() {
		a, _ := Of(name)
		meta := slices.Contains([]string{"llama", "smollm3", "granite"}, name)
		if got := a.Heads("model.layers.0.self_attn.q_proj.bias"); (got == "num_attention_heads") != meta {
			t.Errorf("%s: queries in Meta's order: %q", name, got)
		}
		if got := a.Heads("model.layers.0.self_attn.k_proj.weight"); (got == "num_key_value_heads") != meta {
			t.Errorf("%s: keys in Meta's order: %q", name, got)
		}
		for _, hf := range []string{"model.layers.0.self_attn.v_proj.weight", "model.layers.0.self_attn.q_norm.weight"} {
			if got := a.Heads(hf); got != "" {
				t.Errorf("%s: %s in Meta's order: %q", name, hf, got)
			}
		}
		gain := map[bool]float32{strings.HasPrefix(name, "gemma"): 1}[true]
		for hf, want := range map[string]float32{"model.norm.weight": gain, "model.layers.0.self_attn.k_norm.weight": gain, "model.layers.0.input_layernorm.weight": gain, "model.embed_tokens.weight": 0} {
			if got := a.Offset(hf); got != want {
				t.Errorf("%s: %s is stored with %v added, want %v", name, hf, got, want)
			}
		}
	}
}

func TestForFamily(t *testing.T) {
	for family, want := range map[string]string{"llama": "llama", "mistral": "llama", "ministral": "llama", "smollm3": "smollm3", "qwen2": "qwen2", "qwen3": "qwen3", "olmo2": "olmo2",
		"olmo3": "olmo2", "granite": "granite", "gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3", "phi3": "phi3", "": "", "gpt2": ""} {
		a, ok := ForFamily(family)
		if ok != (want != "") || ok && a.Name != want {
			t.Errorf("%q is stored as %v, want %q", family, a, want)
		}
	}
}

// TestPattern: which layers have no window where a file has no list.
func TestPattern(t *testing.T) {
	for name, want := range map[string][]int{"gemma2": {1, 3, 5, 7, 9, 11}, "gemma3": {5, 11}, "olmo2": {3, 7, 11}, "llama": nil} {
		a, _ := Of(name)
		var got []int
		for layer := range 12 {
			if a.Window.NoWindow(layer) {
				got = append(got, layer)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: layers %v have no window, want %v", name, got, want)
		}
	}
}
