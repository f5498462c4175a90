package meta

import (
	"encoding/json"
	"fmt"
	"strings"

	"lomo/internal/fault"
	"lomo/internal/tensor"
)

// params is params.json.
type params struct {
	Dim            int      `json:"dim"`
	Layers         int      `json:"n_layers"`
	Heads          int      `json:"n_heads"`
	KVHeads        *int     `json:"n_kv_heads"`
	NormEps        float64  `json:"norm_eps"`
	RopeTheta      *float64 `json:"rope_theta"`
	UseScaledRope  bool     `json:"use_scaled_rope"`
	ScalingFactor  *float64 `json:"rope_scaling_factor"`
	HighFreqFactor *float64 `json:"rope_high_freq_factor"`
	MaxSeqLen      int      `json:"max_seq_len"`
}

// maxParams bounds params.json, which holds a dozen numbers.
const maxParams = 1 << 20

func readParams(path string) (*params, error) {
	raw, err := fault.Read(path, maxParams)
	if err != nil {
		return nil, err
	}
	if err := fault.Other(raw[:min(len(raw), 512)], int64(len(raw)), "JSON"); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p, err := parseParams(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func parseParams(raw []byte) (*params, error) {
	var nested struct {
		Model json.RawMessage `json:"model"`
	}
	if err := json.Unmarshal(raw, &nested); err == nil && len(nested.Model) > 0 && nested.Model[0] == '{' {
		raw = nested.Model
	}
	p := &params{}
	if err := fault.JSON(raw, p); err != nil {
		return nil, err
	}
	if p.Dim <= 0 || p.Layers <= 0 || p.Heads <= 0 || p.Dim%p.Heads != 0 || p.NormEps <= 0 {
		return nil, fault.Refuse("download params.json again", "dim %d, n_layers %d, n_heads %d, norm_eps %v: they describe no model", p.Dim, p.Layers, p.Heads, p.NormEps)
	}
	return p, nil
}

// llama3Theta is the rope_theta that Llama 3 came with.
const llama3Theta = 500_000

// configJSON is config.json as the conversion of the transformers library makes it. What params.json leaves to the code of
// each generation is told from what differs: rope_theta is Llama 3's, norm_eps 1e-6 Llama 1's.
func (p *params) configJSON(m *Model) ([]byte, error) {
	shapes := map[string][]int{}
	dt := tensor.Invalid
	for _, t := range m.Tensors {
		shapes[t.Name], dt = t.Shape, t.DType
	}
	embed, gate := shapes["model.embed_tokens.weight"], shapes["model.layers.0.mlp.gate_proj.weight"]
	if embed == nil || gate == nil {
		return nil, fmt.Errorf("tok_embeddings.weight or layers.0.feed_forward.w1.weight is missing from the parts")
	}
	kv, theta := p.Heads, 10_000.0
	if p.KVHeads != nil {
		kv = *p.KVHeads
	}
	if p.RopeTheta != nil {
		theta = *p.RopeTheta
	}
	bos, eos, positions := 1, 2, 4096
	switch {
	case theta >= llama3Theta:
		bos, eos, positions = 128_000, 128_001, 8192
	case theta > 10_000:
		positions = 16_384 // Code Llama
	case p.NormEps < 5e-6:
		positions = 2048
	}
	c := map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "hidden_act": "silu",
		"hidden_size": p.Dim, "intermediate_size": gate[0], "num_hidden_layers": p.Layers, "num_attention_heads": p.Heads,
		"num_key_value_heads": kv, "rms_norm_eps": p.NormEps, "rope_theta": theta, "vocab_size": embed[0],
		"tie_word_embeddings": shapes["lm_head.weight"] == nil, "torch_dtype": strings.ToLower(dt.HFName()),
		"attention_bias": false, "mlp_bias": false,
	}
	if bos < embed[0] && eos < embed[0] {
		c["bos_token_id"], c["eos_token_id"] = bos, eos
	}
	if p.UseScaledRope {
		positions = 131_072
		factor, high := 8.0, 4.0
		if p.ScalingFactor != nil {
			factor = *p.ScalingFactor
		}
		if p.HighFreqFactor != nil {
			high = *p.HighFreqFactor
		}
		c["rope_scaling"] = map[string]any{"rope_type": "llama3", "factor": factor, "low_freq_factor": 1.0, "high_freq_factor": high,
			"original_max_position_embeddings": 8192}
	}
	if p.MaxSeqLen > 0 {
		positions = p.MaxSeqLen
	}
	c["max_position_embeddings"] = positions
	return json.MarshalIndent(c, "", "  ")
}
