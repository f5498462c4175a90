package checkpoint

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/checkpoint/gguf/arch"
	"lomo/internal/fault"
)

// ggufNeutral are the metadata keys that change the mathematics in some architecture, with the values at which they do not where the
// architecture's own table does not read them. 0 stands for none in most of them.
var ggufNeutral = map[string][]float64{
	"logit_scale": {0, 1}, "embedding_scale": {0, 1}, "residual_scale": {0, 1},
	"attn_logit_softcapping": {0}, "final_logit_softcapping": {0}, "router_logit_softcapping": {0},
	"attention.clamp_kqv": {0}, "attention.max_alibi_bias": {0}, "attention.output_scale": {0, 1}, "attention.value_scale": {0, 1},
	"attention.temperature_scale": {0, 1}, "attention.temperature_length": {0},
	"rope.scaling.yarn_log_multiplier": {0}, "rope.scaling.alpha": {0, 1}, "rope.scaling.yarn_ext_factor": {-1, 1}, "interleave_moe_layer_step": {0},
	"no_rope_layer_step": {0}, "attention.kv_lora_rank": {0}, "attention.q_lora_rank": {0}, "nextn_predict_layers": {0},
}

// ggufHarmless are keys that are read elsewhere, or that say nothing about how weights are computed with.
var ggufHarmless = []string{
	"expert_count", "expert_used_count", "expert_feed_forward_length", "expert_shared_feed_forward_length", "expert_shared_count", "expert_weights_norm", "expert_gating_func",
	"attention.key_length", "attention.value_length", "attention.layer_norm_epsilon", "rope.dimension_count",
	"rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scale_linear", "rope.scaling.attn_factor",
	"rope.scaling.yarn_attn_factor", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow",
	"vocab_size", "tensor_data_layout", "pooling_type", "name",
}

// firstMistral is the name of Mistral 7B v0.1, whose window of 4096 tokens its files do not tell: their architecture is llama.
var firstMistral = regexp.MustCompile(`(?i)mistral.*7b.*v0[._]1\b`)

const notComputed = "the model is not computed as a plain "

// settings reads the keys that change how a model is computed, beside its sizes, and refuses those that lomo does not compute.
func (m *ggufModel) settings(f *gguf.File) error {
	for _, key := range slices.Sorted(maps.Keys(f.KV)) { // so that the same file always has the same first fault
		if name, ok := strings.CutPrefix(key, m.Name+"."); ok && !m.reads(name) {
			if err := m.setting(f, key, name); err != nil {
				return err
			}
		}
	}
	return m.windows(f)
}

// reads reports whether the architecture's table has the key.
func (m *ggufModel) reads(name string) bool {
	is := func(k arch.Key) bool { return k.GGUF == name }
	return slices.ContainsFunc(arch.Common, is) || slices.ContainsFunc(m.Keys, is) || slices.Contains(ggufHarmless, name) ||
		name == "rope.freq_base_swa" || strings.HasPrefix(name, "attention.sliding_window") // rotation and windows read those
}

// setting refuses a key that the architecture's table does not have and that changes something.
func (m *ggufModel) setting(f *gguf.File, key, name string) error {
	v := f.KV[key]
	x, isNumber := f.Float(key)
	if n, ok := f.Int(key); ok {
		x, isNumber = float64(n), true
	}
	neutral, known := ggufNeutral[name]
	switch {
	case name == "attention.scale":
		if x == 0 && isNumber {
			return nil
		}
		want, divided := 1/math.Sqrt(float64(m.headDim)), m.headDim
		if s, ok := m.config["query_pre_attn_scalar"].(int); ok {
			want, divided = 1/math.Sqrt(float64(s)), s
		}
		if !isNumber || math.Abs(x/want-1) > 1e-5 {
			return fault.Refuse(useFolder, "metadata key %q is %s, want 1/sqrt(%d): scores of another scale are of another family", key, shownKV(v), divided)
		}
	case name == "use_parallel_residual" || name == "attention.causal":
		if b, ok := v.(bool); ok && b != (name == "attention.causal") {
			return fault.Refuse(useFolder, "metadata key %q is %v: "+notComputed+"%s", key, b, m.Name)
		}
	case name == "rope.scaling.finetuned": // llama.cpp takes it for whether granite rotates at all, and for nothing in the others
		if m.Name == "granite" && v == false {
			return fault.Refuse(useFolder, "metadata key %q is false: "+notComputed+"%s", key, m.Name)
		}
	case name == "attention.key_length_swa" || name == "attention.value_length_swa" || name == "rope.dimension_count_swa":
		if !isNumber || x != float64(m.headDim) {
			return fault.Refuse(useFolder, "metadata key %q is %s, want %d: heads that differ by layer are not supported", key, shownKV(v), m.headDim)
		}
	case known:
		if !isNumber || !slices.Contains(neutral, x) {
			return fault.Refuse(useFolder, "metadata key %q is %s: "+notComputed+"%s", key, shownKV(v), m.Name)
		}
	case !nothing(v):
		return fault.Refuse(useFolder, "metadata key %q is %s: what it asks for is not known, so the model might be computed wrongly", key, shownKV(v))
	}
	return nil
}

// nothing reports whether a value asks for nothing.
func nothing(v any) bool {
	switch v := v.(type) {
	case bool:
		return !v
	case string:
		return v == "" || v == "none"
	}
	return fmt.Sprint(v) == "0" || fmt.Sprint(v) == "[]"
}

// windows reads how many tokens each layer sees.
func (m *ggufModel) windows(f *gguf.File) error {
	key, pattern := m.Key("attention.sliding_window"), m.Key("attention.sliding_window_pattern")
	w := m.Window.Default
	if _, given := f.KV[key]; given {
		n, ok := f.Int(key)
		if !ok || n < 0 {
			return fault.Refuse(useFolder, "metadata key %q is %s, want a number of tokens", key, shownKV(f.KV[key]))
		}
		w = n
	} else if name, _ := f.String("general.name"); m.Name == "llama" && firstMistral.MatchString(name) {
		w = 4096
	}
	slides, listed, err := m.pattern(f, pattern)
	if err != nil {
		return err
	}
	if w == 0 {
		return m.noWindow(f, pattern, slides)
	}
	switch {
	case m.Window.Key:
	case m.Window.Listed && listed:
		m.config["use_sliding_window"] = true
	case m.Window.Listed:
		return fault.Refuse(useFolder, "metadata key %q is %d, and %q is missing: which layers have that window is not known", key, w, pattern)
	default:
		return fault.Refuse(useFolder, "metadata key %q is %d: "+notComputed+"%s", key, w, m.Name)
	}
	switch {
	case m.Name == "llama" && slices.Contains(slides, false):
		m.family = arch.Family{Type: "ministral", Class: "MinistralForCausalLM"}
	case m.Window.Family.Type != "":
		m.family = m.Window.Family
	}
	m.config["sliding_window"] = w
	if listed || m.Window.Every > 0 {
		m.config["layer_types"] = layerTypes(slides)
	}
	return nil
}

// noWindow says in config.json that no layer has one, where the family's default may be another.
func (m *ggufModel) noWindow(f *gguf.File, pattern string, slides []bool) error {
	if _, isList := f.KV[pattern].([]bool); isList && slices.Contains(slides, true) {
		return fault.Refuse(useFolder, "metadata key %q names layers with a window, and %q says that there is none", pattern, m.Key("attention.sliding_window"))
	}
	switch {
	case m.Window.Key && m.Window.Family.Type == "" && m.Window.Every > 0:
		m.config["layer_types"] = layerTypes(make([]bool, m.layers))
	case m.Window.Key && m.Window.Family.Type == "":
		m.config["sliding_window"] = nil
	}
	return nil
}

func layerTypes(slides []bool) []string {
	types := make([]string, len(slides))
	for i, is := range slides {
		types[i] = map[bool]string{true: "sliding_attention", false: "full_attention"}[is]
	}
	return types
}

// maxGGUFLayers is more than any model has; lists of a value a layer are made of a number in a file.
const maxGGUFLayers = 1 << 16

// pattern reads which layers have a window: a list, every n-th without, or what the architecture has.
func (m *ggufModel) pattern(f *gguf.File, key string) (slides []bool, listed bool, err error) {
	if m.layers > maxGGUFLayers {
		return nil, false, fault.Refuse(useFolder, "metadata key %q is %d, want 1 to %d", m.Key("block_count"), m.layers, maxGGUFLayers)
	}
	w := m.Window
	if v, given := f.KV[key]; given {
		if list, ok := v.([]bool); ok {
			if len(list) < m.layers {
				return nil, false, fault.Refuse(useFolder, "metadata key %q lists %d layers, %q is %d", key, len(list), m.Key("block_count"), m.layers)
			}
			return list[:m.layers], true, nil
		}
		n, ok := f.Int(key)
		if !ok || n < 0 {
			return nil, false, fault.Refuse(useFolder, "metadata key %q is %s, want a number of layers or a list of one value for each", key, shownKV(v))
		}
		w.Every, listed = n, true
	}
	slides = make([]bool, m.layers)
	for i := range slides {
		slides[i] = !w.NoWindow(i)
	}
	return slides, listed, nil
}

// byLayer writes the rotary settings of each type of layer.
func (m *ggufModel) byLayer(local float64) {
	full := m.scaling
	if full == nil {
		full = &ropeScaling{Type: "default"}
	}
	full.Theta = m.theta
	m.config["rope_parameters"] = map[string]any{"full_attention": full, "sliding_attention": &ropeScaling{Type: "default", Theta: local}}
	delete(m.config, "rope_theta")
	m.scaling = nil
}

// rotation reads what an architecture's positions have beside a base and a scaling.
func (m *ggufModel) rotation(f *gguf.File) error {
	k := keys{f: f}
	if m.Rotary.Local {
		m.config["rope_local_base_freq"] = shortest(k.floatOr(m.Key("rope.freq_base_swa"), 10000))
	} else if m.Rotary.ByLayer && m.config["sliding_window"] != nil {
		m.byLayer(shortest(k.floatOr(m.Key("rope.freq_base_swa"), m.theta)))
	} else if key := m.Key("rope.freq_base_swa"); f.KV[key] != nil {
		if x := k.float(key); k.err == nil && x != m.theta {
			return fault.Refuse(useFolder, "metadata key %q is %v, %q %v: a rotary base of its own for layers with a window is of another family", key, x, m.Key("rope.freq_base"), m.theta)
		}
	}
	if m.Rotary.Partial && m.rotary != m.headDim {
		m.config["partial_rotary_factor"] = float64(m.rotary) / float64(m.headDim)
	}
	if m.Rotary.Original {
		m.config["original_max_position_embeddings"] = k.intOr(m.Key("rope.scaling.original_context_length"), m.context)
	}
	return k.err
}
