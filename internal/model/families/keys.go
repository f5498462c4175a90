package families

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"lomo/internal/model"
)

// keyRule says for which values a key changes nothing in what lomo computes.
type keyRule struct {
	neutral func(c *model.Config, v any) bool
	what    string // what another value asks for
	advice  string // "": otherFamily

	training bool // only training is changed
}

const otherFamily = "the model is of another family than its model_type says, or take the key out of config.json if it is left over"

func off(_ *model.Config, v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case bool:
		return !x
	case float64:
		return x == 0
	case string:
		return x == "" || x == "none"
	case []any:
		return len(x) == 0
	case map[string]any:
		return len(x) == 0
	}
	return false
}

func one(_ *model.Config, v any) bool { return v == nil || v == 1.0 }

func on(_ *model.Config, v any) bool { return v == nil || v == true }

// equal wants the number that f gives.
func equal(f func(c *model.Config) float64) func(*model.Config, any) bool {
	return func(c *model.Config, v any) bool {
		x, ok := v.(float64)
		return v == nil || ok && math.Abs(x-f(c)) <= 1e-6*math.Abs(f(c))
	}
}

// word wants one of these, in any case.
func word(names ...string) func(*model.Config, any) bool {
	return func(_ *model.Config, v any) bool {
		s, ok := v.(string)
		return v == nil || ok && slices.Contains(names, strings.ToLower(s))
	}
}

// allOf wants a list of nothing but x.
func allOf(ok func(x any) bool) func(*model.Config, any) bool {
	return func(_ *model.Config, v any) bool {
		list, isList := v.([]any)
		return v == nil || isList && !slices.ContainsFunc(list, func(x any) bool { return !ok(x) })
	}
}

func headDim(c *model.Config) float64 { return float64(c.HeadDim) }
func hidden(c *model.Config) float64  { return float64(c.HiddenSize) }
func theta(c *model.Config) float64   { return c.RopeTheta }

// rules are the keys that change the mathematics of a model, with the values at which they do not. Keys that are not here pass:
// they name files, versions and settings of generation, or transformers ignores them and no family that we know means anything by them.
var rules = map[string]keyRule{}

func init() {
	add := func(neutral func(*model.Config, any) bool, what string, keys ...string) {
		for _, k := range keys {
			rules[k] = keyRule{neutral: neutral, what: what}
		}
	}
	const biases = "biases that models of this family do not have"
	add(off, biases, "attention_bias", "mlp_bias", "bias", "use_bias", "qkv_bias", "use_qkv_bias", "add_qkv_bias", "attn_bias", "attention_qkv_bias",
		"attention_out_bias", "add_bias_linear", "lm_head_bias")
	add(on, biases, "no_bias")
	advise := func(advice string, keys ...string) {
		for _, k := range keys {
			rule := rules[k]
			rule.advice = advice
			rules[k] = rule
		}
	}
	advise("take a model without biases; where the files hold no bias tensors, the key may be set to false", "attention_bias", "mlp_bias")
	add(word("silu", "swish", "swiglu"), "the activation is silu in models of this family", "hidden_act", "hidden_activation", "activation_function", "mlp_hidden_act")
	advise("take a model whose activation is silu, or set model_type to the family that the model is of", "hidden_act")

	add(one, "a multiplier of another family", "embedding_multiplier", "residual_multiplier", "logits_scaling", "logit_scale", "scale_emb", "embedding_scale",
		"embedding_multiplier_scale", "output_multiplier_scale", "lm_head_multiplier", "key_multiplier", "attention_in_multiplier", "attention_out_multiplier",
		"residual_scale", "mup_width_scale")
	add(equal(func(c *model.Config) float64 { return math.Pow(headDim(c), -0.5) }), "a scale of attention scores of another family", "attention_multiplier", "attention_scale")
	add(equal(headDim), "a scale of attention scores of another family", "query_pre_attn_scalar")
	add(equal(func(c *model.Config) float64 { return math.Sqrt(float64(c.NumHiddenLayers)) }), "a scale of residuals of another family", "scale_depth")
	add(equal(hidden), "a scale of logits of another family", "dim_model_base")
	add(off, "scaled by width, as in another family", "mup_enabled", "use_mup", "mup_scale_factor")
	add(off, "capped scores or logits are of another family", "attn_logit_softcapping", "final_logit_softcapping", "attention_logit_cap", "logits_soft_cap", "clip_qkv")
	add(off, "a scaled embedding is of another family", "scale_embedding", "normalize_embedding", "embed_scale")

	add(one, "heads that are rotated in part are of another family", "partial_rotary_factor", "rotary_pct", "rotary_percent", "rope_pct", "rotary_emb_fraction")
	add(equal(headDim), "heads that are rotated in part are of another family", "rotary_dim", "rotary_ndims", "v_head_dim")
	add(off, "pairs of neighbours are rotated in another family", "rope_interleaved", "rope_interleave", "rotary_interleaved", "rotary_emb_interleaved")
	add(off, "windows in some layers are of another family", "sliding_window_pattern")
	add(off, "a second rotary table is of another family", "rope_local_base_freq", "local_rope_theta", "swa_rope_theta")
	add(off, "positions of several axes are of another family", "mrope_section")
	add(one, "a rotary base of another family", "rope_ratio")
	add(equal(theta), "a rotary base under another family's name; this build reads rope_theta", "rotary_base", "rotary_emb_base", "rope_base")
	add(allOf(func(x any) bool { return x == 1.0 || x == true }), "layers without rotation are of another family", "no_rope_layers")
	add(word("rope", "rotary", "rope_linear"), "positions of another kind", "position_embedding_type", "position_embedding")
	add(off, "positions of another kind", "alibi", "use_alibi")

	add(off, "norms of queries and keys are of another family", "qk_norm", "use_qk_norm", "qk_layernorm", "qk_layer_norm", "use_qk_layernorm")
	add(word("rmsnorm", "rms_norm", "rms", "llamarmsnorm"), "another norm", "norm_type", "normalization_type", "normalization_layer", "layernorm_type")
	add(off, "attention and MLP side by side are of another family", "use_parallel_residual", "parallel_attn", "parallel_residual", "parallel_attn_mlp_res", "sandwich_norm")

	add(off, "mixtures of experts are of other families", "num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_moe_experts",
		"n_experts", "n_shared_experts", "moe_layers", "num_experts_per_layer")
	add(off, "experts that all tokens see are of another family", "shared_expert_intermediate_size", "num_shared_experts", "moe_shared_expert_intermediate_size", "shared_intermediate_size")
	of := func(neutral func(*model.Config, any) bool) func(*model.Config, any) bool { // of mixtures: elsewhere the key is left over
		return func(c *model.Config, v any) bool { return c.NumExperts == 0 || neutral(c, v) }
	}
	add(of(one), "weights of experts are scaled in another family", "routed_scaling_factor", "moe_router_topk_scaling_factor")
	add(of(word("softmax")), "experts are weighed in another way", "scoring_func", "score_function", "moe_router_activation_func")
	add(of(word("greedy")), "experts are chosen in another way", "topk_method")
	add(of(off), "experts are chosen in another way", "use_grouped_topk", "moe_router_enable_expert_bias", "use_expert_bias")
	add(of(one), "experts are chosen within groups", "n_group", "topk_group", "num_expert_group")
	add(of(on), "the weights of a token's experts are divided by their sum in this family", "norm_topk_prob")
	add(of(off), "layers without experts are of another family", "mlp_only_layers", "first_k_dense_replace", "dense_layers")
	add(of(one), "layers without experts are of another family", "decoder_sparse_step", "moe_layer_freq", "interleave_moe_layer_step")
	advise("take a dense model, or one of model_type qwen3_moe or mixtral", "num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_moe_experts", "n_experts", "n_shared_experts")
	add(off, "low-rank attention is of another family", "kv_lora_rank", "q_lora_rank", "qk_rope_head_dim")
	add(off, "attention within chunks or windows of another family", "attention_chunk_size", "attention_window_size", "attn_window_size", "local_attention_window")
	add(off, "attention sinks are of another family", "use_attention_sinks", "attention_sink", "attention_sinks", "swiglu_limit", "swiglu_alpha")
	add(off, "attention whose temperature changes with the position is of another family", "attn_temperature_tuning", "llama_4_scaling_beta")
	add(off, "state-space layers are of another family", "mamba_d_state", "mamba_d_conv", "attn_layer_period", "hybrid_override_pattern", "ssm_cfg")
	add(allOf(func(x any) bool { return x == "attention" || x == "full_attention" }), "layers of other kinds are of another family", "layers_block_type", "block_types")
	add(off, "layers that differ from each other are of another family", "per_layer_config", "block_configs", "cross_attention_layers", "num_kv_shared_layers",
		"hidden_size_per_layer_input", "layer_head_config")
	add(off, "a model of text and something else", "text_config", "vision_config", "audio_config", "speech_config")
	add(off, "an encoder, or attention to one", "is_encoder_decoder", "add_cross_attention", "use_bidirectional_attention", "bidirectional")
	add(on, "attention to later tokens", "is_causal", "causal", "scale_attn_weights")
	add(off, "attention scores scaled by layer", "scale_attn_by_inverse_layer_idx")

	for _, k := range []string{"quantization_config", "quantization", "compression_config"} {
		rules[k] = keyRule{neutral: off, what: "training needs a model stored in float32, bfloat16 or float16",
			advice: "take the model as its authors published it before it was quantized; a GGUF file of Q8_0 or K-quants is read too"}
	}
	rules["router_jitter_noise"] = keyRule{neutral: off, what: "noise on what the router sees is not computed by this build", advice: "set router_jitter_noise to 0 in config.json to train without it", training: true}
	rules["output_router_logits"] = keyRule{neutral: off, what: "the balanced loss of experts (router_aux_loss_coef) is not computed by this build",
		advice: "set output_router_logits to false in config.json to train on the loss of the tokens alone, as transformers does by default", training: true}
	for _, k := range []string{"attention_dropout", "attn_pdrop", "attn_dropout", "resid_pdrop", "resid_dropout", "residual_dropout", "embd_pdrop", "embd_dropout",
		"embedding_dropout", "hidden_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "mlp_dropout", "dropout", "layerdrop"} {
		rules[k] = keyRule{neutral: off, what: "dropout is not computed by this build", advice: "set " + k + " to 0 in config.json to train without it", training: true}
	}
}

// epsNames are what other families call rms_norm_eps.
var epsNames = []string{"norm_eps", "layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon", "rms_norm_epsilon", "norm_epsilon"}

// mathematics refuses keys that ask for what is not computed.
func mathematics(c *model.Config, r *reader, f Family) error {
	var keys []string
	for k := range r.raw {
		keys = append(keys, k)
	}
	sort.Strings(keys) // so that the same file always has the same first fault
	for _, k := range keys {
		rule, ok := rules[k]
		if !ok || slices.Contains(f.Reads, k) || rule.neutral(c, r.value(k)) {
			continue
		}
		err := &ConfigError{Msg: fmt.Sprintf("%s is %s: %s", k, valueOf(r.raw[k]), rule.what), Advice: rule.advice}
		if err.Advice == "" {
			err.Advice = otherFamily
		}
		if !rule.training {
			return err
		}
		if c.Untrained == nil {
			c.Untrained = err
		}
	}
	for _, k := range epsNames {
		if v, ok := r.value(k).(float64); ok && !r.has("rms_norm_eps") && float32(v) != c.RMSNormEps {
			return &ConfigError{Msg: fmt.Sprintf("%s is %v and rms_norm_eps is missing, which means %v", k, v, c.RMSNormEps), Advice: "set rms_norm_eps in config.json"}
		}
	}
	if !slices.Contains(f.Reads, "no_rope_layers") {
		if err := noRopeInterval(c, r); err != nil {
			return err
		}
	}
	return architectures(c, r, f.Class)
}

// noRopeInterval is smollm3's: without a list of its own every n-th layer is not rotated.
func noRopeInterval(c *model.Config, r *reader) error {
	const key = "no_rope_layer_interval"
	if v := r.value(key); !off(c, v) && !r.given("no_rope_layers") {
		return &ConfigError{Msg: fmt.Sprintf("%s is %v: layers without rotation are of another family", key, v), Advice: otherFamily}
	}
	return nil
}

// architectures must name the class that model_type does: where they differ somebody changed one of them.
func architectures(c *model.Config, r *reader, class string) error {
	list, ok := r.value("architectures").([]any)
	if !ok {
		if r.given("architectures") {
			return &ConfigError{Msg: fmt.Sprintf("architectures is %s, want a list of names", valueOf(r.raw["architectures"])), Advice: again}
		}
		return nil
	}
	for _, x := range list {
		name, _ := x.(string)
		if !strings.HasPrefix(strings.ToLower(name), class) {
			return &ConfigError{Msg: fmt.Sprintf("architectures names %v, model_type is %q: which of them is meant?", x, c.ModelType),
				Advice: "a model of another family does not become a llama by its model_type; where it is one, set architectures to [\"LlamaForCausalLM\"]"}
		}
	}
	return nil
}
