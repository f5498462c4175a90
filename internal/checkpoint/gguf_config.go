package checkpoint

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/checkpoint/gguf/arch"
	"lomo/internal/fault"
	"lomo/internal/tensor"
)

// ggufModel is what the metadata of a GGUF file says about the model.
type ggufModel struct {
	*arch.Arch
	family arch.Family

	vocab, hidden, layers, heads, kvHeads, headDim, rotary, context int
	theta                                                           float64
	scaling                                                         *ropeScaling
	tied                                                            bool
	biases                                                          map[string]bool // by their keys of config.json
	dtype                                                           tensor.DType
	config                                                          map[string]any // keys that are read as they are
}

// readGGUFModel reads the metadata, refusing other architectures and what lomo does not compute.
func readGGUFModel(f *gguf.File) (*ggufModel, error) {
	a, err := refuseGGUF(f)
	if err != nil {
		return nil, err
	}
	if n, _ := f.Int(a.Key("expert_count")); n > 0 {
		return nil, fault.Refuse("take a dense model", "%s is %d: mixtures of experts are not supported in GGUF files", a.Key("expert_count"), n)
	}
	m := &ggufModel{Arch: a, family: a.Families[0], config: map[string]any{}, biases: map[string]bool{}}
	k := keys{f: f}
	for _, key := range slices.Concat(arch.Common, a.Keys) {
		m.read(&k, key)
	}
	if k.err != nil {
		return nil, k.err
	}
	m.hidden, m.layers, m.context, m.theta = m.count("hidden_size"), m.count("num_hidden_layers"), m.count("max_position_embeddings"), m.config["rope_theta"].(float64)
	if m.config["num_key_value_heads"] == nil {
		m.config["num_key_value_heads"] = m.config["num_attention_heads"]
	}
	m.heads, m.kvHeads = m.count("num_attention_heads"), m.count("num_key_value_heads")
	m.headDim = k.intOr(a.Key("attention.key_length"), m.hidden/m.heads)
	m.rotary = k.intOr(a.Key("rope.dimension_count"), m.headDim)
	m.tensors(f)
	m.tokens(f)
	m.follow()
	if err := m.check(f, &k); err != nil {
		return nil, err
	}
	if err := m.settings(f); err != nil {
		return nil, err
	}
	if m.scaling, err = m.readScaling(f); err != nil {
		return nil, err
	}
	return m, m.rotation(f)
}

// count is a number that was read.
func (m *ggufModel) count(key string) int { return m.config[key].(int) }

// read takes over one key.
func (m *ggufModel) read(k *keys, key arch.Key) {
	name := m.Key(key.GGUF)
	_, given := k.f.KV[name]
	x, isFloat := k.f.Float(name)
	none := isFloat && x == 0 // what a multiplier or a cap of 0 stands for
	switch {
	case given && key.Kind == arch.Count:
		m.config[key.HF] = k.int(name)
	case given && none && key.Kind == arch.Cap:
		m.config[key.HF] = nil
	case given && !(none && (key.Optional || key.Default != nil)):
		m.config[key.HF] = shortest(k.float(name))
	case key.Default != nil || key.Kind == arch.Cap || key.Optional:
		m.config[key.HF] = key.Default
	case key.Kind == arch.Count:
		m.config[key.HF] = k.int(name) // which says what is missing
	default:
		m.config[key.HF] = k.float(name)
	}
}

// follow sets what a file may leave out because it follows from other keys.
func (m *ggufModel) follow() {
	if v, ok := m.config["attention_multiplier"]; ok && v == nil {
		m.config["attention_multiplier"] = 1 / math.Sqrt(float64(m.headDim))
	}
	if m.PreAttentionScalar != nil {
		m.config["query_pre_attn_scalar"] = m.PreAttentionScalar(m.layers, m.hidden, m.heads, m.headDim)
	}
	if n := m.Rotary.NoneEvery; n > 0 {
		m.config["no_rope_layer_interval"] = n
	}
}

// tokens reads those of texts' beginnings and ends.
func (m *ggufModel) tokens(f *gguf.File) {
	for name, key := range map[string]string{"bos_token_id": "bos", "pad_token_id": "padding"} {
		if id, ok := f.Int("tokenizer.ggml." + key + "_token_id"); ok {
			m.config[name] = id
		}
	}
	switch stops := ggufStops(f, m.vocab); len(stops) {
	case 0:
		m.config["eos_token_id"] = nil // a family's default may be another token
	case 1:
		m.config["eos_token_id"] = stops[0]
	default:
		m.config["eos_token_id"] = stops
	}
	for _, name := range []string{"bos_token_id", "pad_token_id"} {
		id, ok := m.config[name].(int)
		if !ok || id < 0 || id >= m.vocab { // a file that names no such token may write the largest number: no row of the table
			m.config[name] = nil
		}
	}
}

// ggufStops are the tokens that end a generated text: the end of a text, of a turn and of a message that awaits an answer of
// a tool.
func ggufStops(f *gguf.File, vocab int) (ids []int) {
	for _, role := range []string{"eos", "eot", "eom"} {
		if id, ok := f.Int("tokenizer.ggml." + role + "_token_id"); ok && id >= 0 && id < vocab && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// refuseGGUF tells files that are no language model, or one of another architecture.
func refuseGGUF(f *gguf.File) (*arch.Arch, error) {
	name, ok := f.String("general.architecture")
	kind, _ := f.String("general.type")
	base, _ := f.String("general.base_model.0.name")
	switch {
	case kind == "adapter" || strings.HasPrefix(name, "adapter"):
		return nil, fault.Refuse("merge it into its base model with llama-export-lora, or take the merged model", "a LoRA adapter%s, not a model", of(base))
	case kind == "mmproj" || name == "clip":
		return nil, fault.Refuse("give the .gguf file of the language model that it belongs to", "a projector for images or sound (mmproj), not a language model")
	case kind == "imatrix" || name == "imatrix":
		return nil, fault.Refuse("give the .gguf file of the model", "an importance matrix for quantising, not a model")
	case !ok:
		return nil, fault.Refuse("give the .gguf file of a model", "general.architecture is missing: not a model")
	case len(f.Tensors) == 0:
		return nil, fault.Refuse("give the .gguf file of the whole model", "a vocabulary without weights (architecture %q)", fault.Line(name))
	}
	a, known := arch.Of(name)
	if !known {
		return nil, fault.Refuse("of GGUF files this build trains "+strings.Join(arch.Names(), ", "), "architecture %q is not supported", fault.Line(name))
	}
	return a, nil
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
	for _, key := range m.Biases {
		m.biases[key] = false
	}
	most := map[tensor.DType]int64{}
	for _, t := range f.Tensors {
		for key, part := range map[string]string{"attention_bias": ".attn_", "mlp_bias": ".ffn_"} {
			if _, asked := m.biases[key]; asked && strings.HasSuffix(t.Name, ".bias") && strings.Contains(t.Name, part) {
				m.biases[key] = true
			}
		}
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
	value := k.intOr(m.Key("attention.value_length"), m.headDim)
	if k.err != nil {
		return k.err
	}
	if value != m.headDim || m.headDim%2 != 0 || m.rotary != m.headDim && !m.Rotary.Partial {
		return fault.Refuse(useFolder, "heads of %d for keys, %d for values, %d rotated: want one even size", m.headDim, value, m.rotary)
	}
	if m.rotary > m.headDim || m.rotary%2 != 0 {
		return fault.Refuse(useFolder, "metadata key %q is %d, want an even number up to %d, the size of a head", m.Key("rope.dimension_count"), m.rotary, m.headDim)
	}
	return nil
}

// headOf is the head size when the rows of name are stored in Meta's order, else 0.
func (m *ggufModel) headOf(name string, rows int) (int, error) {
	key := m.Heads(name)
	if key == "" {
		return 0, nil
	}
	if heads := m.count(key); rows != heads*m.headDim {
		return 0, fault.Refuse(useFolder, "%d rows, want %d heads of %d", rows, heads, m.headDim)
	}
	return m.headDim, nil
}

// configJSON writes the metadata as config.json.
func (m *ggufModel) configJSON() ([]byte, error) {
	c := map[string]any{
		"architectures": []string{m.family.Class}, "model_type": m.family.Type, m.Activation.Key: m.Activation.Value,
		"vocab_size": m.vocab, "head_dim": m.headDim, "rope_scaling": m.scaling, "tie_word_embeddings": m.tied,
		"initializer_range": 0.02, "use_cache": true, "torch_dtype": m.dtype.HFName(),
	}
	for key, has := range m.biases {
		c[key] = has
	}
	maps.Copy(c, m.config)
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

// multiplier is a number above 0; 0, as none, is 1.
func (k *keys) multiplier(key string) float64 {
	if x, ok := k.f.Float(key); ok && x == 0 {
		return 1
	}
	return k.floatOr(key, 1)
}
