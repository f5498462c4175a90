package tensor

import (
	"math"
	"testing"
)

func TestBF16(t *testing.T) {
	for _, c := range []struct {
		f    float32
		want uint16
	}{
		{0, 0}, {1, 0x3f80}, {-2, 0xc000},
		{math.Float32frombits(0x3f808000), 0x3f80},                // half way, even below
		{math.Float32frombits(0x3f818000), 0x3f82},                // half way, even above
		{math.Float32frombits(0x3f808001), 0x3f81},                // above half
		{math.MaxFloat32, 0x7f80}, {float32(math.Inf(1)), 0x7f80}, // rounds up to infinity
	} {
		if got := F32ToBF16(c.f); got != c.want {
			t.Errorf("%v: %04x, want %04x", c.f, got, c.want)
		}
	}
	if !math.IsNaN(float64(BF16ToF32(F32ToBF16(math.Float32frombits(0x7f800001))))) {
		t.Error("a NaN with low bits only became a number")
	}
}

func TestBF16RoundTrip(t *testing.T) {
	for b := 0; b < 1<<16; b++ {
		f := BF16ToF32(uint16(b))
		if f != f {
			continue
		}
		if got := F32ToBF16(f); got != uint16(b) {
			t.Fatalf("%04x comes back as %04x", b, got)
		}
		for _, r := range []uint16{0, 1, 0xffff} { // what needs no rounding is not rounded
			if got := F32ToBF16Stochastic(f, r); got != uint16(b) {
				t.Fatalf("%04x stochastic: %04x", b, got)
			}
		}
	}
}

func TestF16RoundTrip(t *testing.T) {
	for b := 0; b < 1<<16; b++ {
		f := F16ToF32(uint16(b))
		if f != f {
			continue
		}
		if got := F32ToF16(f); got != uint16(b) {
			t.Fatalf("%04x (%v) comes back as %04x", b, f, got)
		}
	}
	for _, c := range []struct {
		f    float32
		want uint16
	}{{65519, 0x7bff}, {65520, 0x7c00}, {1 + 1.0/2048, 0x3c00}, {1 + 3.0/2048, 0x3c02}, {math.Float32frombits(0x33000000), 0}, {math.Float32frombits(0x33000001), 1}} {
		if got := F32ToF16(c.f); got != c.want {
			t.Errorf("%v: %04x, want %04x", c.f, got, c.want)
		}
	}
}

// TestStochasticRoundingIsUnbiased: over all 65,536 draws the mean is the value, for both signs.
func TestStochasticRoundingIsUnbiased(t *testing.T) {
	for _, f := range []float32{1.001, -3.14159, 1e-20, -6.5e4} {
		sum := 0.0
		for r := 0; r < 1<<16; r++ {
			sum += float64(BF16ToF32(F32ToBF16Stochastic(f, uint16(r))))
		}
		if mean := sum / (1 << 16); math.Abs(mean/float64(f)-1) > 1e-9 {
			t.Errorf("%v: mean %v", f, mean)
		}
	}
	if got := BF16ToF32(F32ToBF16Stochastic(math.MaxFloat32, 0xffff)); math.IsInf(float64(got), 0) {
		t.Error("a finite value became infinite")
	}
}

func TestSliceAndView(t *testing.T) {
	x := NewHost("x", F32, 4, 3)
	for i := range x.F32s() {
		x.F32s()[i] = float32(i)
	}
	s := x.Slice(1, 3)
	if got := s.F32s(); len(got) != 6 || got[0] != 3 || got[5] != 8 {
		t.Errorf("slice: %v", got)
	}
	if got := s.View(3, 2); got.Rows() != 3 || got.Cols() != 2 || got.F32s()[2] != 5 {
		t.Errorf("view: %v", got)
	}
	for name, f := range map[string]func(){"slice": func() { x.Slice(2, 5) }, "view": func() { x.View(5) }, "dtype": func() { x.I32s() }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s out of range does not panic", name)
				}
			}()
			f()
		}()
	}
}

func TestParseDType(t *testing.T) {
	for s, want := range map[string]DType{"bf16": BF16, "BF16": BF16, "bfloat16": BF16, "float32": F32, "fp16": F16, "I64": I64} {
		if got, err := ParseDType(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	if _, err := ParseDType("f8"); err == nil {
		t.Error("f8 is accepted")
	}
}
