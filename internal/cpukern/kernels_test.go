package cpukern

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lomo/internal/tensor"
)

// Each level's kernels against their generic twins. Those without a sum must agree to the bit: they round in the same places.

// lengths are around the widths of vectors and their unrolled loops.
var lengths = []int{0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257, 1000}

// specials are what arithmetic goes wrong on.
var specials = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 1e-45, -1e-40, 1.17549435e-38, 3.4e38, -3.4028235e38,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 88.72, 88.73, -87.33, -87.4, -103.9, -104.1, 0.5, 1.00390625}

type source struct{ *rand.Rand }

func newSource() source { return source{rand.New(rand.NewPCG(11, 12))} }

// floats is n values that begin off elements after an aligned address.
func (s source) floats(n, off int, special bool) []float32 {
	x := make([]float32, n+off)[off:]
	for i := range x {
		x[i] = float32(s.NormFloat64() * 3)
		if special && s.IntN(4) == 0 {
			x[i] = specials[s.IntN(len(specials))]
		}
	}
	return x
}

func (s source) halves(n, off int) []uint16 {
	x := make([]uint16, n+off)[off:]
	for i := range x {
		x[i] = uint16(s.Uint32())
	}
	return x
}

func narrowed(x []float32) []uint16 {
	h := make([]uint16, len(x))
	narrowGeneric(h, x)
	return h
}

func widened(h []uint16) []float32 {
	x := make([]float32, len(h))
	widenGeneric(x, h)
	return x
}

// eachKernels runs f for each level but the generic, all lengths, aligned and not.
func eachKernels(t *testing.T, f func(t *testing.T, k *kernels, n, off int)) {
	for _, k := range levels()[1:] {
		for _, n := range lengths {
			for off := range 4 {
				t.Run(fmt.Sprintf("%s/n=%d/off=%d", k.level, n, off), func(t *testing.T) { f(t, k, n, off) })
			}
		}
	}
	if len(levels()) == 1 {
		t.Skip("this build or machine has the generic level only: there is nothing to compare it with")
	}
}

// same wants equal bits, or NaN on both sides.
func same(t *testing.T, name string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
			t.Fatalf("%s[%d] = %g (%#x), generic %g (%#x)", name, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// sums wants two sums of n terms of about size to agree.
func sums(t *testing.T, name string, got, want, size float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*(size+math.Abs(want)) {
		t.Fatalf("%s = %g, generic %g", name, got, want)
	}
}

func TestConversions(t *testing.T) {
	s, g := newSource(), genericKernels()
	eachKernels(t, func(t *testing.T, k *kernels, n, off int) {
		x, h, noise := s.floats(n, off, true), s.halves(n, off), s.halves(n, 3-off)
		a, b := s.floats(n, off, false), make([]float32, n)
		k.widen(a, h)
		g.widen(b, h)
		same(t, "widen", a, b)
		p, q := s.halves(n, off), make([]uint16, n)
		k.narrow(p, x)
		g.narrow(q, x)
		if !slices.Equal(p, q) {
			t.Fatalf("narrow %v = %#x, generic %#x", x, p, q)
		}
		k.stochastic(p, x, noise)
		g.stochastic(q, x, noise)
		if !slices.Equal(p, q) {
			t.Fatalf("stochastic %v with %#x = %#x, generic %#x", x, noise, p, q)
		}
	})
}

// onCopies is what f makes of copies of two rows.
func onCopies[T any](k *kernels, x, y []T, f func(k *kernels, a, b []T)) (a, b []T) {
	a, b = slices.Clone(x), slices.Clone(y)
	f(k, a, b)
	return a, b
}

func TestArithmeticKernels(t *testing.T) {
	s, g := newSource(), genericKernels()
	eachKernels(t, func(t *testing.T, k *kernels, n, off int) {
		x, y, z, w := s.floats(n, off, true), s.floats(n, 1, true), s.floats(n, 0, true), s.floats(n, 3, true)
		// on runs f on copies of two vectors with both levels and compares both.
		on := func(name string, f func(k *kernels, a, b []float32)) {
			t.Helper()
			a, b := onCopies(k, x, y, f)
			c, d := onCopies(g, x, y, f)
			same(t, name, a, c)
			same(t, name+", second", b, d)
		}
		on("axpy", func(k *kernels, a, b []float32) { k.axpy(a, b, 0.3) })
		on("scale", func(k *kernels, a, _ []float32) { k.scale(a, 0.3) })
		on("mulScale", func(k *kernels, a, b []float32) { k.mulScale(a, b, z, 0.3) })
		on("normInput", func(k *kernels, a, b []float32) { k.normInput(a, b, z, w, 0.3, 0.7) })
		on("normWeight", func(k *kernels, a, b []float32) { k.normWeight(a, b, z, 0.3) })
		on("rotate", func(k *kernels, a, b []float32) { k.rotate(a, b, z, w, -1) })

		// The same of BF16 tensors, on copies of two rows.
		p, q := narrowed(x), narrowed(y)
		onHalves := func(name string, f func(k *kernels, a, b []uint16)) {
			t.Helper()
			a, b := onCopies(k, p, q, f)
			c, d := onCopies(g, p, q, f)
			same(t, name, widened(a), widened(c))
			same(t, name+", second", widened(b), widened(d))
		}
		onHalves("axpyHalves", func(k *kernels, a, _ []uint16) { k.axpyHalves(a, y, 0.7) })
		onHalves("mulScaleHalves", func(k *kernels, a, _ []uint16) { k.mulScaleHalves(a, y, z, 0.7) })
		onHalves("rotateHalves", func(k *kernels, a, b []uint16) { k.rotateHalves(a, b, z, w, -1) })
	})
}

// TestGates holds the levels to their generic twins, whose exponential goes by other steps: to 4e-7 of the result (measured 2.8e-7), and of
// the terms that cancel in its derivative. Rounded to BF16 the results differ by a unit of the last place at most.
func TestGates(t *testing.T) {
	for name, of := range map[string]func(k *kernels) gate{"silu": (*kernels).siluGate, "gelu": (*kernels).geluGate} {
		t.Run(name, func(t *testing.T) { gateLevels(t, of) })
	}
}

func gateLevels(t *testing.T, of func(k *kernels) gate) {
	s, g := newSource(), of(genericKernels())
	eachKernels(t, func(t *testing.T, level *kernels, n, off int) {
		k := of(level)
		gate, up, dact := s.floats(n, off, true), s.floats(n, 1, true), s.floats(n, 2, true)
		want, got := make([]float32, n), make([]float32, n)
		g.forward(want, gate, up)
		k.forward(got, gate, up)
		near(t, "forward", got, want, 4e-7, func(i int) float32 { return want[i] })
		a, b := slices.Clone(gate), slices.Clone(up)
		c, d := slices.Clone(gate), slices.Clone(up)
		g.backward(a, b, dact, a, b)
		k.backward(c, d, dact, c, d)
		near(t, "backward", c, a, 4e-7, func(i int) float32 { return dact[i] * up[i] * (1 + abs32(gate[i])) })
		near(t, "backward, dup", d, b, 4e-7, func(i int) float32 { return b[i] })

		p, q, r := narrowed(gate), narrowed(up), narrowed(dact)
		e, f := make([]uint16, n), make([]uint16, n)
		g.forwardHalves(e, p, q)
		k.forwardHalves(f, p, q)
		near(t, "forwardHalves", widened(f), widened(e), 1./128, func(i int) float32 { return widened(e)[i] })
		ph, qh := slices.Clone(p), slices.Clone(q)
		g.backwardHalves(ph, qh, r, ph, qh)
		k.backwardHalves(p, q, r, p, q)
		near(t, "backwardHalves", widened(p), widened(ph), 1./128, func(i int) float32 { return dact[i] * up[i] * (1 + abs32(gate[i])) })
		near(t, "backwardHalves, dup", widened(q), widened(qh), 1./128, func(i int) float32 { return widened(qh)[i] })
	})
}

// TestSoftCap: the levels agree with their generic twins, which hold tanh to 3 ulp of float64, keep small values whole and never leave the limit.
func TestSoftCap(t *testing.T) {
	s, g := newSource(), genericKernels()
	eachKernels(t, func(t *testing.T, k *kernels, n, off int) {
		z, dz := s.floats(n, off, true), s.floats(n, 1, true)
		want, got := slices.Clone(z), slices.Clone(z)
		g.softCap(want, 1./3, 3)
		k.softCap(got, 1./3, 3)
		near(t, "softCap", got, want, 4e-7, func(i int) float32 { return want[i] })
		got = slices.Clone(dz)
		g.softCapBackward(dz, want, 1./3)
		k.softCapBackward(got, want, 1./3)
		same(t, "softCapBackward", got, dz)
	})
}

func TestTanh(t *testing.T) {
	worst := 0.0
	for x := 1e-30; x < 20; x *= 1.00037 {
		for _, v := range []float32{float32(x), float32(-x)} {
			got, want := tanh32(v), math.Tanh(float64(v))
			worst = max(worst, math.Abs(float64(got)-want)/math.Ldexp(1, int(math.Floor(math.Log2(math.Abs(want))))-23))
			if abs32(got) > 1 {
				t.Fatalf("tanh(%g) = %g", v, got)
			}
		}
	}
	if worst > 3 {
		t.Errorf("tanh32 is off by %.2f ulp", worst)
	}
	t.Logf("%.2f ulp", worst)
	for _, c := range []struct{ x, want float32 }{{0, 0}, {1e30, 1}, {-1e30, -1}, {float32(math.Inf(1)), 1}, {float32(math.Inf(-1)), -1}, {1e-45, 1e-45}} {
		if got := tanh32(c.x); got != c.want {
			t.Errorf("tanh32(%g) = %g, want %g", c.x, got, c.want)
		}
	}
	if got := tanh32(float32(math.NaN())); got == got {
		t.Errorf("tanh32(NaN) = %g", got)
	}
}

// near wants results within bound of a size, the same infinity, or NaN on both sides.
func near(t *testing.T, name string, got, want []float32, bound float64, size func(i int) float32) {
	t.Helper()
	for i := range want {
		a, b := float64(got[i]), float64(want[i])
		if a == b || a != a && b != b || math.Abs(a-b) <= bound*math.Abs(float64(size(i)))+1e-37 {
			continue
		}
		t.Fatalf("%s[%d] = %g, generic %g: they differ by %.2g of %g", name, i, a, b, math.Abs(a-b)/math.Abs(float64(size(i))), size(i))
	}
}

// TestOptimizerKernels leaves NaN out: updates see finite gradients only. Zeros are many, for what AdaLomo does with them.
func TestOptimizerKernels(t *testing.T) {
	s, g := newSource(), genericKernels()
	c := stepConsts{scale: 0.7, clip: 2, coef: 0.9, keep: 0.99, lr: 0.1}
	constants := adam{beta2: 0.9, one1: 0.2, one2: 0.1, eps: 1e-3, rate: 0.3, root: 0.8}
	eachKernels(t, func(t *testing.T, k *kernels, n, off int) {
		grad, m, v, cf := s.floats(n, 3-off, false), s.floats(n, 1, false), s.floats(n, 2, false), s.floats(n, off, true)
		for i := range grad {
			v[i] *= v[i]
			if i%3 == 0 {
				grad[i] = 0
			}
		}
		// on runs f on copies of the state with both levels and compares all of it.
		on := func(name string, f func(k *kernels, w, m, v []float32)) {
			t.Helper()
			w := s.floats(n, off, false)
			a, b := [][]float32{slices.Clone(w), slices.Clone(m), slices.Clone(v)}, [][]float32{slices.Clone(w), slices.Clone(m), slices.Clone(v)}
			f(k, a[0], a[1], a[2])
			f(g, b[0], b[1], b[2])
			for i := range a {
				same(t, fmt.Sprintf("%s, vector %d", name, i), a[i], b[i])
			}
		}
		on("update", func(k *kernels, w, _, _ []float32) { k.update(w, grad, &c) })
		h, noise := s.halves(n, off), s.halves(n, 3-off)
		twin := slices.Clone(h)
		k.updateHalves(h, grad, noise, &c)
		g.updateHalves(twin, grad, noise, &c)
		for i := range h {
			if h[i] != twin[i] {
				t.Fatalf("updateHalves[%d] = %#x, generic %#x", i, h[i], twin[i])
			}
		}
		on("adam", func(k *kernels, w, m, v []float32) { k.adam(w, m, v, grad, &constants, &c) })
		on("addSquares", func(k *kernels, w, _, _ []float32) { k.addSquares(w, grad, &c, 1e-30) })
		on("unit", func(k *kernels, w, _, _ []float32) { k.unit(w, grad, cf, &c, 1.5) })
		on("rsqrt", func(k *kernels, w, _, v []float32) { k.rsqrt(w, v) })
		sums(t, "squares", float64(k.squares(grad, &c, 0.1)), float64(g.squares(grad, &c, 0.1)), 4*float64(n))
	})
}

func TestSumKernels(t *testing.T) {
	s, g := newSource(), genericKernels()
	eachKernels(t, func(t *testing.T, k *kernels, n, off int) {
		x, y, z, h := s.floats(n, off, false), s.floats(n, 1, false), s.floats(n, 2, false), s.halves(n, off)
		for i := range h {
			h[i] = tensor.F32ToBF16(y[i])
		}
		size := 9 * float64(n)
		sums(t, "dot", float64(k.dot(x, y)), float64(g.dot(x, y)), size)
		sums(t, "dot16", float64(k.dot16(x, h)), float64(g.dot16(x, h)), size)
		sums(t, "dot3", float64(k.dot3(x, y, z)), float64(g.dot3(x, y, z)), 3*size)
		if got, want := k.sumSq(x), g.sumSq(x); got != want {
			t.Fatalf("sumSq = %v, generic %v", got, want)
		}
		e, f := slices.Clone(x), slices.Clone(x)
		sums(t, "expSum", float64(k.expSum(e, e, 3)), float64(g.expSum(f, f, 3)), 1)
		if got, want := k.maximum(x), g.maximum(x); got != want {
			t.Fatalf("maximum = %v, generic %v", got, want)
		}
	})
}

// TestAbsMaxKernels puts the greatest value, an infinity and a NaN at every place.
func TestAbsMaxKernels(t *testing.T) {
	s := newSource()
	eachKernels(t, func(t *testing.T, k *kernels, n, off int) {
		x, h := s.floats(n, off, false), make([]uint16, n+off)[off:]
		for at := range min(n, 70) {
			for _, v := range []float32{-1e6, float32(math.Inf(-1)), float32(math.NaN())} {
				old := x[at]
				x[at] = v
				for i := range h {
					h[i] = tensor.F32ToBF16(x[i])
				}
				if got, want := k.absMax(x), absMaxGeneric(x); got != want {
					t.Fatalf("absMax with %g at %d = %#x, generic %#x", v, at, got, want)
				}
				if got, want := k.absMax16(h), absMax16Generic(h); got != want {
					t.Fatalf("absMax16 with %g at %d = %#x, generic %#x", v, at, got, want)
				}
				x[at] = old
			}
		}
	})
}

func TestPhiloxKernel(t *testing.T) {
	for _, k := range levels()[1:] {
		for _, block := range []uint64{0, 1, 12345, 1<<32 - 40, 1<<32 - 8, 1 << 32, 1<<40 + 7} {
			for _, n := range []int{8, 56, 64, 72, 128, 400} {
				st := stream{seed: 0x123456789abcdef, tensor: 77, step: 5}
				got, want := make([]uint16, n), make([]uint16, n)
				k.philox(got, &st, block)
				philoxGeneric(want, &st, block)
				if !slices.Equal(got, want) {
					t.Fatalf("%s: %d draws from block %d differ from the generic ones", k.level, n, block)
				}
			}
		}
	}
}

// TestExpLevels holds every level's vectors to 2 ulp of float64 (measured 1.1), and what lies at the ends of the range: subnormal results to a unit of
// the last place there is, on both sides of overflow, and what is not finite.
func TestExpLevels(t *testing.T) {
	for _, k := range levels() {
		t.Run(k.level, func(t *testing.T) {
			var x []float32
			for v := float32(-104.2); v < 89.2; v += 0.00137 {
				x = append(x, v)
			}
			ends := []float32{-1e30, float32(math.Inf(-1)), 1000, 1e30, float32(math.Inf(1)), float32(math.NaN()), 0, -0.34657359, 0.34657359, 88.7228, 88.7229, -87.33655}
			for len(x)%32 != 0 {
				x = append(x, 0)
			}
			for range 16 { // at every place of a vector
				x = append(x, ends...)
			}
			got := make([]float32, len(x))
			k.expSum(got, x, 0)
			worst := 0.0
			for i, v := range x {
				want, a := math.Exp(float64(v)), float64(got[i])
				switch {
				case v != v:
					if a == a {
						t.Fatalf("exp(NaN) = %g", a)
					}
				case want > 3.4028236e38:
					if !math.IsInf(a, 1) {
						t.Fatalf("exp(%g) = %g, want +Inf", v, a)
					}
				case want < 1.1754944e-38:
					if math.Abs(a-want) > 1.5e-45 {
						t.Fatalf("exp(%g) = %g, want %g", v, a, want)
					}
				default:
					worst = max(worst, math.Abs(a-want)/math.Ldexp(1, int(math.Floor(math.Log2(want)))-23))
				}
			}
			if worst > 2 {
				t.Errorf("off by %.2f ulp", worst)
			}
			t.Logf("%.2f ulp", worst)
		})
	}
}

// TestExp holds exp32 to 2 ulp of float64 over its range (measured 1.1), and its ends.
func TestExp(t *testing.T) {
	worst := 0.0
	for x := -87.3; x < 88.7; x += 0.00137 {
		want := math.Exp(float64(float32(x)))
		ulp := math.Ldexp(1, int(math.Floor(math.Log2(want)))-23)
		worst = max(worst, math.Abs(float64(exp32(float32(x)))-want)/ulp)
	}
	if worst > 2 {
		t.Errorf("exp32 is off by %.2f ulp", worst)
	}
	for _, c := range []struct{ x, want float32 }{{0, 1}, {-1000, 0}, {float32(math.Inf(-1)), 0}, {1000, float32(math.Inf(1))}, {float32(math.Inf(1)), float32(math.Inf(1))}} {
		if got := exp32(c.x); got != c.want {
			t.Errorf("exp32(%g) = %g, want %g", c.x, got, c.want)
		}
	}
	if got := exp32(float32(math.NaN())); got == got {
		t.Errorf("exp32(NaN) = %g", got)
	}
	for _, x := range []float32{-88, -95, -103} { // subnormal results: to one unit of the last place there is
		if got, want := exp32(x), float32(math.Exp(float64(x))); math.Abs(float64(got-want)) > 1.5e-45 {
			t.Errorf("exp32(%g) = %g, want %g", x, got, want)
		}
	}
}

func abs32(x float32) float32 { return float32(math.Abs(float64(x))) }
