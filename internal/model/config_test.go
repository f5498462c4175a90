package model

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
)

// parse reads a configuration of 16 hidden units with the given keys over it.
func parse(t *testing.T, keys string) (*Config, error) {
	t.Helper()
	all := map[string]any{"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
		"num_hidden_layers": 2, "num_attention_heads": 4}
	if err := json.Unmarshal([]byte("{"+keys+"}"), &all); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return ParseConfig(raw)
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

// TestRopeSpellings: old, old scaled and new; a rope_scaling that is not null wins.
func TestRopeSpellings(t *testing.T) {
	for keys, want := range map[string]string{
		`"rope_theta": 5e5`:                                                                                             "500000 <nil>",
		`"rope_theta": 5e5, "rope_scaling": null`:                                                                       "500000 <nil>",
		`"rope_scaling": {"type": "linear", "factor": 2}`:                                                               "10000 linear 2",
		`"rope_parameters": {"rope_type": "default", "rope_theta": 3e4}`:                                                "30000 <nil>",
		`"rope_parameters": {"rope_type": "linear", "rope_theta": 3e4, "factor": 4}`:                                    "30000 linear 4",
		`"rope_parameters": {"rope_type": "linear", "factor": 4}, "rope_scaling": {"rope_type": "linear", "factor": 8}`: "10000 linear 8",
		`"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}`: "10000 llama3 8",
	} {
		c, err := parse(t, keys)
		if err != nil {
			t.Errorf("%s: %v", keys, err)
			continue
		}
		got := fmt.Sprint(c.RopeTheta, " ", c.RopeScaling)
		if s := c.RopeScaling; s != nil {
			got = fmt.Sprint(c.RopeTheta, " ", s.Type, " ", s.Factor)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", keys, got, want)
		}
	}
}

// TestInvFreqLlama3: frequencies of theta 5e5, head size 64, factor 32, as transformers computes them.
func TestInvFreqLlama3(t *testing.T) {
	c := &Config{HeadDim: 64, RopeTheta: 5e5, RopeScaling: &RopeScaling{Type: "llama3", Factor: 32, LowFreqFactor: 1, HighFreqFactor: 4, OriginalPosition: 8192}}
	inv := c.InvFreq()
	for i, want := range map[int]float64{14: 3.2114464e-3, 15: 1.2905479e-3, 16: 4.2955684e-4, 17: 9.7082878e-5, 31: 9.4183067e-8} {
		if math.Abs(inv[i]/want-1) > 1e-6 { // the recorded values are float32
			t.Errorf("frequency %d: %v, want %v", i, inv[i], want)
		}
	}
	c.RopeScaling = &RopeScaling{Type: "linear", Factor: 4}
	if got, want := c.InvFreq()[1], math.Pow(5e5, -2.0/64)/4; got != want {
		t.Errorf("linear: %v, want %v", got, want)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for keys, want := range map[string]string{
		`"model_type": "gemma2"`: `model_type is "gemma2"`, `"hidden_act": "gelu"`: "hidden_act", `"attention_bias": true`: "attention_bias",
		`"num_key_value_heads": 3`: "not a multiple", `"head_dim": 5`: "odd", `"vocab_size": 0`: "vocab_size is 0", `"hidden_size": -4`: "hidden_size is -4",
		`"num_hidden_layers": 99999999`: "num_hidden_layers", `"rope_scaling": {"rope_type": "yarn", "factor": 4}`: "yarn",
		`"rope_scaling": {"rope_type": "linear", "factor": 0}`: "factor", `"rope_scaling": {"rope_type": "llama3", "factor": 8}`: "llama3",
		`"rope_theta": -1`: "rope_theta", `"eos_token_id": "x"`: "eos_token_id", `"hidden_size": "big"`: "hidden_size",
		`"quantization_config": {"bits": 4}`: "quantization_config",
	} {
		if _, err := parse(t, keys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that names %s", keys, err, want)
		}
	}
	if _, err := ParseConfig([]byte("{")); err == nil {
		t.Error("half an object is accepted")
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
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"llama","rope_scaling":{"type":"llama3","factor":8},"eos_token_id":[1]}`))
	f.Add([]byte(`{"model_type":"llama","num_attention_heads":0}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseConfig(raw)
		if err != nil {
			return
		}
		if c.NumHiddenLayers < 1000 { // what is accepted has a table of parameters and frequencies
			NewNetwork(c)
		}
		if len(c.InvFreq()) != c.HeadDim/2 {
			t.Errorf("%d frequencies for head_dim %d", len(c.InvFreq()), c.HeadDim)
		}
		if _, err := c.JSON("float32"); err != nil {
			t.Error(err)
		}
	})
}
