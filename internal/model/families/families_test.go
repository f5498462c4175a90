package families

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"lomo/internal/golden"
	"lomo/internal/tensor"
)

// TestFamiliesOfTransformers: which layers have a window, which rotate, and what missing keys mean, as transformers has it.
func TestFamiliesOfTransformers(t *testing.T) {
	var file struct {
		Cases []struct {
			Config       json.RawMessage
			VocabSize    int     `json:"vocab_size"`
			Hidden       int     `json:"hidden_size"`
			Intermediate int     `json:"intermediate_size"`
			Layers       int     `json:"num_hidden_layers"`
			Heads        int     `json:"num_attention_heads"`
			KVHeads      int     `json:"num_key_value_heads"`
			HeadDim      int     `json:"head_dim"`
			Positions    int     `json:"max_position_embeddings"`
			Tied         bool    `json:"tie_word_embeddings"`
			Eps          float64 `json:"rms_norm_eps"`
			Theta        float64 `json:"rope_theta"`
			Padding      *int    `json:"padding_idx"`
			Windows      []int
			Rotates      []bool
			LocalTheta   float64                             `json:"local_theta"`
			InvFreq      []float64                           `json:"inv_freq"`
			Factor       float64                             `json:"attention_factor"`
			ScoreScale   float64                             `json:"score_scale"`
			LogitCap     float64                             `json:"logit_cap"`
			ScoreCap     float64                             `json:"score_cap"`
			EmbedScale   struct{ BFloat16, Float32 float64 } `json:"embed_scale"`
		}
	}
	golden.LoadJSON(t, "testdata/golden/family_configs.json", &file)
	modules := 0
	for _, want := range file.Cases {
		c, err := Parse(want.Config)
		if err != nil {
			t.Errorf("%s: %v", want.Config, err)
			continue
		}
		padding := -1
		if want.Padding != nil {
			padding = *want.Padding
		}
		for what, v := range map[string][2]any{
			"vocab_size": {c.VocabSize, want.VocabSize}, "hidden_size": {c.HiddenSize, want.Hidden}, "intermediate_size": {c.IntermediateSize, want.Intermediate},
			"num_hidden_layers": {c.NumHiddenLayers, want.Layers}, "num_attention_heads": {c.NumAttentionHeads, want.Heads},
			"num_key_value_heads": {c.NumKeyValueHeads, want.KVHeads}, "head_dim": {c.HeadDim, want.HeadDim}, "max_position_embeddings": {c.MaxPositions, want.Positions},
			"tie_word_embeddings": {c.TieWordEmbeddings, want.Tied}, "rms_norm_eps": {c.RMSNormEps, float32(want.Eps)}, "rope_theta": {c.RopeTheta, want.Theta},
			"padding": {c.PaddingRow, padding}, "rope_theta of layers with a window": {c.LocalTheta, want.LocalTheta},
		} {
			if v[0] != v[1] {
				t.Errorf("%s: %s is %v, transformers has %v", want.Config, what, v[0], v[1])
			}
		}
		if want.ScoreScale != 0 { // what the modules say
			if c.LogitCap != want.LogitCap || c.ScoreCap != want.ScoreCap {
				t.Errorf("%s: caps %v and %v, transformers has %v and %v", want.Config, c.LogitCap, c.ScoreCap, want.LogitCap, want.ScoreCap)
			}
			modules++
			scale := cmp.Or(c.ScoreScale, 1/math.Sqrt(float64(c.HeadDim)))
			apart := math.Abs(scale/want.ScoreScale - 1)
			if s := c.RopeScaling; s != nil {
				apart = max(apart, math.Abs(cmp.Or(s.AttentionFactor, 1)/want.Factor-1))
			}
			if len(c.InvFreq(0)) != len(want.InvFreq) && len(want.InvFreq) > 0 { // a model that rotates nothing has none
				t.Errorf("%s: %d frequencies, transformers has %d", want.Config, len(c.InvFreq(0)), len(want.InvFreq))
				continue
			}
			for i, f := range want.InvFreq {
				apart = max(apart, math.Abs(c.InvFreq(0)[i]/f-1))
			}
			for dt, factor := range map[tensor.DType]float64{tensor.BF16: want.EmbedScale.BFloat16, tensor.F32: want.EmbedScale.Float32} {
				if c.ModelType != "granite" { // which multiplies in its model, not in its embedding
					apart = max(apart, math.Abs(cmp.Or(c.EmbedFactor(dt), 1)/factor-1))
				}
			}
			if apart > 1e-6 { // measured 2.0e-7, transformers' float32
				t.Errorf("%s: score scale %v, frequencies %v, embedding scale %v and %v; transformers has %v, %v, %v", want.Config, scale, c.InvFreq(0),
					c.EmbedFactor(tensor.BF16), c.EmbedFactor(tensor.F32), want.ScoreScale, want.InvFreq, want.EmbedScale)
			}
		}
		var windows []int
		var rotates []bool
		for i := range c.NumHiddenLayers {
			windows, rotates = append(windows, c.Window(i)), append(rotates, c.Rotates(i))
		}
		if !slices.Equal(windows, want.Windows) || !slices.Equal(rotates, want.Rotates) {
			t.Errorf("%s: windows %v, rotates %v; transformers has %v, %v", want.Config, windows, rotates, want.Windows, want.Rotates)
		}
	}
	if len(file.Cases) < 35 || modules < 30 {
		t.Errorf("%d cases, of %d what the modules say", len(file.Cases), modules)
	}
}

// layersOnce is the part of a small configuration that keys say otherwise.
func layersOnce(keys string) string {
	for _, given := range []string{`"num_hidden_layers": 2, `, `"hidden_size": 16, `} {
		if key, _, _ := strings.Cut(given, ":"); strings.Contains(keys, key) {
			return given
		}
	}
	return ""
}

// TestFamiliesRefuse: what a family does not compute is named by its key, and nothing is guessed.
func TestFamiliesRefuse(t *testing.T) {
	const tiny = `"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": null`
	for keys, want := range map[string]string{
		`"model_type": "phi3", "attention_bias": true`: "attention_bias is true: biases",
		`"model_type": "phi3", "partial_rotary_factor": "x", "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}`:      "partial_rotary_factor is \"x\", want a number",
		`"model_type": "qwen3_moe", "use_sliding_window": true, "sliding_window": 3, "layer_types": ["full_attention", "sliding_attention"]`: "qwen3_moe has the same in all layers",
		`"model_type": "mixtral", "sliding_window": 3, "layer_types": ["full_attention", "full_attention"]`:                                  "mixtral has the same in all layers",
		`"model_type": "mixtral", "sliding_window": 3, "layer_types": ["sliding_attention", "chunked_attention"]`:                            "layer 1 is chunked_attention",
		`"model_type": "mixtral", "rms_norm_eps": 1e308`:                                                                                     "rms_norm_eps",
		`"model_type": "phi3", "partial_rotary_factor": 1.5`:                                                                                 "partial_rotary_factor is 1.5",
		`"model_type": "phi3", "partial_rotary_factor": 0`:                                                                                   "partial_rotary_factor is 0: of heads of 4 values that is none",
		`"model_type": "phi3", "partial_rotary_factor": "half"`:                                                                              "partial_rotary_factor is \"half\", want a number",
		`"model_type": "phi3", "rope_scaling": {"type": "linear", "factor": 2}`:                                                              "rope_type is \"linear\": models of this family have default or longrope",
		`"model_type": "phi3", "rope_scaling": {"type": "llama3", "factor": 2}`:                                                              "models of this family have default or longrope",
		`"model_type": "phi3", "rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1], "long_factor": [1, 1]}`:                       "short_factor is a list of 3, want a list of 2",
		`"model_type": "phi3", "partial_rotary_factor": 0.5, "rope_scaling": {"type": "yarn", "short_factor": [1, 1], "long_factor": [1]}`:   "short_factor is a list of 2, want a list of 1",
		`"model_type": "phi3", "sliding_window": 5, "layer_types": ["full_attention", "sliding_attention"]`:                                  "phi3 has the same in all layers",
		`"model_type": "phi3", "num_local_experts": 16`:                                                                                      "num_local_experts is 16",
		`"model_type": "phi3", "architectures": ["PhiMoEForCausalLM"]`:                                                                       "architectures names PhiMoEForCausalLM",
		`"model_type": "llama", "partial_rotary_factor": 0.5`:                                                                                "partial_rotary_factor is 0.5",
		`"model_type": "exaone4", "sliding_window_pattern": "LLLG"`:                                                                          "sliding_window_pattern is \"LLLG\" and layer_types is missing",
		`"model_type": "exaone4", "sliding_window_pattern": 0`:                                                                               "sliding_window_pattern is 0, want a whole number from 1",
		`"model_type": "exaone4", "attention_bias": true`:                                                                                    "attention_bias is true: biases",
		`"model_type": "exaone4", "sliding_window": null, "layer_types": ["sliding_attention", "full_attention"]`:                            "the model has no sliding_window",
		`"model_type": "olmo3", "sliding_window": null`:                                                                                      "sliding_window is null, and layer 0 has a window",
		`"model_type": "olmo3", "rope_parameters": {"rope_type": "default"}`:                                                                 "rotary settings stand under full_attention and sliding_attention",
		`"model_type": "olmo3", "rope_scaling": {"type": "yarn", "factor": 8}`:                                                               "rope_type is missing",
		`"model_type": "olmo3", "rope_local_base_freq": 1e4`:                                                                                 "rope_local_base_freq is 1e4",
		`"model_type": "olmo2", "rope_local_base_freq": 1e4`:                                                                                 "rope_local_base_freq is 1e4",
		`"model_type": "qwen3", "mlp_bias": true`:                                                                                            "mlp_bias is true: biases",
		`"model_type": "qwen3", "sliding_window": 0, "use_sliding_window": true`:                                                             "sliding_window is 0, want",
		`"model_type": "qwen3", "layer_types": ["sliding_attention", "full_attention"]`:                                                      "layer 0 is sliding_attention, and the model has no sliding_window",
		`"model_type": "qwen3", "use_sliding_window": true, "layer_types": ["sliding_attention"]`:                                            "layer_types lists 1 layers, num_hidden_layers is 2",
		`"model_type": "qwen3", "use_sliding_window": true, "layer_types": ["chunked_attention", "attention"]`:                               "layer 0 is chunked_attention",
		`"model_type": "qwen3", "layer_types": "full_attention"`:                                                                             "layer_types is \"full_attention\", want a list",
		`"model_type": "qwen3", "use_sliding_window": "yes"`:                                                                                 "use_sliding_window is \"yes\", want true or false",
		`"model_type": "qwen3", "max_window_layers": "two"`:                                                                                  "max_window_layers is \"two\", want a whole number",
		`"model_type": "qwen3", "num_experts": 8`:                                                                                            "num_experts is 8: mixtures of experts",
		`"model_type": "qwen3", "no_rope_layers": [1, 0]`:                                                                                    "no_rope_layers is [1, 0]: layers without rotation",
		`"model_type": "qwen3", "architectures": ["Qwen2ForCausalLM"]`:                                                                       "architectures names Qwen2ForCausalLM",
		`"model_type": "llama", "architectures": ["Qwen3ForCausalLM"]`:                                                                       "architectures names Qwen3ForCausalLM",
		`"model_type": "smollm3", "num_hidden_layers": 16777216`:                                                                             "num_hidden_layers is 16777216, want 1 to 65536",
		`"model_type": "mistral", "num_hidden_layers": 16777216`:                                                                             "num_hidden_layers is 16777216, want 1 to 65536",
		`"model_type": "llama", "num_hidden_layers": 16777216, "sliding_window": 4`:                                                          "num_hidden_layers is 16777216, want 1 to 65536",
		`"model_type": "smollm3", "no_rope_layers": [1]`:                                                                                     "no_rope_layers is [1], want a list",
		`"model_type": "smollm3", "no_rope_layers": [1, 2]`:                                                                                  "no_rope_layers: layer 1 is 2",
		`"model_type": "smollm3", "no_rope_layer_interval": 0`:                                                                               "no_rope_layer_interval is 0",
		`"model_type": "qwen2", "attention_bias": true`:                                                                                      "attention_bias is true: biases",
		`"model_type": "olmo2", "mlp_bias": true`:                                                                                            "mlp_bias is true: biases",
		`"model_type": "granite", "logits_scaling": 0`:                                                                                       "logits_scaling is 0, want a number above 0",
		`"model_type": "granite", "attention_multiplier": "big"`:                                                                             "attention_multiplier is \"big\", want a number",
		`"model_type": "qwen3", "embedding_multiplier": 12`:                                                                                  "embedding_multiplier is 12: a multiplier",
		`"model_type": "mistral", "layer_types": ["sliding_attention", "full_attention"]`:                                                    "mistral has the same in all layers",
		`"model_type": "mistral", "layer_types": ["full_attention", "full_attention"]`:                                                       "mistral has the same in all layers",
		`"model_type": "ministral", "sliding_window": null, "layer_types": ["sliding_attention", "full_attention"]`:                          "the model has no sliding_window",
		`"model_type": "gemma", "hidden_act": "silu"`:                                                                                        "hidden_act is \"silu\": the activation is gelu_pytorch_tanh",
		`"model_type": "gemma", "hidden_activation": "gelu"`:                                                                                 "hidden_activation is \"gelu\"",
		`"model_type": "gemma3_text", "hidden_activation": "gelu"`:                                                                           "hidden_activation is \"gelu\"",
		`"model_type": "gemma3_text", "hidden_activation": null`:                                                                             "hidden_activation is null, want a text",
		`"model_type": "gemma3_text", "hidden_act": "relu"`:                                                                                  "hidden_act is \"relu\"",
		`"model_type": "gemma", "architectures": ["Gemma2ForCausalLM"]`:                                                                      "architectures names Gemma2ForCausalLM",
		`"model_type": "gemma", "query_pre_attn_scalar": 3`:                                                                                  "query_pre_attn_scalar is 3: a scale",
		`"model_type": "gemma", "use_bidirectional_attention": true`:                                                                         "use_bidirectional_attention is true",
		`"model_type": "gemma3_text", "use_bidirectional_attention": true`:                                                                   "use_bidirectional_attention is true",
		`"model_type": "gemma3_text", "query_pre_attn_scalar": 0`:                                                                            "query_pre_attn_scalar is 0, want a number above 0",
		`"model_type": "gemma3_text", "query_pre_attn_scalar": null`:                                                                         "query_pre_attn_scalar is null, want a number",
		`"model_type": "gemma3_text", "final_logit_softcapping": 0`:                                                                          "final_logit_softcapping is 0, want a number above 0, or null",
		`"model_type": "gemma3_text", "final_logit_softcapping": "30"`:                                                                       "final_logit_softcapping is \"30\", want a number",
		`"model_type": "gemma3_text", "attn_logit_softcapping": 50.0`:                                                                        "attn_logit_softcapping is 50.0: capped scores",
		`"model_type": "gemma3_text", "sliding_window": null`:                                                                                "sliding_window is null, and layer 0 has a window",
		`"model_type": "gemma3_text", "sliding_window_pattern": 0`:                                                                           "sliding_window_pattern is 0, want",
		`"model_type": "gemma3_text", "layer_types": ["sliding_attention", "chunked_attention"]`:                                             "layer 1 is chunked_attention",
		`"model_type": "gemma3_text", "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}`:                                        "rope_parameters.rope_theta: rotary settings stand under",
		`"model_type": "gemma3_text", "rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}`:                      "rope_parameters.sliding_attention.rope_type is \"linear\"",
		`"model_type": "gemma3_text", "rope_scaling": {"type": "linear", "factor": 8.0}`:                                                     "rope_scaling.rope_type is missing",
		`"model_type": "gemma3_text", "rope_scaling": {"rope_type": "linear"}`:                                                               "rope_scaling.factor is missing",
		`"model_type": "gemma3_text", "rope_local_base_freq": -1`:                                                                            "want numbers above 0",
		`"model_type": "gemma3_text", "hidden_size": 18`:                                                                                     "hidden_size 18 is not a multiple of num_attention_heads 4",
		`"model_type": "gemma3_text", "per_layer_config": [1]`:                                                                               "per_layer_config is [1]",
		`"model_type": "llama", "rope_local_base_freq": 10000`:                                                                               "rope_local_base_freq is 10000: a second rotary table",
		`"model_type": "llama", "sliding_window_pattern": 6`:                                                                                 "sliding_window_pattern is 6: windows in some layers",
		`"model_type": "qwen3", "final_logit_softcapping": 30`:                                                                               "final_logit_softcapping is 30: capped",
		`"model_type": "qwen2_moe"`:                                                                                                          "model_type is \"qwen2_moe\"",
		`"model_type": "qwen3_moe", "num_experts": 0`:                                                                                        "num_experts is 0, want 1 to 4096",
		`"model_type": "qwen3_moe", "num_experts": 1000000000`:                                                                               "num_experts is 1000000000, want 1 to 4096",
		`"model_type": "qwen3_moe", "num_experts": 4, "num_local_experts": 8`:                                                                "num_experts is 4, num_local_experts is 8",
		`"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 5`:                                                              "num_experts_per_tok is 5, want 1 to the 4 experts",
		`"model_type": "qwen3_moe", "num_experts_per_tok": 0`:                                                                                "num_experts_per_tok is 0",
		`"model_type": "qwen3_moe", "moe_intermediate_size": -1`:                                                                             "moe_intermediate_size is -1, want 1",
		`"model_type": "qwen3_moe", "decoder_sparse_step": 0`:                                                                                "decoder_sparse_step is 0",
		`"model_type": "qwen3_moe", "mlp_only_layers": 1`:                                                                                    "mlp_only_layers is 1, want a list",
		`"model_type": "qwen3_moe", "mlp_only_layers": [0.5]`:                                                                                "mlp_only_layers is [0.5], want a list",
		`"model_type": "qwen3_moe", "mlp_only_layers": [0, 1]`:                                                                               "leave no layer with experts",
		`"model_type": "qwen3_moe", "norm_topk_prob": "yes"`:                                                                                 "norm_topk_prob is \"yes\"",
		`"model_type": "qwen3_moe", "shared_expert_intermediate_size": 64`:                                                                   "shared_expert_intermediate_size is 64",
		`"model_type": "qwen3_moe", "n_group": 4`:                                                                                            "n_group is 4: experts are chosen within groups",
		`"model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 3`:                                                          "num_experts_per_tok is 3",
		`"model_type": "mixtral", "norm_topk_prob": false`:                                                                                   "norm_topk_prob is false",
		`"model_type": "mixtral", "mlp_only_layers": [1]`:                                                                                    "mlp_only_layers is [1]",
		`"model_type": "mixtral", "attention_bias": true`:                                                                                    "attention_bias is true",
		`"model_type": "mistral", "num_local_experts": 8`:                                                                                    "num_local_experts is 8: mixtures of experts",
		`"model_type": "mixtral", "architectures": ["MistralForCausalLM"]`:                                                                   "architectures names MistralForCausalLM",
		`"model_type": "gemma3", "text_config": {"hidden_size": 2560}`:                                                                       "model_type is \"gemma3\": a model of text and images",
		`"model_type": "gemma2", "hidden_activation": "gelu"`:                                                                                "hidden_activation is \"gelu\"",
		`"model_type": "gemma2", "attn_logit_softcapping": 0`:                                                                                "attn_logit_softcapping is 0, want a number above 0, or null",
		`"model_type": "gemma2", "attn_logit_softcapping": -50`:                                                                              "attn_logit_softcapping is -50, want",
		`"model_type": "gemma2", "sliding_window": null`:                                                                                     "sliding_window is null, and layer 0 has a window",
		`"model_type": "gemma2", "rope_local_base_freq": 10000`:                                                                              "rope_local_base_freq is 10000: a second",
		`"model_type": "gemma2", "sliding_window_pattern": 6`:                                                                                "sliding_window_pattern is 6",
		`"model_type": "gemma2", "use_bidirectional_attention": true`:                                                                        "use_bidirectional_attention is true",
		`"model_type": "gemma2", "architectures": ["Gemma3ForCausalLM"]`:                                                                     "architectures names Gemma3ForCausalLM",
		`"model_type": "granitemoehybrid"`:                                                                                                   "num_local_experts is 8: mixtures of experts",
		`"model_type": "granitemoehybrid", "num_local_experts": 0`:                                                                           "layer_types is missing: all layers are state-space layers",
		`"model_type": "granitemoehybrid", "num_local_experts": 0, "layer_types": ["mamba", "attention"]`:                                    "layer 0 is mamba",
		`"model_type": "granitemoehybrid", "num_local_experts": 0, "layer_types": ["attention", "attention"], "shared_intermediate_size": 0`: "shared_intermediate_size is 0",
		`"model_type": "granitemoehybrid", "num_local_experts": 0, "layer_types": ["attention", "linear_attention"]`:                         "layer 1 is linear_attention",
	} {
		_, err := Parse([]byte("{" + strings.Replace(tiny, layersOnce(keys), "", 1) + ", " + keys + "}"))
		if err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %q", keys, err, want)
		}
	}
}

// TestFamiliesNote: of two spellings that disagree both values are said, and so is what transformers does not read.
func TestFamiliesNote(t *testing.T) {
	const tiny = `{"vocab_size": 32, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": null, `
	const yarn = `"rope_type": "yarn", "factor": 8, "original_max_position_embeddings": 64, "truncate": `
	for keys, want := range map[string]string{
		`"model_type": "phi3", "partial_rotary_factor": 0.5, "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.75}`: "rope_parameters.partial_rotary_factor 0.75 is used, as transformers does; partial_rotary_factor says 0.5",
		`"model_type": "phi3", "partial_rotary_factor": 0.5, "rope_parameters": {"rope_type": "default", "partial_rotary_factor": null}`: "partial_rotary_factor 1 is used",
		`"model_type": "phi3", "partial_rotary_factor": 0.5, "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}`:  "",
		`"model_type": "phi3", "partial_rotary_factor": 0.5, "rope_parameters": {"rope_type": "default"}`:                                "",
		`"model_type": "olmo3", "rope_parameters": {"full_attention": {` + yarn + `false}}`:                                              "rope_parameters.full_attention.truncate is false and means nothing",
		`"model_type": "gemma3_text", "rope_scaling": {` + yarn + `false}`:                                                               "rope_scaling.truncate is false and means nothing",
		`"model_type": "olmo3", "rope_scaling": {` + yarn + `true}`:                                                                      "",
		`"model_type": "llama", "rope_scaling": {` + yarn + `false}`:                                                                     "",
	} {
		c, err := Parse([]byte(tiny + keys + "}"))
		if err != nil {
			t.Errorf("%s: %v", keys, err)
			continue
		}
		if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, want) || want == "" && notes != "" {
			t.Errorf("%s: notes %q, want %q", keys, notes, want)
		}
	}
}
