package checkpoint

import (
	"math"
	"testing"
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
