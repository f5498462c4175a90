package devtest

import (
	"math"

	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"AddRow", addRow},
	{"ColumnSum", columnSum},
	{"AddScaled", addScaled},
})

// pairs runs f for F32 and BF16, each with each.
func (c *C) pairs(f func(a, b tensor.DType)) {
	c.both(func(a tensor.DType) { c.both(func(b tensor.DType) { f(a, b) }) })
}

var rowShapes = []struct{ n, c int }{{1, 1}, {3, 7}, {4, 32}, {5, 33}, {150, 65}, {3, 2112}, {2, 4099}}

func addRow(c *C) {
	for _, s := range rowShapes {
		c.pairs(func(dy, db tensor.DType) {
			y, ys := c.noise("y", dy, 1, s.n, s.c)
			b, bs := c.noise("b", db, 1, s.c)
			c.D.AddRow(y, b)
			c.once(y, mapped(len(ys), func(i int) float64 { return ys[i] + bs[i%s.c] }))
		})
	}
}

func columnSum(c *C) {
	for _, s := range append(rowShapes, struct{ n, c int }{0, 9}, struct{ n, c int }{pick(c, 5000, 333), 3}) {
		c.both(func(dt tensor.DType) {
			dy, dys := c.noise("dy", dt, 1, s.n, s.c)
			db, dbs := c.noise("db", tensor.F32, 1, s.c)
			want := func(j int) float64 { return sum(s.n, func(i int) float64 { return dys[i*s.c+j] }) }
			c.D.ColumnSum(db, dy, true)
			c.close(db, added(dbs, true, want), 2e-6)
			c.D.ColumnSum(db, dy, false)
			c.close(db, added(dbs, false, want), 2e-6)
		})
	}
	inf := math.Inf(1)
	dy := c.new("dy", tensor.F32, []float64{1, inf, inf, math.NaN(), 2, 3, -inf, 4}, 2, 4)
	db := c.like("db", tensor.F32, 4)
	c.D.ColumnSum(db, dy, false)
	c.close(db, []float64{3, inf, math.NaN(), math.NaN()}, 1e-6)
}

func addScaled(c *C) {
	for _, n := range []int{1, 7, 32, 33, pick(c, 20011, 2059)} {
		for _, a := range []float64{0.22, -1, 1} {
			a = float64(float32(a))
			c.pairs(func(dy, dx tensor.DType) {
				y, ys := c.noise("y", dy, 1, n)
				x, xs := c.noise("x", dx, 1, n)
				c.D.AddScaled(y, x, float32(a))
				c.once(y, mapped(n, func(i int) float64 { return ys[i] + float64(float32(a*xs[i])) }))
			})
		}
	}
	inf := math.Inf(1)
	y := c.new("y", tensor.F32, []float64{inf, inf, 1, math.NaN(), 3e38}, 5)
	x := c.new("x", tensor.F32, []float64{1, -inf, inf, 1, 3e38}, 5)
	c.D.AddScaled(y, x, 1)
	c.close(y, []float64{inf, math.NaN(), inf, math.NaN(), inf}, 1e-6)
}

// once wants exactly what float32 rounds want to, and BF16 that: sums of two numbers leave no freedom.
func (c *C) once(t tensor.Tensor, want []float64) {
	c.Helper()
	c.sync()
	c.equal(t, mapped(len(want), func(i int) float64 {
		w := float32(want[i])
		if t.DType == tensor.BF16 {
			w = tensor.BF16ToF32(tensor.F32ToBF16(w))
		}
		return float64(w)
	}))
}
