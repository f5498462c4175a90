package devtest

import (
	"math"
	"slices"

	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"Route", route},
	{"SumRows", sumRows},
	{"ScaleRows", scaleRows},
	{"RowDots", rowDots},
})

var routes = []struct{ n, experts, k int }{{1, 1, 1}, {5, 3, 3}, {17, 8, 2}, {9, 33, 5}, {150, 128, 8}}

// route: the choice and its gradient, both ways of weighing; then equal logits, and values that are no numbers.
func route(c *C) {
	for _, s := range routes {
		for _, renorm := range []bool{false, true} {
			c.release(func() {
				z, zs := c.noise("z", tensor.F32, 2, s.n, s.experts)
				w, ids := c.like("w", tensor.F32, s.n, s.k), c.ints("ids", make([]int, s.n*s.k), s.n, s.k)
				c.D.Route(w, ids, z, renorm)
				var ps, ws []float64
				var want []float64
				for i := range s.n {
					p, best := softmax(zs[i*s.experts:][:s.experts]), greatest(zs[i*s.experts:][:s.experts], s.k)
					ps = append(ps, p...)
					total := 1.0
					if renorm {
						total = sum(s.k, func(j int) float64 { return p[best[j]] })
					}
					for _, e := range best {
						want, ws = append(want, float64(e)), append(ws, p[e]/total)
					}
				}
				c.close(z, ps, 2e-6)
				c.equal(ids, want)
				c.close(w, ws, 2e-6)
				dw, dws := c.noise("dw", tensor.F32, 1, s.n, s.k)
				dz := c.like("dz", tensor.F32, s.n, s.experts)
				dzs := make([]float64, s.n*s.experts)
				for i := range s.n {
					// d w_j / d z_e is w_j·([e is chosen as j] − q_e), q the softmax that the weights are of.
					for j := range s.k {
						g := dws[i*s.k+j] * ws[i*s.k+j]
						dzs[i*s.experts+int(want[i*s.k+j])] += g
						for e := range s.experts {
							q := ps[i*s.experts+e]
							if renorm {
								q = 0
								if at := slices.Index(want[i*s.k:][:s.k], float64(e)); at >= 0 {
									q = ws[i*s.k+at]
								}
							}
							dzs[i*s.experts+e] -= g * q
						}
					}
				}
				c.D.RouteBackward(dz, dw, w, ids, z, renorm)
				c.close(dz, dzs, 5e-6)
				c.D.RouteBackward(z, dw, w, ids, z, renorm)
				c.equal(z, c.get(dz))
			})
		}
	}
	inf, nan := math.Inf(1), math.NaN()
	z := c.new("z", tensor.F32, []float64{0, 1, 1, 0, nan, nan, nan, nan, 1, nan, 2, 3, inf, 0, inf, 1}, 4, 4)
	w, ids := c.like("w", tensor.F32, 4, 2), c.ints("ids", make([]int, 8), 4, 2)
	c.D.Route(w, ids, z, true)
	c.sync()
	got := c.get(ids)
	if got[0] != 1 || got[1] != 2 {
		c.Errorf("of equal logits %v are chosen, want the lower number first", got[:2])
	}
	for i := range 4 {
		if a, b := got[2*i], got[2*i+1]; a == b || a < 0 || b < 0 || a > 3 || b > 3 {
			c.Errorf("row %d: experts %v and %v of 4", i, a, b)
		}
	}
	for i, v := range c.get(w)[2:] {
		if !math.IsNaN(v) {
			c.Errorf("weight %d of rows that are no numbers is %v", i, v)
		}
	}
}

func softmax(z []float64) []float64 {
	top, total := slices.Max(z), 0.0
	p := make([]float64, len(z))
	for i, v := range z {
		p[i] = math.Exp(v - top)
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
	return p
}

// greatest is the places of the k greatest.
func greatest(z []float64, k int) []int {
	all := make([]int, len(z))
	for i := range all {
		all[i] = i
	}
	slices.SortStableFunc(all, func(a, b int) int {
		switch {
		case z[a] > z[b]:
			return -1
		case z[a] < z[b]:
			return 1
		}
		return 0
	})
	return all[:k]
}

var sortedRows = []struct{ n, k, c int }{{1, 1, 1}, {3, 2, 7}, {20, 3, 32}, {7, 8, 65}, {2, 2, 2112}}

func sumRows(c *C) {
	for _, s := range sortedRows {
		c.pairs(func(dy, dx tensor.DType) {
			y, ys := c.noise("y", dy, 1, s.n, s.c)
			x, xs := c.noise("x", dx, 1, s.n*s.k, s.c)
			at := c.rnd.Perm(s.n * s.k)
			want := func(i int) float64 {
				return sum(s.k, func(j int) float64 { return xs[at[i/s.c*s.k+j]*s.c+i%s.c] })
			}
			idx := c.ints("at", at, s.n, s.k)
			c.D.SumRows(y, x, idx, true)
			c.close(y, added(ys, true, want), 2e-6)
			c.D.SumRows(y, x, idx, false)
			c.close(y, added(ys, false, want), 2e-6)
		})
	}
}

func scaleRows(c *C) {
	for _, s := range sortedRows {
		c.pairs(func(dy, dx tensor.DType) {
			m := s.n * s.k
			w, ws := c.noise("w", tensor.F32, 1, s.n, s.k)
			x, xs := c.noise("x", dx, 1, m, s.c)
			at := c.rnd.Perm(m)
			idx, y := c.ints("at", at, m), c.like("y", dy, m, s.c)
			want := mapped(m*s.c, func(i int) float64 { return xs[i] * ws[at[i/s.c]] })
			c.D.ScaleRows(y, x, w, idx)
			c.close(y, want, 1e-6)
			c.D.ScaleRows(x, x, w, idx)
			c.close(x, want, 1e-6)
		})
	}
}

func rowDots(c *C) {
	for _, s := range sortedRows {
		c.pairs(func(da, db tensor.DType) {
			m := s.n * s.k
			a, as := c.noise("a", da, 1, m, s.c)
			b, bs := c.noise("b", db, 1, m, s.c)
			at := c.rnd.Perm(m)
			dw := c.like("dw", tensor.F32, s.n, s.k)
			want := make([]float64, m)
			for i, to := range at {
				want[to] = sum(s.c, func(j int) float64 { return as[i*s.c+j] * bs[i*s.c+j] })
			}
			c.D.RowDots(dw, a, b, c.ints("at", at, m))
			c.close(dw, want, 5e-6)
		})
	}
}
