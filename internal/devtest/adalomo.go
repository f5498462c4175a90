package devtest

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"AdaLomoMatrix", adaLomoMatrix},
	{"AdaLomoMatrixZeroGradient", adaLomoZero},
	{"AdaLomoSlices", adaLomoSlices},
	{"AdaLomoMatrixNaN", adaLomoNaN},
	{"AdaLomoVector", adaLomoVector},
})

const (
	adaBeta = 0.4
	adaEps1 = 1e-30
	adaEps2 = 1e-3
	adaD    = 1.0
)

// adaMatrix is one step of AdaLomo for a matrix in float64 (algorithms.md 2), from the gradient h; it changes w, r and c.
func adaMatrix(w, h, r, c []float64, lr, decay float64) {
	m, n := len(r), len(c)
	q := func(i, j int) float64 { return h[i*n+j]*h[i*n+j] + adaEps1 }
	for i := range r {
		r[i] = adaBeta*r[i] + (1-adaBeta)*sum(n, func(j int) float64 { return q(i, j) })/float64(n)
	}
	for j := range c {
		c[j] = adaBeta*c[j] + (1-adaBeta)*sum(m, func(i int) float64 { return q(i, j) })/float64(m)
	}
	mean := sum(m, func(i int) float64 { return r[i] }) / float64(m)
	adaApply(w, mapped(m*n, func(i int) float64 {
		if h[i] == 0 {
			return 0
		}
		return h[i] / math.Sqrt(r[i/n]/mean) / math.Sqrt(c[i%n])
	}), lr, decay)
}

func adaApply(w, u []float64, lr, decay float64) {
	rms := func(x []float64) float64 { return math.Sqrt(sumSquares(x) / float64(len(x))) }
	a := lr * max(adaEps2, rms(w))
	norm := max(1, rms(u)/adaD)
	for i := range w {
		w[i] = w[i]*(1-a*decay) - a*u[i]/norm
	}
}

func adaLomoMatrix(c *C) {
	type shape struct{ m, n int }
	for _, s := range pick(c, []shape{{1, 1}, {3, 7}, {40, 33}, {9, 2100}, {130, 70}}, []shape{{1, 1}, {3, 7}, {40, 33}, {2, 2104}, {130, 16}}) {
		c.both(func(dt tensor.DType) {
			for _, step := range c.steps() {
				c.release(func() {
					w, ws := c.noise("w", dt, 1, s.m, s.n)
					g, gs := c.noise("g", tensor.F32, 1, s.m, s.n)
					adaLomoRun(c, w, g, ws, gs, step)
				})
			}
		})
	}
}

// adaLomoRun takes two steps, so that the averages are not those of the first.
func adaLomoRun(c *C, w, g tensor.Tensor, ws, gs []float64, step device.Step) {
	m, n := g.Shape[0], g.Shape[1]
	r, cc := c.new("r", tensor.F32, make([]float64, m), m), c.new("c", tensor.F32, make([]float64, n), n)
	rows, cols, stats := c.like("rows", tensor.F32, m), c.like("cols", tensor.F32, n), c.like("stats", tensor.F64, 4)
	rs, cs := make([]float64, m), make([]float64, n)
	h := mapped(len(gs), func(i int) float64 { return seen(gs[i], step, coefOf(step)) })
	for range 2 {
		c.D.FactorSums(rows, cols, stats, w, g, adaEps1, step)
		c.D.FactorEMA(r, cc, stats, rows, cols, adaBeta, m)
		c.D.FactorNorm(stats, g, r, cc, step)
		c.D.FactorUpdate(w, g, r, cc, stats, adaEps2, adaD, step)
		adaMatrix(ws, h, rs, cs, float64(step.LR), float64(step.Decay))
		c.close(r, rs, 2e-6)
		c.close(cc, cs, 2e-6)
		c.close(w, ws, 2e-6)
		ws = c.get(w) // a BF16 weight goes on from where it was rounded to
	}
}

// adaLomoSlices: two slices of the rows, their sums added where device.Device says, move the weights as the whole matrix does.
func adaLomoSlices(c *C) {
	const m, n, cut = 13, 37, 5
	c.release(func() {
		step := device.Step{LR: 0.1, Decay: 0.01}
		whole, ws := c.noise("whole", tensor.F32, 1, m, n)
		g, gs := c.noise("g", tensor.F32, 1, m, n)
		adaLomoRun(c, whole, g, append([]float64(nil), ws...), gs, step)
		parts := c.new("parts", tensor.F32, ws, m, n)
		bounds := [2][2]int{{0, cut}, {cut, m}}
		var rows, cols, stats, r, cc [2]tensor.Tensor
		for i, b := range bounds {
			rows[i], r[i] = c.like("rows", tensor.F32, b[1]-b[0]), c.new("r", tensor.F32, make([]float64, b[1]-b[0]), b[1]-b[0])
			cols[i], cc[i] = c.like("cols", tensor.F32, n), c.new("c", tensor.F32, make([]float64, n), n)
			stats[i] = c.like("stats", tensor.F64, 4)
		}
		each := func(f func(i int, w, g tensor.Tensor)) {
			for i, b := range bounds {
				f(i, parts.Slice(b[0], b[1]), g.Slice(b[0], b[1]))
			}
		}
		share := func(t [2]tensor.Tensor, lo, hi int) { // both slices get the sum
			a, b := c.get(t[0].Slice(lo, hi)), c.get(t[1].Slice(lo, hi))
			for i := range a {
				a[i] += b[i]
			}
			for i := range t {
				c.D.Copy(t[i].Slice(lo, hi), c.new("sum", t[i].DType, a, hi-lo))
			}
		}
		for range 2 {
			each(func(i int, w, g tensor.Tensor) { c.D.FactorSums(rows[i], cols[i], stats[i], w, g, adaEps1, step) })
			share(cols, 0, n)
			share(stats, 0, 1)
			each(func(i int, _, _ tensor.Tensor) { c.D.FactorEMA(r[i], cc[i], stats[i], rows[i], cols[i], adaBeta, m) })
			share(stats, 1, 2)
			each(func(i int, _, g tensor.Tensor) { c.D.FactorNorm(stats[i], g, r[i], cc[i], step) })
			share(stats, 2, 3)
			each(func(i int, w, g tensor.Tensor) {
				c.D.FactorUpdate(w, g, r[i], cc[i], stats[i], adaEps2, adaD, step)
			})
		}
		c.close(parts, c.get(whole), 2e-6)
	})
}

// adaLomoZero: rows and columns without a gradient do not move and do not become NaN, nor does a matrix with none at all. With large
// gradients elsewhere the factors of what is zero multiply to infinity.
func adaLomoZero(c *C) {
	for _, size := range []float64{1, 0, 1e11} {
		c.release(func() {
			const m, n = 5, 9
			w, ws := c.noise("w", tensor.F32, 1, m, n)
			_, gs := c.noise("g", tensor.F32, size, m, n)
			for i := range gs {
				if i/n == 2 || i%n == 3 {
					gs[i] = 0
				}
			}
			g := c.new("g", tensor.F32, gs, m, n)
			before := append([]float64(nil), ws[2*n:3*n]...)
			adaLomoRun(c, w, g, ws, gs, device.Step{LR: 0.1})
			c.equal(w.Slice(2, 3), before)
		})
	}
}

func adaLomoNaN(c *C) {
	w, ws := c.noise("w", tensor.F32, 1, 3, 5)
	gs := make([]float64, 15)
	gs[14] = math.NaN()
	rows, cols, stats := c.new("rows", tensor.F32, make([]float64, 3), 3), c.new("cols", tensor.F32, make([]float64, 5), 5), c.new("stats", tensor.F64, make([]float64, 4), 4)
	r, cc := c.new("r", tensor.F32, make([]float64, 3), 3), c.new("c", tensor.F32, make([]float64, 5), 5)
	g := c.new("g", tensor.F32, gs, 3, 5)
	c.D.FactorSums(rows, cols, stats, w, g, adaEps1, device.Step{})
	c.D.FactorEMA(r, cc, stats, rows, cols, adaBeta, 3)
	c.D.FactorUpdate(w, g, r, cc, stats, adaEps2, adaD, device.Step{LR: 1})
	c.wantNonFinite("w")
	c.equal(w, ws)
	c.equal(r, make([]float64, 3))
	c.equal(rows, make([]float64, 3))
}

func adaLomoVector(c *C) {
	c.both(func(dt tensor.DType) {
		for _, step := range c.steps() {
			for _, n := range []int{1, 33, pick(c, 3000, 1100)} {
				c.release(func() {
					w, ws := c.noise("w", dt, 1, n)
					g, gs := c.noise("g", tensor.F32, 1, n)
					v, vs := c.new("v", tensor.F32, make([]float64, n), n), make([]float64, n)
					stats := c.like("stats", tensor.F64, 4)
					for range 2 {
						c.D.VectorStats(v, stats, w, g, adaBeta, adaEps1, step)
						c.D.VectorUpdate(w, g, v, stats, adaEps2, adaD, step)
						u := mapped(n, func(i int) float64 {
							h := seen(gs[i], step, coefOf(step))
							vs[i] = adaBeta*vs[i] + (1-adaBeta)*(h*h+adaEps1)
							return h / math.Sqrt(vs[i])
						})
						adaApply(ws, u, float64(step.LR), float64(step.Decay))
						c.close(v, vs, 2e-6)
						c.close(w, ws, 2e-6)
						ws = c.get(w)
					}
				})
			}
		}
	})
}
