package cpukern

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// rowBlock is how many rows a task of a row-wise operation takes: enough that handing it out costs nothing.
const rowBlock = 16

// RMSNorm is y = gain ⊙ x·rstd over the last axis.
func (d *Device) RMSNorm(y, rstd, x, w tensor.Tensor, norm device.Norm) {
	n, c := rowsCols(x)
	wantRows("RMSNorm", y, n, c)
	wantLen("RMSNorm", w, c)
	wantLen("RMSNorm", rstd, n)
	if !d.ready() {
		return
	}
	xv, yv, wv, rv := floatsOf("RMSNorm", x), floatsOf("RMSNorm", y), floatsOf("RMSNorm", w), rstd.F32s()
	few := together(c)
	d.pool.blocks(n, rowBlock*few, func(ws *workspace, _, lo, hi int) { // each task makes the gain
		xb := ws.floats(few * c)
		w := d.k.gain(wv, norm, c, ws.floats(c))
		for at := lo; at < hi; at += few {
			xs := d.k.load(xv, at*c, min(few, hi-at)*c, xb)
			for i := at; len(xs) > 0; i++ {
				x := xs[:c]
				r := float32(1 / math.Sqrt(d.k.sumSq(x)/float64(c)+float64(norm.Eps)))
				rv[i] = r
				if yv.half {
					d.k.mulScaleHalves(yv.h[i*c:][:c], x, w, r)
				} else {
					d.k.mulScale(yv.f[i*c:][:c], x, w, r)
				}
				xs = xs[c:]
			}
		}
	})
}

// together is how many rows of c columns one call converts: a row as short as a head costs less than a call.
func together(c int) int { return max(1, 1024/max(c, 1)) }

// gain is what a norm of c columns multiplies by: w, or 1 + w in buf.
func (k *kernels) gain(w floats, norm device.Norm, c int, buf []float32) []float32 {
	if !norm.PlusOne {
		return k.load(w, 0, c, buf)
	}
	g := k.copyOf(w, 0, c, buf)
	for j := range g {
		g[j]++
	}
	return g
}

// RMSNormBackward is dx = rstd·(dy⊙gain − x̂·mean(dy⊙gain⊙x̂)) and dw = Σ dy⊙x̂ over the rows, x̂ = x·rstd; both may add.
func (d *Device) RMSNormBackward(dx, dw, dy, x, w, rstd tensor.Tensor, norm device.Norm, addX, addW bool) {
	n, c := rowsCols(x)
	wantRows("RMSNormBackward", dx, n, c)
	wantRows("RMSNormBackward", dy, n, c)
	wantLen("RMSNormBackward", w, c)
	wantLen("RMSNormBackward", dw, c)
	wantLen("RMSNormBackward", rstd, n)
	if !d.ready() {
		return
	}
	b := normBackward{k: d.k, c: c, norm: norm, addX: addX,
		dx: floatsOf("RMSNormBackward", dx), dy: floatsOf("RMSNormBackward", dy), x: floatsOf("RMSNormBackward", x),
		w: floatsOf("RMSNormBackward", w), rstd: rstd.F32s()}
	d.sumRows(dw.F32s(), n, addW, b.rows)
}

type normBackward struct {
	k            *kernels
	c            int
	norm         device.Norm
	addX         bool
	dx, dy, x, w floats
	rstd         []float32
}

// rows makes dx of the rows [lo, hi) and adds their part of dw.
func (b *normBackward) rows(ws *workspace, part []float32, lo, hi int) {
	c, few := b.c, together(b.c)
	xb, gb, db := ws.floats(few*c), ws.floats(few*c), ws.floats(few*c)
	w := b.k.gain(b.w, b.norm, c, ws.floats(c))
	for at := lo; at < hi; at += few {
		n := min(few, hi-at) * c
		xs, gs, ds := b.k.load(b.x, at*c, n, xb), b.k.load(b.dy, at*c, n, gb), db[:n]
		if b.addX {
			ds = b.k.load(b.dx, at*c, n, db)
		} else {
			clear(ds) // not dx itself, which may be dy
		}
		for i := 0; i < n; i += c {
			x, g, r := xs[i:i+c], gs[i:i+c], b.rstd[at+i/c]
			b.k.normWeight(part, g, x, r)
			back := float32(float64(b.k.dot3(x, w, g)) / float64(c) * float64(r) * float64(r) * float64(r)) // x̂·mean(dy⊙w⊙x̂)·rstd = x·back
			b.k.normInput(ds[i:i+c], g, w, x, r, back)
		}
		b.k.store(b.dx, at*c, ds)
	}
}

// normInputGeneric is dx += dy·w·r − x·back.
//
//kernel:row
func normInputGeneric(dx, dy, w, x []float32, r, back float32) {
	dy, w, x = dy[:len(dx)], w[:len(dx)], x[:len(dx)]
	for j := range dx {
		dx[j] += float32(dy[j]*w[j]*r) - float32(x[j]*back)
	}
}

// normWeightGeneric is sum += dy·(x·r).
//
//kernel:row
func normWeightGeneric(sum, dy, x []float32, r float32) {
	dy, x = dy[:len(sum)], x[:len(sum)]
	for j := range sum {
		sum[j] += float32(dy[j] * (x[j] * r))
	}
}
