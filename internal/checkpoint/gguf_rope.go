package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/fault"
)

// ropeScaling is rope_scaling as config.json has it.
type ropeScaling struct {
	Type     string  `json:"rope_type"`
	Factor   float64 `json:"factor"`
	Low      float64 `json:"low_freq_factor,omitempty"`
	High     float64 `json:"high_freq_factor,omitempty"`
	Original int     `json:"original_max_position_embeddings,omitempty"`
}

const ropeFreqsName = "rope_freqs.weight"

// readScaling rebuilds rope_scaling: "linear" has keys of its own, llama3 is stored as the divisors of the inverse
// frequencies it results in.
func (m *ggufModel) readScaling(f *gguf.File) (*ropeScaling, error) {
	const prefix = "llama.rope.scaling."
	k := keys{f: f}
	kind, _ := f.String(prefix + "type")
	factor := k.floatOr(prefix+"factor", k.floatOr("llama.rope.scale_linear", 1))
	original := k.intOr(prefix+"original_context_length", 8192)
	if k.err != nil {
		return nil, k.err
	}
	t, hasFreqs := f.Tensor(ropeFreqsName)
	switch {
	case kind != "" && kind != "none" && kind != "linear":
		return nil, fault.Refuse(useFolder, "metadata key %q is %q: only \"none\" and \"linear\" are supported", prefix+"type", kind)
	case kind != "none" && factor != 1 && hasFreqs:
		return nil, fault.Refuse(useFolder, "both rope scaling factor %v and tensor %q: which of them holds is not known", factor, ropeFreqsName)
	case hasFreqs:
		divisors, err := m.readDivisors(f, t)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", ropeFreqsName, err)
		}
		return m.llama3(divisors, original)
	case kind != "none" && factor != 1:
		return &ropeScaling{Type: "linear", Factor: shortest(factor)}, nil
	}
	return nil, nil
}

func (m *ggufModel) readDivisors(f *gguf.File, t gguf.Tensor) ([]float32, error) {
	if t.Type != gguf.F32 || len(t.Shape) != 1 || t.Shape[0] != m.headDim/2 {
		return nil, fault.Refuse(useFolder, "%v with shape %v, want F32 with shape [%d] (half the head size)", t.Type, t.Shape, m.headDim/2)
	}
	raw := make([]byte, t.Bytes()) // at most half of maxGGUFInt values, which the file holds
	if err := f.ReadRaw(t, 0, raw); err != nil {
		return nil, err
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
	return nil, fault.Refuse(useFolder, "tensor %q: the divisors are not those of llama3 scaling, the only kind supported", ropeFreqsName)
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
