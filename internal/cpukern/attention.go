package cpukern

import (
	"fmt"
	"math"

	"lomo/internal/tensor"
)

// Attention in tiles (FlashAttention-2, Dao 2023, arXiv 2307.08691): a task takes a block of queries of one head and passes over the
// keys they see in tiles, with the matrix product's packed panels and kernel. Scores live in workspace only.
const (
	queryBlock = 96 // a multiple of every level's mr
	keyBlock   = 128

	maxHeadDim = 512 // what the workspace is laid out for
)

// heads is the shape of one call and where things lie in it.
type heads struct {
	op               string
	k                *kernels
	b, tq, tk        int
	hq, hkv, hd      int
	q, key, v, o     floats
	start            []int32
	lse              []float32
	scale            float32
	along            *kernels // for products along the head, of tensors as they are given
	depth            int      // elements of a head in its panels
	rowsPad, keysPad int      // blocks rounded up to the kernel's tile
	hdPad            int
}

func (d *Device) heads(op string, o, lse, q, k, v, start tensor.Tensor, hd int) *heads {
	if len(q.Shape) != 3 || len(k.Shape) != 3 || hd <= 0 || hd > maxHeadDim || q.Cols()%hd != 0 || k.Cols()%hd != 0 {
		panic(fmt.Sprintf("%s: head size %d (at most %d) does not fit %v and %v", op, hd, maxHeadDim, q, k))
	}
	h := &heads{op: op, k: d.k, b: q.Shape[0], tq: q.Shape[1], tk: k.Shape[1], hq: q.Cols() / hd, hkv: k.Cols() / hd, hd: hd,
		q: floatsOf(op, q), key: floatsOf(op, k), v: floatsOf(op, v), o: floatsOf(op, o),
		start: start.I32s(), lse: lse.F32s(), scale: float32(1 / math.Sqrt(float64(hd))),
		rowsPad: roundUp(queryBlock, d.k.mr), keysPad: roundUp(keyBlock, d.k.nr), hdPad: roundUp(hd, d.k.nr)}
	var unit int
	h.along, unit = d.k.forFactors(h.q, h.key)
	if h.v.half != h.key.half {
		h.along, unit = d.k, 1
	}
	h.depth = ceilDiv(hd, unit)
	if h.hq%h.hkv != 0 || h.tk < h.tq || k.Shape[0] != h.b {
		panic(fmt.Sprintf("%s: %d query heads on %d key heads, %v on %v", op, h.hq, h.hkv, q, k))
	}
	wantSame(op, k, v)
	wantSame(op, q, o)
	wantLen(op, lse, h.b*h.hq*h.tq)
	wantLen(op, start, h.b*h.tq)
	return h
}

// head is one (sequence, query head).
type head struct{ b, h int }

// query is the (Tq, Hd) matrix of a head in a tensor laid out like q: rows i, the sum along the head or along the rows.
func (h *heads) query(v floats, at head, along bool) operand {
	width := h.hq * h.hd
	return operand{v.from(at.b*h.tq*width + at.h*h.hd), width, along}
}

// keys is the same for k and v, of the key head that the query head reads.
func (h *heads) keys(v floats, at head, along bool) operand {
	width := h.hkv * h.hd
	return operand{v.from(at.b*h.tk*width + at.h/(h.hq/h.hkv)*h.hd), width, along}
}

// from is the elements from off on.
func (v floats) from(off int) floats {
	if v.half {
		return floats{h: v.h[off:], half: true}
	}
	return floats{f: v.f[off:]}
}

// starts and lses are the rows' first keys and log-sums of a head.
func (h *heads) starts(at head) []int32 { return h.start[at.b*h.tq:][:h.tq] }
func (h *heads) lses(at head) []float32 { return h.lse[(at.b*h.hq+at.h)*h.tq:][:h.tq] }

// sees is the range of keys that query i sees, cut to [j0, j1).
func (h *heads) sees(start []int32, i, j0, j1 int) (lo, hi int) {
	return max(int(start[i]), j0), min(i+h.tk-h.tq+1, j1)
}

// span is the range of keys that some query of [i0, i1) sees: tiles begin there.
func (h *heads) span(start []int32, i0, i1 int) (lo, hi int) {
	lo = h.tk
	for _, s := range start[i0:i1] {
		lo = min(lo, int(s))
	}
	return max(lo, 0), i1 + h.tk - h.tq
}

// reach is how many of the n keys from j0 on the panel of queries that begins at row p of rows from i0 on can see: the
// tiles on the diagonal are made only as far as that.
func (h *heads) reach(i0, p, rows, j0, n int) int {
	last := i0 + min(p+h.k.mr, rows) - 1
	return max(0, min(last+h.tk-h.tq+1-j0, n))
}

// scoreTile is c = a·bᵀ along the head for the rows and keys of a tile; what no row of a panel sees is left undefined.
func (h *heads) scoreTile(c, packedA, packedB []float32, i0, rows, j0, n int) {
	for p := 0; p < rows; p += h.k.mr {
		if r := h.reach(i0, p, rows, j0, n); r > 0 {
			h.along.multiplyPacked(c[p*h.keysPad:], h.keysPad, packedA[p*h.depth:], packedB, h.k.mr, roundUp(r, h.k.nr), h.depth, false)
		}
	}
}

// weighTile is sum += a·b over the n keys of a tile, for a that is zero where a row does not see a key.
func (h *heads) weighTile(sum, packedA, packedB []float32, i0, rows, j0, n int) {
	for p := 0; p < rows; p += h.k.mr {
		if r := h.reach(i0, p, rows, j0, n); r > 0 {
			for j := 0; j < h.hdPad; j += h.k.nr {
				h.k.micro(r, &packedA[p*n], &packedB[j*n], &sum[p*h.hdPad+j], h.hdPad, true)
			}
		}
	}
}
