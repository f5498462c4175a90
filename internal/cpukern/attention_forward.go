package cpukern

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// headBytes bounds the outputs that a task of the forward pass holds in float32: it takes as many of a key head's query heads as fit,
// so that keys and values are packed once for all of them.
const headBytes = 512 << 10

// Attention is softmax(q·kᵀ/√Hd)·v.
func (d *Device) Attention(o, lse, q, k, v, start tensor.Tensor, of device.Heads) {
	h := d.heads("Attention", o, lse, q, k, v, start, of)
	if !d.ready() {
		return
	}
	group := h.hq / h.hkv
	for group > 1 && ((h.hq/h.hkv)%group != 0 || group*queryBlock*h.hdPad*4 > headBytes) {
		group--
	}
	blocks, across := ceilDiv(h.tq, queryBlock), h.b*h.hq/group
	d.pool.run(across*blocks, func(ws *workspace, i int) {
		// Late blocks see the most keys: they go first, so that no thread is left with a long one at the end.
		i0 := (blocks - 1 - i/across) * queryBlock
		first := i % across * group
		f := forwardBlock{heads: h, at: head{first / h.hq, first % h.hq}, group: group, i0: i0, i1: min(h.tq, i0+queryBlock)}
		f.run(ws)
	})
}

// forwardBlock is the work on queries [i0, i1) of group heads of one key head, the first of which is at.
type forwardBlock struct {
	*heads
	at     head
	group  int
	i0, i1 int

	out      []float32 // (group, rows, hdPad), rows rounded up to whole panels
	top, sum []float32 // (group, rows): each row's running maximum, to base 2, and sum
	rows     int

	packedK, packedV []float32
	score, prob      []float32 // one panel's, (mr, keyBlock)
}

func (f *forwardBlock) run(ws *workspace) {
	f.rows = roundUp(f.i1-f.i0, f.t.mr)
	f.out = ws.floats(f.group * f.rows * f.hdPad)
	f.top, f.sum = ws.floats(f.group*f.rows), ws.floats(f.group*f.rows)
	clear(f.out)
	clear(f.sum)
	for i := range f.top {
		f.top[i] = negInf
	}
	if f.tq <= fewQueries {
		f.direct(ws)
	} else {
		f.packed(ws)
	}
	for g := range f.group {
		f.finish(g)
	}
}

// packed passes over the keys in tiles.
func (f *forwardBlock) packed(ws *workspace) {
	t, start := f.t, f.starts(f.at)
	f.packedK, f.packedV = ws.floats(keyBlock*f.depth), ws.floats(f.hdPad*ceilDiv(keyBlock, t.unit))
	f.score, f.prob = ws.floats(t.mr*keyBlock), ws.floats(t.mr*keyBlock)
	buf := ws.floats(f.rows * f.depth)
	key, value := f.keys(f.key, f.at, true), f.keys(f.v, f.at, false)
	for j0, end := f.span(start, f.i0, f.i1); j0 < end; j0 += keyBlock {
		j1 := min(end, j0+keyBlock)
		t.pack(f.packedK, &key, t.nr, j0, j1, 0, f.hd)
		t.pack(f.packedV, &value, t.nr, 0, f.hd, j0, j1)
		for g := range f.group {
			query := f.query(f.q, head{f.at.b, f.at.h + g}, true)
			rows, lda := f.k.leftRows(t, &query, f.i0, f.i1, f.hd, buf)
			for p := 0; p < f.i1-f.i0; p += t.mr {
				f.panel(skipRows(rows, lda, p), lda, g, p, j0, j1)
			}
		}
	}
}

// panel takes the rows from p on of head g through the tile of keys [j0, j1).
func (f *forwardBlock) panel(rows *float32, lda, g, p, j0, j1 int) {
	t, start := f.t, f.starts(f.at)
	n, last := min(t.mr, f.i1-f.i0-p), j1-j0
	c0 := last
	for i := range n {
		c0 = min(c0, max(int(start[f.i0+p+i])-j0, 0))
	}
	_, c1 := f.sees(start, f.i0+p+n-1, j0, j1)
	if c1 -= j0; c0 >= c1 {
		return
	}
	c0, c1 = c0/t.nr*t.nr, roundUp(c1, t.nr)
	t.multiplyRow(f.depth, left{rows, lda}, f.packedK[c0*f.depth:], t.nr*f.depth, f.score[c0:], keyBlock, c1-c0, false)
	width := keyBlock / t.unit
	for r := range t.mr {
		prob := f.prob[r*width+c0/t.unit : r*width+c1/t.unit]
		if r >= n {
			clear(prob)
			continue
		}
		lo, hi := f.sees(start, f.i0+p+r, j0, j1)
		score := f.score[r*keyBlock:][c0:c1]
		f.cap(score)
		f.softmax(g*f.rows+p+r, score, prob, lo-j0-c0, hi-j0-c0)
	}
	depth := ceilDiv(last, t.unit)
	t.multiplyRow(ceilDiv(min(c1, last)-c0, t.unit), left{&f.prob[c0/t.unit], 4 * width}, f.packedV[c0/t.unit*t.nr:], t.nr*depth,
		f.out[(g*f.rows+p)*f.hdPad:], f.hdPad, f.hdPad, true)
}

// softmax makes a row's powers of its scores, of which it sees [lo, hi), under its maximum so far, and brings what was summed before under
// that maximum.
func (f *forwardBlock) softmax(row int, score, prob []float32, lo, hi int) {
	if lo >= hi {
		clear(prob)
		return
	}
	hide(score[:max(lo, 0)])
	hide(score[hi:])
	old := f.top[row]
	top, sum := f.t.softmaxRow(&prob[0], &score[0], len(score), f.power, old)
	if old != top {
		fade := exp2f(old - top) // 0 at the first tile, where old is −Inf
		f.sum[row] *= fade
		f.k.scale(f.out[row*f.hdPad:][:f.hd], fade)
		f.top[row] = top
	}
	f.sum[row] += sum
}

// fewQueries is up to how many queries a head reads keys and values in place: packing them costs more than so few rows give back.
const fewQueries = 4

// direct is packed with a dot product and an addition a key.
func (f *forwardBlock) direct(ws *workspace) {
	k, start := f.k, f.starts(f.at)
	qb, vb, scores := ws.floats(f.hd), ws.floats(f.hd), ws.floats(keyBlock)
	for r := range f.group * (f.i1 - f.i0) {
		g, i := r/(f.i1-f.i0), f.i0+r%(f.i1-f.i0)
		at := head{f.at.b, f.at.h + g}
		query, key, value := f.query(f.q, at, true), f.keys(f.key, at, true), f.keys(f.v, at, true)
		row := g*f.rows + i - f.i0
		q, out := k.load(query.v, i*query.ld, f.hd, qb), f.out[row*f.hdPad:][:f.hd]
		for j0, end := f.span(start, i, i+1); j0 < end; j0 += keyBlock {
			lo, hi := f.sees(start, i, j0, min(end, j0+keyBlock))
			hide(scores)
			for j := lo; j < hi; j++ {
				scores[j-j0] = k.rowDot(q, key.v, j*key.ld)
			}
			f.cap(scores[min(lo, hi)-j0 : hi-j0])
			f.softmaxOfFew(row, scores)
			for j := lo; j < hi; j++ {
				k.axpy(out, k.load(value.v, j*value.ld, f.hd, vb), scores[j-j0])
			}
		}
	}
}

// softmaxOfFew is softmax in place, of float32 slots.
func (f *forwardBlock) softmaxOfFew(row int, scores []float32) {
	whole := *f.heads
	if f.t == f.k.floatTiles {
		whole.use(f.k.floatTiles)
	} else {
		whole.use(f.k.roundedTiles)
	}
	of := *f
	of.heads = &whole
	of.softmax(row, scores, scores, 0, len(scores))
}

// finish divides by the sums and stores; a row that saw nothing is 0 with lse +Inf, so that its probabilities are 0 again.
func (f *forwardBlock) finish(g int) {
	at := head{f.at.b, f.at.h + g}
	lse := f.lses(at)
	for i := f.i0; i < f.i1; i++ {
		r := g*f.rows + i - f.i0
		row := f.out[r*f.hdPad:][:f.hd]
		if f.sum[r] == 0 {
			clear(row)
			lse[i] = float32(math.Inf(1))
		} else {
			f.k.scale(row, 1/f.sum[r])
			lse[i] = float32((float64(f.top[r]) + log2(f.sum[r])) * math.Ln2)
		}
		f.k.store(f.o, ((at.b*f.tq+i)*f.hq+at.h)*f.hd, row)
	}
}
