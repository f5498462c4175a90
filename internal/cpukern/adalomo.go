package cpukern

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// AdaLomo (Lv et al. 2023, arXiv 2310.10195), in the parts device.Device lists. h is the gradient after scale, clip and coef.

// factored is a matrix gradient g (m, n) and the factors of its second moment.
type factored struct {
	k    *kernels
	m, n int
	g    []float32
	c    stepConsts
}

func (d *Device) factored(op string, g, r, c tensor.Tensor, s device.Step) factored {
	m, n := rowsCols(g)
	wantLen(op, r, m)
	wantLen(op, c, n)
	return factored{k: d.k, m: m, n: n, g: g.F32s(), c: constsOf(s)}
}

// factorRows and factorCols are the rows and the columns a task takes.
const factorRows, factorCols = 32, 64

// FactorSums is rows[i] = Σ_j (h²+eps1), cols[j] = Σ_i (h²+eps1), stats[0] = Σw².
func (d *Device) FactorSums(rows, cols, stats, w, g tensor.Tensor, eps1 float32, s device.Step) {
	f := d.factored("FactorSums", g, rows, cols, s)
	wantLen("FactorSums", w, g.Len())
	wantLen("FactorSums", stats, 4)
	if !d.ready() || !d.finite("FactorSums", g, w) {
		return
	}
	rv, cv := rows.F32s(), cols.F32s()
	d.pool.blocks(f.m, factorRows, func(_ *workspace, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			rv[i] = f.rowSum(i, eps1)
		}
	})
	d.pool.blocks(f.n, factorCols, func(ws *workspace, _, lo, hi int) { f.colSums(ws, cv, lo, hi, eps1) })
	stats.F64s()[0] = d.sumSq(floatsOf("FactorSums", w), w.Len())
}

// squaresGeneric is Σ(h²+eps).
//
//kernel:row sum
func squaresGeneric(g []float32, c *stepConsts, eps float32) float32 {
	var sum [4]float32
	for i, v := range g {
		h := c.gradient(v)
		sum[i&3] += float32(h*h) + eps
	}
	return (sum[0] + sum[1]) + (sum[2] + sum[3])
}

// addSquaresGeneric is sum[j] += h²+eps.
//
//kernel:row
func addSquaresGeneric(sum, g []float32, c *stepConsts, eps float32) {
	g = g[:len(sum)]
	for j := range sum {
		h := c.gradient(g[j])
		sum[j] += float32(h*h) + eps
	}
}

// rowSum adds pieces of a row in float64.
func (f *factored) rowSum(i int, eps1 float32) float32 {
	var sum float64
	for row := f.g[i*f.n : (i+1)*f.n]; len(row) > 0; {
		m := min(len(row), chunk/8)
		sum += float64(f.k.squares(row[:m], &f.c, eps1))
		row = row[m:]
	}
	return float32(sum)
}

// colSums adds blocks of rows in float64.
func (f *factored) colSums(ws *workspace, cols []float32, lo, hi int, eps1 float32) {
	sum, part := ws.doubles(hi-lo), ws.floats(hi-lo)
	clear(sum)
	for i0 := 0; i0 < f.m; i0 += 2 * factorRows {
		clear(part)
		for i := i0; i < min(f.m, i0+2*factorRows); i++ {
			f.k.addSquares(part, f.g[i*f.n+lo:i*f.n+hi], &f.c, eps1)
		}
		for j, p := range part {
			sum[j] += float64(p)
		}
	}
	for j, s := range sum {
		cols[lo+j] = float32(s)
	}
}

// FactorEMA is r ← β·r + (1−β)·rows/n, c ← β·c + (1−β)·cols/wholeRows, stats[1] = Σr, stats[3] = wholeRows.
func (d *Device) FactorEMA(r, c, stats, rows, cols tensor.Tensor, beta float32, wholeRows int) {
	m, n := r.Len(), c.Len()
	wantLen("FactorEMA", rows, m)
	wantLen("FactorEMA", cols, n)
	wantLen("FactorEMA", stats, 4)
	if !d.ready() {
		return
	}
	average(r.F32s(), rows.F32s(), beta, n)
	average(c.F32s(), cols.F32s(), beta, wholeRows)
	var sum float64
	for _, v := range r.F32s() {
		sum += float64(v)
	}
	st := stats.F64s()
	st[1], st[3] = sum, float64(wholeRows)
}

func average(mean, sums []float32, beta float32, count int) {
	for i, s := range sums {
		mean[i] = float32(mean[i]*beta) + float32((1-beta)*(s/float32(count)))
	}
}

// rowFactor is (r/mean)^−½.
func rowFactor(r float32, mean float64) float32 { return float32(1 / math.Sqrt(float64(r)/mean)) }

// rsqrtGeneric is x^−½.
//
//kernel:row
func rsqrtGeneric(dst, x []float32) {
	x = x[:len(dst)]
	for j := range dst {
		dst[j] = 1 / float32(math.Sqrt(float64(x[j])))
	}
}

// unitGeneric is u for elements of one row: h·(rf·cf), and 0 where h is 0 whatever the factors are.
//
//kernel:row
func unitGeneric(u, g, cf []float32, c *stepConsts, rf float32) {
	g, cf = g[:len(u)], cf[:len(u)]
	for j := range u {
		h := c.gradient(g[j])
		if h != 0 {
			h *= rf * cf[j]
		}
		u[j] = h
	}
}

// FactorNorm is stats[2] = Σu².
func (d *Device) FactorNorm(stats, g, r, c tensor.Tensor, s device.Step) {
	f := d.factored("FactorNorm", g, r, c, s)
	if !d.ready() {
		return
	}
	st, rv, cv := stats.F64s(), r.F32s(), c.F32s()
	slots := d.partial(ceilDiv(f.m, factorRows))
	d.pool.blocks(f.m, factorRows, func(ws *workspace, index, lo, hi int) {
		f.pieces(ws, lo, hi, rv, cv, st[1]/st[3], func(_ int, u []float32) { slots[index] += d.k.sumSq(u) })
	})
	st[2] = total(slots)
}

// pieces calls each with u of the rows [lo, hi), columns first in chunks: the column factors are made once for all rows.
func (f *factored) pieces(ws *workspace, lo, hi int, r, c []float32, mean float64, each func(off int, u []float32)) {
	u, cf := ws.floats(min(chunk, f.n)), ws.floats(min(chunk, f.n))
	for j := 0; j < f.n; j += chunk {
		m := min(chunk, f.n-j)
		f.k.rsqrt(cf[:m], c[j:j+m])
		for i := lo; i < hi; i++ {
			off := i*f.n + j
			f.k.unit(u[:m], f.g[off:off+m], cf[:m], &f.c, rowFactor(r[i], mean))
			each(off, u[:m])
		}
	}
}

// FactorUpdate is w ← w·(1−a·Decay) − a·u/max(1, rms(u)/d), a = LR·max(eps2, rms(w)).
func (d *Device) FactorUpdate(w, g, r, c, stats tensor.Tensor, eps2, dd float32, s device.Step) {
	f := d.factored("FactorUpdate", g, r, c, s)
	wantLen("FactorUpdate", w, g.Len())
	if !d.ready() {
		return
	}
	st, rv, cv, wv := stats.F64s(), r.F32s(), c.F32s(), floatsOf("FactorUpdate", w)
	a := adaStep(st, st[3]*float64(f.n), eps2, dd, &f.c)
	d.pool.blocks(f.m, factorRows, func(ws *workspace, _, lo, hi int) {
		scratch := newWeightScratch(ws, min(chunk, f.n))
		f.pieces(ws, lo, hi, rv, cv, st[1]/st[3], func(off int, u []float32) { d.k.updateRow(&scratch, wv, off, u, &a) })
	})
}

// adaStep is the plain update that remains once u is known: w·keep − lr·u.
func adaStep(stats []float64, n float64, eps2, d float32, c *stepConsts) stepConsts {
	rate := float64(c.lr) * max(float64(eps2), math.Sqrt(stats[0]/n))
	norm := max(1, math.Sqrt(stats[2]/n)/float64(d))
	a := *c
	a.scale, a.clip, a.coef = 1, float32(math.Inf(1)), 1
	a.lr, a.keep = float32(rate/norm), 1
	if c.decay > 0 {
		a.keep = float32(1 - float64(rate*float64(c.decay)))
	}
	return a
}
