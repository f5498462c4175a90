package cpukern

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// MatMul is y = x·wᵀ.
func (d *Device) MatMul(y, x, w tensor.Tensor, acc bool) {
	n, in := rowsCols(x)
	out, _ := rowsCols(w)
	wantRows("MatMul", w, out, in)
	wantRows("MatMul", y, n, out)
	if !d.ready() {
		return
	}
	xv, wv, yv := floatsOf("MatMul", x), floatsOf("MatMul", w), floatsOf("MatMul", y)
	if n <= fewRows {
		d.fewRowsMatMul(yv, xv, wv, n, in, out, acc)
		return
	}
	p := product{m: n, n: out, k: in, a: operand{xv, in, true}, b: operand{wv, in, true}, c: yv}
	d.multiply(p, d.storeTile(yv, out, acc))
}

// MatMulBackwardInput is dx = dy·w.
func (d *Device) MatMulBackwardInput(dx, dy, w tensor.Tensor, acc bool) {
	n, out := rowsCols(dy)
	_, in := rowsCols(w)
	wantRows("MatMulBackwardInput", w, out, in)
	wantRows("MatMulBackwardInput", dx, n, in)
	if !d.ready() {
		return
	}
	p := product{m: n, n: in, k: out,
		a: operand{floatsOf("MatMulBackwardInput", dy), out, true},
		b: operand{floatsOf("MatMulBackwardInput", w), in, false},
		c: floatsOf("MatMulBackwardInput", dx)}
	d.multiply(p, d.storeTile(p.c, in, acc))
}

// storeTile writes tiles to v (with acc, adds them to it), a matrix of so many columns.
func (d *Device) storeTile(v floats, cols int, acc bool) func(*workspace, *tile) {
	return func(ws *workspace, t *tile) {
		buf := ws.floats(t.j1 - t.j0)
		for i := t.i0; i < t.i1; i++ {
			row, off := t.row(i), i*cols+t.j0
			if acc {
				old := d.k.load(v, off, len(row), buf)
				d.k.axpy(row, old, 1)
			}
			d.k.store(v, off, row)
		}
	}
}

// outer is the product dyᵀ·x.
func outer(op string, dy, x tensor.Tensor) product {
	n, out := rowsCols(dy)
	_, in := rowsCols(x)
	wantRows(op, x, n, in)
	return product{m: out, n: in, k: n,
		a: operand{floatsOf(op, dy), out, false},
		b: operand{floatsOf(op, x), in, false}}
}

// OuterAdd is g = dyᵀ·x.
func (d *Device) OuterAdd(g, dy, x tensor.Tensor, acc bool) {
	p := outer("OuterAdd", dy, x)
	wantRows("OuterAdd", g, p.m, p.n)
	if !d.ready() {
		return
	}
	p.c = floats{f: g.F32s()}
	d.multiply(p, d.storeTile(p.c, p.n, acc))
}

// OuterSumSq adds ‖dyᵀ·x‖² to sum.
func (d *Device) OuterSumSq(sum, dy, x tensor.Tensor) {
	p := outer("OuterSumSq", dy, x)
	if !d.ready() {
		return
	}
	if ghostPays(&p) {
		sum.F64s()[0] += d.ghostSumSq(&p)
		return
	}
	sum.F64s()[0] += d.outerSumSq(p)
}

func (d *Device) outerSumSq(p product) float64 {
	c := d.cells(&p)
	d.multiply(p, func(_ *workspace, t *tile) {
		for i := t.i0; i < t.i1; i++ {
			c.addSquares(d.k, t, i)
		}
	})
	return total(c.sums)
}

// OuterUpdate is Update with g = dyᵀ·x, never stored.
func (d *Device) OuterUpdate(w, dy, x tensor.Tensor, s device.Step) {
	p := outer("OuterUpdate", dy, x)
	wantRows("OuterUpdate", w, p.m, p.n)
	if !d.ready() {
		return
	}
	if !d.productFinite(p, dy, x) {
		d.nonFinite("OuterUpdate", w)
		return
	}
	c, wv := constsOf(s), floatsOf("OuterUpdate", w)
	p.c = wv
	sums, wantSum := d.cells(&p), !s.SumSq.IsZero()
	d.multiply(p, func(ws *workspace, t *tile) {
		scratch := newWeightScratch(ws, t.j1-t.j0)
		for i := t.i0; i < t.i1; i++ {
			if wantSum {
				sums.addSquares(d.k, t, i)
			}
			d.k.updateRow(&scratch, wv, i*p.n+t.j0, t.row(i), &c)
		}
	})
	addSumSq(s, func() float64 { return total(sums.sums) })
}

// productFinite says whether every element of dyᵀ·x is. A bound on the factors mostly proves it; when it does not, the
// product is made once for the answer alone: its sum of squares is finite in float64 exactly when every element is.
func (d *Device) productFinite(p product, dy, x tensor.Tensor) bool {
	bound := float64(math.Float32frombits(d.absMax(dy))) * float64(math.Float32frombits(d.absMax(x))) * float64(p.k)
	if bound < math.MaxFloat32/2 { // false for NaN; the half leaves room for rounding in the sum
		return true
	}
	sum := d.outerSumSq(p)
	return !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

// fewRows is up to how many rows of x a product reads the weights in place, once, instead of packing them: then the
// memory's speed decides.
const fewRows = 4

func (d *Device) fewRowsMatMul(y, x, w floats, n, in, out int, acc bool) {
	const block = 32 // rows of w a task
	d.pool.blocks(out, block, func(ws *workspace, _, lo, hi int) {
		depth := min(in, chunk)
		buf, sums := ws.floats(depth), ws.floats(n*block)
		clear(sums)
		for k0 := 0; k0 < in; k0 += depth {
			k1 := min(in, k0+depth)
			for i := range n {
				row := d.k.load(x, i*in+k0, k1-k0, buf)
				for o := lo; o < hi; o++ {
					sums[i*block+o-lo] += d.k.rowDot(row, w, o*in+k0)
				}
			}
		}
		for i := range n {
			row := sums[i*block:][:hi-lo]
			if acc {
				d.k.axpy(row, d.k.load(y, i*out+lo, hi-lo, buf), 1)
			}
			d.k.store(y, i*out+lo, row)
		}
	})
}

func (k *kernels) rowDot(x []float32, w floats, off int) float32 {
	if w.half {
		return k.dot16(x, w.h[off:off+len(x)])
	}
	return k.dot(x, w.f[off:off+len(x)])
}
