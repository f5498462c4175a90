package export

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/checkpoint/gguf/arch"
	"lomo/internal/fault"
	"lomo/internal/model"
)

// metadata puts the keys that say what the model is.
func (p *Plan) metadata() error {
	c := p.m.Config
	p.put("general.architecture", p.arch.Name)
	p.put("general.type", "model")
	if name := p.name(); name != "" {
		p.put("general.name", name)
	}
	p.put("general.file_type", p.dtype.file)
	p.put("general.quantization_version", uint32(2))
	counts := map[string]int{"max_position_embeddings": c.MaxPositions, "hidden_size": c.HiddenSize, "num_hidden_layers": c.NumHiddenLayers,
		"intermediate_size": c.IntermediateSize, "num_attention_heads": c.NumAttentionHeads, "num_key_value_heads": c.NumKeyValueHeads}
	reals := map[string]float64{"rms_norm_eps": float64(c.RMSNormEps), "rope_theta": c.RopeTheta}
	for _, k := range arch.Common {
		if n, ok := counts[k.HF]; ok {
			p.own(k.GGUF, uint32(n))
		} else if x, ok := reals[k.HF]; ok {
			p.own(k.GGUF, float32(x))
		}
	}
	p.own("vocab_size", uint32(c.VocabSize))
	p.own("attention.key_length", uint32(c.HeadDim))
	p.own("attention.value_length", uint32(c.HeadDim))
	p.own("rope.dimension_count", uint32(p.rotated()))
	if p.arch.Rotary.Local {
		p.own("rope.freq_base_swa", float32(cmp.Or(c.LocalTheta, c.RopeTheta)))
	}
	for _, k := range p.arch.Keys {
		if err := p.family(k); err != nil {
			return err
		}
	}
	p.windows()
	return p.rope()
}

// name is general.name. llama.cpp takes a model with phi-3 in it to have Phi-3's tokenizer, and does not load it where that lacks the tokens of that.
func (p *Plan) name() string {
	lower := strings.ToLower(p.m.Name)
	if p.m.Tokenizer == nil || !strings.Contains(lower, "phi-3") && !strings.Contains(lower, "phi3") {
		return p.m.Name
	}
	for _, token := range []string{"</s>", "<unk>", "<s>", "<|endoftext|>"} {
		if id, ok := p.m.Tokenizer.ID(token); !ok || int(id) >= p.m.Config.VocabSize {
			p.note("the name %q is left out of the file: llama.cpp would look for the tokens of Phi-3's tokenizer, of which %s is missing", p.m.Name, token)
			return ""
		}
	}
	return p.m.Name
}

// rotated is how many values of a head turn with the position.
func (p *Plan) rotated() int { return cmp.Or(p.m.Config.RotaryDim, p.m.Config.HeadDim) }

// family puts a key of the architecture's own as config.json has it.
func (p *Plan) family(k arch.Key) error {
	raw, given := p.m.Config.Raw[k.HF]
	if !given {
		if x, ok := k.Default.(float64); ok {
			p.own(k.GGUF, float32(x))
		} else if k.Kind == arch.Real && !k.Optional {
			p.own(k.GGUF, float32(1)) // the multiplier that transformers takes where none is given
		}
		return nil
	}
	if string(raw) == "null" {
		if k.Kind == arch.Cap && k.Default != nil {
			return fault.Refuse(toFolder, "%s is null, and programs that read GGUF files of the architecture %s always cap by some number", k.HF, p.arch.Name)
		}
		return nil
	}
	var x float64
	if err := json.Unmarshal(raw, &x); err != nil {
		return fmt.Errorf("config.json: %s is %s, want a number", k.HF, raw)
	}
	p.own(k.GGUF, float32(x))
	return nil
}

// windows puts which tokens the layers see.
func (p *Plan) windows() {
	c, w := p.m.Config, p.arch.Window
	sizes := c.WindowSizes()
	if len(sizes) == 0 {
		if w.Default > 0 {
			p.own("attention.sliding_window", uint32(0))
		}
		return
	}
	slides := make([]bool, c.NumHiddenLayers)
	own := true // the layers are those that the architecture gives windows to
	for i := range slides {
		slides[i] = c.Window(i) > 0
		own = own && slides[i] != w.NoWindow(i)
	}
	p.own("attention.sliding_window", uint32(sizes[len(sizes)-1]))
	if !own || !w.Key {
		p.own("attention.sliding_window_pattern", slides)
	}
	if sizes[0] < c.MaxPositions && w.Every == 0 { // those with a pattern of their own are the ones that llama.cpp gives windows to
		p.note("llama.cpp computes the architecture %s without a window: of texts longer than %d tokens it sees more than the model was trained with", p.arch.Name, sizes[0])
	}
}

// rope puts how positions are stretched.
func (p *Plan) rope() error {
	c := p.m.Config
	s := c.RopeScaling
	if s == nil {
		if p.arch.Rotary.Original {
			if n, err := strconv.Atoi(string(c.Raw["original_max_position_embeddings"])); err == nil && n > 0 {
				p.own("rope.scaling.original_context_length", uint32(n))
			}
		}
		return nil
	}
	switch s.Type {
	case "dynamic":
		p.note("rope scaling of type dynamic is left out: texts longer than max_position_embeddings, %d, are beyond what the file says", c.MaxPositions)
	case "linear":
		p.own("rope.scaling.type", "linear")
		p.own("rope.scaling.factor", float32(s.Factor))
	case "llama3":
		if !p.arch.Rotary.Divisors {
			return fault.Refuse(toFolder, "rope scaling of type llama3 is not computed by llama.cpp for the architecture %s", p.arch.Name)
		}
		p.own("rope.scaling.original_context_length", uint32(s.OriginalPosition))
		p.divisors(arch.RopeFreqs)
	case "yarn":
		p.own("rope.scaling.type", "yarn")
		p.own("rope.scaling.factor", float32(s.Factor))
		p.own("rope.scaling.original_context_length", uint32(s.OriginalPosition))
		p.own("rope.scaling.yarn_beta_fast", float32(s.BetaFast))
		p.own("rope.scaling.yarn_beta_slow", float32(s.BetaSlow))
		p.attention(1 + 0.1*math.Log(s.Factor)) // which llama.cpp multiplies by itself
	case "longrope":
		p.own("rope.scaling.type", "longrope")
		p.own("rope.scaling.original_context_length", uint32(s.OriginalPosition))
		p.attention(1)
		p.addExtra(arch.RopeFactorsLong, float32s(s.Long))
		p.addExtra(arch.RopeFactorsShort, float32s(s.Short))
	default:
		return fault.Refuse(toFolder, "rope scaling of type %s is not written to GGUF files by this build", s.Type)
	}
	return nil
}

// attention puts what cosines and sines are multiplied by beside what llama.cpp multiplies them by anyhow.
func (p *Plan) attention(anyhow float64) {
	if x := cmp.Or(p.m.Config.RopeScaling.AttentionFactor, 1) / anyhow; math.Abs(x-1) > 1e-6 {
		p.own("rope.scaling.attn_factor", float32(x))
	}
}

// divisors adds the tensor of what the inverse frequencies are divided by.
func (p *Plan) divisors(name string) {
	plain := *p.m.Config
	plain.RopeScaling = nil
	scaled, base := p.m.Config.InvFreq(0), plain.InvFreq(0)
	values := make([]float32, len(base))
	for i := range base {
		values[i] = float32(base[i] / scaled[i])
	}
	p.addExtra(name, values)
}

func float32s(x []float64) []float32 {
	values := make([]float32, len(x))
	for i := range x {
		values[i] = float32(x[i])
	}
	return values
}

func (p *Plan) addExtra(name string, values []float32) {
	p.extra[name] = values
	p.tensors = append(p.tensors, gguf.Tensor{Name: name, Type: gguf.F32, Shape: []int{len(values)}})
}

// readAgain reads the metadata as a GGUF file's is read and compares what the model would be then with what it is.
func (p *Plan) readAgain() error {
	got, err := p.reread()
	if err != nil {
		return fmt.Errorf("the GGUF file could not be read again: %w", err)
	}
	if field := differs(p.m.Config, got); field != "" {
		return fault.Refuse(toFolder, "a GGUF file of the architecture %s cannot say the model's %s", p.arch.Name, field)
	}
	return nil
}

// outside are the fields of a configuration that are not the mathematics of a trained model, or that are notes.
var outside = []string{"ModelType", "DType", "InitializerRange", "PaddingRow", "BOSTokenID", "EOSTokenIDs", "Notes", "Raw", "Layers", "Untrained", "MaxPositions"}

// differs names the first field in which two configurations differ by more than float32 rounding, "" for none.
func differs(a, b *model.Config) string {
	x, y := settled(a), settled(b)
	for i := range x.NumField() {
		field := x.Type().Field(i)
		if slices.Contains(outside, field.Name) || near(x.Field(i), y.Field(i)) {
			continue
		}
		return spoken(field.Name)
	}
	return ""
}

// settled is a configuration without what changes nothing: windows as long as the model's positions, a scaling of 1.
func settled(c *model.Config) reflect.Value {
	s := *c
	if sizes := c.WindowSizes(); len(sizes) == 0 || sizes[0] >= c.MaxPositions {
		s.Windows = nil
	}
	if c.RopeScaling != nil && (c.RopeScaling.Type == "dynamic" || c.RopeScaling.Type == "linear" && c.RopeScaling.Factor == 1) {
		s.RopeScaling = nil
	}
	if s.RopeScaling != nil && s.RopeScaling.Type == "longrope" { // whose factor is that of attention alone
		r := *s.RopeScaling
		r.Factor, s.RopeScaling = 0, &r
	}
	if !slices.Contains(c.NoRope, true) {
		s.NoRope = nil
	}
	s.RotaryDim = cmp.Or(s.RotaryDim, s.HeadDim)
	s.LocalTheta = cmp.Or(s.LocalTheta, s.RopeTheta)
	if s.ScoreScale == 0 {
		s.ScoreScale = 1 / math.Sqrt(float64(c.HeadDim))
	}
	for _, f := range []*float64{&s.ResidualScale, &s.EmbedScale, &s.LogitScale} {
		if *f == 0 {
			*f = 1
		}
	}
	return reflect.ValueOf(s)
}

// near compares two values of one type; real numbers may differ by what float32 rounds.
func near(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		x, y := a.Float(), b.Float()
		return x == y || math.Abs(x-y) <= 1e-6*math.Abs(x)
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return near(a.Elem(), b.Elem())
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !near(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range a.NumField() {
			if !near(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Func:
		return true
	}
	return a.Equal(b)
}

// spoken is what a user knows a field as: a key of config.json where there is one.
func spoken(field string) string {
	if key, ok := keyOf[field]; ok {
		return key
	}
	var words strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(field[i-1])) {
			words.WriteByte(' ')
		}
		words.WriteRune(unicode.ToLower(r))
	}
	return words.String()
}

var keyOf = map[string]string{
	"QKVBias": "biases of queries, keys and values (attention_bias)", "OutBias": "bias of attention's output (attention_bias)", "MLPBias": "biases (mlp_bias)",
	"NoRope": "layers without rotation (no_rope_layers)", "Windows": "windows (sliding_window, layer_types)", "SlidingWindow": "sliding_window",
	"ScoreScale": "scale of attention scores (query_pre_attn_scalar, attention_multiplier)", "RopeScaling": "rope_scaling", "TieWordEmbeddings": "tie_word_embeddings",
	"EmbedScale": "scale of embeddings", "LogitCap": "final_logit_softcapping", "ScoreCap": "attn_logit_softcapping", "LocalTheta": "rope_local_base_freq",
}
