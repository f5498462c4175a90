// Package model is the LLaMA family: the configuration, the table of parameters under their Hugging Face
// names, one block forward and backward, head and loss. It knows no parallelism, no files and no optimizer.
package model

import (
	"encoding/json"
	"fmt"
)

// Config is what config.json says about a model (formats.md 1). Keys it does not name stay in Raw and are
// written back as they were.
type Config struct {
	ModelType         string // llama or mistral
	VocabSize         int
	HiddenSize        int // C
	IntermediateSize  int // F
	NumHiddenLayers   int // L
	NumAttentionHeads int // Hq
	NumKeyValueHeads  int // Hkv
	HeadDim           int // Hd
	MaxPositions      int // max_position_embeddings
	RMSNormEps        float32
	RopeTheta         float64
	RopeScaling       *RopeScaling
	SlidingWindow     int // a token sees the SlidingWindow tokens up to itself; 0: all before it
	TieWordEmbeddings bool
	DType             string // "float32", "bfloat16", "float16"; "" when the file does not say
	BOSTokenID        int    // −1 when absent
	EOSTokenIDs       []int
	PaddingRow        int // pad_token_id: this row of the embedding gets no gradient from lookups (nn.Embedding's padding_idx); −1: no such row
	InitializerRange  float64

	Notes []string // what the user should know of how the file was read: spellings that disagree

	Raw map[string]json.RawMessage

	training error // why the model cannot be trained, though it can be used
}

// RopeScaling stretches the rotary frequencies: "linear", "llama3", or "dynamic", which changes nothing within max_position_embeddings.
type RopeScaling struct {
	Type             string
	Factor           float64
	LowFreqFactor    float64
	HighFreqFactor   float64
	OriginalPosition float64
}

const maxDim = 1 << 24 // no model is near it; keeps products of two dimensions within int64

// defaults is what transformers takes for keys that are not there.
type defaults struct{ intermediate, kvHeads, positions, window int }

var families = map[string]defaults{
	"llama":   {intermediate: 11008, positions: 2048},
	"mistral": {intermediate: 14336, kvHeads: 8, positions: 131072, window: 4096},
}

// ParseConfig reads config.json. Keys are exact. Models of another family, or with parts lomo does not compute, are refused
// with the key that says so, also where a key of another family stands in a file whose model_type is llama: such a model
// would train as something else in silence.
func ParseConfig(data []byte) (*Config, error) {
	raw, err := object(data)
	if err != nil {
		return nil, err
	}
	r := &reader{raw: raw}
	kind := r.text("model_type", "")
	family, ok := families[kind]
	if !ok && r.err == nil && !r.given("model_type") {
		return nil, &ConfigError{Msg: "model_type is missing: which family the model is of is not known", Advice: "where it is one, set model_type to \"llama\" or \"mistral\" in config.json"}
	}
	if !ok && r.err == nil {
		return nil, &ConfigError{Msg: fmt.Sprintf("model_type is %q; this build trains the llama family (llama, mistral)", kind)}
	}
	c := &Config{ModelType: kind, Raw: raw}
	c.VocabSize = r.int("vocab_size", 32000)
	c.HiddenSize = r.int("hidden_size", 4096)
	c.IntermediateSize = r.int("intermediate_size", family.intermediate)
	c.NumHiddenLayers = r.int("num_hidden_layers", 32)
	c.NumAttentionHeads = r.int("num_attention_heads", 32)
	c.NumKeyValueHeads = c.NumAttentionHeads
	if family.kvHeads > 0 && !r.has("num_key_value_heads") {
		c.NumKeyValueHeads = family.kvHeads
	}
	c.NumKeyValueHeads = r.intOrNull("num_key_value_heads", c.NumKeyValueHeads)
	c.MaxPositions = r.int("max_position_embeddings", family.positions)
	c.RMSNormEps = float32(r.float("rms_norm_eps", 1e-6))
	c.TieWordEmbeddings = r.bool("tie_word_embeddings", false)
	c.InitializerRange = r.float("initializer_range", 0.02)
	c.BOSTokenID = r.intOrNull("bos_token_id", -1)
	c.EOSTokenIDs = r.ints("eos_token_id")
	c.dtype(r)
	if c.NumAttentionHeads > 0 {
		c.HeadDim = r.intOrNull("head_dim", c.HiddenSize/c.NumAttentionHeads)
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	c.padding(r)
	c.rope(r)
	c.window(r, family)
	if r.err == nil {
		r.err = c.mathematics(r)
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// dtype reads the dtype under its two names; transformers prefers the new one.
func (c *Config) dtype(r *reader) {
	old := r.textOrNull("torch_dtype")
	if c.DType = r.textOrNull("dtype"); c.DType == "" {
		c.DType = old
	} else if old != "" && old != c.DType {
		c.note("dtype %s is used, as transformers does; torch_dtype says %s", c.DType, old)
	}
}

// padding reads pad_token_id as nn.Embedding does its padding_idx: negative ones count from the end of the table.
func (c *Config) padding(r *reader) {
	c.PaddingRow = -1
	if !r.given("pad_token_id") {
		return
	}
	id := r.int("pad_token_id", 0)
	switch {
	case r.err != nil:
	case id >= c.VocabSize || id < -c.VocabSize:
		r.fail(&ConfigError{Msg: fmt.Sprintf("pad_token_id is %d, vocab_size is %d: the embedding has no such row", id, c.VocabSize),
			Advice: "set pad_token_id in config.json to a token's id, or to null where the model has no padding token"})
	case id < 0:
		c.PaddingRow = c.VocabSize + id
		c.note("pad_token_id %d means row %d of the embedding, counted from the end as PyTorch does: lookups of it are not learned", id, c.PaddingRow)
	default:
		c.PaddingRow = id
	}
}

// window reads sliding_window, which is that of every layer.
func (c *Config) window(r *reader, family defaults) {
	if c.SlidingWindow = r.intOrNull("sliding_window", 0); !r.has("sliding_window") {
		c.SlidingWindow = family.window
	}
	if r.given("use_sliding_window") && !r.bool("use_sliding_window", true) && c.ModelType != "mistral" { // not a key of mistral's
		c.SlidingWindow = 0
	}
	if r.given("sliding_window") && r.err == nil && r.int("sliding_window", 1) < 1 {
		r.fail(&ConfigError{Msg: fmt.Sprintf("sliding_window is %s, want a number of tokens, or null for none", r.raw["sliding_window"]), Advice: again})
	}
}

func (c *Config) note(format string, args ...any) {
	c.Notes = append(c.Notes, "config.json: "+fmt.Sprintf(format, args...))
}

// Trainable says why a model that can be used cannot be trained.
func (c *Config) Trainable() error { return c.training }

// Positions is how many positions the model knows: linear scaling multiplies them.
func (c *Config) Positions() int {
	if s := c.RopeScaling; s != nil && s.Type == "linear" && s.Factor > 1 {
		return int(min(float64(c.MaxPositions)*s.Factor, maxDim))
	}
	return c.MaxPositions
}

// Exact is the longest sequence that is computed as the model's authors meant it, and the key that ends there; 0: any.
func (c *Config) Exact() (length int, key string) {
	if c.SlidingWindow > 0 {
		length, key = c.SlidingWindow, "sliding_window"
	}
	if s := c.RopeScaling; s != nil && s.Type == "dynamic" && (length == 0 || c.MaxPositions < length) {
		length, key = c.MaxPositions, "max_position_embeddings with rope scaling of type dynamic"
	}
	return length, key
}

// Reach is the longest sequence within both Positions and Exact: what a run takes when nobody asks for more.
func (c *Config) Reach() int {
	if n, _ := c.Exact(); n > 0 {
		return min(n, c.Positions())
	}
	return c.Positions()
}

func (c *Config) check() error {
	for _, d := range []struct {
		key string
		v   int
	}{{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim}, {"max_position_embeddings", c.MaxPositions}} {
		if d.v <= 0 || d.v > maxDim {
			return &ConfigError{Msg: fmt.Sprintf("%s is %d, want 1 to %d", d.key, d.v, maxDim), Advice: again}
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
	if !(c.RMSNormEps >= 0) {
		return &ConfigError{Msg: fmt.Sprintf("rms_norm_eps %v must be positive", c.RMSNormEps), Advice: again}
	}
	return nil
}

// QSize and KVSize are the widths of the query and of the key and value projections.
func (c *Config) QSize() int  { return c.NumAttentionHeads * c.HeadDim }
func (c *Config) KVSize() int { return c.NumKeyValueHeads * c.HeadDim }

// JSON is config.json with the dtype set under every name that it has there, every other key as it was read.
func (c *Config) JSON(dtype string) ([]byte, error) {
	out := map[string]any{}
	for k, v := range c.Raw {
		out[k] = v
	}
	_, now := c.Raw["dtype"]
	_, old := c.Raw["torch_dtype"]
	if now {
		out["dtype"] = dtype
	}
	if old || !now {
		out["torch_dtype"] = dtype
	}
	data, err := json.MarshalIndent(out, "", "  ")
	return append(data, '\n'), err
}
