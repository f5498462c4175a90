package cpukern

// operand is a factor of a product: row i (of the result's rows or columns), position k of the sum.
type operand struct {
	v  floats
	ld int
	// along says where the sum runs: true when a row's k are neighbours (element (i,k) at i·ld+k), false when a
	// position's i are (element (i,k) at k·ld+i).
	along bool
}

// product is C = A·Bᵀ in these terms: C (m, n), the sum over k.
type product struct {
	m, n, k int
	a, b    operand
	c       floats // where C is to go, by rows of n: it is brought near while its last block is made; empty: nowhere
}

// tile is a finished piece of C: rows [i0, i1), columns [j0, j1), element (i, j) at c[(i−i0)·ld + j−j0].
type tile struct {
	i0, i1, j0, j1 int
	c              []float32
	ld             int
}

func (t *tile) row(i int) []float32 { return t.c[(i-t.i0)*t.ld:][:t.j1-t.j0] }

// Sizes of a task, chosen so that for one block of the sum the panels of A and B and the tile of C stay in the second-level cache, and a
// panel of B (nr × the level's blockK) in the first. Tiles are whole cells, except at the edges.
const (
	tileM, cellM = 192, 96 // cellM is a multiple of every level's mr
	tileN, cellN = 256, 64 // and cellN of every nr

	tasksPerThread = 8 // enough that threads end at nearly the same time though the machine does other things
)

// tiling chooses the tile of C for an (m, n) product. It may look at the number of threads, because tiles have no influence on bits:
// every element is summed in the order of multiply, and sums over elements go by cells.
func tiling(m, n, threads int) (tm, tn int) {
	tm, tn = min(tileM, roundUp(m, cellM)), min(tileN, roundUp(n, cellN))
	for ceilDiv(m, tm)*ceilDiv(n, tn) < tasksPerThread*threads && (tm > cellM || tn > cellN) {
		if tn > cellN && (tn >= tm || tm == cellM) {
			tn = roundUp(tn/2, cellN)
		} else {
			tm = roundUp(tm/2, cellM)
		}
	}
	return even(m, tm, cellM), even(n, tn, cellN)
}

// even is a tile not larger than size that cuts n into as many, but nearly equal, pieces.
func even(n, size, cell int) int { return roundUp(ceilDiv(n, max(1, ceilDiv(n, size))), cell) }

// multiply makes the product tile by tile and hands each tile, once, to finish, on the thread that made it. The order of each
// element's sum is fixed: blocks of the sum, within one from first to last.
func (d *Device) multiply(p product, finish func(ws *workspace, t *tile)) {
	s := d.shared(&p)
	for s.j0 = 0; s.j0 < p.n; s.j0 += s.cols {
		for s.i0 = 0; s.i0 < p.m; s.i0 += s.rows {
			d.multiplyChunk(&s, finish)
			for s.k0 = s.chunk; s.k0 < s.depth; s.k0 += s.chunk {
				d.multiplyChunk(&s, finish)
			}
			s.k0 = 0
		}
	}
}

// cells is one number for every cell of C, for sums over all elements whose order must not depend on the tiles.
type cells struct {
	sums   []float64
	across int
}

func (d *Device) cells(p *product) cells {
	across := ceilDiv(p.n, cellN)
	return cells{d.partial(ceilDiv(p.m, cellM) * across), across}
}

// addSquares adds the squares of row i of a tile to its cells.
func (c *cells) addSquares(k *kernels, t *tile, i int) {
	row, at := t.row(i), i/cellM*c.across+t.j0/cellN
	for j := 0; j < len(row); j += cellN {
		c.sums[at] += k.sumSq(row[j:min(len(row), j+cellN)])
		at++
	}
}

// forFactors is the packing and the tile kernel for a product of these, and how many positions an element of its panels holds.
func (k *kernels) forFactors(a, b floats) (m *kernels, unit int) {
	if k.pairs != nil && a.half && b.half {
		return k.pairs, 2
	}
	return k, 1
}

// forMatrices is forFactors for products that are packed whole.
func (k *kernels) forMatrices(a, b floats) (m *kernels, unit int) {
	if k.tiles != nil && a.half && b.half {
		return k.tiles, 2
	}
	return k.forFactors(a, b)
}

// left is where the rows of a left factor lie: in packed panels, one after the other, or as they are, lda bytes apart.
type left struct {
	at  *float32
	lda int // 0: packed
}

// multiplyPanel is C = A·Bᵀ (with acc, C += A·Bᵀ) for rows of A, a multiple of mr, and one packed panel of B, both of depth elements.
func (k *kernels) multiplyPanel(c []float32, ld int, a left, pb []float32, rows, depth int, acc bool) {
	if k.whole != nil {
		k.whole(c, ld, a, pb, rows, depth, acc)
		return
	}
	for i := 0; i < rows; i += k.mr {
		if a.lda > 0 {
			k.direct(depth, skipRows(a.at, a.lda, i), a.lda, &pb[0], &c[i*ld], ld, acc)
		} else {
			k.micro(depth, skipRows(a.at, 4*depth, i), &pb[0], &c[i*ld], ld, acc)
		}
	}
}

// microGeneric is c[i·ldc+j] = Σ_k a[k·4+i]·b[k·4+j] for 4 × 4 elements (with acc, +=).
func microGeneric(k int, a, b, c *float32, ldc int, acc bool) {
	pa, pb := floatsAt(a, 4*k), floatsAt(b, 4*k)
	pc := floatsAt(c, 3*ldc+4)
	var s [4][4]float32
	for len(pa) >= 4 && len(pb) >= 4 {
		b0, b1, b2, b3 := pb[0], pb[1], pb[2], pb[3]
		for i := range s {
			x := pa[i]
			s[i][0] += float32(x * b0)
			s[i][1] += float32(x * b1)
			s[i][2] += float32(x * b2)
			s[i][3] += float32(x * b3)
		}
		pa, pb = pa[4:], pb[4:]
	}
	for i := range s {
		row := pc[i*ldc:][:4]
		for j, v := range s[i] {
			if acc {
				v += row[j]
			}
			row[j] = v
		}
	}
}
