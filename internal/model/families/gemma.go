package families

import (
	"fmt"
	"math"

	"lomo/internal/model"
)

// gemma is LLaMA with gains of 1 + w, a gate through gelu, scaled embeddings, and heads whose size is their own.
var gemma = Family{Class: "gemmafor", Defaults: Defaults{Vocab: 256000, Hidden: 3072, Intermediate: 24576, Layers: 28, Heads: 16, KVHeads: 16, HeadDim: 256,
	Positions: 8192, Tied: true, Padding: firstRow, BOS: 2, EOS: 1},
	Reads: []string{"hidden_act", "hidden_activation", "attention_bias"},
	Read:  func(c *model.Config, r *reader, d Defaults) { gemmas(c, r, "hidden_act", "hidden_activation") },
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		q, k, v := qkv(b, b.Norm("input_layernorm", x))
		h := output(b, attention(b, q, k, v), x)
		return branch(b, "mlp.down_proj", b.GeGLU(gateAndUp(b, b.Norm("post_attention_layernorm", h))), h, false)
	}}

// gemma2 has norms behind attention and MLP too, capped scores and logits, and a window in every other layer.
var gemma2 = Family{Class: "gemma2", Defaults: Defaults{Vocab: 256000, Hidden: 2304, Intermediate: 9216, Layers: 26, Heads: 8, KVHeads: 4, HeadDim: 256,
	Positions: 8192, Window: 4096, Tied: true, Padding: firstRow},
	Reads: []string{"hidden_act", "hidden_activation", "attention_bias", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		gemmas(c, r, "hidden_activation", "hidden_act")
		wholeHeads(c, r)
		scoreScale(c, r)
		c.ScoreCap, c.LogitCap = limit(r, "attn_logit_softcapping", 50), limit(r, "final_logit_softcapping", 30)
		slidingLayers(c, r, d, func(layer int) bool { return layer%2 == 0 })
	},
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		q, k, v := qkv(b, b.Norm("input_layernorm", x))
		return fourNorms(b, attention(b, q, k, v), x)
	}}

// gemma3 is Gemma 3's language model: gemma2 with norms over the heads of queries and keys in place of the cap of scores, and a table of their own for
// layers with a window to turn by, of which five are for each without.
var gemma3 = Family{Class: "gemma3", Defaults: Defaults{Vocab: 262208, Hidden: 2304, Intermediate: 9216, Layers: 26, Heads: 8, KVHeads: 4, HeadDim: 256,
	Positions: 131072, Window: 4096, Theta: 1e6, Tied: true, Padding: firstRow, BOS: 2, EOS: 1},
	Reads: []string{"hidden_act", "hidden_activation", "attention_bias", "query_pre_attn_scalar", "final_logit_softcapping", "sliding_window_pattern", "rope_local_base_freq"},
	Rope:  ropeByLayerType,
	Read: func(c *model.Config, r *reader, d Defaults) {
		gemmas(c, r, "hidden_activation", "hidden_act")
		wholeHeads(c, r)
		scoreScale(c, r)
		c.LogitCap = limit(r, "final_logit_softcapping", 0)
		every := 6
		if !r.given("layer_types") {
			if every = r.int("sliding_window_pattern", every); every < 1 {
				r.fail(&ConfigError{Msg: fmt.Sprintf("sliding_window_pattern is %d, want a whole number from 1", every), Advice: again})
				return
			}
		}
		slidingLayers(c, r, d, func(layer int) bool { return (layer+1)%every != 0 })
	},
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		q, k, v := qkv(b, b.Norm("input_layernorm", x))
		q, k = b.HeadNorm("self_attn.q_norm", q), b.HeadNorm("self_attn.k_norm", k)
		return fourNorms(b, attention(b, q, k, v), x)
	}}

// textAndImages is Gemma 3 as its larger sizes are published. transformers' own Gemma3ForCausalLM finds none of its tensors there, and begins anew in silence.
var textAndImages = &ConfigError{Msg: "model_type is \"gemma3\": a model of text and images, of which this build trains the text alone (gemma3_text)",
	Advice: "docs/models.md shows how transformers saves its language model, m.model.language_model, as a folder of its own"}

// fourNorms ends a block whose branches have a norm at both ends.
func fourNorms(b *model.Builder, att, x model.Slot) model.Slot {
	c := b.Cfg
	out := b.Linear("self_attn.o_proj", att, c.HiddenSize, c.OutBias)
	h := b.Join(b.Norm("post_attention_layernorm", out), x, 1)
	gate, up := gateAndUp(b, b.Norm("pre_feedforward_layernorm", h))
	down := b.Linear("mlp.down_proj", b.GeGLU(gate, up), c.HiddenSize, false)
	return b.Join(b.Norm("post_feedforward_layernorm", down), h, 1)
}

// gemmas reads what the generations of Gemma share. Of the two keys of the gate transformers reads only act; the other is a word of old files, where gelu
// means its form with tanh too.
func gemmas(c *model.Config, r *reader, act, other string) {
	c.NormPlusOne = true
	c.EmbedScale, c.EmbedRounds = math.Sqrt(float64(c.HiddenSize)), true
	c.QKVBias = r.bool("attention_bias", false)
	c.OutBias = c.QKVBias
	const gelu = "gelu_pytorch_tanh"
	for _, key := range []string{act, other} {
		name := gelu
		if key == act || r.given(key) {
			name = r.text(key, gelu)
		}
		if name != gelu && !(key == "hidden_act" && name == "gelu") && r.err == nil {
			r.fail(&ConfigError{Msg: fmt.Sprintf("%s is %q: the activation is %s in the Gemma of this build", key, name, gelu),
				Advice: "take a model whose activation is " + gelu + ", as all that its makers call Gemma have"})
		}
	}
}

// wholeHeads is a check of transformers', though head_dim is a key of its own.
func wholeHeads(c *model.Config, r *reader) {
	if c.HiddenSize%c.NumAttentionHeads != 0 {
		r.fail(&ConfigError{Msg: fmt.Sprintf("hidden_size %d is not a multiple of num_attention_heads %d, which transformers wants of a %s", c.HiddenSize, c.NumAttentionHeads, c.ModelType), Advice: again})
	}
}

// scoreScale reads query_pre_attn_scalar, the square of what scores are divided by.
func scoreScale(c *model.Config, r *reader) {
	const key = "query_pre_attn_scalar"
	by := r.float(key, 256)
	switch {
	case !(by > 0):
		r.fail(&ConfigError{Msg: fmt.Sprintf("%s is %v, want a number above 0", key, by), Advice: again})
	case by != float64(c.HeadDim):
		c.ScoreScale = 1 / math.Sqrt(by)
	}
}

// limit reads a cap: null is none.
func limit(r *reader, key string, absent float64) float64 {
	if !r.has(key) {
		return absent
	}
	if !r.given(key) {
		return 0
	}
	x := r.float(key, 0)
	if !(x > 0) {
		r.fail(&ConfigError{Msg: fmt.Sprintf("%s is %v, want a number above 0, or null for none", key, x), Advice: again})
	}
	return x
}

// slidingLayers is windows in a family where layers that slide must have one.
func slidingLayers(c *model.Config, r *reader, d Defaults, slides func(layer int) bool) {
	w := window(r, d.Window)
	if w == 0 && !r.given("layer_types") && r.err == nil {
		for i := range c.NumHiddenLayers {
			if slides(i) {
				r.fail(&ConfigError{Msg: fmt.Sprintf("sliding_window is null, and layer %d has a window", i), Advice: "set sliding_window in config.json, or layer_types to full_attention for all layers"})
				return
			}
		}
	}
	windows(c, r, w, slides)
}
