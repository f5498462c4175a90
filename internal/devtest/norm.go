package devtest

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"RMSNorm", rmsNorm},
	{"RoPE", rope},
})

const normEps = 1e-5

// normRef is RMSNorm and its derivatives in float64, for x (n, c). The gain is w + one.
type normRef struct {
	n, c int
	x, w []float64
	one  float64
}

func (r *normRef) rstd(i int) float64 {
	return 1 / math.Sqrt(sumSquares(r.x[i*r.c:(i+1)*r.c])/float64(r.c)+normEps)
}

func (r *normRef) forward(i int) float64 { return (r.one + r.w[i%r.c]) * r.x[i] * r.rstd(i/r.c) }

// backward is dx and dw of Σ dy⊙y.
func (r *normRef) backward(dy []float64) (dx, dw []float64) {
	dx, dw = make([]float64, r.n*r.c), make([]float64, r.c)
	for i := range r.n {
		s := r.rstd(i)
		row := func(j int) (x, g float64) { return r.x[i*r.c+j] * s, dy[i*r.c+j] }
		mean := sum(r.c, func(j int) float64 { x, g := row(j); return g * (r.one + r.w[j]) * x }) / float64(r.c)
		for j := range r.c {
			x, g := row(j)
			dx[i*r.c+j] = s * (g*(r.one+r.w[j]) - x*mean)
			dw[j] += g * x
		}
	}
	return dx, dw
}

func rmsNorm(c *C) {
	for _, s := range rowShapes {
		for _, plusOne := range []bool{false, true} {
			c.both(func(dt tensor.DType) {
				rmsNormOne(c, s.n, s.c, dt, device.Norm{Eps: normEps, PlusOne: plusOne}, s.n%2 == 0)
			})
		}
	}
}

func rmsNormOne(c *C, n, cols int, dt tensor.DType, norm device.Norm, acc bool) {
	x, xs := c.noise("x", dt, 1, n, cols)
	w, ws := c.noise("w", dt, 1, cols)
	y, rstd := c.like("y", dt, n, cols), c.like("rstd", tensor.F32, n)
	r := normRef{n: n, c: cols, x: xs, w: ws}
	if norm.PlusOne {
		r.one = 1
	}
	c.D.RMSNorm(y, rstd, x, w, norm)
	c.close(y, mapped(n*cols, r.forward), 1e-6)
	c.close(rstd, mapped(n, r.rstd), 1e-6)

	dy, dys := c.noise("dy", dt, 1, n, cols)
	dx, dxs := c.noise("dx", tensor.F32, 1, n, cols)
	dw, dws := c.noise("dw", tensor.F32, 1, cols)
	wantX, wantW := r.backward(dys)
	c.D.RMSNormBackward(dx, dw, dy, x, w, rstd, norm, true, acc)
	c.close(dx, added(dxs, true, func(i int) float64 { return wantX[i] }), 2e-6)
	c.close(dw, added(dws, acc, func(i int) float64 { return wantW[i] }), 2e-6)

	dx, dxs = c.noise("dx", tensor.BF16, 1, n, cols) // the residual stream's gradient may be narrower than dy
	c.D.RMSNormBackward(dx, dw, dy, x, w, rstd, norm, true, false)
	c.close(dx, added(dxs, true, func(i int) float64 { return wantX[i] }), 2e-6)
	c.close(dw, wantW, 2e-6)

	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} { // no residual stream: what dx holds does not count
		dx = c.like("dx", dt, n, cols)
		c.D.RMSNormBackward(dx, dw, dy, x, w, rstd, norm, false, acc)
		c.close(dx, wantX, 2e-6)
	}
	c.D.RMSNormBackward(dy, dw, dy, x, w, rstd, norm, false, false) // in place
	c.close(dy, wantX, 2e-6)
	c.close(dw, wantW, 2e-6)
}

func rope(c *C) {
	for _, s := range []struct{ n, heads, hd, turned int }{{1, 1, 2, 2}, {5, 3, 16, 16}, {40, 2, 6, 6}, {3, 9, 64, 64}, {5, 3, 16, 12}, {7, 2, 64, 48}, {4, 5, 10, 2}, {3, 2, 20, 16}} {
		c.both(func(dt tensor.DType) { ropeOne(c, s.n, s.heads, s.hd, s.turned, dt) })
	}
}

func ropeOne(c *C, n, heads, hd, turned int, dt tensor.DType) {
	const positions = 50
	half := turned / 2
	angle := func(i int) float64 { return float64(i/half) * math.Pow(1e4, -float64(i%half)/float64(half)) }
	cos := c.new("cos", tensor.F32, mapped(positions*half, func(i int) float64 { return math.Cos(angle(i)) }), positions, half)
	sin := c.new("sin", tensor.F32, mapped(positions*half, func(i int) float64 { return math.Sin(angle(i)) }), positions, half)
	at := make([]int, n)
	for i := range at {
		at[i] = c.rnd.IntN(positions)
	}
	pos := c.ints("pos", at, n)
	x, xs := c.noise("x", dt, 1, n, heads*hd)
	for _, inverse := range []bool{false, true} {
		sign := 1.0
		if inverse {
			sign = -1
		}
		c.D.RoPE(x, pos, cos, sin, hd, inverse)
		want := mapped(len(xs), func(i int) float64 {
			j, a := i%hd, angle(at[i/(heads*hd)]*half+i%hd%half)
			switch {
			case j >= turned:
				return xs[i]
			case j < half:
				return xs[i]*math.Cos(a) - sign*xs[i+half]*math.Sin(a)
			}
			return xs[i]*math.Cos(a) + sign*xs[i-half]*math.Sin(a)
		})
		c.close(x, want, 1e-6)
		xs = c.get(x)
	}
}
