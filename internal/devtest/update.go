package devtest

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"Update", update},
	{"UpdateNaN", func(c *C) { updateBad(c, math.NaN()) }},
	{"UpdateInf", func(c *C) { updateBad(c, math.Inf(1)) }},
	{"UpdateSlices", updateSlices},
	{"StochasticMean", stochasticMean},
	{"SumSq", sumSq},
	{"AbsMax", absMax},
	{"ClipCoef", clipCoef},
})

// lomo is LOMO's update in float64 (algorithms.md 1), before rounding.
func lomo(w, g float64, s device.Step, coef float64) float64 {
	return decayed(w, s) - float64(s.LR)*seen(g, s, coef)
}

func decayed(w float64, s device.Step) float64 { return w * (1 - float64(s.LR)*float64(s.Decay)) }

// seen is the gradient an optimizer sees: scaled, clamped, then multiplied by the norm's coefficient.
func seen(g float64, s device.Step, coef float64) float64 {
	if s.Scale != 0 {
		g *= float64(s.Scale)
	}
	if s.Clip > 0 {
		g = min(max(g, -float64(s.Clip)), float64(s.Clip))
	}
	return g * coef
}

// steps are the options of an update, each turned on alone and all together (Small: none and all).
func (c *C) steps() []device.Step {
	half := c.new("coef", tensor.F32, []float64{0.5}, 1)
	steps := []device.Step{
		{LR: 0.1},
		{LR: 0.1, Decay: 0.5},
		{LR: 0.1, Clip: 0.75},
		{LR: 0.1, Scale: 0.25},
		{LR: 0.1, Coef: half},
		{LR: 0.1, Decay: 0.1, Clip: 0.5, Scale: 2, Coef: half},
	}
	return pick(c, steps, []device.Step{steps[0], steps[5]})
}

func coefOf(s device.Step) float64 {
	if s.Coef.IsZero() {
		return 1
	}
	return 0.5
}

func update(c *C) {
	c.both(func(dt tensor.DType) {
		for _, s := range c.steps() {
			for _, n := range []int{1, 7, 33, pick(c, 40000, 4104)} {
				c.release(func() {
					w, ws := c.noise("w", dt, 1, n)
					g, gs := c.noise("g", tensor.F32, 1, n)
					s.SumSq = c.scalar(2)
					c.D.Update(w, g, s)
					c.close(w, mapped(n, func(i int) float64 { return lomo(ws[i], gs[i], s, coefOf(s)) }), 3e-7)
					c.close(s.SumSq, []float64{2 + sumSquares(gs)}, 1e-12)
				})
			}
		}
	})
}

// updateBad: the last element is not finite, and the first must not move either.
func updateBad(c *C, bad float64) {
	n := pick(c, 70000, 9000)
	w, ws := c.noise("w", tensor.BF16, 1, n)
	_, gs := c.noise("g", tensor.F32, 1, n)
	gs[n-1] = bad
	c.D.Update(w, c.new("g", tensor.F32, gs, n), device.Step{LR: 1})
	c.wantNonFinite("w")
	c.equal(w, ws)
}

// updateSlices: updating a matrix in slices of rows, each with its Base, gives the bits of updating it at once.
func updateSlices(c *C) {
	const rows, cols = 23, 37
	_, ws := c.noise("w", tensor.BF16, 1, rows, cols)
	g, _ := c.noise("g", tensor.F32, 1e-3, rows, cols)
	whole, parts := c.new("whole", tensor.BF16, ws, rows, cols), c.new("parts", tensor.BF16, ws, rows, cols)
	s := device.Step{LR: 0.7, Round: device.Stochastic, Seed: 99, Number: 4, Tensor: 5}
	c.D.Update(whole, g, s)
	for r := 0; r < rows; r += 5 {
		end := min(rows, r+5)
		s.Base = int64(r * cols)
		c.D.Update(parts.Slice(r, end), g.Slice(r, end), s)
	}
	c.sync()
	c.equal(parts, c.get(whole))
}

// stochasticMean: rounding 1 + 0.3 ulp up and down gives 1 + 0.3 ulp on average. With 2¹⁶ draws the mean's standard
// deviation is 0.0018 ulp; the bound is 5 of them.
func stochasticMean(c *C) {
	const n, ulp = 1 << 16, 1.0 / 128
	w := c.new("w", tensor.BF16, mapped(n, func(int) float64 { return 1 }), n)
	g := c.new("g", tensor.F32, mapped(n, func(int) float64 { return -0.3 * ulp }), n)
	c.D.Update(w, g, device.Step{LR: 1, Round: device.Stochastic, Seed: 1, Number: 1})
	c.sync()
	got := c.get(w)
	mean := sum(n, func(i int) float64 { return (got[i] - 1) / ulp / n })
	if math.Abs(mean-0.3) > 0.009 {
		c.Fatalf("mean of the rounded weights is 1 + %g ulp, want 0.3", mean)
	}
}

func sumSq(c *C) {
	c.both(func(dt tensor.DType) {
		for _, n := range []int{1, 9, 31, pick(c, 100001, 20001)} {
			c.release(func() {
				g, gs := c.noise("g", dt, 3, n)
				s, plain := c.scalar(5), c.scalar(-1)
				c.D.SumSq(s, g)
				c.close(s, []float64{5 + sumSquares(gs)}, 1e-12)
				if dt == tensor.F32 {
					c.D.Sum(plain, g)
					c.close(plain, []float64{-1 + sum(n, func(i int) float64 { return gs[i] })}, 1e-11)
				}
			})
		}
	})
}

func absMax(c *C) {
	c.both(func(dt tensor.DType) {
		for _, n := range []int{1, 8, 17, pick(c, 66000, 6600)} {
			for _, extra := range []float64{0, -7e4, math.Inf(-1), math.NaN()} {
				c.release(func() {
					_, xs := c.noise("x", dt, 1, n)
					xs[n/2] = extra
					x, out := c.new("x", dt, xs, n), c.like("out", tensor.F32, 1)
					xs = c.get(x)
					want := 0.0
					for _, v := range xs {
						want = max(want, math.Abs(v))
					}
					c.D.AbsMax(out, x)
					c.equal(out, []float64{want})
				})
			}
		}
	})
}

func clipCoef(c *C) {
	for _, k := range []struct{ sumSq, maxNorm, scale, want float64 }{
		{4, 1, 1, 0.5}, {4, 3, 1, 1}, {16, 1, 0.5, 0.5}, {0, 1, 1, 1}, {64, 1, 1, 0.125},
	} {
		c.release(func() {
			out := c.like("coef", tensor.F32, 1)
			c.D.ClipCoef(out, c.scalar(k.sumSq), float32(k.maxNorm), float32(k.scale))
			c.close(out, []float64{k.want}, 1e-6)
		})
	}
}
