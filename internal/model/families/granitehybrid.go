package families

import (
	"fmt"

	"lomo/internal/model"
)

// graniteHybrid is Granite 4 where it is dense: granite whose gate and up are one matrix, and which may rotate nothing. Its other models have state-space layers
// or experts.
var graniteHybrid = Family{Class: "granitemoehybrid", Defaults: Defaults{Intermediate: 11008, Positions: 2048, BOS: 1, EOS: 2},
	Reads: []string{"attention_bias", "embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling", "position_embedding_type", "mamba_d_state", "mamba_d_conv",
		"shared_intermediate_size"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		const dense = "take a dense model of Granite 4, which has neither state-space layers nor experts"
		if n := r.intOrNull("num_local_experts", 8); n != 0 {
			r.fail(&ConfigError{Msg: fmt.Sprintf("num_local_experts is %d: mixtures of experts of granitemoehybrid are not computed by this build", n), Advice: dense})
		}
		if list, _ := r.value("layer_types").([]any); len(list) == 0 {
			if list, _ = r.value("layers_block_type").([]any); len(list) == 0 {
				r.fail(&ConfigError{Msg: "layer_types is missing: all layers are state-space layers, which this build does not compute", Advice: dense})
			}
		}
		windows(c, r, 0, func(int) bool { return false })
		multipliers(c, r)
		c.QKVBias = r.bool("attention_bias", false)
		c.OutBias = c.QKVBias
		c.IntermediateSize = r.int("shared_intermediate_size", 1024)
		if (c.IntermediateSize < 1 || c.IntermediateSize > model.MaxDim) && r.err == nil {
			r.fail(&ConfigError{Msg: fmt.Sprintf("shared_intermediate_size is %d, want 1 to %d", c.IntermediateSize, model.MaxDim), Advice: again})
		}
		switch kind := r.textOrNull("position_embedding_type"); {
		case kind == "rope" || !listed(c, r):
		default: // transformers turns nothing where it is another word
			c.NoRope = make([]bool, c.NumHiddenLayers)
			for i := range c.NoRope {
				c.NoRope[i] = true
			}
		}
	},
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		c := b.Cfg
		q, k, v := qkv(b, b.Norm("input_layernorm", x))
		h := output(b, attention(b, q, k, v), x)
		mlp := b.Fused("shared_mlp.input_linear", b.Norm("post_attention_layernorm", h), c.IntermediateSize, c.IntermediateSize)
		return branch(b, "shared_mlp.output_linear", b.SwiGLU(mlp[0], mlp[1]), h, false)
	}}
