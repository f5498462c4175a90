package devtest

import (
	"math"

	"lomo/internal/tensor"
)

var lossCases = []testCase{{"Softmax", softmaxLoss}, {"SoftmaxExtremes", softmaxExtremes}}

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
		z := blockOf(v0)
		n := z.Cols()
		want := mapped(rows*n, func(i int) float64 {
			r, col := i/n, v0+i%n
			p := math.Exp(zs[r*v+col] - wantLSE[r])
			if col == target[r] {
				p--
			}
			return p * scale
		})
		half := c.like("dz", tensor.BF16, rows, n)
		c.D.SoftmaxGrad(half, z, lse, targets, v0, scale)
		c.close(half, want, 5e-6)
		other := c.like("dz", tensor.F32, rows, n)
		c.D.SoftmaxGrad(other, blockOf(v0), lse, targets, v0, scale)
		c.close(other, want, 5e-6)
		z = blockOf(v0)
		c.D.SoftmaxGrad(z, z, lse, targets, v0, scale)
		c.close(z, want, 5e-6)
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
