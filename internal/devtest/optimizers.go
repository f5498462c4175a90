package devtest

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"AdamW", adamW},
	{"AdamWInf", adamWInf},
	{"SGD", sgd},
})

// adamW compares three steps with torch's formula in float64 (algorithms.md 11), with and without float32 master weights.
func adamW(c *C) {
	for _, withMaster := range []bool{false, true} {
		c.both(func(dt tensor.DType) {
			for _, step := range c.steps() {
				c.release(func() { adamWOne(c, dt, withMaster, step) })
			}
		})
	}
}

func adamWOne(c *C, dt tensor.DType, withMaster bool, step device.Step) {
	const b1, b2, eps = 0.75, 0.875, 1e-3
	n := pick(c, 2100, 531)
	w, ws := c.noise("w", dt, 1, n)
	m, v := c.new("m", tensor.F32, make([]float64, n), n), c.new("v", tensor.F32, make([]float64, n), n)
	ms, vs := make([]float64, n), make([]float64, n)
	var master tensor.Tensor
	if withMaster {
		master = c.new("master", tensor.F32, ws, n)
	}
	for t := 1; t <= 3; t++ {
		g, gs := c.noise("g", tensor.F32, 1, n)
		c.D.AdamW(w, m, v, master, g, device.AdamW{Beta1: b1, Beta2: b2, Eps: eps, T: t}, step)
		for i := range ws {
			h := seen(gs[i], step, coefOf(step))
			ms[i] += (1 - b1) * (h - ms[i])
			vs[i] = b2*vs[i] + (1-b2)*h*h
			root := math.Sqrt(vs[i])/math.Sqrt(1-math.Pow(b2, float64(t))) + eps
			ws[i] = decayed(ws[i], step) - float64(step.LR)/(1-math.Pow(b1, float64(t)))*ms[i]/root
		}
		c.close(w, ws, 2e-6)
		c.close(m, ms, 2e-6)
		c.close(v, vs, 2e-6)
		if withMaster {
			c.close(master, ws, 2e-6)
		} else {
			ws = c.get(w)
		}
	}
}

func adamWInf(c *C) {
	w, ws := c.noise("w", tensor.BF16, 1, 20)
	m, ms := c.noise("m", tensor.F32, 1, 20)
	v := c.new("v", tensor.F32, make([]float64, 20), 20)
	gs := make([]float64, 20)
	gs[19] = math.Inf(1)
	c.D.AdamW(w, m, v, tensor.Tensor{}, c.new("g", tensor.F32, gs, 20), device.AdamW{Beta1: .9, Beta2: .99, Eps: 1e-8, T: 1}, device.Step{LR: 1})
	c.wantNonFinite("w")
	c.equal(w, ws)
	c.equal(m, ms)
}

func sgd(c *C) {
	for _, nesterov := range []bool{false, true} {
		c.both(func(dt tensor.DType) {
			for _, step := range c.steps() {
				c.release(func() { sgdOne(c, dt, nesterov, step) })
			}
		})
	}
}

func sgdOne(c *C, dt tensor.DType, nesterov bool, step device.Step) {
	const mu, damp = 0.75, 0.25
	n := pick(c, 2100, 531)
	w, ws := c.noise("w", dt, 1, n)
	buf, bs := c.noise("buf", tensor.F32, 1, n) // the first step overwrites it
	for t := range 3 {
		g, gs := c.noise("g", tensor.F32, 1, n)
		c.D.SGD(w, buf, g, device.Momentum{Momentum: mu, Dampening: damp, Nesterov: nesterov, First: t == 0}, step)
		for i := range ws {
			h := seen(gs[i], step, coefOf(step)) + float64(step.Decay)*ws[i]
			if t == 0 {
				bs[i] = h
			} else {
				bs[i] = mu*bs[i] + (1-damp)*h
			}
			if nesterov {
				h += mu * bs[i]
			} else {
				h = bs[i]
			}
			ws[i] -= float64(step.LR) * h
		}
		c.close(w, ws, 2e-6)
		c.close(buf, bs, 2e-6)
		ws = c.get(w)
	}
}
