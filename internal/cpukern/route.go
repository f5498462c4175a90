package cpukern

import (
	"fmt"

	"lomo/internal/tensor"
)

// Route is the softmax of z, and its k greatest in each row.
func (d *Device) Route(w, ids, z tensor.Tensor, renorm bool) {
	n, experts := rowsCols(z)
	k := ids.Cols()
	wantRoute("Route", w, ids, n, k, experts)
	if !d.ready() {
		return
	}
	zv, wv, iv := z.F32s(), w.F32s(), ids.I32s()
	d.pool.blocks(n, rowBlock, func(_ *workspace, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			p := zv[i*experts:][:experts]
			sum := d.k.expSum(p, p, d.k.maximum(p))
			d.k.scale(p, 1/sum)
			choose(iv[i*k:][:k], wv[i*k:][:k], p, renorm)
		}
	})
}

func wantRoute(op string, w, ids tensor.Tensor, n, k, experts int) {
	if k < 1 || k > experts {
		panic(fmt.Sprintf("%s: %d of %d experts", op, k, experts))
	}
	wantRows(op, w, n, k)
	wantRows(op, ids, n, k)
}

// choose finds the greatest of p one after the other. A NaN is greater than nothing, and the lowest number left is taken where nothing is greater.
func choose(ids []int32, w, p []float32, renorm bool) {
	sum := float32(0)
	for j := range ids {
		best := -1
		for e, v := range p {
			if !taken(ids[:j], e) && (best < 0 || v > p[best]) {
				best = e
			}
		}
		ids[j], w[j] = int32(best), p[best]
		sum += p[best]
	}
	if renorm {
		for j := range w {
			w[j] /= sum
		}
	}
}

func taken(ids []int32, e int) bool {
	for _, id := range ids {
		if int(id) == e {
			return true
		}
	}
	return false
}

// RouteBackward goes back through the choice and the softmax: with renorm the weights are the softmax of the chosen logits alone.
func (d *Device) RouteBackward(dz, dw, w, ids, p tensor.Tensor, renorm bool) {
	n, experts := rowsCols(p)
	k := ids.Cols()
	wantRoute("RouteBackward", w, ids, n, k, experts)
	wantRows("RouteBackward", dz, n, experts)
	wantRows("RouteBackward", dw, n, k)
	if !d.ready() {
		return
	}
	dzv, dwv, wv, iv, pv := dz.F32s(), dw.F32s(), w.F32s(), ids.I32s(), p.F32s()
	d.pool.blocks(n, rowBlock, func(_ *workspace, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			g, v, id := dwv[i*k:][:k], wv[i*k:][:k], iv[i*k:][:k]
			mean := d.k.dot(g, v) // Σ of the gradients, each as likely as its expert
			out, all := dzv[i*experts:][:experts], pv[i*experts:][:experts]
			if renorm {
				clear(out)
			} else {
				for e := range out {
					out[e] = -all[e] * mean
				}
			}
			for j, e := range id {
				if renorm {
					out[e] = v[j] * (g[j] - mean)
				} else {
					out[e] += float32(v[j] * g[j])
				}
			}
		}
	})
}

// SumRows is y[i] = Σ_j x[at[i, j]].
func (d *Device) SumRows(y, x, at tensor.Tensor, acc bool) {
	n, c := rowsCols(y)
	k := at.Cols()
	wantRows("SumRows", at, n, k)
	wantRows("SumRows", x, x.Rows(), c)
	if !d.ready() {
		return
	}
	yv, xv, ids := floatsOf("SumRows", y), floatsOf("SumRows", x), at.I32s()
	d.pool.blocks(n, rowBlock, func(ws *workspace, _, lo, hi int) {
		sum, buf := ws.floats(min(chunk, c)), ws.floats(min(chunk, c))
		for i := lo; i < hi; i++ {
			for j := 0; j < c; j += chunk {
				m := min(chunk, c-j)
				s := sum[:m]
				if acc {
					d.k.copyOf(yv, i*c+j, m, s)
				} else {
					clear(s)
				}
				for _, row := range ids[i*k : (i+1)*k] {
					d.k.axpy(s, d.k.load(xv, int(row)*c+j, m, buf), 1)
				}
				d.k.store(yv, i*c+j, s)
			}
		}
	})
}

// ScaleRows is y[i] = w[at[i]]·x[i].
func (d *Device) ScaleRows(y, x, w, at tensor.Tensor) {
	n, c := rowsCols(x)
	wantRows("ScaleRows", y, n, c)
	wantLen("ScaleRows", at, n)
	if !d.ready() {
		return
	}
	yv, xv, wv, ids := floatsOf("ScaleRows", y), floatsOf("ScaleRows", x), w.F32s(), at.I32s()
	d.pool.blocks(n, rowBlock, func(ws *workspace, _, lo, hi int) {
		buf := ws.floats(min(chunk, c))
		for i := lo; i < hi; i++ {
			for j := 0; j < c; j += chunk {
				v := d.k.copyOf(xv, i*c+j, min(chunk, c-j), buf)
				d.k.scale(v, wv[ids[i]])
				d.k.store(yv, i*c+j, v)
			}
		}
	})
}

// RowDots is dw[at[i]] = a[i]·b[i].
func (d *Device) RowDots(dw, a, b, at tensor.Tensor) {
	n, c := rowsCols(a)
	wantRows("RowDots", b, n, c)
	wantLen("RowDots", at, n)
	if !d.ready() {
		return
	}
	out, av, bv, ids := dw.F32s(), floatsOf("RowDots", a), floatsOf("RowDots", b), at.I32s()
	d.pool.blocks(n, rowBlock, func(ws *workspace, _, lo, hi int) {
		x, y := ws.floats(min(chunk, c)), ws.floats(min(chunk, c))
		for i := lo; i < hi; i++ {
			sum := float32(0)
			for j := 0; j < c; j += chunk {
				m := min(chunk, c-j)
				sum += d.k.dot(d.k.load(av, i*c+j, m, x), d.k.load(bv, i*c+j, m, y))
			}
			out[ids[i]] = sum
		}
	})
}
