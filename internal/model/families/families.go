// Package families reads config.json: one file a family of models says how its keys are read, which of them ask for what is not
// computed, and which layers a block has.
package families

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"lomo/internal/model"
)

// Family is what is particular to the models of one model_type.
type Family struct {
	Class string // how the names of its classes begin, in lower case
	Defaults
	OnlyLongRope bool // no other scaling, also where it has an older name

	Reads  []string                                        // keys of the table rules that it honours
	Read   func(c *model.Config, r *reader, d Defaults)    // reads them; nil: none
	Rope   func(c *model.Config, r *reader, f Family)      // reads the rotary settings; nil: rope
	Layers func(b *model.Builder, x model.Slot) model.Slot // a block's
}

// Defaults is what transformers takes for keys that are not there. Zero is as the llama family has it.
type Defaults struct {
	Vocab, Hidden, Intermediate, Layers, Heads int
	KVHeads                                    int // 0: as many as heads
	HeadDim                                    int // 0: hidden_size / num_attention_heads
	Positions                                  int
	Window                                     int
	Theta                                      float64
	Tied                                       bool
	Padding                                    int     // 0: none; firstRow: 0
	Eps                                        float64 // 0: 1e-6
	Original                                   int     // original_max_position_embeddings; 0: none
	BOS, EOS                                   int     // of a file that does not say; 0: none; firstRow: 0
	LocalTheta                                 float64 // of layers with a window, where they have their own; 0: 10000
}

// firstRow is a token that is the first of the vocabulary.
const firstRow = -1

// all is the families by model_type.
var all = map[string]Family{
	"gemma":            gemma,
	"gemma2":           gemma2,
	"gemma3_text":      gemma3,
	"granite":          granite,
	"llama":            llama,
	"ministral":        ministral,
	"mistral":          mistral,
	"mixtral":          mixtral,
	"granitemoehybrid": graniteHybrid,
	"exaone4":          exaone4,
	"olmo3":            olmo3,
	"phi3":             phi3,
	"olmo2":            olmo2,
	"qwen2":            qwen2,
	"qwen3":            qwen3,
	"qwen3_moe":        qwen3Moe,
	"smollm3":          smollm3,
}

// Names is every model_type, sorted.
func Names() []string { return slices.Sorted(maps.Keys(all)) }

// Parse reads config.json. Keys are exact. Models of another family, or with parts lomo does not compute, are refused
// with the key that says so, also where a key of another family stands in a file whose model_type is llama: such a model
// would train as something else in silence.
func Parse(data []byte) (*model.Config, error) {
	raw, err := object(data)
	if err != nil {
		return nil, err
	}
	r := &reader{raw: raw}
	kind := r.text("model_type", "")
	family, ok := all[kind]
	if !ok && r.err == nil && !r.given("model_type") {
		return nil, &ConfigError{Msg: "model_type is missing: which family the model is of is not known", Advice: "where it is one, set model_type to \"llama\" or \"mistral\" in config.json"}
	}
	if kind == "gemma3" && r.err == nil {
		return nil, textAndImages
	}
	if !ok && r.err == nil {
		return nil, &ConfigError{Msg: fmt.Sprintf("model_type is %q; this build trains %s", kind, strings.Join(Names(), ", "))}
	}
	d := family.Defaults
	c := &model.Config{ModelType: kind, Raw: raw, Layers: family.Layers}
	c.VocabSize = r.int("vocab_size", cmp.Or(d.Vocab, 32000))
	c.HiddenSize = r.int("hidden_size", cmp.Or(d.Hidden, 4096))
	c.IntermediateSize = r.int("intermediate_size", d.Intermediate)
	c.NumHiddenLayers = r.int("num_hidden_layers", cmp.Or(d.Layers, 32))
	c.NumAttentionHeads = r.int("num_attention_heads", cmp.Or(d.Heads, 32))
	c.NumKeyValueHeads = c.NumAttentionHeads
	if d.KVHeads > 0 && !r.has("num_key_value_heads") {
		c.NumKeyValueHeads = d.KVHeads
	}
	c.NumKeyValueHeads = r.intOrNull("num_key_value_heads", c.NumKeyValueHeads)
	c.MaxPositions = r.int("max_position_embeddings", d.Positions)
	c.RMSNormEps = float32(r.float("rms_norm_eps", cmp.Or(d.Eps, 1e-6)))
	c.TieWordEmbeddings = r.bool("tie_word_embeddings", d.Tied)
	c.InitializerRange = r.float("initializer_range", 0.02)
	c.BOSTokenID = r.intOrNull("bos_token_id", -1)
	c.EOSTokenIDs = r.ints("eos_token_id")
	if d.BOS != 0 && !r.has("bos_token_id") {
		c.BOSTokenID = max(d.BOS, 0)
	}
	if d.EOS > 0 && !r.has("eos_token_id") {
		c.EOSTokenIDs = []int{d.EOS}
	}
	dtype(c, r)
	if c.NumAttentionHeads > 0 {
		c.HeadDim = r.intOrNull("head_dim", cmp.Or(d.HeadDim, c.HiddenSize/c.NumAttentionHeads))
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := check(c); err != nil {
		return nil, err
	}
	padding(c, r, d)
	readRope := family.Rope
	if readRope == nil {
		readRope = rope
	}
	readRope(c, r, family)
	if family.Read != nil {
		family.Read(c, r, d)
	}
	if r.err == nil {
		r.err = mathematics(c, r, family)
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// dtype reads the dtype under its two names; transformers prefers the new one.
func dtype(c *model.Config, r *reader) {
	old := r.textOrNull("torch_dtype")
	if c.DType = r.textOrNull("dtype"); c.DType == "" {
		c.DType = old
	} else if old != "" && old != c.DType {
		note(c, "dtype %s is used, as transformers does; torch_dtype says %s", c.DType, old)
	}
}

// padding reads pad_token_id as nn.Embedding does its padding_idx: negative ones count from the end of the table.
func padding(c *model.Config, r *reader, d Defaults) {
	c.PaddingRow = -1
	if r.has("pad_token_id") && !r.given("pad_token_id") || !r.has("pad_token_id") && d.Padding == 0 {
		return
	}
	id := r.int("pad_token_id", max(0, d.Padding))
	switch {
	case r.err != nil:
	case id >= c.VocabSize || id < -c.VocabSize:
		r.fail(&ConfigError{Msg: fmt.Sprintf("pad_token_id is %d, vocab_size is %d: the embedding has no such row", id, c.VocabSize),
			Advice: "set pad_token_id in config.json to a token's id, or to null where the model has no padding token"})
	case id < 0:
		c.PaddingRow = c.VocabSize + id
		note(c, "pad_token_id %d means row %d of the embedding, counted from the end as PyTorch does: lookups of it are not learned", id, c.PaddingRow)
	default:
		c.PaddingRow = id
	}
}

func note(c *model.Config, format string, args ...any) {
	c.Notes = append(c.Notes, "config.json: "+fmt.Sprintf(format, args...))
}

func check(c *model.Config) error {
	for _, d := range []struct {
		key string
		v   int
	}{{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim}, {"max_position_embeddings", c.MaxPositions}} {
		if d.v <= 0 || d.v > model.MaxDim {
			return &ConfigError{Msg: fmt.Sprintf("%s is %d, want 1 to %d", d.key, d.v, model.MaxDim), Advice: again}
		}
	}
	if c.ModelType == "llama" && c.HiddenSize%c.NumAttentionHeads != 0 {
		return &ConfigError{Msg: fmt.Sprintf("hidden_size %d is not a multiple of num_attention_heads %d, which transformers wants of a llama", c.HiddenSize, c.NumAttentionHeads), Advice: again}
	}
	if c.NumAttentionHeads%c.NumKeyValueHeads != 0 {
		return &ConfigError{Msg: fmt.Sprintf("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.NumAttentionHeads, c.NumKeyValueHeads), Advice: again}
	}
	if c.HeadDim%2 != 0 {
		return &ConfigError{Msg: fmt.Sprintf("head_dim %d is odd; rotary embeddings need pairs", c.HeadDim), Advice: again}
	}
	if !(c.RMSNormEps >= 0) || math.IsInf(float64(c.RMSNormEps), 0) {
		return &ConfigError{Msg: fmt.Sprintf("rms_norm_eps %v must be positive, and a float32", c.RMSNormEps), Advice: again}
	}
	return nil
}
