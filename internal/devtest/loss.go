package devtest

import (
	"math"

	"lomo/internal/tensor"
)

var _ = register([]testCase{{"Softmax", softmaxLoss}, {"SoftmaxExtremes", softmaxExtremes}, {"SoftCap", softCap}})

// softmaxLoss runs the loss over vocabulary blocks and compares with the whole.
func softmaxLoss(c *C) {
	for _, s := range []struct{ rows, v, block int }{{1, 1, 1}, {5, 37, 10}, {33, 200, 64}, {3, 5003, 2600}} {
		c.release(func() { softmaxOne(c, s.rows, s.v, s.block) })
	}
}

func softmaxOne(c *C, rows, v, block int) {
	zs := mapped(rows*v, func(int) float64 { return float64(float32(c.rnd.NormFloat64() * 8)) })
	target := make([]int, rows)
	for i := range target {
		target[i] = c.rnd.IntN(v)
	}
	for i, at := range []int{v - 1, min(block, v) - 1, min(block, v-1)} { // the ends of blocks
		target[min(i, rows-1)] = at
	}
	targets, stats := c.ints("targets", target, rows), c.like("stats", tensor.F32, rows, 3)
	blockOf := func(v0 int) tensor.Tensor {
		n := min(block, v-v0)
		return c.new("z", tensor.F32, mapped(rows*n, func(i int) float64 { return zs[i/n*v+v0+i%n] }), rows, n)
	}
	for v0 := 0; v0 < v; v0 += block {
		c.D.SoftmaxStats(stats, blockOf(v0), targets, v0, v0 == 0)
	}
	loss, lse := c.like("loss", tensor.F32, rows), c.like("lse", tensor.F32, rows)
	c.D.SoftmaxLoss(loss, lse, stats)
	wantLSE := mapped(rows, func(i int) float64 { return logSumExp(zs[i*v : (i+1)*v]) })
	c.close(lse, wantLSE, 1e-6)
	c.close(loss, mapped(rows, func(i int) float64 { return wantLSE[i] - zs[i*v+target[i]] }), 1e-6)

	const scale = 0.25
	for v0 := 0; v0 < v; v0 += block {
		for _, limit := range []float64{0, 40} { // no logit comes near the limit: all are somebody's results of SoftCap
			n := min(block, v-v0)
			want := mapped(rows*n, func(i int) float64 {
				r, col := i/n, v0+i%n
				z := zs[r*v+col]
				p := math.Exp(z - wantLSE[r])
				if col == target[r] {
					p--
				}
				if limit > 0 {
					p *= capSlope(z, limit)
				}
				return p * scale
			})
			for _, dt := range []tensor.DType{tensor.BF16, tensor.F32} {
				dz := c.like("dz", dt, rows, n)
				c.D.SoftmaxGrad(dz, blockOf(v0), lse, targets, v0, scale, float32(limit))
				c.close(dz, want, 5e-6)
			}
			z := blockOf(v0)
			c.D.SoftmaxGrad(z, z, lse, targets, v0, scale, float32(limit))
			c.close(z, want, 5e-6)
		}
	}
}

func capped(z, limit float64) float64 { return limit * math.Tanh(z/limit) }

// capSlope is the derivative of capped, by its value.
func capSlope(z, limit float64) float64 { return 1 - z/limit*(z/limit) }

// softCap: small values keep their digits, large ones never leave the limit.
func softCap(c *C) {
	inf := math.Inf(1)
	extremes := []float64{0, 1e-30, -1e-6, 1e-3, 18.74, 18.76, -18.75, 1e4, -1e30, inf, -inf, math.NaN()}
	for _, n := range []int{1, 7, 33, pick(c, 20011, 2059)} {
		c.release(func() {
			z, zs := c.noise("z", tensor.F32, 20, 1, n)
			c.D.SoftCap(z, 30)
			c.close(z, mapped(n, func(i int) float64 { return capped(zs[i], 30) }), 5e-7)
		})
	}
	z := c.new("z", tensor.F32, extremes, len(extremes))
	given := c.get(z)
	c.D.SoftCap(z, 30)
	c.sync()
	for i, got := range c.get(z) {
		want := capped(given[i], 30)
		if !(math.Abs(got-want) <= 5e-7*math.Abs(want) && math.Abs(got) <= 30) && !(math.IsNaN(got) && math.IsNaN(want)) {
			c.Errorf("the cap 30 of %g is %g, want %g", given[i], got, want)
		}
	}
}

func logSumExp(z []float64) float64 {
	top := z[0]
	for _, v := range z {
		top = max(top, v)
	}
	return top + math.Log(sum(len(z), func(i int) float64 { return math.Exp(z[i] - top) }))
}

// softmaxExtremes: huge logits, a block of −Inf before the first finite one, and a NaN, which must be seen.
func softmaxExtremes(c *C) {
	inf := math.Inf(1)
	rows := [][]float64{{1e4, -1e4, 1e4, -3e38}, {-inf, -inf, 2, 1}, {1, 2, math.NaN(), 1}}
	targets := c.ints("targets", []int{0, 2, 0}, 3)
	stats, loss, lse := c.like("stats", tensor.F32, 3, 3), c.like("loss", tensor.F32, 3), c.like("lse", tensor.F32, 3)
	for v0 := 0; v0 < 4; v0 += 2 {
		z := c.new("z", tensor.F32, mapped(6, func(i int) float64 { return rows[i/2][v0+i%2] }), 3, 2)
		c.D.SoftmaxStats(stats, z, targets, v0, v0 == 0)
	}
	c.D.SoftmaxLoss(loss, lse, stats)
	c.close(loss, []float64{math.Log(2), math.Log(1 + math.Exp(-1)), math.NaN()}, 1e-3) // 1e4 + ln 2 keeps ten bits below the point
}
