package cpukern

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// sumBytes bounds the sums of dk and dv of a whole key head that a thread holds.
const sumBytes = 5 << 19

// AttentionBackward writes dq, dk and dv. A thread takes a key head through all tiles, five products each, where the sums of its dk and dv fit in
// the workspace and there are enough key heads for the threads. Else tiles are passed over twice, by blocks of queries for dq and by
// blocks of keys for dk and dv, seven products in all. Both ways add in the same order, so they give the same bits.
func (d *Device) AttentionBackward(dq, dk, dv, do, o, lse, q, k, v, start tensor.Tensor, of device.Heads) {
	const op = "AttentionBackward"
	h := d.heads(op, o, lse, q, k, v, start, of)
	wantSame(op, q, dq)
	wantSame(op, q, do)
	wantSame(op, k, dk)
	wantSame(op, k, dv)
	if h.tk != h.tq {
		panic(op + ": keys and queries must be of one length")
	}
	if !d.ready() {
		return
	}
	g := &gradients{heads: h, do: floatsOf(op, do), dq: floatsOf(op, dq), dk: floatsOf(op, dk), dv: floatsOf(op, dv)}
	if !g.do.half {
		h.use(d.k.floatTiles)
	}
	g.block = blockOf(of.Dim)
	d.backward(g, g.oncePays(len(d.pool.ws)))
}

// backward runs the tasks of one way or of the other.
func (d *Device) backward(g *gradients, once bool) {
	group, blocks := g.hq/g.hkv, ceilDiv(g.tq, g.block)
	if once {
		d.pool.run(g.b*g.hkv, func(ws *workspace, i int) {
			at := head{i / g.hkv, i % g.hkv * group}
			g.pass(ws, at, group, 0, g.tq, 0, g.tk, true, true)
		})
		return
	}
	d.pool.run(g.b*g.hq*blocks, func(ws *workspace, i int) {
		i0 := (blocks - 1 - i/(g.b*g.hq)) * g.block // the longest first
		g.pass(ws, head{i / g.hq % g.b, i % g.hq}, 1, i0, min(g.tq, i0+g.block), 0, g.tk, true, false)
	})
	d.pool.run(g.b*g.hkv*blocks, func(ws *workspace, i int) {
		j0 := i / (g.b * g.hkv) * g.block // here early keys are seen by the most queries
		at := head{i / g.hkv % g.b, i % g.hkv * group}
		g.pass(ws, at, group, 0, g.tq, j0, min(g.tk, j0+g.block), false, true)
	})
}

type gradients struct {
	*heads
	do, dq, dk, dv floats
	block          int // queries and keys of a tile
}

// blockOf is the side of a tile: what is packed of large heads must fit the workspace.
func blockOf(hd int) int {
	switch {
	case hd <= 128:
		return queryBlock
	case hd <= 256:
		return queryBlock / 2
	}
	return queryBlock / 4
}

// oncePays says whether the pass by key heads is the faster one.
func (g *gradients) oncePays(threads int) bool {
	tasks := g.b * g.hkv
	return roundUp(g.tk, g.t.mr)*g.hdPad*8 <= sumBytes && (tasks%threads == 0 || tasks >= 4*threads)
}

// backTile is one tile of the backward pass: queries [i0, i1) and keys [j0, j1) of a head. Scores lie with a row for each key, so that
// products over queries read them as they are.
type backTile struct {
	*gradients
	at             head
	i0, i1, j0, j1 int
	cols           int // a row's positions: a block of queries, rounded up to the kernel's columns

	qAlong, doAlong   []float32 // packed for the scores
	qAcross, doAcross []float32 // packed for dk and dv
	kAcross           []float32 // packed for dq
	kRows, vRows      []float32
	score, dp, p      []float32 // of a panel of keys
	ds, packedDS      []float32 // of the tile
	lse, delta        []float32 // of each query: its log-sum to base 2, and Σ do⊙o
	none              []float32 // with a cap: zeros in delta's place
	dq                []float32
	ordered           bool // documents begin in the order of the queries
}

func (g *gradients) newTile(ws *workspace) *backTile {
	t, side := g.t, roundUp(g.block, g.t.mr)
	cols := roundUp(g.block, t.nr)
	across := g.hdPad * ceilDiv(g.block, t.unit)
	b := &backTile{gradients: g, cols: cols,
		qAlong: ws.floats(cols * g.depth), doAlong: ws.floats(cols * g.depth), qAcross: ws.floats(across), doAcross: ws.floats(across),
		kAcross: ws.floats(across), kRows: ws.floats(side * g.depth), vRows: ws.floats(side * g.depth),
		score: ws.floats(t.mr * cols), dp: ws.floats(t.mr * cols), p: t.slots(ws, t.mr*cols),
		ds: t.slots(ws, side*cols), packedDS: ws.floats(side * t.leftDepth(g.block)),
		lse: ws.floats(cols), delta: ws.floats(cols), dq: ws.floats(side * g.hdPad)}
	if g.inverse > 0 {
		b.none = ws.floats(cols)
		clear(b.none)
	}
	return b
}

// pass takes the tiles of queries [i0, i1) and keys [j0, j1) of heads query heads, from at on, that share a key head, and
// writes dq, or dk and dv, or both.
func (g *gradients) pass(ws *workspace, at head, heads, i0, i1, j0, j1 int, wantQ, wantKV bool) {
	t := g.newTile(ws)
	var dk, dv []float32
	if wantKV {
		size := roundUp(j1-j0, g.t.mr) * g.hdPad
		dk, dv = ws.floats(size), ws.floats(size)
		clear(dk)
		clear(dv)
	}
	buf := ws.floats(2 * g.hd)
	for h := range heads {
		for i := max(i0, j0/g.block*g.block); i < i1; i += g.block {
			t.takeQueries(head{at.b, at.h + h}, i, min(i1, i+g.block), buf)
			for j := j0; j < min(j1, t.i1); j += g.block {
				t.tile(j, min(j1, j+g.block), dk[min(len(dk), (j-j0)*g.hdPad):], dv[min(len(dv), (j-j0)*g.hdPad):], wantQ, wantKV)
			}
			if wantQ {
				g.storeRows(g.dq, t.dq, at.b*g.tq, i, t.i1, g.hq, at.h+h, g.scale)
			}
		}
	}
	if wantKV {
		hkv := at.h / (g.hq / g.hkv)
		g.storeRows(g.dk, dk, at.b*g.tk, j0, j1, g.hkv, hkv, g.scale)
		g.storeRows(g.dv, dv, at.b*g.tk, j0, j1, g.hkv, hkv, 1)
	}
}

// storeRows stores scale times the sums of rows [r0, r1) of a head.
func (g *gradients) storeRows(dst floats, sum []float32, base, r0, r1, heads, h int, scale float32) {
	for r := r0; r < r1; r++ {
		row := sum[(r-r0)*g.hdPad:][:g.hd]
		g.k.scale(row, scale)
		g.k.store(dst, ((base+r)*heads+h)*g.hd, row)
	}
}

// takeQueries packs the queries of a tile and their gradients both ways, and computes delta.
func (t *backTile) takeQueries(at head, i0, i1 int, buf []float32) {
	t.at, t.i0, t.i1 = at, i0, i1
	for _, f := range []struct {
		v             floats
		along, across []float32
	}{{t.q, t.qAlong, t.qAcross}, {t.do, t.doAlong, t.doAcross}} {
		rows, cols := t.query(f.v, at, true), t.query(f.v, at, false)
		t.t.pack(f.along, &rows, t.t.nr, i0, i1, 0, t.hd)
		t.t.pack(f.across, &cols, t.t.nr, 0, t.hd, i0, i1)
	}
	lse, start := t.lses(at)[i0:i1], t.starts(at)[i0:i1]
	t.ordered = true
	for i := range t.cols {
		if i >= len(lse) { // a query that is none sees nothing
			t.lse[i], t.delta[i] = float32(math.Inf(1)), 0
			continue
		}
		t.ordered = t.ordered && (i == 0 || start[i-1] <= start[i])
		off := ((at.b*t.tq+i0+i)*t.hq + at.h) * t.hd
		t.lse[i] = lse[i] * log2e
		t.delta[i] = t.k.dot(t.k.load(t.do, off, t.hd, buf[:t.hd]), t.k.load(t.o, off, t.hd, buf[t.hd:]))
	}
	clear(t.dq)
}

// tile adds the tile of keys [j0, j1) to dq, and to dk and dv, which begin at j0.
func (t *backTile) tile(j0, j1 int, dk, dv []float32, wantQ, wantKV bool) {
	if lo, _ := t.span(t.starts(t.at), t.i0, t.i1); lo >= j1 {
		return // these queries belong to later documents
	}
	t.j0, t.j1 = j0, j1
	key, value := t.keys(t.key, t.at, true), t.keys(t.v, t.at, true)
	kRows, kStep := t.k.leftRows(t.t, &key, j0, j1, t.hd, t.kRows)
	vRows, vStep := t.k.leftRows(t.t, &value, j0, j1, t.hd, t.vRows)
	for p := 0; p < j1-j0; p += t.t.mr {
		c0, c1 := t.panel(skipRows(kRows, kStep, p), kStep, skipRows(vRows, vStep, p), vStep, p)
		if wantKV && c0 < c1 {
			t.addKeys(t.p, t.doAcross, dv[p*t.hdPad:], c0, c1)
			t.addKeys(t.dsRow(p, 0), t.qAcross, dk[p*t.hdPad:], c0, c1)
		}
	}
	if wantQ {
		t.addQueries()
	}
}

// dsRow is ds of key p of the tile from query c on.
func (t *backTile) dsRow(p, c int) []float32 { return t.ds[(p*t.cols+c)/t.t.unit:] }

// panel makes p = 2^(k·qᵀ·scale − lse) and ds = p⊙(v·doᵀ − delta) of the keys from p on, zero where a query does not see a key, for the
// queries [c0, c1): outside none sees any of these keys.
func (t *backTile) panel(kRows *float32, kStep int, vRows *float32, vStep, p int) (c0, c1 int) {
	n, queries := min(t.t.mr, t.j1-t.j0-p), t.i1-t.i0
	c0, c1 = t.seenBy(p)
	_, c1 = t.seenBy(p + n - 1)
	c0, c1 = c0/t.t.nr*t.t.nr, roundUp(c1, t.t.nr)
	if !t.ordered {
		c1 = roundUp(queries, t.t.nr)
	}
	if c0 < c1 {
		next := t.t.nr * t.depth
		t.t.multiplyRow(t.depth, left{kRows, kStep}, t.qAlong[c0*t.depth:], next, t.score[c0:], t.cols, c1-c0, false)
		t.t.multiplyRow(t.depth, left{vRows, vStep}, t.doAlong[c0*t.depth:], next, t.dp[c0:], t.cols, c1-c0, false)
	}
	width := t.cols / t.t.unit
	for r := range t.t.mr {
		ds := t.dsRow(p+r, 0)[:width]
		if r >= n || c0 >= c1 {
			clear(ds)
			clear(t.p[r*width:][:width])
			continue
		}
		score, dp, delta := t.score[r*t.cols:][:t.cols], t.dp[r*t.cols:][:t.cols], t.delta
		if t.inverse > 0 { // the derivative goes into dp − delta, so that ds is rounded once
			t.cap(score[c0:c1])
			t.k.axpy(dp[c0:c1], delta[c0:c1], -1)
			t.k.softCapBackward(dp[c0:c1], score[c0:c1], 1/t.limit)
			delta = t.none
		}
		t.hideRow(score, p+r, c0, c1)
		clear(ds[:c0/t.t.unit])
		clear(ds[c1/t.t.unit:])
		t.t.gradRow(&t.p[r*width+c0/t.t.unit], &ds[c0/t.t.unit], &score[c0], &dp[c0], &t.lse[c0], &delta[c0], c1-c0, t.power)
	}
	return c0, c1
}

// seenBy is the range of queries of the tile that see key p of it, where documents begin in the order of queries.
func (t *backTile) seenBy(p int) (lo, hi int) {
	start, j := t.starts(t.at)[t.i0:t.i1], t.j0+p
	lo, hi = max(0, j-t.i0), len(start)
	if int(start[hi-1]) <= j {
		return min(lo, hi), hi
	}
	return min(lo, hi), lowerBound(start, j+1)
}

// hideRow marks the scores of queries in [c0, c1) that do not see key p of the tile.
func (t *backTile) hideRow(score []float32, p, c0, c1 int) {
	if t.ordered {
		lo, hi := t.seenBy(p)
		hide(score[c0:max(c0, min(lo, c1))])
		hide(score[max(c0, min(hi, c1)):c1])
		return
	}
	start, j := t.starts(t.at)[t.i0:t.i1], t.j0+p
	for i, s := range start {
		if i >= c0 && (i+t.i0 < j || int(s) > j) {
			score[i] = unseen
		}
	}
}

// addKeys is sum += a·b over the queries [c0, c1) for a panel of keys a.
func (t *backTile) addKeys(a, b, sum []float32, c0, c1 int) {
	unit, nr, queries := t.t.unit, t.t.nr, t.i1-t.i0
	depth := ceilDiv(queries, unit)
	t.t.multiplyRow(ceilDiv(min(c1, queries)-c0, unit), left{&a[c0/unit], 4 * t.cols / unit}, b[c0/unit*nr:], nr*depth, sum, t.hdPad, t.hdPad, true)
}

// addQueries is dq += ds·k over the keys of the tile.
func (t *backTile) addQueries() {
	k, queries, keys := t.t, t.i1-t.i0, t.j1-t.j0
	ds := operand{k.factor(t.ds, roundUp(keys, k.mr)*t.cols), t.cols, false}
	key := t.keys(t.key, t.at, false)
	packLeft := k.packLeft
	if packLeft == nil {
		packLeft = k.pack
	}
	packLeft(t.packedDS, &ds, k.mr, 0, queries, 0, keys)
	k.pack(t.kAcross, &key, k.nr, 0, t.hd, t.j0, t.j1)
	panel, depth := k.leftDepth(keys), ceilDiv(keys, k.unit)
	for p := 0; p < queries; p += k.mr {
		reach := min(t.i0+min(p+k.mr, queries)-t.j0, keys) // keys up to the last query's own
		if reach > 0 {
			k.multiplyRow(ceilDiv(reach, k.unit), left{at: &t.packedDS[p*panel]}, t.kAcross, k.nr*depth, t.dq[p*t.hdPad:], t.hdPad, t.hdPad, true)
		}
	}
}
