package checkpoint

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/fault"
	"lomo/internal/tensor"
)

// ggufModel is what the metadata of a llama GGUF file says about the model.
type ggufModel struct {
	vocab, hidden, intermediate, layers, heads, kvHeads, headDim, context int
	window                                                                int // 0: none
	eps, theta                                                            float64
	scaling                                                               *ropeScaling
	tied, attentionBias, mlpBias                                          bool
	dtype                                                                 tensor.DType
	tokens                                                                map[string]any // bos_token_id and such
}

// readGGUFModel reads the metadata, refusing other architectures and what lomo does not compute.
func readGGUFModel(f *gguf.File) (*ggufModel, error) {
	if err := refuseGGUF(f); err != nil {
		return nil, err
	}
	if n, _ := f.Int("llama.expert_count"); n > 0 {
		return nil, fault.Refuse("take a dense model", "llama.expert_count is %d: mixtures of experts are not supported", n)
	}
	m := &ggufModel{tokens: map[string]any{}}
	k := keys{f: f}
	m.hidden = k.int("llama.embedding_length")
	m.intermediate = k.int("llama.feed_forward_length")
	m.layers = k.int("llama.block_count")
	m.context = k.int("llama.context_length")
	m.heads = k.int("llama.attention.head_count")
	m.kvHeads = k.intOr("llama.attention.head_count_kv", m.heads)
	m.eps = k.float("llama.attention.layer_norm_rms_epsilon")
	m.theta = k.floatOr("llama.rope.freq_base", 10000)
	if k.err != nil {
		return nil, k.err
	}
	m.headDim = k.intOr("llama.attention.key_length", m.hidden/m.heads)
	m.tensors(f)
	for name, key := range map[string]string{"bos_token_id": "bos", "pad_token_id": "padding"} {
		if id, ok := f.Int("tokenizer.ggml." + key + "_token_id"); ok {
			m.tokens[name] = id
		}
	}
	switch stops := ggufStops(f); len(stops) {
	case 0:
	case 1:
		m.tokens["eos_token_id"] = stops[0]
	default:
		m.tokens["eos_token_id"] = stops
	}
	if err := m.check(f, &k); err != nil {
		return nil, err
	}
	if err := m.settings(f); err != nil {
		return nil, err
	}
	var err error
	m.scaling, err = m.readScaling(f)
	return m, err
}

// ggufStops are the tokens that end a generated text: the end of a text, of a turn and of a message that awaits an answer of
// a tool.
func ggufStops(f *gguf.File) (ids []int) {
	for _, role := range []string{"eos", "eot", "eom"} {
		if id, ok := f.Int("tokenizer.ggml." + role + "_token_id"); ok && id >= 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// refuseGGUF tells files that are no language model, or one of another architecture.
func refuseGGUF(f *gguf.File) error {
	arch, ok := f.String("general.architecture")
	kind, _ := f.String("general.type")
	base, _ := f.String("general.base_model.0.name")
	switch {
	case kind == "adapter" || strings.HasPrefix(arch, "adapter"):
		return fault.Refuse("merge it into its base model with llama-export-lora, or take the merged model", "a LoRA adapter%s, not a model", of(base))
	case kind == "mmproj" || arch == "clip":
		return fault.Refuse("give the .gguf file of the language model that it belongs to", "a projector for images or sound (mmproj), not a language model")
	case kind == "imatrix" || arch == "imatrix":
		return fault.Refuse("give the .gguf file of the model", "an importance matrix for quantising, not a model")
	case !ok:
		return fault.Refuse("give a .gguf file of a llama model", "general.architecture is missing: not a model")
	case len(f.Tensors) == 0:
		return fault.Refuse("give the .gguf file of the whole model", "a vocabulary without weights (architecture %q)", fault.Line(arch))
	case arch != "llama":
		return fault.Refuse("of GGUF files this build trains the architecture llama", "architecture %q is not supported", fault.Line(arch))
	}
	return nil
}

// of is " of NAME" for a name that is known.
func of(name string) string {
	if name == "" {
		return ""
	}
	return " of " + fault.Line(name)
}

// tensors reads what only the table of tensors tells.
func (m *ggufModel) tensors(f *gguf.File) {
	if t, ok := f.Tensor("token_embd.weight"); ok {
		m.vocab = t.Rows()
	}
	_, hasHead := f.Tensor("output.weight")
	m.tied = !hasHead
	most := map[tensor.DType]int64{}
	for _, t := range f.Tensors {
		m.attentionBias = m.attentionBias || strings.HasSuffix(t.Name, ".bias") && strings.Contains(t.Name, ".attn_")
		m.mlpBias = m.mlpBias || strings.HasSuffix(t.Name, ".bias") && strings.Contains(t.Name, ".ffn_")
		dt := ggufDType(t.Type)
		most[dt] += t.Bytes()
	}
	m.dtype = tensor.F32
	for _, dt := range []tensor.DType{tensor.F16, tensor.BF16} {
		if most[dt] > most[m.dtype] {
			m.dtype = dt
		}
	}
}

func (m *ggufModel) check(f *gguf.File, k *keys) error {
	if m.vocab == 0 {
		return fault.Refuse(useFolder, "tensor \"token_embd.weight\" is missing")
	}
	if n := len(f.Strings("tokenizer.ggml.tokens")); n > m.vocab {
		return fault.Refuse(useFolder, "tokenizer.ggml.tokens has %d tokens, token_embd.weight %d rows", n, m.vocab)
	}
	value := k.intOr("llama.attention.value_length", m.headDim)
	rotary := k.intOr("llama.rope.dimension_count", m.headDim)
	if k.err != nil {
		return k.err
	}
	if value != m.headDim || rotary != m.headDim || m.headDim%2 != 0 {
		return fault.Refuse(useFolder, "heads of %d for keys, %d for values, %d rotated: want one even size", m.headDim, value, rotary)
	}
	return nil
}

// headOf is the head size when the rows of name are stored in Meta's order, else 0.
func (m *ggufModel) headOf(name string, rows int) (int, error) {
	heads := 0
	switch {
	case strings.Contains(name, "self_attn.q_proj."):
		heads = m.heads
	case strings.Contains(name, "self_attn.k_proj."):
		heads = m.kvHeads
	default:
		return 0, nil
	}
	if rows != heads*m.headDim {
		return 0, fault.Refuse(useFolder, "%d rows, want %d heads of %d", rows, heads, m.headDim)
	}
	return m.headDim, nil
}

// configJSON writes the metadata as config.json.
func (m *ggufModel) configJSON() ([]byte, error) {
	c := map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "hidden_act": "silu",
		"vocab_size": m.vocab, "hidden_size": m.hidden, "intermediate_size": m.intermediate,
		"num_hidden_layers": m.layers, "num_attention_heads": m.heads, "num_key_value_heads": m.kvHeads,
		"head_dim": m.headDim, "max_position_embeddings": m.context,
		"rms_norm_eps": shortest(m.eps), "rope_theta": shortest(m.theta), "rope_scaling": m.scaling,
		"tie_word_embeddings": m.tied, "attention_bias": m.attentionBias, "mlp_bias": m.mlpBias,
		"initializer_range": 0.02, "use_cache": true, "torch_dtype": m.dtype.HFName(),
	}
	for name, id := range m.tokens {
		c[name] = id
	}
	if m.window > 0 { // the family that computes one; transformers' llama does not
		c["model_type"], c["architectures"], c["sliding_window"] = "mistral", []string{"MistralForCausalLM"}, m.window
	}
	data, err := json.MarshalIndent(c, "", "  ")
	return append(data, '\n'), err
}

// shortest is the shortest decimal that names the float32 x, so that 1e-5 does not become 9.999999747378752e-06.
func shortest(x float64) float64 {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64) // cannot fail on what it just wrote
	return short
}

// keys reads required metadata; the first failure sticks.
type keys struct {
	f   *gguf.File
	err error
}

func (k *keys) fail(key string, want string) {
	if k.err == nil {
		k.err = fault.Refuse(useFolder, "metadata key %q is %s, want %s", key, shownKV(k.f.KV[key]), want)
	}
}

// shownKV is a value of the metadata in a message.
func shownKV(v any) string {
	if v == nil {
		return "missing"
	}
	return fault.Line(fmt.Sprint(v))
}

const maxGGUFInt = 1 << 24 // no dimension of a model is near it, and products of two stay small

func (k *keys) int(key string) int {
	n, ok := k.f.Int(key)
	if !ok {
		n, ok = same(k.f.KV[key])
	}
	if !ok || n < 1 || n > maxGGUFInt {
		k.fail(key, "an integer from 1 to 16777216")
		return 1 // callers divide by it before they look at err
	}
	return n
}

// same is the value that all layers share where a file lists one for each.
func same(v any) (int, bool) {
	list, ok := v.([]int32)
	if !ok || len(list) == 0 {
		return 0, false
	}
	for _, n := range list {
		if n != list[0] {
			return 0, false
		}
	}
	return int(list[0]), true
}

func (k *keys) intOr(key string, def int) int {
	if _, ok := k.f.KV[key]; !ok {
		return def
	}
	return k.int(key)
}

func (k *keys) float(key string) float64 {
	x, ok := k.f.Float(key)
	if !ok || !(x > 0) || math.IsInf(x, 0) {
		k.fail(key, "a positive number")
		return 1
	}
	return x
}

func (k *keys) floatOr(key string, def float64) float64 {
	if _, ok := k.f.KV[key]; !ok {
		return def
	}
	return k.float(key)
}
