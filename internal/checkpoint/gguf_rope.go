package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/checkpoint/gguf/arch"
	"lomo/internal/fault"
)

// ropeScaling is rope_scaling as config.json has it.
type ropeScaling struct {
	Type      string    `json:"rope_type"`
	Theta     float64   `json:"rope_theta,omitempty"` // where it stands by type of layer
	Factor    float64   `json:"factor,omitempty"`
	Low       float64   `json:"low_freq_factor,omitempty"`
	High      float64   `json:"high_freq_factor,omitempty"`
	Original  int       `json:"original_max_position_embeddings,omitempty"`
	Attention float64   `json:"attention_factor,omitempty"`
	BetaFast  float64   `json:"beta_fast,omitempty"`
	BetaSlow  float64   `json:"beta_slow,omitempty"`
	Long      []float64 `json:"long_factor,omitempty"`
	Short     []float64 `json:"short_factor,omitempty"`
}

// readScaling rebuilds rope_scaling: "linear" and "yarn" have keys of their own, llama3 is stored as the divisors of the inverse
// frequencies it results in, longrope as two lists of such.
func (m *ggufModel) readScaling(f *gguf.File) (*ropeScaling, error) {
	prefix := m.Key("rope.scaling.")
	k := keys{f: f}
	kind, _ := f.String(prefix + "type")
	factor := k.floatOr(prefix+"factor", k.floatOr(m.Key("rope.scale_linear"), 1))
	attention := k.multiplier(prefix + "attn_factor")
	if k.err != nil {
		return nil, k.err
	}
	if name, err := oneRope(f, kind, factor, prefix); err != nil {
		return nil, err
	} else if name != "" {
		kind = name
	}
	switch kind {
	case "", "none", "linear", "llama3":
		if attention != 1 {
			return nil, fault.Refuse(useFolder, "metadata key %q is %v: only yarn and longrope scaling have such a factor", prefix+"attn_factor", attention)
		}
	}
	switch kind {
	case "", "none":
		return nil, nil
	case "linear":
		return &ropeScaling{Type: "linear", Factor: shortest(factor)}, nil
	case "llama3":
		divisors, err := m.readDivisors(f, arch.RopeFreqs)
		if err != nil {
			return nil, err
		}
		original := k.intOr(prefix+"original_context_length", 8192)
		if k.err != nil {
			return nil, k.err
		}
		return m.llama3(divisors, original)
	case "yarn":
		return m.yarn(&k, prefix, factor, attention)
	case "longrope":
		return m.longrope(f, attention)
	}
	return nil, fault.Refuse(useFolder, "metadata key %q is %q: only none, linear, yarn and longrope are supported", prefix+"type", fault.Line(kind))
}

// oneRope finds the scaling that tensors and keys ask for. Two of them contradict each other.
func oneRope(f *gguf.File, kind string, factor float64, prefix string) (string, error) {
	freqs, long, short := has(f, arch.RopeFreqs), has(f, arch.RopeFactorsLong), has(f, arch.RopeFactorsShort)
	scaled := kind != "none" && kind != "longrope" && factor != 1
	switch {
	case long != short:
		return "", fault.Refuse(useFolder, "of the tensors %q and %q one is missing", arch.RopeFactorsLong, arch.RopeFactorsShort)
	case scaled && freqs, scaled && long:
		return "", fault.Refuse(useFolder, "both rope scaling factor %v and tensor %q: which of them holds is not known", factor, map[bool]string{true: arch.RopeFreqs, false: arch.RopeFactorsLong}[freqs])
	case freqs && (long || kind == "longrope" || kind == "yarn"):
		return "", fault.Refuse(useFolder, "tensor %q and rope scaling of another kind: which of them holds is not known", arch.RopeFreqs)
	case freqs:
		return "llama3", nil
	case long && kind == "yarn", kind == "longrope" && !long:
		return "", fault.Refuse(useFolder, "metadata key %q is %q, and tensor %q is %s", prefix+"type", kind, arch.RopeFactorsLong, map[bool]string{true: "there too", false: "missing"}[long])
	case long:
		return "longrope", nil
	case kind == "linear" && factor == 1, kind == "yarn" && factor == 1:
		return "none", nil
	case kind == "" && factor != 1:
		return "linear", nil
	}
	return "", nil
}

func has(f *gguf.File, name string) bool {
	_, ok := f.Tensor(name)
	return ok
}

// yarn reads keys of their own. llama.cpp multiplies its factor of attention, 1 + ln(factor)/10, by attn_factor; its converter writes
// config.json's attention_factor as yarn_attn_factor.
func (m *ggufModel) yarn(k *keys, prefix string, factor, attention float64) (*ropeScaling, error) {
	s := &ropeScaling{Type: "yarn", Factor: shortest(factor), Original: k.intOr(prefix+"original_context_length", m.context)}
	for name, to := range map[string]*float64{"yarn_attn_factor": &s.Attention, "yarn_beta_fast": &s.BetaFast, "yarn_beta_slow": &s.BetaSlow} {
		if _, given := k.f.KV[prefix+name]; given {
			*to = shortest(k.float(prefix + name))
		}
	}
	if attention != 1 {
		if s.Attention != 0 && k.err == nil {
			return nil, fault.Refuse(useFolder, "both metadata keys %q and %q: which of them holds is not known", prefix+"attn_factor", prefix+"yarn_attn_factor")
		}
		s.Attention = shortest(attention * (1 + 0.1*math.Log(factor)))
	}
	return s, k.err
}

// longrope reads two lists of divisors. The factor of attention follows from the lengths unless the file has another.
func (m *ggufModel) longrope(f *gguf.File, attention float64) (*ropeScaling, error) {
	s := &ropeScaling{Type: "longrope"}
	for name, to := range map[string]*[]float64{arch.RopeFactorsLong: &s.Long, arch.RopeFactorsShort: &s.Short} {
		divisors, err := m.readDivisors(f, name)
		if err != nil {
			return nil, err
		}
		for i, d := range divisors {
			if !(d > 0) || math.IsInf(float64(d), 0) {
				return nil, fault.Refuse(useFolder, "tensor %q: value %d is %v, want a positive number", name, i, d)
			}
			*to = append(*to, shortest(float64(d)))
		}
	}
	k := keys{f: f}
	s.Original = k.intOr(m.Key("rope.scaling.original_context_length"), m.context)
	follows := 1.0
	if ratio := float64(m.context) / float64(s.Original); ratio > 1 {
		follows = math.Sqrt(1 + math.Log(ratio)/math.Log(float64(s.Original)))
	}
	if math.Abs(attention-follows) > 1e-5*follows {
		s.Attention = shortest(attention)
	}
	return s, k.err
}

// readDivisors reads a tensor of a number for each frequency.
func (m *ggufModel) readDivisors(f *gguf.File, name string) ([]float32, error) {
	t, _ := f.Tensor(name)
	if t.Type != gguf.F32 || len(t.Shape) != 1 || t.Shape[0] != m.rotary/2 {
		return nil, fault.Refuse(useFolder, "tensor %q: %v with shape %v, want F32 with shape [%d] (half the head size)", name, t.Type, t.Shape, m.rotary/2)
	}
	raw := make([]byte, t.Bytes()) // at most half of maxGGUFInt values, which the file holds
	if err := f.ReadRaw(t, 0, raw); err != nil {
		return nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	out := make([]float32, t.Shape[0])
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out, nil
}

// llama3 finds the settings that give these divisors. Only the ratios of original length, low and high factor show
// in them, so the original length is taken from the metadata, or to be 8192 as in every Llama 3.
func (m *ggufModel) llama3(divisors []float32, original int) (*ropeScaling, error) {
	factor := float32(1)
	for _, d := range divisors {
		factor = max(factor, d)
	}
	if factor == 1 && m.matches(divisors, &ropeScaling{Factor: 1, Low: 1, High: 4, Original: original}) {
		return nil, nil // divisors of one change nothing
	}
	s := &ropeScaling{Type: "llama3", Factor: shortest(float64(factor)), Low: 1, High: 4, Original: original}
	if m.matches(divisors, s) {
		return s, nil
	}
	if s.Low, s.High = m.fit(divisors, float64(factor), float64(original)); m.matches(divisors, s) {
		return s, nil
	}
	return nil, fault.Refuse(useFolder, "tensor %q: the divisors are not those of llama3 scaling, the only kind supported", arch.RopeFreqs)
}

// turns is O/λ, how often frequency i turns within the original context.
func (m *ggufModel) turns(i int, original float64) float64 {
	return original / (2 * math.Pi) * math.Pow(m.theta, -2*float64(i)/float64(m.headDim))
}

// divisor is what llama3 scaling divides inverse frequency i by (formats.md 1).
func (m *ggufModel) divisor(i int, s *ropeScaling) float64 {
	turns := m.turns(i, float64(s.Original))
	switch {
	case turns > s.High:
		return 1
	case turns < s.Low:
		return s.Factor
	}
	smooth := (turns - s.Low) / (s.High - s.Low)
	return 1 / ((1-smooth)/s.Factor + smooth)
}

func (m *ggufModel) matches(divisors []float32, s *ropeScaling) bool {
	if !(s.Low > 0 && s.High > s.Low) {
		return false
	}
	for i, d := range divisors {
		want := m.divisor(i, s)
		if !(math.Abs(float64(d)-want) <= 1e-5*want) { // float32 and a float32 θ leave 1e-6
			return false
		}
	}
	return true
}

// fit solves for the low and high factor from the first and the last divisor between 1 and factor: the smoothing
// s = (turns − low)/(high − low) is linear in turns. It rounds to thousandths, since settings are short numbers.
func (m *ggufModel) fit(divisors []float32, factor, original float64) (low, high float64) {
	var x, y []float64
	for i, d := range divisors {
		if d > 1 && float64(d) < factor {
			x = append(x, m.turns(i, original))
			y = append(y, (1/float64(d)-1/factor)/(1-1/factor))
		}
	}
	if len(x) < 2 {
		return 0, 0
	}
	n := len(x) - 1
	slope := (y[0] - y[n]) / (x[0] - x[n])
	low = x[0] - y[0]/slope
	high = low + 1/slope
	return math.Round(low*1000) / 1000, math.Round(high*1000) / 1000
}
