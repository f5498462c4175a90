package devtest

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The references' derivatives are checked against their own forward by central differences: an error in a formula that the
// kernels share would else go unseen.

// slopes is the derivative of Σ dy·f(x) by each element of x.
func slopes(x, dy []float64, f func() []float64) []float64 {
	const h = 1e-5
	return mapped(len(x), func(i int) float64 {
		old := x[i]
		x[i] = old + h
		up := dot(dy, f())
		x[i] = old - h
		down := dot(dy, f())
		x[i] = old
		return (up - down) / (2 * h)
	})
}

func normal(rnd *rand.Rand, n int) []float64 {
	return mapped(n, func(int) float64 { return rnd.NormFloat64() })
}

func near(t *testing.T, name string, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-8*(1+math.Abs(want[i])) { // central differences: measured 2e-10
			t.Errorf("%s[%d] = %g, by differences %g", name, i, got[i], want[i])
		}
	}
}

func TestAttentionReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	r := attnRef{b: 2, tq: 5, tk: 5, hq: 4, hkv: 2, hd: 3, start: []int{0, 0, 0, 3, 3, 0, 1, 1, 1, 1}}
	r.q, r.k, r.v = normal(rnd, 2*5*4*3), normal(rnd, 2*5*2*3), normal(rnd, 2*5*2*3)
	do := normal(rnd, len(r.q))
	dq, dk, dv := r.backward(do, plain)
	forward := func() []float64 { o, _ := r.forward(plain); return o }
	near(t, "dq", dq, slopes(r.q, do, forward))
	near(t, "dk", dk, slopes(r.k, do, forward))
	near(t, "dv", dv, slopes(r.v, do, forward))
	r.sinks = normal(rnd, 4)
	near(t, "dsinks", r.sinkGradient(do), slopes(r.sinks, do, forward))
	_, _, dv = r.backward(do, plain)
	near(t, "dv beside sinks", dv, slopes(r.v, do, forward))
	dq, _, _ = r.backward(do, plain)
	near(t, "dq beside sinks", dq, slopes(r.q, do, forward))
}

func TestRMSNormReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, one := range []float64{0, 1} {
		r := normRef{n: 3, c: 7, x: normal(rnd, 21), w: normal(rnd, 7), one: one}
		dy := normal(rnd, 21)
		dx, dw := r.backward(dy)
		forward := func() []float64 { return mapped(21, r.forward) }
		near(t, "dx", dx, slopes(r.x, dy, forward))
		near(t, "dw", dw, slopes(r.w, dy, forward))
	}
}

func TestGateReferences(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for name, k := range map[string]gate{"SwiGLU": swiGLU, "GeGLU": geGLU} {
		g, dy := normal(rnd, 9), normal(rnd, 9)
		near(t, name, mapped(9, func(i int) float64 { return dy[i] * k.slope(g[i]) }), slopes(g, dy, func() []float64 { return mapped(9, func(i int) float64 { return k.f(g[i]) }) }))
	}
}

func TestSoftCapReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	z, dy := normal(rnd, 9), normal(rnd, 9)
	near(t, "dz", mapped(9, func(i int) float64 { return dy[i] * capSlope(capped(z[i], 1.5), 1.5) }),
		slopes(z, dy, func() []float64 { return mapped(9, func(i int) float64 { return capped(z[i], 1.5) }) }))
}
