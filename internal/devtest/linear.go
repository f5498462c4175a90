package devtest

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/rng"
	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"MatMul", func(c *C) { linearSizes(c, matMul) }},
	{"MatMulBackwardInput", func(c *C) { linearSizes(c, matMulBackwardInput) }},
	{"OuterAdd", func(c *C) { linearSizes(c, outerAdd) }},
	{"OuterUpdateExact", outerUpdateExact},
	{"OuterUpdateNaN", func(c *C) { outerUpdateBad(c, tensor.F32, math.NaN(), 1) }},
	{"OuterUpdateInf", func(c *C) { outerUpdateBad(c, tensor.F32, 1, math.Inf(-1)) }},
	{"OuterUpdateOverflow", func(c *C) { outerUpdateBad(c, tensor.F32, 1e30, 1e30) }},
	{"OuterUpdateNaNBF16", func(c *C) { outerUpdateBad(c, tensor.BF16, 1, math.NaN()) }},
	{"OuterUpdateOverflowBF16", func(c *C) { outerUpdateBad(c, tensor.BF16, -1e30, 1e30) }},
	{"OuterUpdateLargeButFinite", outerUpdateLarge},
	{"MatMulNaN", matMulNaN},
})

// linear is one size of a layer: N rows, In and Out features.
type linear struct{ n, in, out int }

// tolSum is for sums of products in float32: measured errors stay below a quarter of it at these sizes.
const tolSum = 2e-6

// linearSizes runs f around the widths of vectors and the sizes of tiles, in all combinations of dtypes once.
func linearSizes(c *C, f func(c *C, s linear, dx, dw, dy tensor.DType, acc bool)) {
	types := []tensor.DType{tensor.F32, tensor.BF16}
	for i, s := range pick(c, []linear{{1, 1, 1}, {1, 64, 33}, {3, 7, 5}, {8, 33, 40}, {9, 17, 31}, {6, 16, 16}, {13, 32, 48}, {2, 300, 3},
		{65, 50, 70}, {97, 129, 66}, {130, 257, 61}, {31, 515, 200}, {300, 20, 17}, {1030, 9, 20}, {5, 18, 530}, {3, 2600, 5}, {1, 4500, 37}, {130, 136, 72}},
		[]linear{{1, 1, 1}, {1, 64, 33}, {3, 7, 5}, {13, 32, 48}, {65, 50, 70}, {5, 18, 130}, {31, 259, 66}, {130, 136, 72}}) { // the last: whole tiles, all BF16
		c.release(func() { f(c, s, types[i&1], types[i>>1&1], types[i>>2&1], i%3 == 0) })
		c.release(func() { f(c, s, types[1-i&1], types[1-i>>1&1], types[1-i>>2&1], i%3 != 0) })
	}
}

func matMul(c *C, s linear, dx, dw, dy tensor.DType, acc bool) {
	x, xs := c.noise("x", dx, 1, s.n, s.in)
	w, ws := c.noise("w", dw, 1, s.out, s.in)
	y, ys := c.noise("y", dy, 1, s.n, s.out)
	c.D.MatMul(y, x, w, acc)
	c.close(y, added(ys, acc, func(i int) float64 {
		r, o := i/s.out, i%s.out
		return sum(s.in, func(k int) float64 { return xs[r*s.in+k] * ws[o*s.in+k] })
	}), tolSum)
}

func matMulBackwardInput(c *C, s linear, dx, dw, dy tensor.DType, acc bool) {
	x, xs := c.noise("dx", dx, 1, s.n, s.in)
	w, ws := c.noise("w", dw, 1, s.out, s.in)
	y, ys := c.noise("dy", dy, 1, s.n, s.out)
	c.D.MatMulBackwardInput(x, y, w, acc)
	c.close(x, added(xs, acc, func(i int) float64 {
		r, j := i/s.in, i%s.in
		return sum(s.out, func(k int) float64 { return ys[r*s.out+k] * ws[k*s.in+j] })
	}), tolSum)
}

// outerAdd checks OuterAdd, and OuterSumSq, which must be the sum of its squares.
func outerAdd(c *C, s linear, dx, _, dy tensor.DType, acc bool) {
	x, xs := c.noise("x", dx, 1, s.n, s.in)
	y, ys := c.noise("dy", dy, 1, s.n, s.out)
	g, gs := c.noise("g", tensor.F32, 1, s.out, s.in)
	product := outerProduct(s, ys, xs)
	c.D.OuterAdd(g, y, x, acc)
	c.close(g, added(gs, acc, func(i int) float64 { return product[i] }), tolSum)
	total := c.scalar(3)
	c.D.OuterSumSq(total, y, x)
	c.close(total, []float64{3 + sumSquares(product)}, tolSum)
}

func outerProduct(s linear, dy, x []float64) []float64 {
	return mapped(s.out*s.in, func(i int) float64 {
		o, j := i/s.in, i%s.in
		return sum(s.n, func(k int) float64 { return dy[k*s.out+o] * x[k*s.in+j] })
	})
}

func added(old []float64, acc bool, f func(i int) float64) []float64 {
	return mapped(len(old), func(i int) float64 {
		if acc {
			return old[i] + f(i)
		}
		return f(i)
	})
}

// outerUpdateExact uses small integers and powers of two, so that every float32 result is exact in any order of summation, and only
// the last rounding remains: it must take the noise of the element's global index.
func outerUpdateExact(c *C) {
	for i, s := range []linear{{1, 1, 1}, {5, 9, 7}, {3, 65, 50}, {40, 70, 130}, {20, 600, 9}} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			for _, round := range []device.Rounding{device.Nearest, device.Stochastic} {
				c.release(func() {
					step := device.Step{LR: 1.0 / 1024, Scale: 0.5, Round: round, Seed: 7, Number: 3, Tensor: 11, Base: int64(i * 5)}
					outerUpdateOne(c, s, dt, step)
				})
			}
		}
	}
}

func outerUpdateOne(c *C, s linear, dt tensor.DType, step device.Step) {
	small := func(name string, shape ...int) (tensor.Tensor, []float64) {
		vals := mapped(shape[0]*shape[1], func(int) float64 { return float64(c.rnd.IntN(9) - 4) })
		return c.new(name, tensor.BF16, vals, shape...), vals
	}
	x, xs := small("x", s.n, s.in)
	y, ys := small("dy", s.n, s.out)
	w := c.new("w", dt, mapped(s.in*s.out, func(int) float64 { return float64(c.rnd.IntN(255)-127) / 64 }), s.out, s.in)
	ws := c.get(w)
	g := outerProduct(s, ys, xs)
	sumSq := c.scalar(1)
	step.SumSq = sumSq
	c.D.OuterUpdate(w, y, x, step)
	c.sync()
	c.equal(w, mapped(len(ws), func(i int) float64 {
		return rounded(float32(ws[i]-float64(step.LR)*float64(step.Scale)*g[i]), dt, step, i)
	}))
	c.equal(sumSq, []float64{1 + sumSquares(g)})
}

// rounded is a float32 result as it must be stored at element i.
func rounded(v float32, dt tensor.DType, s device.Step, i int) float64 {
	switch {
	case dt == tensor.F32:
		return float64(v)
	case s.Round == device.Nearest:
		return float64(tensor.BF16ToF32(tensor.F32ToBF16(v)))
	}
	n := uint64(s.Base) + uint64(i)
	draws := rng.Uint16x8(s.Seed, rng.Rounding, s.Tensor, s.Number, n/8)
	return float64(tensor.BF16ToF32(tensor.F32ToBF16Stochastic(v, draws[n%8])))
}

// outerUpdateBad: one bad element anywhere, in the factors or only in their product, and nothing is written.
func outerUpdateBad(c *C, dt tensor.DType, badY, badX float64) {
	s := linear{70, 40, 130}
	_, xs := c.noise("x", tensor.F32, 1, s.n, s.in)
	_, ys := c.noise("dy", tensor.F32, 1, s.n, s.out)
	w, ws := c.noise("w", tensor.BF16, 1, s.out, s.in)
	xs[5*s.in+3], ys[5*s.out+s.out-1] = badX, badY
	x, y := c.new("x", dt, xs, s.n, s.in), c.new("dy", dt, ys, s.n, s.out)
	c.D.OuterUpdate(w, y, x, device.Step{LR: 1})
	c.wantNonFinite("w")
	c.equal(w, ws)
	c.D.Zero(w) // skipped: the failure sticks
	c.equal(w, ws)
}

// outerUpdateLarge has factors whose bound does not prove the product finite, though it is.
func outerUpdateLarge(c *C) {
	dy := c.new("dy", tensor.F32, []float64{1e30, 0, 0, 1}, 2, 2)
	x := c.new("x", tensor.F32, []float64{1, 2, 1e20, 4}, 2, 2)
	w := c.new("w", tensor.F32, make([]float64, 4), 2, 2)
	c.D.OuterUpdate(w, dy, x, device.Step{LR: 1})
	c.close(w, []float64{-1e30, -2e30, -1e20, -4}, tolSum)
}

// matMulNaN: a NaN reaches the elements that depend on it and no other; padding must not spread it.
func matMulNaN(c *C) {
	for _, n := range []int{2, 13} {
		c.release(func() {
			in, out := 19, 21
			xs := mapped(n*in, func(int) float64 { return 1 })
			ws := mapped(out*in, func(int) float64 { return 1 })
			xs[in+in-1], ws[(out-1)*in] = math.NaN(), math.Inf(1)
			x, w, y := c.new("x", tensor.BF16, xs, n, in), c.new("w", tensor.BF16, ws, out, in), c.like("y", tensor.F32, n, out)
			c.D.MatMul(y, x, w, false)
			c.close(y, mapped(n*out, func(i int) float64 {
				switch {
				case i/out == 1:
					return math.NaN()
				case i%out == out-1:
					return math.Inf(1)
				}
				return float64(in)
			}), 0)
		})
	}
}
