package checkpoint

import (
	"maps"
	"math"
	"regexp"
	"slices"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/fault"
)

// ggufNeutral are the metadata keys of a llama file that change the mathematics, with the values at which they do not: families that
// llama.cpp runs under its architecture llama, and settings of its own. 0 stands for none in most of them.
var ggufNeutral = map[string][]float64{
	"llama.logit_scale": {0, 1}, "llama.embedding_scale": {0, 1}, "llama.residual_scale": {0, 1},
	"llama.attn_logit_softcapping": {0}, "llama.final_logit_softcapping": {0},
	"llama.attention.clamp_kqv": {0}, "llama.attention.max_alibi_bias": {0},
	"llama.attention.temperature_scale": {0, 1}, "llama.attention.temperature_length": {0},
	"llama.rope.scaling.attn_factor": {0, 1}, "llama.rope.scaling.yarn_log_multiplier": {0}, "llama.interleave_moe_layer_step": {0},
	"llama.no_rope_layer_step": {0}, "llama.attention.kv_lora_rank": {0}, "llama.attention.q_lora_rank": {0},
}

// firstMistral is the name of Mistral 7B v0.1, whose window of 4096 tokens its files do not tell: their architecture is llama.
var firstMistral = regexp.MustCompile(`(?i)mistral.*7b.*v0[._]1\b`)

// settings reads the keys that change how a model is computed, beside its sizes, and refuses those that lomo does not compute.
func (m *ggufModel) settings(f *gguf.File) error {
	for _, key := range slices.Sorted(maps.Keys(ggufNeutral)) {
		if _, ok := f.KV[key]; !ok {
			continue
		}
		if x, ok := f.Float(key); !ok || !slices.Contains(ggufNeutral[key], x) {
			return fault.Refuse(useFolder, "metadata key %q is %v: the model is not computed as a plain llama", key, f.KV[key])
		}
	}
	for key, want := range map[string]bool{"llama.use_parallel_residual": false, "llama.attention.causal": true} {
		if b, ok := f.KV[key].(bool); ok && b != want {
			return fault.Refuse(useFolder, "metadata key %q is %v: the model is not computed as a plain llama", key, b)
		}
	}
	if x, ok := f.Float("llama.attention.scale"); ok && x != 0 && math.Abs(x*math.Sqrt(float64(m.headDim))-1) > 1e-5 {
		return fault.Refuse(useFolder, "metadata key %q is %v, want 1/sqrt(%d): scores of another scale are of another family", "llama.attention.scale", x, m.headDim)
	}
	if _, ok := f.KV["llama.attention.sliding_window"]; ok {
		n, ok := f.Int("llama.attention.sliding_window")
		if !ok || n < 0 {
			return fault.Refuse(useFolder, "metadata key %q is %v, want a number of tokens", "llama.attention.sliding_window", f.KV["llama.attention.sliding_window"])
		}
		m.window = n
	} else if name, _ := f.String("general.name"); firstMistral.MatchString(name) {
		m.window = 4096
	}
	if id, ok := m.tokens["pad_token_id"].(int); ok && (id < 0 || id >= m.vocab) {
		delete(m.tokens, "pad_token_id") // a file that names no padding token may write the largest number: no row of the table
	}
	return nil
}
