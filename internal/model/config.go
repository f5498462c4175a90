// Package model is the LLaMA family: the configuration, the table of parameters under their Hugging Face
// names, one block forward and backward, head and loss. It knows no parallelism, no files and no optimizer.
package model

import (
	"encoding/json"
	"slices"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Config is what config.json says about a model (formats.md 1). Keys it does not name stay in Raw and are
// written back as they were.
type Config struct {
	ModelType         string // the family
	VocabSize         int
	HiddenSize        int // C
	IntermediateSize  int // F
	NumHiddenLayers   int // L
	NumAttentionHeads int // Hq
	NumKeyValueHeads  int // Hkv
	HeadDim           int // Hd
	MaxPositions      int // max_position_embeddings
	RMSNormEps        float32
	NormPlusOne       bool // gains are 1 + w
	RopeTheta         float64
	RopeScaling       *RopeScaling
	LocalTheta        float64 // of the layers with a window, which scale no frequencies then; 0: as the others
	RotaryDim         int     // values at the beginning of each head that turn, the rest stays; 0: all
	SlidingWindow     int     // of a family that computes none: what is longer is refused; 0: none
	Windows           []int   // by layer: a token sees so many up to itself; 0: all before it; nil: all layers do
	NoRope            []bool  // by layer: it rotates nothing; nil: all layers rotate
	ScoreScale        float64 // what scores are multiplied by; 0: 1/sqrt(HeadDim)
	ScoreCap          float64 // scores s become ScoreCap·tanh(s/ScoreCap); 0: they do not
	QKVBias, OutBias  bool    // of attention's linear layers
	MLPBias           bool
	NumExperts        int     // of a mixture; 0: none
	ExpertsPerToken   int     // k
	ExpertSize        int     // F of an expert
	NormTopK          bool    // the weights of a token's experts are divided by their sum
	Dense             []bool  // by layer: it has one MLP instead of a mixture; nil: none has
	ResidualScale     float64 // what both branches of a block are multiplied by; 0: 1
	EmbedScale        float64 // what embeddings are multiplied by; 0: 1
	EmbedRounds       bool    // EmbedScale is rounded to the dtype of weights
	LogitScale        float64 // what logits are multiplied by; 0: 1
	LogitCap          float64 // logits z become LogitCap·tanh(z/LogitCap); 0: they do not
	TieWordEmbeddings bool
	DType             string // "float32", "bfloat16", "float16"; "" when the file does not say
	BOSTokenID        int    // −1 when absent
	EOSTokenIDs       []int
	PaddingRow        int // pad_token_id: this row of the embedding gets no gradient from lookups (nn.Embedding's padding_idx); −1: no such row
	InitializerRange  float64

	Notes []string // what the user should know of how the file was read: spellings that disagree

	Raw map[string]json.RawMessage

	Layers    func(b *Builder, x Slot) Slot // puts down a block's layers over its input x and returns its output: what the family says
	Untrained error                         // why the model cannot be trained, though it can be used
}

// MaxDim is more than any dimension of a model; it keeps products of two within int64.
const MaxDim = 1 << 24

// Trainable says why a model that can be used cannot be trained.
func (c *Config) Trainable() error { return c.Untrained }

// Positions is how many positions the model knows: linear scaling and yarn multiply them, but where layers with a window are not scaled, for those
// models tell what they know with it.
func (c *Config) Positions() int {
	if s := c.RopeScaling; s != nil && s.Type == "linear" && s.Factor > 1 && c.LocalTheta == 0 {
		return int(min(float64(c.MaxPositions)*s.Factor, MaxDim))
	} else if s != nil && s.Type == "yarn" && c.LocalTheta == 0 { // max_position_embeddings may tell the length before or after it
		return max(c.MaxPositions, int(min(s.OriginalPosition*s.Factor, MaxDim)))
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

// Window is how many tokens up to itself a token of layer i sees; 0: all.
func (c *Config) Window(i int) int {
	if c.Windows == nil {
		return 0
	}
	return c.Windows[i]
}

// WindowSizes is the windows that layers have, each once, in order.
func (c *Config) WindowSizes() []int {
	all := slices.Clone(c.Windows)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(w int) bool { return w == 0 })
}

// EmbedFactor is what embeddings are multiplied by where weights are of dtype dt.
func (c *Config) EmbedFactor(dt tensor.DType) float64 {
	if c.EmbedRounds && dt == tensor.BF16 {
		return float64(tensor.BF16ToF32(tensor.F32ToBF16(float32(c.EmbedScale))))
	}
	return c.EmbedScale
}

// Rotates reports whether layer i turns its queries and keys to their positions.
func (c *Config) Rotates(i int) bool { return c.NoRope == nil || !c.NoRope[i] }

// Heads is how the model's heads attend.
func (c *Config) Heads() device.Heads {
	return device.Heads{Dim: c.HeadDim, Cap: float32(c.ScoreCap)}
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
