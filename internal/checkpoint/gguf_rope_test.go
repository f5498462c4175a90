package checkpoint

import (
	"math"
	"reflect"
	"testing"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/checkpoint/gguf/arch"
)

var llamaArch, _ = arch.Of("llama")

// The values that transformers gives for Llama 3.2: theta 5e5, heads of 64, factor 32.
func TestDivisorAsTransformers(t *testing.T) {
	m := &ggufModel{Arch: llamaArch, theta: 5e5, headDim: 64, rotary: 64}
	s := &ropeScaling{Factor: 32, Low: 1, High: 4, Original: 8192}
	for i, want := range map[int]float64{14: 3.2114464e-3, 15: 1.2905479e-3, 16: 4.2955684e-4, 17: 9.7082878e-5, 31: 9.4183067e-8} {
		got := math.Pow(m.theta, -2*float64(i)/64) / m.divisor(i, s)
		if math.Abs(got-want) > 2e-7*want { // half a float32 ulp and eight printed digits: measured 6e-8
			t.Errorf("frequency %d is %v, want %v", i, got, want)
		}
	}
}

func divisors(m *ggufModel, s *ropeScaling) []float32 {
	out := make([]float32, m.headDim/2)
	for i := range out {
		out[i] = float32(m.divisor(i, s))
	}
	return out
}

func TestRebuildLlama3(t *testing.T) {
	m := &ggufModel{Arch: llamaArch, theta: 5e5, headDim: 128, rotary: 128}
	for _, want := range []ropeScaling{
		{Type: "llama3", Factor: 8, Low: 1, High: 4, Original: 8192},
		{Type: "llama3", Factor: 32, Low: 1, High: 4, Original: 8192},
		{Type: "llama3", Factor: 16, Low: 1.5, High: 3.25, Original: 8192}, // not a released model: found by the fit
		{Type: "llama3", Factor: 8, Low: 2, High: 8, Original: 4096},
	} {
		got, err := m.llama3(divisors(m, &want), want.Original)
		if err != nil || got == nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%+v is rebuilt as %+v, %v", want, got, err)
		}
	}
	ones := divisors(m, &ropeScaling{Factor: 1, Low: 1, High: 4, Original: 8192})
	if got, err := m.llama3(ones, 8192); got != nil || err != nil {
		t.Errorf("divisors of one become %+v, %v", got, err)
	}
	bad := divisors(m, &ropeScaling{Factor: 8, Low: 1, High: 4, Original: 8192})
	for _, v := range []float32{0, -1, 9, float32(math.NaN()), float32(math.Inf(1))} {
		broken := append([]float32(nil), bad...)
		broken[7] = v
		if _, err := m.llama3(broken, 8192); err == nil {
			t.Errorf("a divisor of %v is accepted", v)
		}
	}
}

func TestLinearScaling(t *testing.T) {
	m := &ggufModel{Arch: llamaArch, theta: 1e4, headDim: 8, rotary: 8}
	for name, c := range map[string]struct {
		kv   map[string]any
		want float64 // 0: none
	}{
		"linear":   {map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(2.2)}, 2.2},
		"old key":  {map[string]any{"llama.rope.scale_linear": float32(4)}, 4},
		"none":     {map[string]any{"llama.rope.scaling.type": "none", "llama.rope.scaling.factor": float32(2)}, 0},
		"factor 1": {map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(1)}, 0},
		"nothing":  {map[string]any{}, 0},
	} {
		s, err := m.readScaling(&gguf.File{KV: c.kv})
		if err != nil || (s == nil) != (c.want == 0) || s != nil && (s.Factor != c.want || s.Type != "linear") {
			t.Errorf("%s: %+v, %v, want factor %v", name, s, err, c.want)
		}
	}
}
