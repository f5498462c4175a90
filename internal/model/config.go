// Package model is the LLaMA family: the configuration, the table of parameters under their Hugging Face
// names, one block forward and backward, head and loss. It knows no parallelism, no files and no optimizer.
package model

import (
	"encoding/json"
	"fmt"
	"math"
)

// Config is what config.json says about a model (formats.md 1). Keys it does not name stay in Raw and are
// written back as they were.
type Config struct {
	Architecture      string
	VocabSize         int
	HiddenSize        int // C
	IntermediateSize  int // F
	NumHiddenLayers   int // L
	NumAttentionHeads int // Hq
	NumKeyValueHeads  int // Hkv
	HeadDim           int // Hd
	MaxPositions      int
	RMSNormEps        float32
	RopeTheta         float64
	RopeScaling       *RopeScaling
	TieWordEmbeddings bool
	DType             string // "float32", "bfloat16", "float16"; "" when the file does not say
	BOSTokenID        int    // −1 when absent
	EOSTokenIDs       []int
	InitializerRange  float64

	Raw map[string]json.RawMessage
}

// RopeScaling stretches the rotary frequencies: "linear" or "llama3".
type RopeScaling struct {
	Type             string
	Factor           float64
	LowFreqFactor    float64
	HighFreqFactor   float64
	OriginalPosition float64
}

const maxDim = 1 << 24 // no model is near it; keeps products of two dimensions within int64

// ParseConfig reads config.json. Models of another family, or with parts lomo does not compute, are refused
// with the key that says so.
func ParseConfig(data []byte) (*Config, error) {
	var f configFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	c := &Config{Raw: map[string]json.RawMessage{}}
	if err := json.Unmarshal(data, &c.Raw); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	if f.ModelType != "llama" {
		return nil, fmt.Errorf("config.json: model_type is %q; this build trains the llama family", f.ModelType)
	}
	c.Architecture = "LlamaForCausalLM"
	c.VocabSize = or(f.VocabSize, 32000)
	c.HiddenSize = or(f.HiddenSize, 4096)
	c.IntermediateSize = or(f.IntermediateSize, 11008)
	c.NumHiddenLayers = or(f.NumHiddenLayers, 32)
	c.NumAttentionHeads = or(f.NumAttentionHeads, 32)
	c.NumKeyValueHeads = or(f.NumKeyValueHeads, c.NumAttentionHeads)
	c.MaxPositions = or(f.MaxPositionEmbeddings, 2048)
	c.RMSNormEps = float32(or(f.RMSNormEps, 1e-6))
	c.TieWordEmbeddings = or(f.TieWordEmbeddings, false)
	c.InitializerRange = or(f.InitializerRange, 0.02)
	c.BOSTokenID = or(f.BOSTokenID, -1)
	c.DType = or(f.DType, or(f.TorchDType, ""))
	var err error
	if c.EOSTokenIDs, err = intOrList(f.EOSTokenID); err != nil {
		return nil, fmt.Errorf("config.json: eos_token_id: %w", err)
	}
	if c.NumAttentionHeads > 0 {
		c.HeadDim = or(f.HeadDim, c.HiddenSize/c.NumAttentionHeads)
	}
	if err := c.rope(f); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	if err := f.refuse(); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return c, c.check()
}

type configFile struct {
	ModelType             string          `json:"model_type"`
	VocabSize             *int            `json:"vocab_size"`
	HiddenSize            *int            `json:"hidden_size"`
	IntermediateSize      *int            `json:"intermediate_size"`
	NumHiddenLayers       *int            `json:"num_hidden_layers"`
	NumAttentionHeads     *int            `json:"num_attention_heads"`
	NumKeyValueHeads      *int            `json:"num_key_value_heads"`
	HeadDim               *int            `json:"head_dim"`
	HiddenAct             *string         `json:"hidden_act"`
	MaxPositionEmbeddings *int            `json:"max_position_embeddings"`
	RMSNormEps            *float64        `json:"rms_norm_eps"`
	TieWordEmbeddings     *bool           `json:"tie_word_embeddings"`
	AttentionBias         *bool           `json:"attention_bias"`
	MLPBias               *bool           `json:"mlp_bias"`
	InitializerRange      *float64        `json:"initializer_range"`
	BOSTokenID            *int            `json:"bos_token_id"`
	EOSTokenID            json.RawMessage `json:"eos_token_id"`
	DType                 *string         `json:"dtype"`
	TorchDType            *string         `json:"torch_dtype"`
	RopeTheta             *float64        `json:"rope_theta"`
	RopeScaling           *ropeFile       `json:"rope_scaling"`
	RopeParameters        *ropeFile       `json:"rope_parameters"`
	Quantization          json.RawMessage `json:"quantization_config"`
}

type ropeFile struct {
	RopeType  string   `json:"rope_type"`
	Type      string   `json:"type"`
	RopeTheta *float64 `json:"rope_theta"`
	Factor    float64  `json:"factor"`
	Low       float64  `json:"low_freq_factor"`
	High      float64  `json:"high_freq_factor"`
	Original  float64  `json:"original_max_position_embeddings"`
}

func (f configFile) refuse() error {
	if act := or(f.HiddenAct, "silu"); act != "silu" && act != "swish" {
		return fmt.Errorf("hidden_act is %q, want \"silu\"", act)
	}
	if or(f.AttentionBias, false) || or(f.MLPBias, false) {
		return fmt.Errorf("attention_bias or mlp_bias is true: biases are not supported by this build")
	}
	if len(f.Quantization) > 0 && string(f.Quantization) != "null" {
		return fmt.Errorf("quantization_config is set: training needs a model stored in float32, bfloat16 or float16")
	}
	return nil
}

// rope reads the three spellings of the rotary settings; a non-null rope_scaling wins.
func (c *Config) rope(f configFile) error {
	c.RopeTheta = or(f.RopeTheta, 10000)
	s := f.RopeScaling
	if f.RopeParameters != nil {
		c.RopeTheta = or(f.RopeParameters.RopeTheta, c.RopeTheta)
		if s == nil {
			s = f.RopeParameters
		}
	}
	if s == nil {
		return nil
	}
	kind := s.RopeType
	if kind == "" {
		kind = s.Type
	}
	switch kind {
	case "", "default":
		return nil
	case "linear", "llama3":
	default:
		return fmt.Errorf("rope_scaling type %q: this build knows default, linear and llama3", kind)
	}
	if s.Factor <= 0 || math.IsInf(s.Factor, 0) {
		return fmt.Errorf("rope_scaling factor %v must be above 0", s.Factor)
	}
	if kind == "llama3" && (s.Low <= 0 || s.High <= s.Low || s.Original <= 0) {
		return fmt.Errorf("rope_scaling llama3: low_freq_factor %v, high_freq_factor %v, original_max_position_embeddings %v: want 0 < low < high and a positive length", s.Low, s.High, s.Original)
	}
	c.RopeScaling = &RopeScaling{Type: kind, Factor: s.Factor, LowFreqFactor: s.Low, HighFreqFactor: s.High, OriginalPosition: s.Original}
	return nil
}

func (c *Config) check() error {
	for _, d := range []struct {
		key string
		v   int
	}{{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim}, {"max_position_embeddings", c.MaxPositions}} {
		if d.v <= 0 || d.v > maxDim {
			return fmt.Errorf("config.json: %s is %d, want 1 to %d", d.key, d.v, maxDim)
		}
	}
	if c.NumAttentionHeads%c.NumKeyValueHeads != 0 {
		return fmt.Errorf("config.json: num_attention_heads %d is not a multiple of num_key_value_heads %d", c.NumAttentionHeads, c.NumKeyValueHeads)
	}
	if c.HeadDim%2 != 0 {
		return fmt.Errorf("config.json: head_dim %d is odd; rotary embeddings need pairs", c.HeadDim)
	}
	if !(c.RopeTheta > 0) || !(c.RMSNormEps >= 0) {
		return fmt.Errorf("config.json: rope_theta %v and rms_norm_eps %v must be positive", c.RopeTheta, c.RMSNormEps)
	}
	return nil
}

// QSize and KVSize are the widths of the query and of the key and value projections.
func (c *Config) QSize() int  { return c.NumAttentionHeads * c.HeadDim }
func (c *Config) KVSize() int { return c.NumKeyValueHeads * c.HeadDim }

// JSON is config.json with the dtype set, every other key as it was read.
func (c *Config) JSON(dtype string) ([]byte, error) {
	out := map[string]any{}
	for k, v := range c.Raw {
		out[k] = v
	}
	key := "torch_dtype"
	if _, ok := c.Raw["dtype"]; ok {
		key = "dtype"
	}
	out[key] = dtype
	data, err := json.MarshalIndent(out, "", "  ")
	return append(data, '\n'), err
}

func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

func intOrList(raw json.RawMessage) ([]int, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var one int
	if json.Unmarshal(raw, &one) == nil {
		return []int{one}, nil
	}
	var many []int
	err := json.Unmarshal(raw, &many)
	return many, err
}
