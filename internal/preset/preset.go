// Package preset knows reference geometries by name and makes randomly initialised models of them.
package preset

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/suggest"
)

// geometry is what tells one model from another.
type geometry struct {
	vocab, hidden, intermediate, layers, heads, kvHeads, positions int
	theta, eps                                                     float64
	tied                                                           bool
	llama3                                                         float64        // factor of llama3 rope scaling, 0: none
	more                                                           map[string]any // other keys, or other values of these
}

// Keys of other families.
var (
	qwen3   = map[string]any{"model_type": "qwen3", "architectures": []string{"Qwen3ForCausalLM"}, "head_dim": 128, "use_sliding_window": false}
	mistral = map[string]any{"model_type": "mistral", "architectures": []string{"MistralForCausalLM"}, "sliding_window": 4096}
	qwen2   = map[string]any{"model_type": "qwen2", "architectures": []string{"Qwen2ForCausalLM"}, "use_sliding_window": false}
	phi3    = map[string]any{"model_type": "phi3", "architectures": []string{"Phi3ForCausalLM"}, "pad_token_id": 32000}
	phi4    = map[string]any{"model_type": "phi3", "architectures": []string{"Phi3ForCausalLM"}, "pad_token_id": 100349, "original_max_position_embeddings": 16384}
	olmo3   = map[string]any{"model_type": "olmo3", "architectures": []string{"Olmo3ForCausalLM"}, "pad_token_id": 100277, "sliding_window": 4096, "rope_scaling": map[string]any{
		"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 8192, "attention_factor": 1.2079441541679836, "beta_fast": 32.0, "beta_slow": 1.0}}
	exaone4 = map[string]any{"model_type": "exaone4", "architectures": []string{"Exaone4ForCausalLM"}, "sliding_window": nil, "rope_scaling": map[string]any{
		"rope_type": "llama3", "factor": 16.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}
	olmo2   = map[string]any{"model_type": "olmo2", "architectures": []string{"Olmo2ForCausalLM"}, "pad_token_id": 100277}
	smollm3 = map[string]any{"model_type": "smollm3", "architectures": []string{"SmolLM3ForCausalLM"}, "pad_token_id": 128004}
)

// mixture is the keys of a model of Qwen3's mixtures: heads of headDim, and of experts each of the given size perToken to a token.
func mixture(headDim, experts, perToken, size int) map[string]any {
	return map[string]any{"model_type": "qwen3_moe", "architectures": []string{"Qwen3MoeForCausalLM"}, "head_dim": headDim, "use_sliding_window": false,
		"num_experts": experts, "num_experts_per_tok": perToken, "moe_intermediate_size": size, "norm_topk_prob": true, "decoder_sparse_step": 1,
		"mlp_only_layers": []int{}, "output_router_logits": false, "router_aux_loss_coef": 0.001}
}

var mixtral = map[string]any{"model_type": "mixtral", "architectures": []string{"MixtralForCausalLM"}, "sliding_window": nil, "num_local_experts": 8,
	"num_experts_per_tok": 2, "output_router_logits": false, "router_aux_loss_coef": 0.02}

// gemmas is the keys of a model of the Gemma family, beside which more stand.
func gemmas(kind, class string, headDim int, more map[string]any) map[string]any {
	keys := map[string]any{"model_type": kind, "architectures": []string{class}, "head_dim": headDim, "hidden_act": "gelu_pytorch_tanh",
		"hidden_activation": "gelu_pytorch_tanh", "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1}
	maps.Copy(keys, more)
	return keys
}

// gemma3 is that of Gemma 3's language models; long says that the layers without a window have scaled frequencies.
func gemma3(headDim, window, scalar int, long bool) map[string]any {
	more := map[string]any{"sliding_window": window, "sliding_window_pattern": 6, "query_pre_attn_scalar": scalar, "rope_local_base_freq": 10000.0}
	if long {
		more["rope_scaling"] = map[string]any{"rope_type": "linear", "factor": 8.0}
	}
	return gemmas("gemma3_text", "Gemma3ForCausalLM", headDim, more)
}

// gemma2 is that of Gemma 2.
func gemma2(headDim, scalar int) map[string]any {
	return gemmas("gemma2", "Gemma2ForCausalLM", headDim, map[string]any{"sliding_window": 4096, "query_pre_attn_scalar": scalar,
		"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0})
}

var gemma = gemmas("gemma", "GemmaForCausalLM", 256, nil)

var presets = map[string]geometry{
	"tiny":           {320, 64, 176, 2, 4, 2, 512, 1e4, 1e-5, true, 0, nil},
	"15m":            {2048, 288, 768, 12, 6, 6, 1024, 1e4, 1e-5, true, 0, nil},
	"135m":           {49152, 576, 1536, 30, 9, 3, 8192, 1e5, 1e-5, true, 0, nil},
	"360m":           {49152, 960, 2560, 32, 15, 5, 8192, 1e5, 1e-5, true, 0, nil},
	"1.7b":           {49152, 2048, 8192, 24, 32, 32, 8192, 1.3e5, 1e-5, true, 0, nil},
	"tinyllama-1.1b": {32000, 2048, 5632, 22, 32, 4, 2048, 1e4, 1e-5, false, 0, nil},
	"llama-7b":       {32000, 4096, 11008, 32, 32, 32, 2048, 1e4, 1e-6, false, 0, nil},
	"llama-13b":      {32000, 5120, 13824, 40, 40, 40, 2048, 1e4, 1e-6, false, 0, nil},
	"llama-30b":      {32000, 6656, 17920, 60, 52, 52, 2048, 1e4, 1e-6, false, 0, nil},
	"llama-65b":      {32000, 8192, 22016, 80, 64, 64, 2048, 1e4, 1e-5, false, 0, nil},
	"llama2-7b":      {32000, 4096, 11008, 32, 32, 32, 4096, 1e4, 1e-5, false, 0, nil},
	"llama2-70b":     {32000, 8192, 28672, 80, 64, 8, 4096, 1e4, 1e-5, false, 0, nil},
	"llama3-8b":      {128256, 4096, 14336, 32, 32, 8, 8192, 5e5, 1e-5, false, 0, nil},
	"llama3.2-1b":    {128256, 2048, 8192, 16, 32, 8, 131072, 5e5, 1e-5, true, 32, nil},
	"llama3.1-8b":    {128256, 4096, 14336, 32, 32, 8, 131072, 5e5, 1e-5, false, 8, nil},
	"llama3.1-70b":   {128256, 8192, 28672, 80, 64, 8, 131072, 5e5, 1e-5, false, 8, nil},
	"llama3.2-3b":    {128256, 3072, 8192, 28, 24, 8, 131072, 5e5, 1e-5, true, 32, nil},
	"mistral-7b":     {32000, 4096, 14336, 32, 32, 8, 32768, 1e4, 1e-5, false, 0, mistral},
	"qwen3-0.6b":     {151936, 1024, 3072, 28, 16, 8, 40960, 1e6, 1e-6, true, 0, qwen3},
	"qwen3-1.7b":     {151936, 2048, 6144, 28, 16, 8, 40960, 1e6, 1e-6, true, 0, qwen3},
	"qwen3-4b":       {151936, 2560, 9728, 36, 32, 8, 40960, 1e6, 1e-6, true, 0, qwen3},
	"qwen3-8b":       {151936, 4096, 12288, 36, 32, 8, 40960, 1e6, 1e-6, false, 0, qwen3},
	"qwen3-14b":      {151936, 5120, 17408, 40, 40, 8, 40960, 1e6, 1e-6, false, 0, qwen3},
	"qwen3-32b":      {151936, 5120, 25600, 64, 64, 8, 40960, 1e6, 1e-6, false, 0, qwen3},
	"qwen3-30b-a3b":  {151936, 2048, 6144, 48, 32, 4, 40960, 1e6, 1e-6, false, 0, mixture(128, 128, 8, 768)},
	"mixtral-8x7b":   {32000, 4096, 14336, 32, 32, 8, 32768, 1e6, 1e-5, false, 0, mixtral},
	"moe-tiny":       {320, 64, 176, 2, 4, 2, 512, 1e4, 1e-6, true, 0, mixture(16, 8, 2, 48)},
	"moe-2b-a0.3b":   {32000, 1024, 3072, 24, 16, 4, 8192, 1e6, 1e-6, true, 0, mixture(64, 64, 8, 384)},
	"qwen2.5-0.5b":   {151936, 896, 4864, 24, 14, 2, 32768, 1e6, 1e-6, true, 0, qwen2},
	"qwen2.5-1.5b":   {151936, 1536, 8960, 28, 12, 2, 32768, 1e6, 1e-6, true, 0, qwen2},
	"qwen2.5-7b":     {152064, 3584, 18944, 28, 28, 4, 32768, 1e6, 1e-6, false, 0, qwen2},
	"olmo2-7b":       {100352, 4096, 11008, 32, 32, 32, 4096, 5e5, 1e-6, false, 0, olmo2},
	"gemma-2b":       {256000, 2048, 16384, 18, 8, 1, 8192, 1e4, 1e-6, true, 0, gemma},
	"gemma-7b":       {256000, 3072, 24576, 28, 16, 16, 8192, 1e4, 1e-6, true, 0, gemma},
	"gemma2-2b":      {256000, 2304, 9216, 26, 8, 4, 8192, 1e4, 1e-6, true, 0, gemma2(256, 256)},
	"gemma2-9b":      {256000, 3584, 14336, 42, 16, 8, 8192, 1e4, 1e-6, true, 0, gemma2(256, 256)},
	"gemma2-27b":     {256000, 4608, 36864, 46, 32, 16, 8192, 1e4, 1e-6, true, 0, gemma2(128, 144)},
	"gemma3-270m":    {262144, 640, 2048, 18, 4, 1, 32768, 1e6, 1e-6, true, 0, gemma3(256, 512, 256, false)},
	"gemma3-1b":      {262144, 1152, 6912, 26, 4, 1, 32768, 1e6, 1e-6, true, 0, gemma3(256, 512, 256, false)},
	"gemma3-4b":      {262208, 2560, 10240, 34, 8, 4, 131072, 1e6, 1e-6, true, 0, gemma3(256, 1024, 256, true)},
	"gemma3-12b":     {262208, 3840, 15360, 48, 16, 8, 131072, 1e6, 1e-6, true, 0, gemma3(256, 1024, 256, true)},
	"gemma3-27b":     {262208, 5376, 21504, 62, 32, 16, 131072, 1e6, 1e-6, true, 0, gemma3(128, 1024, 168, true)},
	"phi-3-mini":     {32064, 3072, 8192, 32, 32, 32, 4096, 1e4, 1e-5, false, 0, with(phi3, "sliding_window", 2047)},
	"phi-3.5-mini":   {32064, 3072, 8192, 32, 32, 32, 131072, 1e4, 1e-5, false, 0, with(phi3, "rope_scaling", longRope(48, 64.8), "sliding_window", 262144)},
	"phi-4":          {100352, 5120, 17920, 40, 40, 10, 16384, 2.5e5, 1e-5, false, 0, phi4},
	"phi-4-mini":     {200064, 3072, 8192, 32, 24, 8, 131072, 1e4, 1e-5, true, 0, with(phi3, "rope_scaling", longRope(48, 47.8), "partial_rotary_factor", 0.75, "sliding_window", 262144, "pad_token_id", 199999)},
	"olmo3-7b":       {100278, 4096, 11008, 32, 32, 32, 65536, 5e5, 1e-6, false, 0, olmo3},
	"exaone4-1.2b":   {102400, 2048, 4096, 30, 32, 8, 65536, 1e6, 1e-5, true, 0, exaone4},
	"smollm3-3b":     {128256, 2048, 11008, 36, 16, 4, 65536, 5e6, 1e-6, true, 0, smollm3},
}

// with is keys and others.
func with(keys map[string]any, more ...any) map[string]any {
	all := maps.Clone(keys)
	for i := 0; i < len(more); i += 2 {
		all[more[i].(string)] = more[i+1]
	}
	return all
}

// longRope is a scaling of so many pairs up to a factor. A random model has learned no factors of its own, so they rise evenly in size.
func longRope(pairs int, to float64) map[string]any {
	short, long := make([]float64, pairs), make([]float64, pairs)
	for i := range pairs {
		short[i], long[i] = 1, math.Round(1000*math.Pow(to, float64(i)/float64(pairs-1)))/1000
	}
	return map[string]any{"rope_type": "longrope", "short_factor": short, "long_factor": long, "original_max_position_embeddings": 4096}
}

var aliases = map[string]string{
	"smollm2-135m": "135m", "smollm2-360m": "360m", "smollm2-1.7b": "1.7b",
	"7b": "llama-7b", "13b": "llama-13b", "30b": "llama-30b", "llama-33b": "llama-30b", "33b": "llama-30b", "65b": "llama-65b", "8b": "llama3-8b",
}

// Names is every preset, sorted.
func Names() []string {
	var out []string
	for n := range presets {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Aliases are the other names of presets, by preset, sorted.
func Aliases() map[string][]string {
	out := map[string][]string{}
	for _, a := range slices.Sorted(maps.Keys(aliases)) {
		out[aliases[a]] = append(out[aliases[a]], a)
	}
	return out
}

// UnknownError is a name that is no preset.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string { return fmt.Sprintf("preset %q is not known", e.Name) }

// Hint suggests the nearest, or where all are.
func (e *UnknownError) Hint() string {
	if near := Nearest(e.Name); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf("`lomo new --help` lists the %d presets", len(presets))
}

// Nearest is the preset or alias that name most likely means; "": none.
func Nearest(name string) string {
	return suggest.Nearest(strings.ToLower(name), append(Names(), slices.Collect(maps.Keys(aliases))...))
}

// Has reports whether name is a preset or an alias of one.
func Has(name string) bool {
	_, err := ConfigJSON(name, "bfloat16")
	return err == nil
}

// ConfigJSON is the config.json of a preset, with dtype in Hugging Face's spelling.
func ConfigJSON(name, dtype string) ([]byte, error) {
	given := name
	name = strings.ToLower(name)
	if a, ok := aliases[name]; ok {
		name = a
	}
	g, ok := presets[name]
	if !ok {
		return nil, &UnknownError{given}
	}
	c := map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "hidden_act": "silu",
		"vocab_size": g.vocab, "hidden_size": g.hidden, "intermediate_size": g.intermediate, "num_hidden_layers": g.layers,
		"num_attention_heads": g.heads, "num_key_value_heads": g.kvHeads, "head_dim": g.hidden / g.heads,
		"max_position_embeddings": g.positions, "rms_norm_eps": g.eps, "rope_theta": g.theta, "rope_scaling": nil,
		"tie_word_embeddings": g.tied, "attention_bias": false, "mlp_bias": false, "initializer_range": 0.02, "torch_dtype": dtype,
	}
	if g.llama3 > 0 {
		c["rope_scaling"] = map[string]any{"rope_type": "llama3", "factor": g.llama3, "low_freq_factor": 1.0,
			"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
	}
	maps.Copy(c, g.more)
	data, err := json.MarshalIndent(c, "", "  ")
	return append(data, '\n'), err
}

// Config is ConfigJSON parsed.
func Config(name string) (*model.Config, error) {
	data, err := ConfigJSON(name, "bfloat16")
	if err != nil {
		return nil, err
	}
	return families.Parse(data)
}
