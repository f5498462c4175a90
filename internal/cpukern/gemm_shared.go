package cpukern

import "unsafe"

// sharedBytes is the memory, common to all threads, for the packed factors of one product. A slab of the result takes at most a third of it.
const sharedBytes = 12 << 20

// slabSide is the rows and columns of a slab, about, where neither factor fits beside a good part of the other: packing a factor again for
// every slab costs little then.
const slabSide = 960

// shared is a product whose factors are packed once for all threads, or, when they are too large for that, slab by slab: rows [i0,
// i0+rows) of A and [j0, j0+cols) of B, for the whole sum or for a chunk of it after the other. A factor that fits whole stays packed
// while the slabs of the other go by. Where A's rows can be read as they lie, only what does not fill a panel at their end is packed.
type shared struct {
	*product
	k          *kernels // of these factors
	unit       int      // positions of the sum that an element of a panel holds
	depth      int      // elements of a panel in all
	block      int      // in one block of the sum
	chunk      int      // and in one run, whole blocks
	rows, cols int      // of a slab, whole panels
	i0, j0, k0 int
	lda        int // bytes between two rows of A where they are read in place, else 0

	packA, packB func(dst []float32, o *operand, width, i0, i1, k0, k1 int)

	a, b []float32 // the panels, block by block of the sum
	sums []float32 // (rows, cols), where the sum goes by chunks
}

// shared lays a product out. Slabs and chunks depend on its shape and factors alone.
func (d *Device) shared(p *product) shared {
	s := shared{product: p}
	s.k, s.unit = d.k.forMatrices(p.a.v, p.b.v)
	step := max(1, s.k.step)
	s.depth = roundUp(ceilDiv(p.k, s.unit), step)
	s.block = even(s.depth, s.k.blockK, step)
	s.chunk = s.depth
	s.packA, s.packB = s.k.packA, s.k.pack
	if s.packA == nil {
		s.packA = s.k.pack
	}
	d.packed.reset()
	all := (d.packRoom - 512) / 4
	room := all / max(1, s.depth) // rows of both factors together
	m, n := roundUp(p.m, s.k.mr), roundUp(p.n, s.k.nr)
	if s.lda = s.readInPlace(); s.lda > 0 && room-s.k.mr >= min(n, slabSide) {
		s.rows, s.cols = m, n
		if room -= s.k.mr; n > room {
			s.cols = even(n, room/cellN*cellN, cellN)
		}
		s.a, s.b = d.packed.floats(s.k.mr*s.depth), d.packed.floats(s.cols*s.depth)
		return s
	}
	s.lda = 0
	switch {
	case m+n <= room:
		s.rows, s.cols = m, n
	case m <= n && room-m >= slabSide:
		s.rows, s.cols = m, even(n, (room-m)/cellN*cellN, cellN)
	case n < m && room-n >= slabSide:
		s.rows, s.cols = even(m, (room-n)/cellM*cellM, cellM), n
	default:
		for side := slabSide; ; side /= 2 { // once, but for less memory than sharedBytes
			s.rows, s.cols = even(m, side, cellM), even(n, side, cellN)
			s.chunk = min(s.depth, (all-s.rows*s.cols)/(s.rows+s.cols)/max(1, s.block)*s.block)
			if s.chunk >= s.block {
				break
			}
		}
		s.sums = d.packed.floats(s.rows * s.cols)
	}
	s.a, s.b = d.packed.floats(s.rows*s.chunk), d.packed.floats(s.cols*s.chunk)
	return s
}

// readInPlace is the bytes between two rows of A if a kernel can read them where they lie: numbers of its own type, the sum along the row, to
// whole steps. Else, and where the rows are a multiple of pages apart, so that all want the same places of the first-level cache, it is 0.
func (s *shared) readInPlace() int {
	a := &s.product.a
	bytes := a.ld * 4
	if a.v.half {
		bytes = a.ld * 2
	}
	if s.k.direct == nil && s.k.whole == nil || !a.along || a.v.half != (s.unit == 2) || s.product.k%(s.unit*max(1, s.k.step)) != 0 || bytes%4096 == 0 {
		return 0
	}
	return bytes
}

// packRows is about how many rows of a factor a task packs.
const packRows = 96

// multiplyChunk packs what has changed since the run before and then works on the tiles of the slab, in one run: tasks are taken in order,
// so who comes to a tile waits at most for a panel that another thread is packing.
func (d *Device) multiplyChunk(s *shared, finish func(ws *workspace, t *tile)) {
	i1, j1 := min(s.m, s.i0+s.rows), min(s.n, s.j0+s.cols)
	firstA, rowsB := s.i0, j1-s.j0
	if s.lda > 0 {
		firstA = s.m / s.k.mr * s.k.mr
	}
	rowsA := i1 - firstA
	if whole := s.chunk == s.depth; whole && s.rows >= s.m && s.j0 > 0 {
		rowsA = 0
	} else if whole && s.i0 > 0 {
		rowsB = 0
	}
	stepA, stepB := roundUp(packRows, s.k.mr), roundUp(packRows, s.k.nr)
	tasksA, tasksB := ceilDiv(rowsA, stepA), ceilDiv(rowsB, stepB)
	tm, tn := tiling(i1-s.i0, j1-s.j0, d.Threads())
	down := ceilDiv(i1-s.i0, tm)
	var packs countdown
	packs.add(tasksA + tasksB)
	d.pool.run(tasksA+tasksB+down*ceilDiv(j1-s.j0, tn), func(ws *workspace, index int) {
		switch {
		case index < tasksA:
			lo := firstA + index*stepA
			s.pack(s.packA, s.a, &s.product.a, s.k.mr, s.rowsPacked(), lo, min(i1, lo+stepA), firstA)
			packs.done()
			return
		case index < tasksA+tasksB:
			lo := s.j0 + (index-tasksA)*stepB
			s.pack(s.packB, s.b, &s.product.b, s.k.nr, s.cols, lo, min(j1, lo+stepB), s.j0)
			packs.done()
			return
		}
		packs.wait()
		// Neighbouring tasks share the panel of B, which stays in the shared cache.
		index -= tasksA + tasksB
		i, j := s.i0+index%down*tm, s.j0+index/down*tn
		t := tile{i0: i, i1: min(i1, i+tm), j0: j, j1: min(j1, j+tn)}
		s.makeTile(ws, &t)
		if s.k0+s.chunk >= s.depth {
			finish(ws, &t)
		}
	})
}

// pack packs rows [lo, hi) of a factor, for the chunk, into the panels of a slab of so many rows that begins at row first.
func (s *shared) pack(pack func([]float32, *operand, int, int, int, int, int), dst []float32, o *operand, width, rows, lo, hi, first int) {
	for k, end := s.k0, min(s.depth, s.k0+s.chunk); k < end; k += s.block {
		depth := min(s.block, s.depth-k)
		pack(dst[rows*(k-s.k0)+(lo-first)*depth:], o, width, lo, hi, k*s.unit, min(s.product.k, (k+depth)*s.unit))
	}
}

// makeTile adds the chunk to a tile, from packed panels.
func (s *shared) makeTile(ws *workspace, t *tile) {
	rows, cols := roundUp(t.i1-t.i0, s.k.mr), roundUp(t.j1-t.j0, s.k.nr)
	if s.sums != nil {
		t.ld, t.c = s.cols, s.sums[(t.i0-s.i0)*s.cols+t.j0-s.j0:]
	} else {
		t.ld, t.c = cols, ws.floats(rows*cols)
	}
	if s.depth == 0 {
		clear(t.c)
	}
	for k, end := s.k0, min(s.depth, s.k0+s.chunk); k < end; k += s.block {
		if k+s.block < s.depth {
			for j := 0; j < cols; j += s.k.nr {
				s.addBlock(t, 0, rows, j, k)
			}
		} else {
			s.lastBlock(t, rows, cols, k)
		}
	}
}

// rowsPacked is the rows of A that are packed at a time.
func (s *shared) rowsPacked() int {
	if s.lda > 0 {
		return s.k.mr
	}
	return s.rows
}

// addBlock adds the block of the sum from k on to rows [i, i+rows) of a tile, in the panel of columns from j on.
func (s *shared) addBlock(t *tile, i, rows, j, k int) {
	depth, first := min(s.block, s.depth-k), t.i0+i
	c, b := t.c[i*t.ld+j:], s.b[s.cols*(k-s.k0)+(t.j0-s.j0+j)*depth:]
	packed := first - s.i0 // of the packed rows, the first one wanted
	if s.lda > 0 {
		whole := min(rows, (s.m-first)/s.k.mr*s.k.mr)
		if whole > 0 {
			s.k.multiplyPanel(c, t.ld, left{s.product.a.v.at(first*s.product.a.ld + k*s.unit), s.lda}, b, whole, depth, k > 0)
		}
		if whole == rows {
			return
		}
		c, rows, packed = c[whole*t.ld:], rows-whole, 0 // the last panel is the only one that is packed
	}
	s.k.multiplyPanel(c, t.ld, left{at: &s.a[s.rowsPacked()*(k-s.k0)+packed*depth]}, b, rows, depth, k > 0)
}

// lastBlock adds the last block of the sum and brings the place near where the tile will be written, a row or two between the cells: the rows
// of a tile are too short for the processor to foresee them, and of many requests at once it drops most.
func (s *shared) lastBlock(t *tile, rows, cols, k int) {
	step := s.k.mr
	if s.k.whole != nil {
		step = rows
	}
	at, cells := 0, cols/s.k.nr*(rows/step)
	for j := 0; j < cols; j += s.k.nr {
		for i := 0; i < rows; i += step {
			s.bringNear(t, at, cells)
			s.addBlock(t, i, step, j, k)
			at++
		}
	}
}

// bringNear asks for the at-th of so many parts of the tile's rows.
func (s *shared) bringNear(t *tile, at, parts int) {
	rows, cols := t.i1-t.i0, t.j1-t.j0
	lo, hi := rows*at/parts, rows*(at+1)/parts
	if s.k.prefetch == nil || lo == hi {
		return
	}
	off := (t.i0+lo)*s.n + t.j0
	switch {
	case s.c.half:
		s.k.prefetch((*byte)(unsafe.Pointer(&s.c.h[off])), 2*cols, 2*s.n, hi-lo)
	case s.c.f != nil:
		s.k.prefetch((*byte)(unsafe.Pointer(&s.c.f[off])), 4*cols, 4*s.n, hi-lo)
	}
}
