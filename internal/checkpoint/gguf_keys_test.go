package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"lomo/internal/checkpoint/gguf"
)

// TestGGUFSettings: metadata that changes how a llama is computed is honoured, neutral or refused by its key and value.
func TestGGUFSettings(t *testing.T) {
	for _, c := range []struct {
		key     string
		value   any
		want    string // of an error; "" is none
		padding int    // pad_token_id of config.json, −1: none
		window  int    // sliding_window of config.json, 0: none
	}{
		{"tokenizer.ggml.padding_token_id", uint32(3), "", 3, 0},
		{"tokenizer.ggml.padding_token_id", uint32(0), "", 0, 0},
		{"tokenizer.ggml.padding_token_id", uint32(23), "", 23, 0},
		{"tokenizer.ggml.padding_token_id", uint32(24), "", -1, 0}, // no row of the table
		{"tokenizer.ggml.padding_token_id", uint32(math.MaxUint32), "", -1, 0},
		{"tokenizer.ggml.padding_token_id", int32(-1), "", -1, 0},
		{"llama.attention.sliding_window", uint32(64), "", -1, 64},
		{"llama.attention.sliding_window", uint32(0), "", -1, 0},
		{"llama.attention.sliding_window", "wide", "llama.attention.sliding_window", -1, 0},
		{"general.name", "mistralai_mistral-7b-v0.1", "", -1, 4096},
		{"general.name", "Mistral 7B Instruct V0.1", "", -1, 4096},
		{"general.name", "Mistral 7B Instruct V0.3", "", -1, 0},
		{"general.name", "Mistral 7B v0.12", "", -1, 0},
		{"llama.logit_scale", float32(1), "", -1, 0},
		{"llama.logit_scale", float32(0.25), `"llama.logit_scale" is 0.25`, -1, 0},
		{"llama.embedding_scale", float32(12), "llama.embedding_scale", -1, 0},
		{"llama.residual_scale", float32(0.22), "llama.residual_scale", -1, 0},
		{"llama.attn_logit_softcapping", float32(50), "llama.attn_logit_softcapping", -1, 0},
		{"llama.attention.clamp_kqv", float32(8), "llama.attention.clamp_kqv", -1, 0},
		{"llama.attention.clamp_kqv", float32(0), "", -1, 0},
		{"llama.attention.max_alibi_bias", float32(8), "llama.attention.max_alibi_bias", -1, 0},
		{"llama.attention.scale", float32(1 / math.Sqrt(8)), "", -1, 0},
		{"llama.attention.scale", float32(0.5), `"llama.attention.scale" is 0.5, want 1/sqrt(8)`, -1, 0},
		{"llama.attention.causal", false, "llama.attention.causal", -1, 0},
		{"llama.attention.causal", true, "", -1, 0},
		{"llama.use_parallel_residual", true, "llama.use_parallel_residual", -1, 0},
		{"llama.rope.scaling.attn_factor", float32(1.2), "llama.rope.scaling.attn_factor", -1, 0},
	} {
		f := llamaKV(t)
		delete(f.KV, "tokenizer.ggml.padding_token_id")
		delete(f.KV, "general.name")
		f.KV[c.key] = c.value
		g, err := newGGUFSource(f, "m.gguf")
		if c.want != "" {
			wantError(t, err, c.want)
			continue
		}
		if err != nil {
			t.Errorf("%s %v: %v", c.key, c.value, err)
			continue
		}
		got := struct {
			Pad    *int   `json:"pad_token_id"`
			Window int    `json:"sliding_window"`
			Type   string `json:"model_type"`
		}{}
		unmarshal(t, g.Config(), &got)
		pad := -1
		if got.Pad != nil {
			pad = *got.Pad
		}
		if kind := map[bool]string{false: "llama", true: "mistral"}[c.window > 0]; got.Type != kind {
			t.Errorf("%s %v: model_type %s, want %s", c.key, c.value, got.Type, kind)
		}
		if pad != c.padding || got.Window != c.window {
			t.Errorf("%s %v: pad_token_id %d, sliding_window %d, want %d and %d", c.key, c.value, pad, got.Window, c.padding, c.window)
		}
	}
}

// withoutScaling is the golden llama's metadata with its divisors taken out.
func withoutScaling(t *testing.T) *gguf.File {
	t.Helper()
	whole, err := os.ReadFile(llamaFile)
	if err != nil {
		t.Fatal(err)
	}
	whole = bytes.Replace(whole, []byte("rope_freqs.weight"), []byte("blk.7.ffn_up.bias"), 1) // of the same length
	f, err := gguf.Parse(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestGGUFSettingsOfFamilies: windows, scalings and multipliers of each architecture, in config.json or refused by their names.
func TestGGUFSettingsOfFamilies(t *testing.T) {
	pattern := func(b ...bool) []bool { return b }
	for _, c := range []struct {
		arch   string // the metadata is the golden llama's under this architecture's name
		key    string // without the architecture's name; more keys in turn behind it
		value  any
		more   map[string]any
		want   string // of config.json, as it stands there with spaces taken out; several are cut by spaces
		refuse string // of the error
	}{
		{arch: "llama", key: "attention.sliding_window", value: uint32(5), more: map[string]any{"attention.sliding_window_pattern": pattern(true, false)},
			want: `"model_type":"ministral" "layer_types":["sliding_attention","full_attention"] "sliding_window":5`},
		{arch: "llama", key: "attention.sliding_window", value: uint32(5), more: map[string]any{"attention.sliding_window_pattern": uint32(2)},
			want: `"model_type":"ministral" "layer_types":["sliding_attention","full_attention"]`},
		{arch: "llama", key: "attention.sliding_window_pattern", value: pattern(true, false), refuse: `"llama.attention.sliding_window_pattern" names layers with a window`},
		{arch: "llama", key: "attention.sliding_window_pattern", value: "some", refuse: "sliding_window_pattern"},
		{arch: "llama", key: "attention.sliding_window", value: uint32(5), more: map[string]any{"attention.sliding_window_pattern": pattern(true)}, refuse: `lists 1 layers, "llama.block_count" is 2`},
		{arch: "qwen2", key: "attention.sliding_window", value: uint32(5), refuse: `"qwen2.attention.sliding_window" is 5, and "qwen2.attention.sliding_window_pattern" is missing`},
		{arch: "qwen3", key: "attention.sliding_window", value: uint32(5), more: map[string]any{"attention.sliding_window_pattern": pattern(false, true)},
			want: `"use_sliding_window":true "sliding_window":5 "layer_types":["full_attention","sliding_attention"] "attention_bias":false`},
		{arch: "qwen3", key: "attention.sliding_window", value: uint32(0), want: `"model_type":"qwen3"`},
		{arch: "granite", key: "attention.sliding_window", value: uint32(5), more: map[string]any{"logit_scale": float32(8)}, refuse: `"granite.attention.sliding_window" is 5`},
		{arch: "granite", key: "logit_scale", value: float32(8), want: `"logits_scaling":8 "embedding_multiplier":1 "residual_multiplier":1 "attention_multiplier":0.353553`},
		{arch: "granite", key: "logit_scale", value: float32(8), more: map[string]any{"embedding_scale": float32(12), "residual_scale": float32(0.22), "attention.scale": float32(0.015625)},
			want: `"embedding_multiplier":12 "residual_multiplier":0.22 "attention_multiplier":0.015625`},
		{arch: "granite", key: "logit_scale", value: float32(8), more: map[string]any{"embedding_scale": float32(0), "attention.scale": float32(0)}, want: `"embedding_multiplier":1 "attention_multiplier":0.353553`},
		{arch: "granite", key: "logit_scale", value: float32(-8), refuse: `"granite.logit_scale" is -8, want a positive number`},
		{arch: "granite", key: "logit_scale", value: float32(0), refuse: `"granite.logit_scale" is 0`},
		{arch: "granite", key: "residual_scale", value: float32(1), refuse: `"granite.logit_scale" is missing`},
		{arch: "granite", key: "rope.scaling.finetuned", value: false, more: map[string]any{"logit_scale": float32(8)}, refuse: `"granite.rope.scaling.finetuned" is false`},
		{arch: "llama", key: "rope.scaling.finetuned", value: false, want: `"model_type":"llama"`},
		{arch: "olmo2", key: "attention.sliding_window", value: uint32(0), want: `"model_type":"olmo2"`},
		{arch: "olmo2", key: "attention.sliding_window", value: uint32(7), more: map[string]any{"block_count": uint32(4)}, // every fourth has none
			want: `"model_type":"olmo3" "layer_types":["sliding_attention","sliding_attention","sliding_attention","full_attention"]`},
		{arch: "olmo2", key: "attention.sliding_window", value: uint32(7), more: map[string]any{"rope.freq_base_swa": float32(20000), "rope.scaling.type": "yarn", "rope.scaling.factor": float32(4)},
			want: `"rope_parameters":{"full_attention":{"rope_type":"yarn","rope_theta":500000,"factor":4,"original_max_position_embeddings":64},"sliding_attention":{"rope_type":"default","rope_theta":20000}} "rope_scaling":null`},
		{arch: "olmo2", key: "rope.freq_base_swa", value: float32(20000), refuse: `"olmo2.rope.freq_base_swa" is 20000`},
		{arch: "smollm3", key: "vocab_size", value: uint32(24), want: `"no_rope_layer_interval":4`},
		{arch: "gemma", key: "vocab_size", value: uint32(24), want: `"hidden_act":"gelu_pytorch_tanh" "tie_word_embeddings":true`},
		{arch: "gemma2", key: "vocab_size", value: uint32(24), want: `"attn_logit_softcapping":50 "final_logit_softcapping":30 "sliding_window":4096 "layer_types":["sliding_attention","full_attention"] "query_pre_attn_scalar":8`},
		{arch: "gemma2", key: "attn_logit_softcapping", value: float32(0), want: `"attn_logit_softcapping":null`},
		{arch: "gemma2", key: "attn_logit_softcapping", value: float32(-1), refuse: "gemma2.attn_logit_softcapping"},
		{arch: "gemma2", key: "attention.sliding_window", value: uint32(9), want: `"sliding_window":9`},
		{arch: "gemma2", key: "block_count", value: uint32(46), want: `"query_pre_attn_scalar":8 "hidden_size":32`}, // 32 / 4 heads
		{arch: "gemma3", key: "block_count", value: uint32(62), more: map[string]any{"attention.key_length": uint32(16), "attention.value_length": uint32(16), "rope.dimension_count": uint32(16)}, want: `"query_pre_attn_scalar":8 "head_dim":16`},
		{arch: "gemma3", key: "block_count", value: uint32(7), more: map[string]any{"attention.sliding_window": uint32(512)},
			want: `"model_type":"gemma3_text" "rope_local_base_freq":10000 "attn_logit_softcapping":null "sliding_window":512 "layer_types":["sliding_attention","sliding_attention","sliding_attention","sliding_attention","sliding_attention","full_attention","sliding_attention"]`},
		{arch: "gemma3", key: "rope.freq_base_swa", value: float32(20000), want: `"rope_local_base_freq":20000 "layer_types":["full_attention","full_attention"]`},
		{arch: "gemma3", key: "attention.scale", value: float32(0.25), refuse: `"gemma3.attention.scale" is 0.25, want 1/sqrt(8)`},
		{arch: "qwen3", key: "rope.freq_base_swa", value: float32(20000), refuse: `"qwen3.rope.freq_base_swa" is 20000`},
		{arch: "phi3", key: "rope.dimension_count", value: uint32(6), want: `"partial_rotary_factor":0.75 "original_max_position_embeddings":64 "sliding_window":null`},
		{arch: "phi3", key: "rope.dimension_count", value: uint32(3), refuse: `"phi3.rope.dimension_count" is 3`},
		{arch: "phi3", key: "rope.dimension_count", value: uint32(10), refuse: `"phi3.rope.dimension_count" is 10`},
		{arch: "phi3", key: "attention.sliding_window", value: uint32(2047), want: `"sliding_window":2047`},
		{arch: "phi3", key: "attention.sliding_window", value: uint32(0), want: `"sliding_window":null`},
		{arch: "qwen2", key: "rope.dimension_count", value: uint32(6), refuse: "6 rotated"},
		{arch: "qwen2", key: "rope.scaling.type", value: "yarn", more: map[string]any{"rope.scaling.factor": float32(4), "rope.scaling.original_context_length": uint32(32768)},
			want: `"rope_scaling":{"rope_type":"yarn","factor":4,"original_max_position_embeddings":32768}`},
		{arch: "qwen2", key: "rope.scaling.type", value: "yarn", more: map[string]any{"rope.scaling.factor": float32(4), "rope.scaling.yarn_attn_factor": float32(1.25), "rope.scaling.yarn_beta_fast": float32(16), "rope.scaling.yarn_beta_slow": float32(2)},
			want: `"attention_factor":1.25 "beta_fast":16 "beta_slow":2`},
		{arch: "qwen2", key: "rope.scaling.type", value: "yarn", more: map[string]any{"rope.scaling.factor": float32(4), "rope.scaling.attn_factor": float32(0.5)}, want: `"attention_factor":0.56931`},
		{arch: "qwen2", key: "rope.scaling.type", value: "yarn", more: map[string]any{"rope.scaling.factor": float32(4), "rope.scaling.yarn_ext_factor": float32(0.5)}, refuse: "yarn_ext_factor"},
		{arch: "qwen2", key: "rope.scaling.type", value: "yarn", more: map[string]any{"rope.scaling.factor": float32(4), "rope.scaling.yarn_log_multiplier": float32(0.1)}, refuse: "yarn_log_multiplier"},
		{arch: "qwen2", key: "rope.scaling.type", value: "yarn", more: map[string]any{"rope.scaling.factor": float32(-4)}, refuse: `"qwen2.rope.scaling.factor" is -4`},
		{arch: "qwen2", key: "rope.scaling.type", value: "longrope", refuse: `"rope_factors_long.weight" is missing`},
		{arch: "qwen2", key: "rope.scaling.type", value: "ntk", refuse: `is "ntk": only none, linear, yarn and longrope`},
		{arch: "qwen2", key: "rope.scaling.attn_factor", value: float32(2), refuse: "only yarn and longrope"},
		{arch: "qwen2", key: "expert_count", value: uint32(8), refuse: "mixtures of experts"},
		{arch: "qwen2", key: "expert_count", value: uint32(0), want: `"model_type":"qwen2"`},
		{arch: "qwen2", key: "new_scale", value: float32(3), refuse: `"qwen2.new_scale" is 3: what it asks for is not known`},
		{arch: "qwen2", key: "new_scale", value: float32(0), want: `"model_type":"qwen2"`},
		{arch: "qwen2", key: "new_switch", value: true, refuse: `"qwen2.new_switch" is true`},
		{arch: "qwen2", key: "new_switch", value: false, want: `"model_type":"qwen2"`},
		{arch: "qwen2", key: "new_list", value: []int32{1}, refuse: `"qwen2.new_list" is [1]`},
		{arch: "qwen2", key: "attention.key_length_swa", value: uint32(16), refuse: `"qwen2.attention.key_length_swa" is 16, want 8`},
		{arch: "qwen2", key: "nextn_predict_layers", value: uint32(1), refuse: "nextn_predict_layers"},
		{arch: "gemma3", key: "block_count", value: uint32(1 << 20), refuse: `"gemma3.block_count" is 1048576, want 1 to 65536`},
	} {
		f := withoutScaling(t)
		for key, v := range f.KV {
			if name, ok := strings.CutPrefix(key, "llama."); ok {
				delete(f.KV, key)
				f.KV[c.arch+"."+name] = v
			}
		}
		f.KV["general.architecture"] = c.arch
		f.KV[c.arch+"."+c.key] = c.value
		for key, v := range c.more {
			f.KV[c.arch+"."+key] = v
		}
		what := fmt.Sprintf("%s.%s %v %v", c.arch, c.key, c.value, c.more)
		m, err := readGGUFModel(f)
		if c.refuse != "" {
			if err == nil || !strings.Contains(err.Error(), c.refuse) {
				t.Errorf("%s: %v, want %q", what, err, c.refuse)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		data, err := m.configJSON()
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			t.Fatal(err)
		}
		for want := range strings.FieldsSeq(c.want) {
			if !strings.Contains(compact.String(), want) {
				t.Errorf("%s: no %s in %s", what, want, compact.String())
			}
		}
	}
}
