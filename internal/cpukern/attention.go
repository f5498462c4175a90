package cpukern

import (
	"fmt"
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Attention in tiles (FlashAttention-2, Dao 2023, arXiv 2307.08691). A tile is made panel by panel: as many rows as the matrix product's
// kernel takes, whose scores stay in the first-level cache from the product that makes them to the one that uses their exponentials. The
// right factor of each product is packed once a tile, the left one is read where it lies. Where all tensors are BF16, probabilities
// and gradients of scores are rounded to it for the products, but not for their sums, at every level: so levels and cards train alike.
const (
	queryBlock = 192 // queries a task takes
	keyBlock   = 256 // keys of a tile of the forward pass
	maxHeadDim = 512 // what the workspace is laid out for
)

// heads is the shape of one call and where things lie in it.
type heads struct {
	op          string
	k           *kernels
	t           *tileKernels
	b, tq, tk   int
	hq, hkv, hd int
	q, key, v   floats
	o           floats
	start       []int32
	lse         []float32
	scale       float32 // 1/√Hd
	inverse     float32 // scale/Cap; 0: scores are not capped
	limit       float32 // Cap
	power       float32 // what turns a score as softmaxRow and gradRow get it into one to base 2
	depth       int     // slots of a head in a row or a panel
	hdPad       int     // the head rounded up to the kernel's columns
}

func (d *Device) heads(op string, o, lse, q, k, v, start tensor.Tensor, of device.Heads) *heads {
	hd := of.Dim
	if len(q.Shape) != 3 || len(k.Shape) != 3 || hd <= 0 || hd > maxHeadDim || q.Cols()%hd != 0 || k.Cols()%hd != 0 {
		panic(fmt.Sprintf("%s: head size %d (at most %d) does not fit %v and %v", op, hd, maxHeadDim, q, k))
	}
	h := &heads{op: op, k: d.k, b: q.Shape[0], tq: q.Shape[1], tk: k.Shape[1], hq: q.Cols() / hd, hkv: k.Cols() / hd, hd: hd,
		q: floatsOf(op, q), key: floatsOf(op, k), v: floatsOf(op, v), o: floatsOf(op, o),
		start: start.I32s(), lse: lse.F32s(), scale: float32(1 / math.Sqrt(float64(hd)))}
	h.power = h.scale * log2e
	if of.Cap > 0 {
		h.limit, h.inverse, h.power = of.Cap, h.scale/of.Cap, log2e
	}
	h.use(d.k.tilesFor(hd, h.q, h.key, h.v))
	if h.hkv == 0 || h.hq%h.hkv != 0 || h.tk < h.tq || k.Shape[0] != h.b {
		panic(fmt.Sprintf("%s: %d query heads on %d key heads, %v on %v", op, h.hq, h.hkv, q, k))
	}
	wantSame(op, k, v)
	wantSame(op, q, o)
	wantLen(op, lse, h.b*h.hq*h.tq)
	wantLen(op, start, h.b*h.tq)
	return h
}

// use chooses the kernels of the tiles.
func (h *heads) use(t *tileKernels) {
	h.t, h.depth, h.hdPad = t, ceilDiv(h.hd, t.unit), roundUp(h.hd, t.nr)
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

// cap turns products q·k into the scores that they count as, where there is a cap.
func (h *heads) cap(products []float32) {
	if h.inverse > 0 {
		h.k.softCap(products, h.inverse, h.limit)
	}
}

// hide marks scores that do not count.
func hide(scores []float32) {
	for i := range scores {
		scores[i] = unseen
	}
}
