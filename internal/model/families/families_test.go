package families

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lomo/internal/golden"
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
		}
	}
	golden.LoadJSON(t, "testdata/golden/family_configs.json", &file)
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
			"padding": {c.PaddingRow, padding},
		} {
			if v[0] != v[1] {
				t.Errorf("%s: %s is %v, transformers has %v", want.Config, what, v[0], v[1])
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
	if len(file.Cases) < 20 {
		t.Errorf("%d cases", len(file.Cases))
	}
}

// layersOnce is the part of a small configuration that keys say otherwise.
func layersOnce(keys string) string {
	if strings.Contains(keys, "num_hidden_layers") {
		return `"num_hidden_layers": 2, `
	}
	return ""
}

// TestFamiliesRefuse: what a family does not compute is named by its key, and nothing is guessed.
func TestFamiliesRefuse(t *testing.T) {
	const tiny = `"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": null`
	for keys, want := range map[string]string{
		`"model_type": "qwen3", "mlp_bias": true`:                                                                   "mlp_bias is true: biases",
		`"model_type": "qwen3", "sliding_window": 0, "use_sliding_window": true`:                                    "sliding_window is 0, want",
		`"model_type": "qwen3", "layer_types": ["sliding_attention", "full_attention"]`:                             "layer 0 is sliding_attention, and the model has no sliding_window",
		`"model_type": "qwen3", "use_sliding_window": true, "layer_types": ["sliding_attention"]`:                   "layer_types lists 1 layers, num_hidden_layers is 2",
		`"model_type": "qwen3", "use_sliding_window": true, "layer_types": ["chunked_attention", "attention"]`:      "layer 0 is chunked_attention",
		`"model_type": "qwen3", "layer_types": "full_attention"`:                                                    "layer_types is \"full_attention\", want a list",
		`"model_type": "qwen3", "use_sliding_window": "yes"`:                                                        "use_sliding_window is \"yes\", want true or false",
		`"model_type": "qwen3", "max_window_layers": "two"`:                                                         "max_window_layers is \"two\", want a whole number",
		`"model_type": "qwen3", "num_experts": 8`:                                                                   "num_experts is 8: mixtures of experts",
		`"model_type": "qwen3", "no_rope_layers": [1, 0]`:                                                           "no_rope_layers is [1, 0]: layers without rotation",
		`"model_type": "qwen3", "architectures": ["Qwen2ForCausalLM"]`:                                              "architectures names Qwen2ForCausalLM",
		`"model_type": "llama", "architectures": ["Qwen3ForCausalLM"]`:                                              "architectures names Qwen3ForCausalLM",
		`"model_type": "smollm3", "num_hidden_layers": 16777216`:                                                    "num_hidden_layers is 16777216, want 1 to 65536",
		`"model_type": "mistral", "num_hidden_layers": 16777216`:                                                    "num_hidden_layers is 16777216, want 1 to 65536",
		`"model_type": "llama", "num_hidden_layers": 16777216, "sliding_window": 4`:                                 "num_hidden_layers is 16777216, want 1 to 65536",
		`"model_type": "qwen3_moe"`:                                                                                 "model_type is \"qwen3_moe\"",
		`"model_type": "smollm3", "no_rope_layers": [1]`:                                                            "no_rope_layers is [1], want a list",
		`"model_type": "smollm3", "no_rope_layers": [1, 2]`:                                                         "no_rope_layers: layer 1 is 2",
		`"model_type": "smollm3", "no_rope_layer_interval": 0`:                                                      "no_rope_layer_interval is 0",
		`"model_type": "qwen2", "attention_bias": true`:                                                             "attention_bias is true: biases",
		`"model_type": "olmo2", "mlp_bias": true`:                                                                   "mlp_bias is true: biases",
		`"model_type": "granite", "logits_scaling": 0`:                                                              "logits_scaling is 0, want a number above 0",
		`"model_type": "granite", "attention_multiplier": "big"`:                                                    "attention_multiplier is \"big\", want a number",
		`"model_type": "qwen3", "embedding_multiplier": 12`:                                                         "embedding_multiplier is 12: a multiplier",
		`"model_type": "mistral", "layer_types": ["sliding_attention", "full_attention"]`:                           "mistral has the same in all layers",
		`"model_type": "mistral", "layer_types": ["full_attention", "full_attention"]`:                              "mistral has the same in all layers",
		`"model_type": "ministral", "sliding_window": null, "layer_types": ["sliding_attention", "full_attention"]`: "the model has no sliding_window",
	} {
		_, err := Parse([]byte("{" + strings.Replace(tiny, layersOnce(keys), "", 1) + ", " + keys + "}"))
		if err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %q", keys, err, want)
		}
	}
}
