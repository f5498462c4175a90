package families

import (
	"fmt"

	"lomo/internal/model"
)

// qwen3Moe is qwen3 with a mixture of experts in place of the MLP, in all layers or some, and one window for all.
var qwen3Moe = Family{Class: "qwen3moe", Defaults: Defaults{Vocab: 151936, Hidden: 2048, Intermediate: 6144, Layers: 24, KVHeads: 4, Positions: 32768, Window: 4096},
	Reads: []string{"attention_bias", "num_experts", "num_local_experts", "mlp_only_layers", "decoder_sparse_step", "norm_topk_prob"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		c.QKVBias = r.bool("attention_bias", false)
		c.OutBias = c.QKVBias
		everyLayerHas(c, r, used(r, window(r, d.Window)))
		mixture(c, r, 128, 8)
		c.ExpertSize = r.int("moe_intermediate_size", 768)
		c.NormTopK = r.bool("norm_topk_prob", false)
		denseLayers(c, r)
		checkMixture(c, r, "moe_intermediate_size")
	},
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		q, k, v := qkv(b, b.Norm("input_layernorm", x))
		q, k = b.HeadNorm("self_attn.q_norm", q), b.HeadNorm("self_attn.k_norm", k)
		h := output(b, attention(b, q, k, v), x)
		n := b.Norm("post_attention_layernorm", h)
		if b.Cfg.Dense != nil && b.Cfg.Dense[b.Layer] {
			return mlp(b, n, h)
		}
		return b.Mixture(mixtureOf(b.Cfg, "mlp.", "gate_proj", "up_proj", "down_proj"), n, h)
	}}

// mixtral is mistral with a mixture of experts in every layer.
var mixtral = Family{Class: "mixtral", Defaults: Defaults{Intermediate: 14336, KVHeads: 8, Positions: 131072, Theta: 1e6, Eps: 1e-5},
	Reads: []string{"num_experts", "num_local_experts"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		everyLayerHas(c, r, window(r, 0))
		mixture(c, r, 8, 2)
		c.ExpertSize, c.NormTopK = c.IntermediateSize, true
		checkMixture(c, r, "intermediate_size")
	},
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		q, k, v := qkv(b, b.Norm("input_layernorm", x))
		h := output(b, attention(b, q, k, v), x)
		return b.Mixture(mixtureOf(b.Cfg, "block_sparse_moe.", "w1", "w3", "w2"), b.Norm("post_attention_layernorm", h), h)
	}}

// mixtureOf is the model's mixture, of a module and the names of an expert's matrices.
func mixtureOf(c *model.Config, module, gate, up, down string) model.Mixture {
	expert := module + "experts.%d."
	return model.Mixture{Router: module + "gate", Gate: expert + gate, Up: expert + up, Down: expert + down,
		Experts: c.NumExperts, PerToken: c.ExpertsPerToken, Hidden: c.ExpertSize, Renorm: c.NormTopK}
}

// maxExperts is more than a layer of any model has.
const maxExperts = 1 << 12

// mixture reads how many experts there are, under either of the two names that transformers takes, and how many a token sees.
func mixture(c *model.Config, r *reader, count, perToken int) {
	const name, other = "num_experts", "num_local_experts"
	c.NumExperts = r.int(name, r.int(other, count))
	if r.has(name) && r.has(other) && r.int(other, 0) != c.NumExperts {
		r.fail(&ConfigError{Msg: fmt.Sprintf("%s is %s, %s is %s: which of them is meant?", name, valueOf(r.raw[name]), other, valueOf(r.raw[other])), Advice: again})
	}
	c.ExpertsPerToken = r.int("num_experts_per_tok", perToken)
}

// checkMixture bounds what mixture and its family have read.
func checkMixture(c *model.Config, r *reader, size string) {
	switch {
	case r.err != nil:
	case c.NumExperts < 1 || c.NumExperts > maxExperts:
		r.fail(&ConfigError{Msg: fmt.Sprintf("num_experts is %d, want 1 to %d", c.NumExperts, maxExperts), Advice: again})
	case c.ExpertsPerToken < 1 || c.ExpertsPerToken > c.NumExperts:
		r.fail(&ConfigError{Msg: fmt.Sprintf("num_experts_per_tok is %d, want 1 to the %d experts that there are", c.ExpertsPerToken, c.NumExperts), Advice: again})
	case c.ExpertSize < 1 || c.ExpertSize > model.MaxDim:
		r.fail(&ConfigError{Msg: fmt.Sprintf("%s is %d, want 1 to %d", size, c.ExpertSize, model.MaxDim), Advice: again})
	}
}

// denseLayers reads which layers have one MLP: those that mlp_only_layers lists, and all but every n-th.
func denseLayers(c *model.Config, r *reader) {
	step := r.int("decoder_sparse_step", 1)
	if step < 1 && r.err == nil {
		r.fail(&ConfigError{Msg: fmt.Sprintf("decoder_sparse_step is %d, want a whole number from 1", step), Advice: again})
	}
	only := map[int]bool{}
	if r.given("mlp_only_layers") {
		list, ok := r.value("mlp_only_layers").([]any)
		for _, x := range list {
			n, isNumber := x.(float64)
			ok = ok && isNumber && n == float64(int(n)) && n >= 0
			only[int(n)] = true
		}
		if !ok {
			r.fail(&ConfigError{Msg: fmt.Sprintf("mlp_only_layers is %s, want a list of layers' numbers", valueOf(r.raw["mlp_only_layers"])), Advice: again})
		}
	}
	if r.err != nil || step == 1 && len(only) == 0 || !listed(c, r) {
		return
	}
	c.Dense = make([]bool, c.NumHiddenLayers)
	mixtures := 0
	for i := range c.Dense {
		if c.Dense[i] = only[i] || (i+1)%step != 0; !c.Dense[i] {
			mixtures++
		}
	}
	if mixtures == 0 {
		r.fail(&ConfigError{Msg: "mlp_only_layers and decoder_sparse_step leave no layer with experts", Advice: "set model_type to \"qwen3\" where the model is dense"})
	}
}
