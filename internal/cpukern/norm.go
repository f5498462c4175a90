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
		xb := ws.floats(c)
		w := d.k.load(wv, 0, c, ws.floats(c))
		for i := lo; i < hi; i++ {
			x := d.k.load(xv, i*c, c, xb)
			r := float32(1 / math.Sqrt(d.k.sumSq(x)/float64(c)+float64(eps)))
			rv[i] = r
			if yv.half {
				d.k.mulScaleHalves(yv.h[i*c:][:c], x, w, r)
			} else {
				d.k.mulScale(yv.f[i*c:][:c], x, w, r)
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
	// dw goes by sums of a block's rows, in the memory of the products.
	wave := normRows * max(1, (d.packRoom-128)/(4*c))
	for row0 := 0; row0 < max(n, 1); row0 += wave { // once for no rows: dw is 0
		rows := min(wave, n-row0)
		d.packed.reset()
		b.parts = d.packed.floats(ceilDiv(rows, normRows) * c)
		d.pool.blocks(rows, normRows, func(ws *workspace, i, lo, hi int) { b.rows(ws, b.parts[i*c:][:c], row0+lo, row0+hi) })
		d.pool.blocks(c, normColumns, func(ws *workspace, _, lo, hi int) { b.weight(ws, lo, hi, acc || row0 > 0) })
	}
}

type normBackward struct {
	k            *kernels
	n, c         int
	dx, dy, x, w floats
	rstd, dw     []float32
	parts        []float32 // (blocks, c)
}

const (
	normRows    = 32 // rows of a task, whose part of dw is summed in float32
	normColumns = 64 // columns of dw that a task adds up, in float64
)

// rows makes dx of the rows [lo, hi) and their part of dw.
func (b *normBackward) rows(ws *workspace, part []float32, lo, hi int) {
	xb, gb, db := ws.floats(b.c), ws.floats(b.c), ws.floats(b.c)
	w := b.k.load(b.w, 0, b.c, ws.floats(b.c))
	clear(part)
	for i := lo; i < hi; i++ {
		x, g, d := b.k.load(b.x, i*b.c, b.c, xb), b.k.load(b.dy, i*b.c, b.c, gb), b.k.load(b.dx, i*b.c, b.c, db)
		r := b.rstd[i]
		b.k.normWeight(part, g, x, r)
		back := float32(float64(b.k.dot3(x, w, g)) / float64(b.c) * float64(r) * float64(r) * float64(r)) // x̂·mean(dy⊙w⊙x̂)·rstd = x·back
		b.k.normInput(d, g, w, x, r, back)
		b.k.store(b.dx, i*b.c, d)
	}
}

// weight adds up the parts of the columns [lo, hi) of dw.
func (b *normBackward) weight(ws *workspace, lo, hi int, acc bool) {
	sum := ws.doubles(hi - lo)
	clear(sum)
	for at := lo; at < len(b.parts); at += b.c {
		for j, p := range b.parts[at:][:hi-lo] {
			sum[j] += float64(p)
		}
	}
	for j, s := range sum[:hi-lo] {
		if acc {
			s += float64(b.dw[lo+j])
		}
		b.dw[lo+j] = float32(s)
	}
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
