package families

import (
	"encoding/json"
	"slices"
	"testing"

	"lomo/internal/golden"
	"lomo/internal/model"
)

// TestMixtureConfigs: what transformers reads of mixtures' configurations, missing keys too, and how many parameters that makes.
func TestMixtureConfigs(t *testing.T) {
	var file struct {
		Cases []struct {
			Config    json.RawMessage
			Experts   int
			PerToken  int `json:"per_token"`
			Size      int
			Renorm    bool
			Mixed     []bool
			HeadDim   int `json:"head_dim"`
			KVHeads   int `json:"kv_heads"`
			Window    int
			Positions int
			Theta     float64
			Eps       float64
			Params    int64
		}
	}
	golden.LoadJSON(t, "testdata/golden/mixture_configs.json", &file)
	for _, want := range file.Cases {
		c, err := Parse(want.Config)
		if err != nil {
			t.Errorf("%s: %v", want.Config, err)
			continue
		}
		var mixed []bool
		for i := range c.NumHiddenLayers {
			mixed = append(mixed, c.Dense == nil || !c.Dense[i])
			if c.Window(i) != want.Window {
				t.Errorf("%s: layer %d has a window of %d, transformers %d", want.Config, i, c.Window(i), want.Window)
			}
		}
		if !slices.Equal(mixed, want.Mixed) {
			t.Errorf("%s: layers with experts %v, transformers has %v", want.Config, mixed, want.Mixed)
		}
		for what, v := range map[string][2]any{"experts": {c.NumExperts, want.Experts}, "experts of a token": {c.ExpertsPerToken, want.PerToken},
			"size of an expert": {c.ExpertSize, want.Size}, "weights over their sum": {c.NormTopK, want.Renorm}, "head_dim": {c.HeadDim, want.HeadDim},
			"num_key_value_heads": {c.NumKeyValueHeads, want.KVHeads}, "rope_theta": {c.RopeTheta, want.Theta}, "rms_norm_eps": {c.RMSNormEps, float32(want.Eps)},
			"max_position_embeddings": {c.MaxPositions, want.Positions}, "parameters": {model.NewNetwork(c).NumParams(), want.Params}} {
			if v[0] != v[1] {
				t.Errorf("%s: %s: %v, transformers has %v", want.Config, what, v[0], v[1])
			}
		}
	}
	if len(file.Cases) < 13 {
		t.Errorf("%d cases", len(file.Cases))
	}
}
