package cpukern

import (
	"math"

	"lomo/internal/tensor"
)

// Attention is softmax(q·kᵀ/√Hd)·v.
func (d *Device) Attention(o, lse, q, k, v, start tensor.Tensor, headDim int) {
	h := d.heads("Attention", o, lse, q, k, v, start, headDim)
	if !d.ready() {
		return
	}
	blocks := ceilDiv(h.tq, queryBlock)
	d.pool.run(h.b*h.hq*blocks, func(ws *workspace, i int) {
		// Late blocks see the most keys: they go first, so that no thread is left with a long one at the end.
		i0 := (blocks - 1 - i/(h.b*h.hq)) * queryBlock
		at := head{i / h.hq % h.b, i % h.hq}
		f := forwardBlock{heads: h, at: at, i0: i0, i1: min(h.tq, i0+queryBlock)}
		f.run(ws)
	})
}

// forwardBlock is the work on queries [i0, i1) of one head.
type forwardBlock struct {
	*heads
	at     head
	i0, i1 int

	score, out []float32 // (rowsPad, keysPad), (rowsPad, hdPad)
	top, sum   []float32 // each row's running maximum and sum
}

func (f *forwardBlock) run(ws *workspace) {
	rows := f.i1 - f.i0
	f.score, f.out = ws.floats(f.rowsPad*f.keysPad), ws.floats(f.rowsPad*f.hdPad)
	f.top, f.sum = ws.floats(rows), ws.floats(rows)
	for i := range rows {
		f.top[i], f.sum[i] = negInf, 0
	}
	clear(f.out)
	if f.tq <= fewQueries {
		f.direct(ws)
	} else {
		f.packed(ws)
	}
	f.finish(ws)
}

// packed passes over the keys in tiles, as products of packed panels.
func (f *forwardBlock) packed(ws *workspace) {
	k, rows, start := f.k, f.i1-f.i0, f.starts(f.at)
	packedQ, packedP := ws.floats(f.rowsPad*f.hd), ws.floats(f.rowsPad*keyBlock)
	packedK, packedV := ws.floats(f.keysPad*f.hd), ws.floats(f.hdPad*keyBlock)
	query, key, value := f.query(f.q, f.at, true), f.keys(f.key, f.at, true), f.keys(f.v, f.at, false)
	p := operand{floats{f: f.score}, f.keysPad, true}
	f.along.pack(packedQ, &query, k.mr, f.i0, f.i1, 0, f.hd)
	for j0, end := f.span(start, f.i0, f.i1); j0 < end; j0 += keyBlock {
		j1 := min(end, j0+keyBlock)
		f.along.pack(packedK, &key, k.nr, j0, j1, 0, f.hd)
		f.scoreTile(f.score, packedQ, packedK, f.i0, rows, j0, j1-j0)
		for i := f.i0; i < f.i1; i++ {
			lo, hi := f.sees(start, i, j0, j1)
			f.softmaxRow(i-f.i0, lo-j0, hi-j0, j1-j0)
		}
		k.pack(packedP, &p, k.mr, 0, rows, 0, j1-j0)
		k.pack(packedV, &value, k.nr, 0, f.hd, j0, j1)
		f.weighTile(f.out, packedP, packedV, f.i0, rows, j0, j1-j0)
	}
}

// fewQueries is up to how many queries a head reads keys and values in place: packing them costs more than so few rows give back.
const fewQueries = 4

// direct is packed with a dot product and an addition a key.
func (f *forwardBlock) direct(ws *workspace) {
	k, start := f.k, f.starts(f.at)
	query, key, value := f.query(f.q, f.at, true), f.keys(f.key, f.at, true), f.keys(f.v, f.at, true)
	qb, vb := ws.floats(f.hd), ws.floats(f.hd)
	for i := f.i0; i < f.i1; i++ {
		r := i - f.i0
		row, out := f.score[r*f.keysPad:][:keyBlock], f.out[r*f.hdPad:][:f.hd]
		q := k.load(query.v, i*query.ld, f.hd, qb)
		for j0, end := f.span(start, i, i+1); j0 < end; j0 += keyBlock {
			lo, hi := f.sees(start, i, j0, min(end, j0+keyBlock))
			for j := lo; j < hi; j++ {
				row[j-j0] = k.rowDot(q, key.v, j*key.ld)
			}
			f.softmaxRow(r, lo-j0, hi-j0, keyBlock)
			for j := lo; j < hi; j++ {
				k.axpy(out, k.load(value.v, j*value.ld, f.hd, vb), row[j-j0])
			}
		}
	}
}

// softmaxRow turns the scores of row r, of which it sees [lo, hi) of n, into exponentials under the row's maximum so far, and
// brings what was summed before under that maximum.
func (f *forwardBlock) softmaxRow(r, lo, hi, n int) {
	row := f.score[r*f.keysPad:][:n]
	if lo >= hi {
		clear(row)
		return
	}
	clear(row[:lo])
	clear(row[hi:])
	seen := row[lo:hi]
	top := max(f.top[r], f.k.maximum(seen)*f.scale)
	sum := f.k.expSum(seen, f.scale, top)
	if old := f.top[r]; old != top {
		fade := exp32(old - top) // 0 at the first tile, where old is −Inf
		f.sum[r] *= fade
		f.k.scale(f.out[r*f.hdPad:][:f.hd], fade)
		f.top[r] = top
	}
	f.sum[r] += sum
}

// finish divides by the sums and stores; a row that saw nothing is 0 with lse +Inf, so that its probabilities are 0 again.
func (f *forwardBlock) finish(ws *workspace) {
	lse := f.lses(f.at)
	for i := f.i0; i < f.i1; i++ {
		r := i - f.i0
		row := f.out[r*f.hdPad:][:f.hd]
		if f.sum[r] == 0 {
			clear(row)
			lse[i] = float32(math.Inf(1))
		} else {
			f.k.scale(row, 1/f.sum[r])
			lse[i] = float32(float64(f.top[r]) + math.Log(float64(f.sum[r])))
		}
		f.k.store(f.o, ((f.at.b*f.tq+i)*f.hq+f.at.h)*f.hd, row)
	}
}
