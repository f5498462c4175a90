package cpukern

import "lomo/internal/tensor"

// AttentionBackward writes dq, dk and dv. It passes over the tiles twice, by blocks of queries for dq and by blocks of keys for dk
// and dv, and makes the probabilities anew in both (seven products a tile where five would do): so no task adds to what
// another adds to, sums have a fixed order, and nothing of the size of a sequence is held.
func (d *Device) AttentionBackward(dq, dk, dv, do, o, lse, q, k, v, start tensor.Tensor, headDim int) {
	const op = "AttentionBackward"
	h := d.heads(op, o, lse, q, k, v, start, headDim)
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
	g := gradients{heads: h, do: floatsOf(op, do), dq: floatsOf(op, dq), dk: floatsOf(op, dk), dv: floatsOf(op, dv)}
	if g.do.half != h.q.half {
		h.along, h.depth = d.k, headDim
	}
	blocks := ceilDiv(h.tq, queryBlock)
	d.pool.run(h.b*h.hq*blocks, func(ws *workspace, i int) {
		i0 := (blocks - 1 - i/(h.b*h.hq)) * queryBlock // the longest first
		g.queries(ws, head{i / h.hq % h.b, i % h.hq}, i0, min(h.tq, i0+queryBlock))
	})
	d.pool.run(h.b*h.hkv*ceilDiv(h.tk, keyBlock), func(ws *workspace, i int) {
		j0 := i / (h.b * h.hkv) * keyBlock // here early keys are seen by the most queries
		g.keyValues(ws, i/h.hkv%h.b, i%h.hkv, j0, min(h.tk, j0+keyBlock))
	})
}

type gradients struct {
	*heads
	do, dq, dk, dv floats
}

// backTile is one tile of the backward pass: queries [i0, i1) and keys [j0, j1) of a head.
type backTile struct {
	*gradients
	at             head
	i0, i1, j0, j1 int

	packedQ, packedDO []float32 // the factors of the scores and of dP, along the head
	packedK, packedV  []float32
	p, ds             []float32 // (rowsPad, keysPad): probabilities and the gradient of the scores
	delta             []float32 // Σ do⊙o of each query

	packedA, packedB []float32 // for the products that follow
	buf              []float32
}

func (g *gradients) newTile(ws *workspace) *backTile {
	side := max(g.rowsPad, g.keysPad) + g.k.mr
	return &backTile{gradients: g,
		packedQ: ws.floats(g.rowsPad * g.hd), packedDO: ws.floats(g.rowsPad * g.hd),
		packedK: ws.floats(g.keysPad * g.hd), packedV: ws.floats(g.keysPad * g.hd),
		p: ws.floats(g.rowsPad * g.keysPad), ds: ws.floats(g.rowsPad * g.keysPad), delta: ws.floats(queryBlock),
		packedA: ws.floats(side * side), packedB: ws.floats(max(queryBlock, keyBlock) * g.hdPad), buf: ws.floats(2 * g.hd)}
}

// takeQueries packs the queries of the tile and computes their delta.
func (t *backTile) takeQueries(at head, i0, i1 int) {
	t.at, t.i0, t.i1 = at, i0, i1
	q, do := t.query(t.q, at, true), t.query(t.do, at, true)
	t.along.pack(t.packedQ, &q, t.k.mr, i0, i1, 0, t.hd)
	t.along.pack(t.packedDO, &do, t.k.mr, i0, i1, 0, t.hd)
	for i := i0; i < i1; i++ {
		off := ((at.b*t.tq+i)*t.hq + at.h) * t.hd
		t.delta[i-i0] = t.k.dot(t.k.load(t.do, off, t.hd, t.buf[:t.hd]), t.k.load(t.o, off, t.hd, t.buf[t.hd:]))
	}
}

func (t *backTile) takeKeys(at head, j0, j1 int) {
	t.j0, t.j1 = j0, j1
	key, value := t.keys(t.key, at, true), t.keys(t.v, at, true)
	t.along.pack(t.packedK, &key, t.k.nr, j0, j1, 0, t.hd)
	t.along.pack(t.packedV, &value, t.k.nr, j0, j1, 0, t.hd)
}

// scores makes p = exp(q·kᵀ·scale − lse) and ds = p⊙(do·vᵀ − delta), zero where a query does not see a key.
func (t *backTile) scores() {
	t.scoreTile(t.p, t.packedQ, t.packedK, t.i0, t.i1-t.i0, t.j0, t.j1-t.j0)
	t.scoreTile(t.ds, t.packedDO, t.packedV, t.i0, t.i1-t.i0, t.j0, t.j1-t.j0)
	start, lse := t.starts(t.at), t.lses(t.at)
	for i := t.i0; i < t.i1; i++ {
		lo, hi := t.sees(start, i, t.j0, t.j1)
		lo, hi = lo-t.j0, hi-t.j0
		off := (i - t.i0) * t.keysPad
		p, ds := t.p[off:off+t.j1-t.j0], t.ds[off:off+t.j1-t.j0]
		if lo >= hi {
			clear(p)
			clear(ds)
			continue
		}
		clear(p[:lo])
		clear(ds[:lo])
		clear(p[hi:])
		clear(ds[hi:])
		t.k.expSum(p[lo:hi], t.scale, lse[i])
		t.k.softmaxGrad(p[lo:hi], ds[lo:hi], t.delta[i-t.i0])
	}
}

// queries makes dq of the queries [i0, i1): dq = scale·Σ ds·k.
func (g *gradients) queries(ws *workspace, at head, i0, i1 int) {
	t := g.newTile(ws)
	sum := ws.floats(g.rowsPad * g.hdPad)
	clear(sum)
	t.takeQueries(at, i0, i1)
	ds, key := operand{floats{f: t.ds}, g.keysPad, true}, g.keys(g.key, at, false)
	for j0, end := g.span(g.starts(at), i0, i1); j0 < end; j0 += keyBlock {
		t.takeKeys(at, j0, min(end, j0+keyBlock))
		t.scores()
		g.k.pack(t.packedA, &ds, g.k.mr, 0, i1-i0, 0, t.j1-t.j0)
		g.k.pack(t.packedB, &key, g.k.nr, 0, g.hd, t.j0, t.j1)
		g.weighTile(sum, t.packedA, t.packedB, i0, i1-i0, t.j0, t.j1-t.j0)
	}
	for i := i0; i < i1; i++ {
		row := sum[(i-i0)*g.hdPad:][:g.hd]
		g.k.scale(row, g.scale)
		g.k.store(g.dq, ((at.b*g.tq+i)*g.hq+at.h)*g.hd, row)
	}
}

// add is sum += aᵀ·b over the queries of the tile, for a (queries, keys) that is zero where a query does not see a key: a panel of
// keys begins at its first key's own query.
func (t *backTile) add(sum []float32, a, b *operand) {
	n, keys := t.i1-t.i0, t.j1-t.j0
	t.k.pack(t.packedA, a, t.k.mr, 0, keys, 0, n)
	t.k.pack(t.packedB, b, t.k.nr, 0, t.hd, t.i0, t.i1)
	for p := 0; p < keys; p += t.k.mr {
		skip := max(0, t.j0+p-t.i0)
		for j := 0; j < t.hdPad && skip < n; j += t.k.nr {
			t.k.micro(n-skip, &t.packedA[p*n+skip*t.k.mr], &t.packedB[j*n+skip*t.k.nr], &sum[p*t.hdPad+j], t.hdPad, true)
		}
	}
}

// keyValues makes dk and dv of the keys [j0, j1) of a key head, over its query heads and their queries in order:
// dv = Σ pᵀ·do, dk = scale·Σ dsᵀ·q.
func (g *gradients) keyValues(ws *workspace, b, hkv, j0, j1 int) {
	t := g.newTile(ws)
	size := roundUp(keyBlock, g.k.mr) * g.hdPad
	dk, dv := ws.floats(size), ws.floats(size)
	clear(dk)
	clear(dv)
	p, ds := operand{floats{f: t.p}, g.keysPad, false}, operand{floats{f: t.ds}, g.keysPad, false}
	group := g.hq / g.hkv
	for h := hkv * group; h < (hkv+1)*group; h++ {
		at := head{b, h}
		t.takeKeys(at, j0, j1)
		do, q := g.query(g.do, at, false), g.query(g.q, at, false)
		for i0 := j0; i0 < g.tq; i0 += queryBlock {
			i1 := min(g.tq, i0+queryBlock)
			if lo, _ := g.span(g.starts(at), i0, i1); lo >= j1 {
				continue // these queries belong to later documents
			}
			t.takeQueries(at, i0, i1)
			t.scores()
			t.add(dv, &p, &do)
			t.add(dk, &ds, &q)
		}
	}
	for j := j0; j < j1; j++ {
		off := ((b*g.tk+j)*g.hkv + hkv) * g.hd
		rowK, rowV := dk[(j-j0)*g.hdPad:][:g.hd], dv[(j-j0)*g.hdPad:][:g.hd]
		g.k.scale(rowK, g.scale)
		g.k.store(g.dk, off, rowK)
		g.k.store(g.dv, off, rowV)
	}
}
