package cpukern

import "lomo/internal/tensor"

// ColumnSum is db = Σ over the rows of dy.
func (d *Device) ColumnSum(db, dy tensor.Tensor, acc bool) {
	n, c := rowsCols(dy)
	wantLen("ColumnSum", db, c)
	if !d.ready() {
		return
	}
	v := floatsOf("ColumnSum", dy)
	d.sumRows(db.F32s(), n, acc, func(ws *workspace, part []float32, lo, hi int) {
		buf := ws.floats(min(c, chunk))
		for j := 0; j < c; j += chunk { // a piece of all the rows: its sum stays in the first-level cache
			m := min(chunk, c-j)
			for i := lo; i < hi; i++ {
				d.k.axpy(part[j:j+m], d.k.load(v, i*c+j, m, buf), 1)
			}
		}
	})
}

const (
	partRows    = 32 // rows of a task, which are summed in float32
	partColumns = 64 // columns of which a task adds up those sums, in float64
)

// sumRows is dst = Σ over n rows, or with acc dst += it: add puts the rows [lo, hi) into part, which is zero and as wide as dst. The order of the sum
// hangs on the shape alone.
func (d *Device) sumRows(dst []float32, n int, acc bool, add func(ws *workspace, part []float32, lo, hi int)) {
	c := len(dst)
	wave := partRows * max(1, (d.packRoom-128)/(4*max(c, 1))) // the parts are in the memory of the products
	for row0 := 0; row0 < max(n, 1); row0 += wave {           // once for no rows: dst is 0
		rows := min(wave, n-row0)
		d.packed.reset()
		parts := d.packed.floats(ceilDiv(rows, partRows) * c)
		d.pool.blocks(rows, partRows, func(ws *workspace, i, lo, hi int) {
			part := parts[i*c:][:c]
			clear(part)
			add(ws, part, row0+lo, row0+hi)
		})
		d.pool.blocks(c, partColumns, func(ws *workspace, _, lo, hi int) {
			addParts(ws.doubles(hi-lo), dst, parts, lo, acc || row0 > 0)
		})
	}
}

// addParts is dst = Σ over the rows of parts, for the columns from lo on that sum has room for; with acc dst += it.
func addParts(sum []float64, dst, parts []float32, lo int, acc bool) {
	clear(sum)
	for at := lo; at < len(parts); at += len(dst) {
		for j, p := range parts[at:][:len(sum)] {
			sum[j] += float64(p)
		}
	}
	for j, s := range sum {
		if acc {
			s += float64(dst[lo+j])
		}
		dst[lo+j] = float32(s)
	}
}
