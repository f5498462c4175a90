package cpukern

import (
	"math"

	"lomo/internal/tensor"
)

// rowBlock is how many rows a task of a row-wise operation takes: enough that handing it out costs nothing.
const rowBlock = 16

// RMSNorm is y = w ⊙ x·rstd over the last axis.
func (d *Device) RMSNorm(y, rstd, x, w tensor.Tensor, eps float32) {
	n, c := rowsCols(x)
	wantRows("RMSNorm", y, n, c)
	wantLen("RMSNorm", w, c)
	wantLen("RMSNorm", rstd, n)
	if !d.ready() {
		return
	}
	xv, yv, wv, rv := floatsOf("RMSNorm", x), floatsOf("RMSNorm", y), floatsOf("RMSNorm", w), rstd.F32s()
	d.pool.blocks(n, rowBlock, func(ws *workspace, _, lo, hi int) {
		xb, wb, yb := ws.floats(chunk), ws.floats(chunk), ws.floats(chunk)
		for i := lo; i < hi; i++ {
			var sum float64
			for j := 0; j < c; j += chunk {
				sum += d.k.sumSq(d.k.load(xv, i*c+j, min(chunk, c-j), xb))
			}
			r := float32(1 / math.Sqrt(sum/float64(c)+float64(eps)))
			rv[i] = r
			for j := 0; j < c; j += chunk {
				m := min(chunk, c-j)
				out := yv.dst(i*c+j, m, yb)
				d.k.mulScale(out, d.k.load(xv, i*c+j, m, xb), d.k.load(wv, j, m, wb), r)
				d.k.store(yv, i*c+j, out)
			}
		}
	})
}

// RMSNormBackward is dx += rstd·(dy⊙w − x̂·mean(dy⊙w⊙x̂)) and dw = Σ dy⊙x̂ over the rows, x̂ = x·rstd.
func (d *Device) RMSNormBackward(dx, dw, dy, x, w, rstd tensor.Tensor, acc bool) {
	n, c := rowsCols(x)
	wantRows("RMSNormBackward", dx, n, c)
	wantRows("RMSNormBackward", dy, n, c)
	wantLen("RMSNormBackward", w, c)
	wantLen("RMSNormBackward", dw, c)
	wantLen("RMSNormBackward", rstd, n)
	if !d.ready() {
		return
	}
	b := normBackward{k: d.k, n: n, c: c,
		dx: floatsOf("RMSNormBackward", dx), dy: floatsOf("RMSNormBackward", dy), x: floatsOf("RMSNormBackward", x),
		w: floatsOf("RMSNormBackward", w), rstd: rstd.F32s(), dw: dw.F32s()}
	d.pool.blocks(c, normColumns, func(ws *workspace, _, lo, hi int) { b.weight(ws, lo, hi, acc) })
	d.pool.blocks(n, rowBlock, func(ws *workspace, _, lo, hi int) { b.input(ws, lo, hi) })
}

type normBackward struct {
	k            *kernels
	n, c         int
	dx, dy, x, w floats
	rstd, dw     []float32
}

// normColumns is the columns of dw a task sums.
const normColumns = 64

// weight sums the columns [lo, hi) of dw over blocks of rows in float32 and over the blocks in float64.
func (b *normBackward) weight(ws *workspace, lo, hi int, acc bool) {
	const block = 64
	m := hi - lo
	xb, gb, part, sum := ws.floats(m), ws.floats(m), ws.floats(m), ws.doubles(m)
	clear(sum)
	for i0 := 0; i0 < b.n; i0 += block {
		clear(part)
		for i := i0; i < min(b.n, i0+block); i++ {
			x, g := b.k.load(b.x, i*b.c+lo, m, xb), b.k.load(b.dy, i*b.c+lo, m, gb)
			b.k.normWeight(part, g, x, b.rstd[i])
		}
		for j, p := range part {
			sum[j] += float64(p)
		}
	}
	for j, s := range sum[:m] {
		if acc {
			s += float64(b.dw[lo+j])
		}
		b.dw[lo+j] = float32(s)
	}
}

func (b *normBackward) input(ws *workspace, lo, hi int) {
	xb, wb, gb, out := ws.floats(chunk), ws.floats(chunk), ws.floats(chunk), ws.floats(chunk)
	for i := lo; i < hi; i++ {
		var dot float64
		for j := 0; j < b.c; j += chunk {
			x, w, g := b.rows(i, j, xb, wb, gb)
			dot += float64(b.k.dot3(x, w, g))
		}
		r := b.rstd[i]
		back := float32(dot / float64(b.c) * float64(r) * float64(r) * float64(r)) // x̂·mean(dy⊙w⊙x̂)·rstd = x·back
		for j := 0; j < b.c; j += chunk {
			x, w, g := b.rows(i, j, xb, wb, gb)
			d := b.k.copyOf(b.dx, i*b.c+j, len(x), out)
			b.k.normInput(d, g, w, x, r, back)
			b.k.store(b.dx, i*b.c+j, d)
		}
	}
}

func (b *normBackward) rows(i, j int, xb, wb, gb []float32) (x, w, g []float32) {
	m := min(chunk, b.c-j)
	return b.k.load(b.x, i*b.c+j, m, xb), b.k.load(b.w, j, m, wb), b.k.load(b.dy, i*b.c+j, m, gb)
}

// normInputGeneric is dx += dy·w·r − x·back.
func normInputGeneric(dx, dy, w, x []float32, r, back float32) {
	dy, w, x = dy[:len(dx)], w[:len(dx)], x[:len(dx)]
	for j := range dx {
		dx[j] += float32(dy[j]*w[j]*r) - float32(x[j]*back)
	}
}

// normWeightGeneric is sum += dy·(x·r).
func normWeightGeneric(sum, dy, x []float32, r float32) {
	dy, x = dy[:len(sum)], x[:len(sum)]
	for j := range sum {
		sum[j] += float32(dy[j] * (x[j] * r))
	}
}
