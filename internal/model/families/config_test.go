package families

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"lomo/internal/model"
)

// parse reads a configuration of 16 hidden units with the given keys over it.
func parse(t *testing.T, keys string) (*model.Config, error) {
	t.Helper()
	all := map[string]any{"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
		"num_hidden_layers": 2, "num_attention_heads": 4}
	var given map[string]json.RawMessage // values stay as they are written
	if err := json.Unmarshal([]byte("{"+keys+"}"), &given); err != nil {
		t.Fatal(err)
	}
	for k, v := range given {
		all[k] = v
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(raw)
}

func TestParseConfigDefaults(t *testing.T) {
	c, err := parse(t, ``)
	if err != nil {
		t.Fatal(err)
	}
	if c.NumKeyValueHeads != 4 || c.HeadDim != 4 || c.RopeTheta != 10000 || c.RMSNormEps != 1e-6 || c.TieWordEmbeddings || c.MaxPositions != 2048 || c.BOSTokenID != -1 {
		t.Errorf("%+v", c)
	}
	c, err = parse(t, `"num_key_value_heads": 2, "head_dim": 6, "eos_token_id": [3, 5], "bos_token_id": 1, "torch_dtype": "bfloat16"`)
	if err != nil {
		t.Fatal(err)
	}
	if c.QSize() != 24 || c.KVSize() != 12 || fmt.Sprint(c.EOSTokenIDs) != "[3 5]" || c.BOSTokenID != 1 || c.DType != "bfloat16" {
		t.Errorf("%+v", c)
	}
}

// TestInvFreqLlama3: frequencies of theta 5e5, head size 64, factor 32, as transformers computes them.
func TestInvFreqLlama3(t *testing.T) {
	c := &model.Config{HeadDim: 64, RopeTheta: 5e5, RopeScaling: &model.RopeScaling{Type: "llama3", Factor: 32, LowFreqFactor: 1, HighFreqFactor: 4, OriginalPosition: 8192}}
	inv := c.InvFreq(0)
	for i, want := range map[int]float64{14: 3.2114464e-3, 15: 1.2905479e-3, 16: 4.2955684e-4, 17: 9.7082878e-5, 31: 9.4183067e-8} {
		if math.Abs(inv[i]/want-1) > 1e-6 { // the recorded values are float32
			t.Errorf("frequency %d: %v, want %v", i, inv[i], want)
		}
	}
	c.RopeScaling = &model.RopeScaling{Type: "linear", Factor: 4}
	if got, want := c.InvFreq(0)[1], math.Pow(5e5, -2.0/64)/4; got != want {
		t.Errorf("linear: %v, want %v", got, want)
	}
}

// TestParseConfigRefuses: what is wrong or not computed is named with its key and value.
func TestParseConfigRefuses(t *testing.T) {
	for keys, want := range map[string]string{
		`"model_type": "gpt2"`: `model_type is "gpt2"`, `"model_type": null`: "model_type is null", `"model_type": 3`: "model_type is 3",
		`"num_key_value_heads": 3`: "not a multiple", `"num_attention_heads": 3, "head_dim": 4, "num_key_value_heads": 3`: "hidden_size 16 is not a multiple of num_attention_heads 3", `"head_dim": 5`: "odd", `"vocab_size": 0`: "vocab_size is 0", `"hidden_size": -4`: "hidden_size is -4",
		`"num_hidden_layers": 99999999`: "num_hidden_layers",
		// types, without Go's words
		`"hidden_size": "big"`: `hidden_size is "big", want a whole number`, `"hidden_size": "16"`: `hidden_size is "16", want a whole number`,
		`"hidden_size": 16.5`: "hidden_size is 16.5, want a whole number", `"hidden_size": null`: "hidden_size is null", `"hidden_size": [16]`: "hidden_size is [16]",
		`"rms_norm_eps": "1e-5"`: `rms_norm_eps is "1e-5", want a number`, `"tie_word_embeddings": "yes"`: `tie_word_embeddings is "yes", want true or false`,
		`"tie_word_embeddings": 1`: "tie_word_embeddings is 1", `"eos_token_id": "x"`: "eos_token_id is", `"eos_token_id": [1, "x"]`: "eos_token_id is",
		`"bos_token_id": [1]`: "bos_token_id is [1]", `"torch_dtype": 16`: "torch_dtype is 16", `"rope_scaling": "linear"`: `rope_scaling is "linear"`,
		`"rope_scaling": {"type": "linear", "factor": "4"}`: `rope_scaling.factor is "4", want a number`, `"rope_theta": 1e999`: "rope_theta",
		// rotary settings
		`"rope_theta": -1`: "rope_theta is -1", `"rope_theta": 0`: "rope_theta is 0", `"rope_scaling": {"rope_type": "yarn"}`: `rope_scaling.factor is missing: scaling of type yarn`,
		`"rope_parameters": {"rope_type": "longrope"}`: `rope_parameters.short_factor is missing`, `"rope_scaling": {"rope_type": "su", "factor": 4}`: `rope_scaling.rope_type is "su", which is of another family`,
		`"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1], "long_factor": [1, 2, 3]}`:                       "rope_scaling.long_factor is a list of 3, want a list of 2",
		`"rope_scaling": {"rope_type": "longrope", "short_factor": [1, "a"], "long_factor": [1, 2]}`:                        "rope_scaling.short_factor: number 2 is a, want one above 0",
		`"rope_scaling": {"rope_type": "longrope", "short_factor": [0, 1], "long_factor": [1, 2]}`:                          "rope_scaling.short_factor: number 1 is 0",
		`"rope_scaling": {"rope_type": "longrope", "short_factor": 1, "long_factor": [1, 2]}`:                               "rope_scaling.short_factor is 1, want a list of 2",
		`"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1], "long_factor": [1, 2], "attention_factor": -1}`:  "attention_factor is -1",
		`"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1], "long_factor": [1, 2], "attention_factor": "1"}`: `attention_factor is "1"`,
		`"original_max_position_embeddings": 0, "rope_scaling": {"rope_type": "yarn", "factor": 2}`:                         "original_max_position_embeddings is 0",
		`"rope_scaling": {"rope_type": "yarn", "factor": 2, "beta_fast": -32}`:                                              "beta_fast -32, beta_slow 1",
		`"rope_scaling": {"rope_type": "yarn", "factor": 2, "truncate": "no"}`:                                              `truncate is "no", want true or false`,
		`"rope_scaling": {"rope_type": "yarn", "factor": 2, "mscale": [1]}`:                                                 "mscale is [1], want a number",
		`"rope_scaling": {"rope_type": "yarn", "factor": 2, "partial_rotary_factor": 0.5}`:                                  "partial_rotary_factor is 0.5: heads that are rotated in part",
		`"rope_scaling": {"rope_type": "yarn", "factor": -2}`:                                                               "factor is -2",
		`"rope_theta": 1, "rope_scaling": {"rope_type": "yarn", "factor": 2}`:                                               "rope_theta is 1, scaling of type yarn wants a number above 1",
		`"rope_scaling": {"rope_type": "proportional", "partial_rotary_factor": 1.5}`:                                       "partial_rotary_factor is 1.5",
		`"rope_scaling": {"rope_type": "mrope", "mrope_section": [1, 1]}`:                                                   `rope_type is "mrope", which is of another family`,
		`"rope_scaling": {"rope_type": "yarn", "factor": 2, "llama_4_scaling_beta": 0.1}`:                                   "rope_scaling.llama_4_scaling_beta is 0.1",
		`"rope_scaling": {"rope_type": "linear", "factor": 0}`:                                                              "factor is 0",
		`"rope_scaling": {"rope_type": "linear", "factor": -2}`:                                                             "factor is -2", `"rope_scaling": {"rope_type": "llama3", "factor": 8}`: "low_freq_factor is missing",
		`"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}`:       "0 < low < high",
		`"rope_scaling": {"type": "dynamic", "factor": 2, "alpha": 1000}`:                                         "alpha is 1000",
		`"rope_scaling": {"rope_type": "default", "partial_rotary_factor": 0.25}`:                                 "partial_rotary_factor is 0.25",
		`"rope_parameters": {"full_attention": {"rope_type": "default"}, "sliding_attention": {"rope_theta": 5}}`: "differ by layer type",
		// mathematics of a llama that is not computed
		`"hidden_act": "gelu"`: `hidden_act is "gelu"`, `"hidden_act": 3`: "hidden_act is 3",
		`"quantization_config": {"bits": 4}`: "quantization_config is", `"quantization": {"bits": 4, "group_size": 64}`: "quantization is",
		// other families' keys under the name of a llama
		`"embedding_multiplier": 12.0`: "embedding_multiplier is 12.0", `"logits_scaling": 8`: "logits_scaling is 8", `"residual_multiplier": 0.22`: "residual_multiplier",
		`"attention_multiplier": 0.015625`: "attention_multiplier", `"logit_scale": 0.0625`: "logit_scale", `"scale_emb": 12`: "scale_emb", `"dim_model_base": 256`: "dim_model_base",
		`"attn_logit_softcapping": 50.0`: "attn_logit_softcapping", `"final_logit_softcapping": 30.0`: "final_logit_softcapping", `"query_pre_attn_scalar": 256`: "query_pre_attn_scalar",
		`"no_rope_layers": [1, 0]`: "no_rope_layers", `"no_rope_layer_interval": 4`: "no_rope_layer_interval", `"rope_interleaved": true`: "rope_interleaved",
		`"partial_rotary_factor": 0.5`: "partial_rotary_factor", `"rotary_pct": 0.25`: "rotary_pct", `"rope_local_base_freq": 1e4`: "rope_local_base_freq",
		`"rope_ratio": 8`: "rope_ratio", `"rotary_emb_base": 5e5`: "rotary_emb_base", `"use_qk_norm": true`: "use_qk_norm", `"qkv_bias": true`: "qkv_bias", `"no_bias": false`: "no_bias",
		`"num_local_experts": 8`: "num_local_experts", `"num_experts": 64`: "num_experts", `"kv_lora_rank": 512`: "kv_lora_rank", `"clip_qkv": 8`: "clip_qkv",
		`"parallel_attn": true`: "parallel_attn", `"alibi": true`: "alibi", `"norm_type": "layernorm"`: "norm_type", `"layer_types": ["full_attention", "linear_attention"]`: "layer 1 is linear_attention",
		`"layer_types": ["sliding_attention", "full_attention"]`: "layer 0 is sliding_attention", `"layer_types": "full"`: "layer_types is", `"text_config": {"vocab_size": 5}`: "text_config is",
		`"vision_config": {"a": 1}`: "vision_config is", `"is_causal": false`: "is_causal is false", `"add_cross_attention": true`: "add_cross_attention", `"attention_chunk_size": 8192`: "attention_chunk_size",
		`"v_head_dim": 8`: "v_head_dim", `"cross_attention_layers": [3]`: "cross_attention_layers", `"norm_eps": 1e-5`: "norm_eps is 1e-05 and rms_norm_eps is missing",
		`"architectures": ["MistralForCausalLM"]`: "architectures names MistralForCausalLM", `"architectures": ["GraniteForCausalLM"]`: "GraniteForCausalLM", `"architectures": "LlamaForCausalLM"`: "architectures is",
		`"model_type": "mistral", "num_key_value_heads": 4, "sliding_window": 0`: "sliding_window is 0", `"sliding_window": -1`: "sliding_window is -1", `"sliding_window": "4096"`: "sliding_window is",
		`"pad_token_id": 32`: "pad_token_id is 32, vocab_size is 32", `"pad_token_id": -33`: "pad_token_id is -33", `"pad_token_id": [2]`: "pad_token_id is [2]",
	} {
		if _, err := parse(t, keys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that names %s", keys, err, want)
		} else if text := err.Error(); strings.Contains(text, "unmarshal") || strings.Contains(text, "Go ") || strings.Contains(text, "invalid character") || strings.Contains(text, "\n") {
			t.Errorf("%s: %v: not a user's words", keys, err)
		}
	}
}

// TestParseConfigAccepts: values at which a key changes nothing, and keys that mean nothing to the mathematics.
func TestParseConfigAccepts(t *testing.T) {
	for _, keys := range []string{
		`"embedding_multiplier": 1.0, "residual_multiplier": 1, "logits_scaling": 1.0, "attention_multiplier": 0.5`, `"attention_multiplier": null`,
		`"attn_logit_softcapping": null, "final_logit_softcapping": null, "query_pre_attn_scalar": 4`, `"no_rope_layers": [1, 1], "no_rope_layer_interval": 4`,
		`"partial_rotary_factor": 1.0, "rotary_dim": 4`, `"rope_interleaved": false, "is_llama_config": true`, `"num_local_experts": 0, "num_experts_per_tok": 2`, `"quantization_config": null`,
		`"layer_types": ["full_attention", "full_attention"]`, `"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 64`, `"hidden_act": "swish"`,
		`"attention_bias": false, "mlp_bias": false, "pretraining_tp": 4`, `"use_cache": true, "_name_or_path": "x", "transformers_version": "4.40.0", "my_key": {"a": 1}`,
		`"architectures": ["LlamaForCausalLM"]`, `"architectures": ["LLaMAForCausalLM"]`, `"architectures": []`, `"architectures": null`, `"norm_eps": 1e-5, "rms_norm_eps": 1e-5`,
		`"num_key_value_heads": null, "head_dim": null, "bos_token_id": null, "eos_token_id": null, "pad_token_id": null, "torch_dtype": null`, `"rope_theta": 10000, "rotary_base": 10000`,
		`"temperature": 0.6, "top_p": 0.9, "id2label": {"0": "A"}, "task_specific_params": {}`, `"is_causal": true, "is_decoder": true, "tie_encoder_decoder": false, "chunk_size_feed_forward": 0`,
		`"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": null`, `"sliding_window": 4096, "use_sliding_window": false`,
	} {
		if c, err := parse(t, keys); err != nil {
			t.Errorf("%s: %v", keys, err)
		} else if c.Trainable() != nil || len(c.Notes) > 0 {
			t.Errorf("%s: %v %v", keys, c.Trainable(), c.Notes)
		}
	}
}

// TestTrainable: dropout is of training alone; such a model is scored and generates as it is.
func TestTrainable(t *testing.T) {
	for _, key := range []string{"attention_dropout", "resid_pdrop", "embd_pdrop", "hidden_dropout", "attn_pdrop", "attention_probs_dropout_prob"} {
		c, err := parse(t, `"`+key+`": 0.1`)
		if err != nil {
			t.Fatal(err)
		}
		want := key + " is 0.1: dropout is not computed by this build"
		if err := c.Trainable(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.(*ConfigError).Hint(), "set "+key+" to 0") {
			t.Errorf("%s: %v", key, err)
		}
		if c, err := parse(t, `"`+key+`": 0.0`); err != nil || c.Trainable() != nil {
			t.Errorf("%s of 0: %v", key, err)
		}
	}
}

// TestReach: how far a model's positions reach, and from where on it is not computed as it was meant.
func TestReach(t *testing.T) {
	for keys, want := range map[string][3]int{ // Positions, Exact, Reach
		`"max_position_embeddings": 64`: {64, 0, 64},
		`"max_position_embeddings": 64, "rope_scaling": {"type": "linear", "factor": 4}`:                                                                             {256, 0, 256},
		`"max_position_embeddings": 64, "rope_scaling": {"type": "linear", "factor": 2.5}`:                                                                           {160, 0, 160},
		`"max_position_embeddings": 64, "rope_scaling": {"type": "linear", "factor": 0.5}`:                                                                           {64, 0, 64},
		`"max_position_embeddings": 64, "rope_scaling": {"type": "dynamic", "factor": 4}`:                                                                            {64, 64, 64},
		`"max_position_embeddings": 64, "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 64}`:                                       {256, 0, 256},
		`"max_position_embeddings": 256, "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 64}`:                                      {256, 0, 256},
		`"max_position_embeddings": 80, "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 64}`:                                       {256, 0, 256},
		`"max_position_embeddings": 64, "original_max_position_embeddings": 16, "rope_scaling": {"type": "longrope", "short_factor": [1, 1], "long_factor": [2, 2]}`: {64, 0, 64},
		`"max_position_embeddings": 64, "sliding_window": 48`:                                                                                                        {64, 48, 48},
		`"max_position_embeddings": 64, "sliding_window": 48, "use_sliding_window": false`:                                                                           {64, 0, 64},
		`"model_type": "mistral", "num_key_value_heads": 4`:                                                                                                          {131072, 0, 131072},
		`"model_type": "mistral", "num_key_value_heads": 4, "sliding_window": null`:                                                                                  {131072, 0, 131072},
		`"model_type": "mistral", "num_key_value_heads": 4, "max_position_embeddings": 512`:                                                                          {512, 0, 512},
		`"max_position_embeddings": 64, "sliding_window": 99, "rope_scaling": {"type": "dynamic", "factor": 4}`:                                                      {64, 64, 64},
	} {
		c, err := parse(t, keys)
		if err != nil {
			t.Errorf("%s: %v", keys, err)
			continue
		}
		if n, _ := c.Exact(); c.Positions() != want[0] || n != want[1] || c.Reach() != want[2] {
			t.Errorf("%s: %d positions, exact to %d, reach %d, want %v", keys, c.Positions(), n, c.Reach(), want)
		}
	}
}

// TestMistralDefaults: keys that are missing mean what MistralConfig says.
func TestMistralDefaults(t *testing.T) {
	c, err := Parse([]byte(`{"model_type": "mistral"}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.HiddenSize != 4096 || c.IntermediateSize != 14336 || c.NumKeyValueHeads != 8 || c.HeadDim != 128 || c.MaxPositions != 131072 || c.Window(0) != 4096 || c.Window(31) != 4096 || c.VocabSize != 32000 {
		t.Errorf("%+v", c)
	}
}

// TestNotJSON: what stops being JSON is named by line, and by key where there is one.
func TestNotJSON(t *testing.T) {
	for text, want := range map[string]string{
		"": "config.json: the file is empty", "  \n": "config.json: the file is empty", "null": "config.json: null found, want object", "[1, 2]": "config.json: list found, want object",
		`"a"`: "config.json: string found, want object", "{": "config.json: the end of the text found, want a name in double quotes",
		"{\n\"a\": 1,\n":                "config.json: line 3: the end of the text found, want a name in double quotes",
		"{\n \"rope_theta\": Infinity}": "config.json: line 2: rope_theta: Infinity is no JSON number",
		"{\n \"a\": [1, -Infinity]}":    "config.json: line 2: a[1]: -Infinity is no JSON number",
		"{\"x\": 1,\n\n \"y\":\tNaN\n}": "config.json: line 3: y: NaN is no JSON number",
		"{\"model_type\": 'llama'}":     "config.json: model_type: ' found, JSON puts strings in double quotes",
		"{\"a\": 1,}":                   "config.json: '}' found, want a name in double quotes",
		"{\n\"a\": 1\n\"b\": 2}":        "config.json: line 3: '\"' found in an object, want a comma or its end",
		"<!DOCTYPE html>\n<html>":       "config.json: '<' found, want a value",
	} {
		if _, err := Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q:\n %v, want\n %s", text, err, want)
		}
	}
	if _, err := Parse([]byte("\xef\xbb\xbf{\"model_type\": \"llama\"}")); err != nil {
		t.Errorf("after a byte order mark: %v", err)
	}
}

// TestJSONKeepsKeys: what lomo does not know is written back, and the dtype under the name it was read.
func TestJSONKeepsKeys(t *testing.T) {
	for _, key := range []string{"dtype", "torch_dtype"} {
		c, err := parse(t, `"`+key+`": "float32", "my_own_key": {"a": [1, 2]}`)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := c.JSON("bfloat16")
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if got[key] != "bfloat16" || fmt.Sprint(got["my_own_key"]) != "map[a:[1 2]]" {
			t.Errorf("%s", raw)
		}
	}
	c, err := parse(t, `"dtype": "float32", "torch_dtype": "float16"`)
	if err != nil || c.DType != "float32" || len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "torch_dtype says float16") {
		t.Fatalf("%v: dtype %s, notes %q", err, c.DType, c.Notes)
	}
	if raw, err := c.JSON("bfloat16"); err != nil || strings.Count(string(raw), `"bfloat16"`) != 2 {
		t.Errorf("both names: %v %s", err, raw)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"model_type":"llama","rope_scaling":{"type":"llama3","factor":8},"eos_token_id":[1]}`))
	f.Add([]byte(`{"model_type":"llama","num_attention_heads":0}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Parse(raw)
		if err != nil {
			return
		}
		if c.NumHiddenLayers < 1000 { // what is accepted has a table of parameters and frequencies
			model.NewNetwork(c)
		}
		if want := (cmp.Or(c.RotaryDim, c.HeadDim) + 1) / 2; len(c.InvFreq(0)) != want || want > c.HeadDim/2 {
			t.Errorf("%d frequencies for head_dim %d", len(c.InvFreq(0)), c.HeadDim)
		}
		if _, err := c.JSON("float32"); err != nil {
			t.Error(err)
		}
	})
}
