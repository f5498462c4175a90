package devtest

import (
	"math"

	"lomo/internal/tensor"
)

var elementCases = []testCase{
	{"SwiGLU", swiGLU},
	{"SwiGLUExtremes", swiGLUExtremes},
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func swiGLUForward(g, u float64) float64 { return g * sigmoid(g) * u }

func swiGLUBackward(da, g, u float64) (dg, du float64) {
	s := sigmoid(g)
	return da * u * s * (1 + g*(1-s)), da * g * s
}

func swiGLU(c *C) {
	for _, n := range []int{1, 7, 32, 33, pick(c, 20011, 2059)} {
		c.both(func(dt tensor.DType) {
			gate, gs := c.noise("gate", dt, 4, 1, n)
			up, us := c.noise("up", dt, 1, 1, n)
			act := c.like("act", dt, 1, n)
			c.D.SwiGLU(act, gate, up)
			c.close(act, mapped(n, func(i int) float64 { return swiGLUForward(gs[i], us[i]) }), 1e-6)

			dact, das := c.noise("dact", dt, 1, 1, n)
			dgate, dup := c.like("dgate", dt, 1, n), c.like("dup", tensor.F32, 1, n)
			c.D.SwiGLUBackward(dgate, dup, dact, gate, up)
			wantG := mapped(n, func(i int) float64 { g, _ := swiGLUBackward(das[i], gs[i], us[i]); return g })
			wantU := mapped(n, func(i int) float64 { _, u := swiGLUBackward(das[i], gs[i], us[i]); return u })
			c.close(dgate, wantG, 1e-6)
			c.close(dup, wantU, 1e-6)
			c.D.SwiGLUBackward(gate, up, dact, gate, up) // in place
			c.close(gate, wantG, 1e-6)
			c.close(up, wantU, 1e-6)
		})
	}
}

// swiGLUExtremes: exp overflows and underflows inside, the result must not.
func swiGLUExtremes(c *C) {
	gs := []float64{0, -0.0, 88, -88, 104, -104, 1e30, -1e30, 1e-38, -1e-38, 90, -90, math.Inf(1)}
	n := len(gs)
	ones := mapped(n, func(int) float64 { return 1 })
	gate, up, act := c.new("gate", tensor.F32, gs, 1, n), c.new("up", tensor.F32, ones, 1, n), c.like("act", tensor.F32, 1, n)
	gs = c.get(gate)
	c.D.SwiGLU(act, gate, up)
	c.sync()
	for i, got := range c.get(act) {
		want := gs[i] * sigmoid(gs[i])
		if gs[i] < -1e3 {
			want = 0
		}
		if math.Abs(got-want) > 1e-6*math.Abs(want)+1e-36 {
			c.Errorf("silu(%g) = %g, want %g", gs[i], got, want)
		}
	}
	nan := c.new("gate", tensor.F32, []float64{math.NaN(), 1, 1}, 1, 3)
	out := c.like("act", tensor.F32, 1, 3)
	c.D.SwiGLU(out, nan, c.new("up", tensor.F32, []float64{1, math.NaN(), 1}, 1, 3))
	c.close(out, []float64{math.NaN(), math.NaN(), swiGLUForward(1, 1)}, 1e-6)
}
