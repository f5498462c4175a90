package cpukern

import (
	"fmt"
	"sync/atomic"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// GatherRows is dst[i] = src[idx[i]].
func (d *Device) GatherRows(dst, src, idx tensor.Tensor) {
	n, c := rowsCols(dst)
	wantLen("GatherRows", idx, n)
	d.moveRows("GatherRows", dst, src, idx, n, c, func(i, at int) (int, int) { return i, at })
}

// ScatterRows is dst[idx[i]] = src[i].
func (d *Device) ScatterRows(dst, src, idx tensor.Tensor) {
	n, c := rowsCols(src)
	wantLen("ScatterRows", idx, n)
	d.moveRows("ScatterRows", dst, src, idx, n, c, func(i, at int) (int, int) { return at, i })
}

// moveRows copies rows of c elements, converting; place says the rows of dst and src of entry i, whose index is at.
func (d *Device) moveRows(op string, dst, src, idx tensor.Tensor, n, c int, place func(i, at int) (to, from int)) {
	wantRows(op, dst, dst.Rows(), c)
	wantRows(op, src, src.Rows(), c)
	if !d.ready() {
		return
	}
	dv, sv, ids := floatsOf(op, dst), floatsOf(op, src), idx.I32s()
	d.pool.blocks(n, rowBlock, func(ws *workspace, _, lo, hi int) {
		buf := ws.floats(chunk)
		for i := lo; i < hi; i++ {
			to, from := place(i, int(ids[i]))
			for j := 0; j < c; j += chunk {
				m := min(chunk, c-j)
				d.k.store(dv, to*c+j, d.k.load(sv, from*c+j, m, buf))
			}
		}
	})
}

// rowSums is device.Rows ready for use.
type rowSums struct {
	k                *kernels
	ids, offs, index []int32
	d                floats
	c                int
}

func (d *Device) rowSums(op string, r device.Rows) rowSums {
	u := r.IDs.Len()
	wantLen(op, r.Offs, u+1)
	wantLen(op, r.Index, r.D.Rows())
	return rowSums{k: d.k, ids: r.IDs.I32s(), offs: r.Offs.I32s(), index: r.Index.I32s(), d: floatsOf(op, r.D), c: r.D.Cols()}
}

// sum is columns [j, j+len(out)) of the gradient of row number u of the list.
func (r *rowSums) sum(out []float32, u, j int, buf []float32) {
	clear(out)
	for _, i := range r.index[r.offs[u]:r.offs[u+1]] {
		r.k.axpy(out, r.k.load(r.d, int(i)*r.c+j, len(out), buf), 1)
	}
}

// each calls f with pieces of the gradient of the listed rows [u0, u1), a row after the other.
func (r *rowSums) each(ws *workspace, u0, u1 int, f func(u, j int, g []float32)) {
	out, buf := ws.floats(min(chunk, r.c)), ws.floats(min(chunk, r.c))
	for u := u0; u < u1; u++ {
		for j := 0; j < r.c; j += chunk {
			g := out[:min(chunk, r.c-j)]
			r.sum(g, u, j, buf)
			f(u, j, g)
		}
	}
}

// RowsAdd adds to g, which stands for the table's rows from row0 on, the gradients of the rows that fall in it.
func (d *Device) RowsAdd(g tensor.Tensor, r device.Rows, row0 int) {
	n, c := rowsCols(g)
	s := d.rowSums("RowsAdd", r)
	wantRows("RowsAdd", g, n, s.c)
	if !d.ready() {
		return
	}
	out := g.F32s()
	d.pool.blocks(len(s.ids), rowBlock, func(ws *workspace, _, lo, hi int) {
		s.each(ws, lo, hi, func(u, j int, piece []float32) {
			if row := int(s.ids[u]) - row0; row >= 0 && row < n {
				d.k.axpy(out[row*c+j:][:len(piece)], piece, 1)
			}
		})
	})
}

// RowsSumSq adds the sum of squares of the summed rows to sum.
func (d *Device) RowsSumSq(sum tensor.Tensor, r device.Rows) {
	s := d.rowSums("RowsSumSq", r)
	if !d.ready() {
		return
	}
	sum.F64s()[0] += d.rowsSumSq(&s)
}

func (d *Device) rowsSumSq(s *rowSums) float64 {
	slots := d.partial(ceilDiv(len(s.ids), rowBlock))
	d.pool.blocks(len(s.ids), rowBlock, func(ws *workspace, i, lo, hi int) {
		s.each(ws, lo, hi, func(_, _ int, g []float32) { slots[i] += d.k.sumSq(g) })
	})
	return total(slots)
}

// RowsUpdate is Update of the table w. Rows that are not listed only decay.
func (d *Device) RowsUpdate(w tensor.Tensor, r device.Rows, step device.Step) {
	v, c := rowsCols(w)
	s := d.rowSums("RowsUpdate", r)
	wantRows("RowsUpdate", w, v, s.c)
	if u := len(s.ids); u > 0 && (s.ids[0] < 0 || int(s.ids[u-1]) >= v) {
		panic(fmt.Sprintf("RowsUpdate: rows %d … %d of %v", s.ids[0], s.ids[u-1], w))
	}
	if !d.ready() {
		return
	}
	if !d.rowsFinite(&s) {
		d.nonFinite("RowsUpdate", w)
		return
	}
	addSumSq(step, func() float64 { return d.rowsSumSq(&s) })
	wv, consts := floatsOf("RowsUpdate", w), constsOf(step)
	d.pool.blocks(len(s.ids), rowBlock, func(ws *workspace, _, lo, hi int) {
		scratch := newWeightScratch(ws, min(chunk, c))
		s.each(ws, lo, hi, func(u, j int, g []float32) {
			d.k.updateRow(&scratch, wv, int(s.ids[u])*c+j, g, &consts)
		})
	})
	if step.Decay > 0 {
		d.decayOthers(wv, v, c, s.ids, &consts)
	}
}

func (d *Device) rowsFinite(s *rowSums) bool {
	var bad atomic.Bool
	d.pool.blocks(len(s.ids), rowBlock, func(ws *workspace, _, lo, hi int) {
		s.each(ws, lo, hi, func(_, _ int, g []float32) {
			if d.k.absMax(g) >= infBits {
				bad.Store(true)
			}
		})
	})
	return !bad.Load()
}

// decayOthers is the update with a zero gradient of every row whose number is not in ids (ascending).
func (d *Device) decayOthers(w floats, v, c int, ids []int32, consts *stepConsts) {
	const block = 64
	d.pool.blocks(v, block, func(ws *workspace, _, lo, hi int) {
		scratch := newWeightScratch(ws, min(chunk, c))
		zero := ws.floats(min(chunk, c))
		clear(zero)
		u := lowerBound(ids, lo)
		for row := lo; row < hi; row++ {
			if u < len(ids) && int(ids[u]) == row {
				u++
				continue
			}
			for j := 0; j < c; j += chunk {
				d.k.updateRow(&scratch, w, row*c+j, zero[:min(chunk, c-j)], consts)
			}
		}
	})
}

// lowerBound is the first position whose id is at least row.
func lowerBound(ids []int32, row int) int {
	lo, hi := 0, len(ids)
	for lo < hi {
		if mid := (lo + hi) / 2; int(ids[mid]) < row {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
