// Package arch says what the GGUF files of each architecture are: which families of config.json they hold, which key of config.json a
// metadata key is, how tensors are called, which rows lie in Meta's order, and which gains are stored with one added. What reads such
// files and what writes them go by the same table. An architecture of its own file names its families as internal/model/families does.
package arch

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Arch is what is particular to the files of one general.architecture. Metadata keys stand without the architecture's name before them.
type Arch struct {
	Name       string
	Families   []Family // whose models are stored so; the first is what a file holds that says nothing else
	MetaRows   bool     // rows of queries and keys, and their biases, lie in Meta's order: neighbours are rotated
	GainOffset float32  // what stored gains of norms are more than those of config.json's families
	Keys       []Key    // beside Common
	Window     Window
	Rotary     Rotary
	Activation Word              // what config.json calls the gate
	Biases     []string          // keys of config.json that say which matrices have biases: attention_bias, mlp_bias
	Blocks     map[string]string // tensors of a block, between blk.N. and .weight, as Hugging Face calls them; nil: LLaMA's
	OwnHead    bool              // llama.cpp wants a head of its own in files
	AlwaysTied bool              // files have no head of their own: it is the embedding's table

	// PreAttentionScalar is query_pre_attn_scalar, which files do not tell; nil: there is none.
	PreAttentionScalar func(layers, hidden, heads, headDim int) int
}

// Family is a model_type of config.json with the name of its class.
type Family struct{ Type, Class string }

// Word is a key of config.json with its value.
type Word struct{ Key, Value string }

// Kind is what a value is.
type Kind int

// The kinds of values that Key knows.
const (
	Count Kind = iota // a whole number from 1
	Real              // a number above 0
	Cap               // a number above 0; 0 is none, null in config.json
)

// Key is a metadata key and the key of config.json that is the same.
type Key struct {
	GGUF, HF string
	Kind     Kind
	Default  any  // what a file means that has none: int or float64; nil: it must have one, but for Cap, where it is none
	Optional bool // what a file without it means follows from other keys
}

// Common are the keys that all architectures have.
var Common = []Key{
	{"context_length", "max_position_embeddings", Count, nil, false},
	{"embedding_length", "hidden_size", Count, nil, false},
	{"block_count", "num_hidden_layers", Count, nil, false},
	{"feed_forward_length", "intermediate_size", Count, nil, false},
	{"attention.head_count", "num_attention_heads", Count, nil, false},
	{"attention.head_count_kv", "num_key_value_heads", Count, nil, true}, // none: as many as heads
	{"attention.layer_norm_rms_epsilon", "rms_norm_eps", Real, nil, false},
	{"rope.freq_base", "rope_theta", Real, 10000.0, false},
}

// Window is how an architecture's files tell which tokens a layer sees.
type Window struct {
	Key     bool   // attention.sliding_window counts
	Listed  bool   // it counts where a list of layers stands beside it, which llama.cpp does not read: use_sliding_window
	Every   int    // every n-th layer has none where no pattern is stored; 0: all have it
	Default int    // what a file means that has no key; 0: none
	Family  Family // that a file with a window holds; none: the first
}

// Rotary is what an architecture's positions have beside rope.freq_base and a scaling.
type Rotary struct {
	Local      bool // rope.freq_base_swa is rope_local_base_freq, of the layers with a window
	NoneEvery  int  // every n-th layer rotates nothing; 0: all rotate
	Partial    bool // rope.dimension_count may be less than a head: partial_rotary_factor
	Original   bool // original_max_position_embeddings stands at the top level, scaled or not
	Divisors   bool // llama.cpp divides the inverse frequencies by the tensor RopeFreqs
	ScaledFull bool // a scaling holds for the layers without a window only
	ByLayer    bool // with windows, rope.freq_base_swa counts and config.json has rope_parameters for each type of layer
}

// all is the architectures by name.
var all = map[string]*Arch{}

func init() {
	for _, a := range []*Arch{&llama, &smollm3, &qwen2, &qwen3, &olmo2, &granite, &gemma, &gemma2, &gemma3, &phi3} {
		all[a.Name] = a
	}
}

// Names is every architecture, sorted.
func Names() []string { return slices.Sorted(maps.Keys(all)) }

// Of is the architecture of that name.
func Of(name string) (*Arch, bool) {
	a, ok := all[name]
	return a, ok
}

// ForFamily is the architecture that models of a model_type are stored as.
func ForFamily(modelType string) (*Arch, bool) {
	for _, name := range Names() {
		a := all[name]
		if a.Window.Family.Type == modelType && modelType != "" || slices.ContainsFunc(a.Families, func(f Family) bool { return f.Type == modelType }) {
			return a, true
		}
	}
	return nil, false
}

// Key is a metadata key with the architecture's name before it.
func (a *Arch) Key(name string) string { return a.Name + "." + name }

// NoWindow reports whether layer i of a model with windows has none, by the architecture's own pattern.
func (w Window) NoWindow(i int) bool { return w.Every > 0 && (i+1)%w.Every == 0 }

// Tensors that become part of config.json, or follow from it.
const (
	RopeFreqs        = "rope_freqs.weight"         // llama3: what the inverse frequencies are divided by
	RopeFactorsLong  = "rope_factors_long.weight"  // longrope
	RopeFactorsShort = "rope_factors_short.weight" // longrope
)

// outside maps what stands before .weight or .bias in a tensor that is of no block.
var outside = map[string]string{
	"token_embd":  "model.embed_tokens",
	"output_norm": "model.norm",
	"output":      "lm_head",

	"rope_freqs": "", "rope_factors_long": "", "rope_factors_short": "",
}

// llamaBlock is the tensors of LLaMA's block.
var llamaBlock = map[string]string{
	"attn_norm":     "input_layernorm",
	"attn_q":        "self_attn.q_proj",
	"attn_k":        "self_attn.k_proj",
	"attn_v":        "self_attn.v_proj",
	"attn_output":   "self_attn.o_proj",
	"ffn_norm":      "post_attention_layernorm",
	"ffn_gate":      "mlp.gate_proj",
	"ffn_up":        "mlp.up_proj",
	"ffn_down":      "mlp.down_proj",
	"attn_rot_embd": "", // old files: the rotary frequencies, which follow from the configuration
}

// block is LLaMA's with changes: name and name in turn; an empty one takes the tensor out.
func block(changes ...string) map[string]string {
	b := maps.Clone(llamaBlock)
	for i := 0; i < len(changes); i += 2 {
		if b[changes[i]] = changes[i+1]; changes[i+1] == "" {
			delete(b, changes[i])
		}
	}
	return b
}

func (a *Arch) blocks() map[string]string {
	if a.Blocks == nil {
		return llamaBlock
	}
	return a.Blocks
}

// HF is the Hugging Face name of a tensor; "" is one that is no weight.
func (a *Arch) HF(name string) (hf string, known bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || name[dot:] != ".weight" && name[dot:] != ".bias" {
		return "", false
	}
	stem, suffix := name[:dot], name[dot:]
	if hf, ok := outside[stem]; ok && !(a.AlwaysTied && stem == "output") {
		return join(hf, suffix), true
	}
	layer, part, ok := ofBlock(stem)
	hf, ok2 := a.blocks()[part]
	if !ok || !ok2 {
		return "", false
	}
	if hf == "" {
		return "", true
	}
	return fmt.Sprintf("model.layers.%d.%s%s", layer, hf, suffix), true
}

// ofBlock cuts blk.N.PART.
func ofBlock(stem string) (layer int, part string, ok bool) {
	rest, ok := strings.CutPrefix(stem, "blk.")
	number, part, ok2 := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	return layer, part, ok && ok2 && err == nil && strconv.Itoa(layer) == number && layer >= 0
}

func join(hf, suffix string) string {
	if hf == "" {
		return ""
	}
	return hf + suffix
}

// GGUF is the name in a file of a tensor with this Hugging Face name.
func (a *Arch) GGUF(name string) (stored string, known bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || name[dot:] != ".weight" && name[dot:] != ".bias" {
		return "", false
	}
	stem, suffix := name[:dot], name[dot:]
	if gguf, ok := inverse(outside, stem); ok && !(a.AlwaysTied && gguf == "output") {
		return gguf + suffix, true
	}
	rest, ok := strings.CutPrefix(stem, "model.layers.")
	number, part, ok2 := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	if !ok || !ok2 || err != nil || strconv.Itoa(layer) != number || layer < 0 {
		return "", false
	}
	gguf, ok := inverse(a.blocks(), part)
	return fmt.Sprintf("blk.%d.%s%s", layer, gguf, suffix), ok
}

func inverse(names map[string]string, hf string) (string, bool) {
	for gguf, name := range names {
		if name == hf && hf != "" {
			return gguf, true
		}
	}
	return "", false
}

// Fused translates the name of a matrix, or bias, that holds query, key and value below each other where the family keeps them apart; the
// part is a %s.
func (a *Arch) Fused(name string) (format string, fused bool) {
	number, suffix, ok := strings.Cut(strings.TrimPrefix(name, "blk."), ".attn_qkv.")
	if _, kept := a.blocks()["attn_qkv"]; kept || !ok || suffix != "weight" && suffix != "bias" {
		return "", false
	}
	hf, known := a.HF("blk." + number + ".attn_q." + suffix)
	return strings.Replace(hf, "q_proj", "%s_proj", 1), known
}

// Heads is the key of config.json that counts the heads whose rows a tensor has in Meta's order, by its Hugging Face name; "" is none.
func (a *Arch) Heads(hf string) string {
	switch {
	case !a.MetaRows:
		return ""
	case strings.Contains(hf, "self_attn.q_proj."):
		return "num_attention_heads"
	case strings.Contains(hf, "self_attn.k_proj."):
		return "num_key_value_heads"
	}
	return ""
}

// Offset is what the stored values of a tensor are more than those under its Hugging Face name.
func (a *Arch) Offset(hf string) float32 {
	if strings.HasSuffix(hf, "norm.weight") {
		return a.GainOffset
	}
	return 0
}
