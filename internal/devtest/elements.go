package devtest

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"SwiGLU", func(c *C) { gated(c, swiGLU) }},
	{"SwiGLUExtremes", func(c *C) { gatedExtremes(c, swiGLU) }},
	{"GeGLU", func(c *C) { gated(c, geGLU) }},
	{"GeGLUExtremes", func(c *C) { gatedExtremes(c, geGLU) }},
})

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// gate is an operation of gated MLPs and its backward, with the function of the gate and its derivative.
type gate struct {
	forward  func(d device.Device, act, gate, up tensor.Tensor)
	backward func(d device.Device, dgate, dup, dact, gate, up tensor.Tensor)
	f, slope func(g float64) float64
}

var swiGLU = gate{device.Device.SwiGLU, device.Device.SwiGLUBackward,
	func(g float64) float64 { return g * sigmoid(g) },
	func(g float64) float64 { return sigmoid(g) * (1 + g*(1-sigmoid(g))) }}

// geGLU is PyTorch's gelu(approximate="tanh").
var geGLU = gate{device.Device.GeGLU, device.Device.GeGLUBackward,
	func(g float64) float64 { return 0.5 * g * (1 + math.Tanh(geluInner(g))) },
	func(g float64) float64 {
		t := math.Tanh(geluInner(g))
		return 0.5*(1+t) + 0.5*g*(1-t*t)*math.Sqrt(2/math.Pi)*(1+3*0.044715*g*g)
	}}

func geluInner(g float64) float64 { return math.Sqrt(2/math.Pi) * (g + 0.044715*g*g*g) }

func gated(c *C, k gate) {
	for _, n := range []int{1, 7, 32, 33, pick(c, 20011, 2059)} {
		c.both(func(dt tensor.DType) {
			gate, gs := c.noise("gate", dt, 4, 1, n)
			up, us := c.noise("up", dt, 1, 1, n)
			act := c.like("act", dt, 1, n)
			k.forward(c.D, act, gate, up)
			c.close(act, mapped(n, func(i int) float64 { return k.f(gs[i]) * us[i] }), 1e-6)

			dact, das := c.noise("dact", dt, 1, 1, n)
			dgate, dup := c.like("dgate", dt, 1, n), c.like("dup", tensor.F32, 1, n)
			k.backward(c.D, dgate, dup, dact, gate, up)
			wantG := mapped(n, func(i int) float64 { return das[i] * us[i] * k.slope(gs[i]) })
			wantU := mapped(n, func(i int) float64 { return das[i] * k.f(gs[i]) })
			c.close(dgate, wantG, 1e-6)
			c.close(dup, wantU, 1e-6)
			k.backward(c.D, gate, up, dact, gate, up) // in place
			c.close(gate, wantG, 1e-6)
			c.close(up, wantU, 1e-6)
		})
	}
}

// gatedExtremes: exp overflows and underflows inside, and so may powers of the gate; the results must not.
func gatedExtremes(c *C, k gate) {
	gs := []float64{0, -0.0, 88, -88, 104, -104, 1e30, -1e30, 1e-38, -1e-38, 90, -90, 1e19, -1e19, 16, -16, 5, -5, 12, -12, 3e38, -3e38, math.Inf(1)}
	n := len(gs)
	ones := mapped(n, func(int) float64 { return 1 })
	one := func(name string) tensor.Tensor { return c.new(name, tensor.F32, ones, 1, n) }
	gate, act := c.new("gate", tensor.F32, gs, 1, n), c.like("act", tensor.F32, 1, n)
	dgate, dup := c.like("dgate", tensor.F32, 1, n), c.like("dup", tensor.F32, 1, n)
	gs = c.get(gate)
	k.forward(c.D, act, gate, one("up"))
	k.backward(c.D, dgate, dup, one("dact"), gate, one("up"))
	c.sync()
	acts, slopes, ups := c.get(act), c.get(dgate), c.get(dup)
	for i, g := range gs {
		want, slope := k.f(g), k.slope(g)
		if g < -1e3 {
			want, slope = 0, 0
		}
		if g > 1e3 {
			slope = 1
		}
		near := func(got, want float64) bool { return got == want || math.Abs(got-want) <= 1e-6*math.Abs(want)+1e-12 }
		if !near(acts[i], want) || !near(ups[i], want) {
			c.Errorf("f(%g) = %g, backward %g, want %g", g, acts[i], ups[i], want)
		}
		if !math.IsInf(g, 0) && !(math.Abs(slopes[i]-slope) <= 1e-6) {
			c.Errorf("f'(%g) = %g, want %g", g, slopes[i], slope)
		}
	}
	nan := c.new("gate", tensor.F32, []float64{math.NaN(), 1, 1}, 1, 3)
	up := c.new("up", tensor.F32, []float64{1, math.NaN(), 1}, 1, 3)
	out := c.like("act", tensor.F32, 1, 3)
	k.forward(c.D, out, nan, up)
	c.close(out, []float64{math.NaN(), math.NaN(), k.f(1)}, 1e-6)
	k.backward(c.D, nan, out, c.new("dact", tensor.F32, []float64{1, 1, 1}, 1, 3), nan, up)
	c.close(nan, []float64{math.NaN(), math.NaN(), k.slope(1)}, 1e-6)
	c.close(out, []float64{math.NaN(), k.f(1), k.f(1)}, 1e-6)
}
