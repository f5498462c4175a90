package cudakern

import (
	"fmt"
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Attention: on tensor cores where all factors are BF16, a head has at most 128 elements and scores have no cap (kernels/attention_bf16.cu), else by
// float multiply-adds (attention_f32.cu).

const maxHeadDim = 512 // what the float kernels hold

// heads is the shape of one call.
type heads struct {
	op                     string
	b, tq, tk, hq, hkv, hd int
	limit                  float32 // of scores; 0: none
	start                  tensor.Tensor
	o, lse, q, k, v, do    tensor.Tensor // do: zero in the forward pass
}

func newHeads(op string, o, lse, q, k, v, start tensor.Tensor, of device.Heads) *heads {
	hd := of.Dim
	if len(q.Shape) != 3 || len(k.Shape) != 3 || hd <= 0 || hd > maxHeadDim || q.Cols()%hd != 0 || k.Cols()%hd != 0 {
		panic(fmt.Sprintf("%s: head size %d (at most %d) does not fit %v and %v", op, hd, maxHeadDim, q, k))
	}
	h := &heads{op: op, b: q.Shape[0], tq: q.Shape[1], tk: k.Shape[1], hq: q.Cols() / hd, hkv: k.Cols() / hd, hd: hd,
		limit: of.Cap, start: start, o: o, lse: lse, q: q, k: k, v: v}
	if h.hq%h.hkv != 0 || h.tk < h.tq || k.Shape[0] != h.b {
		panic(fmt.Sprintf("%s: %d query heads on %d key heads, %v on %v", op, h.hq, h.hkv, q, k))
	}
	wantSame(op, k, v)
	wantSame(op, q, o)
	wantLen(op, lse, h.b*h.hq*h.tq)
	wantLen(op, start, h.b*h.tq)
	wantType(op, tensor.F32, lse)
	wantType(op, tensor.I32, start)
	suffix(op, o, q, k, v)
	return h
}

const (
	attentionThreads = 128
	tensorRows       = 64   // of a tile of the tensor-core kernels
	floatTile        = 2048 // elements of a tile of the float kernels, at most
)

// tensorHead is the head size that the tensor-core kernels pad to; 0 where they cannot be used.
func (h *heads) tensorHead() int {
	for _, t := range []tensor.Tensor{h.q, h.k, h.v, h.do} {
		if !t.IsZero() && !isHalf(t) || h.limit > 0 {
			return 0
		}
	}
	for _, size := range []int{32, 64, 128} {
		if h.hd <= size {
			return size
		}
	}
	return 0
}

// floatTileRows is R of the float kernels.
func (h *heads) floatTileRows() int { return min(16, floatTile/h.hd) }

func (h *heads) shape() []any {
	scale := float32(1 / math.Sqrt(float64(h.hd)))
	return []any{h.start, h.tq, h.tk, h.hq, h.hkv, h.hd, scale}
}

// attend queues a kernel over tiles of the tokens' rows of so many heads: results, factors, the shape and the results' dtypes are its
// arguments, which the float kernels follow with the factors' dtypes.
func (d *Device) attend(h *heads, name string, tokens, numHeads, floatShared int, results, factors []tensor.Tensor, values ...any) {
	var args, halves []any
	for _, r := range results {
		args, halves = append(args, r), append(halves, isHalf(r))
	}
	if name == "attention" {
		args = append(args, h.lse)
	}
	for _, f := range factors {
		args = append(args, f)
	}
	args = append(append(append(args, values...), h.shape()...), halves...)
	rows, shared := tensorRows, 0
	if size := h.tensorHead(); size > 0 {
		name += fmt.Sprintf("_bf16_%d", size)
	} else {
		name += "_f32"
		rows, shared = h.floatTileRows(), floatShared
		for _, f := range factors {
			args = append(args, isHalf(f))
		}
		args = append(args, rows, h.limit)
	}
	d.launch(h.op, name, dim{ceilDiv(tokens, rows), numHeads, h.b}, dim{attentionThreads, 1, 1}, shared, args...)
}

// Attention is softmax(q·kᵀ/√Hd)·v.
func (d *Device) Attention(o, lse, q, k, v, start tensor.Tensor, of device.Heads) {
	h := newHeads("Attention", o, lse, q, k, v, start, of)
	if !d.ready() {
		return
	}
	r := h.floatTileRows()
	d.attend(h, "attention", h.tq, h.hq, 4*(2*r*(h.hd+1)+r*r+3*r), []tensor.Tensor{o}, []tensor.Tensor{q, k, v})
}

// AttentionBackward writes dq, dk and dv, a few sequences at a time where the sums of do⊙o of all would not fit the device's scratch.
func (d *Device) AttentionBackward(dq, dk, dv, do, o, lse, q, k, v, start tensor.Tensor, of device.Heads) {
	const op = "AttentionBackward"
	h := newHeads(op, o, lse, q, k, v, start, of)
	wantSame(op, q, dq)
	wantSame(op, q, do)
	wantSame(op, k, dk)
	wantSame(op, k, dv)
	suffix(op, dq, dk, dv, do)
	if h.tk != h.tq {
		panic(op + ": keys and queries must be of one length")
	}
	if !d.ready() {
		return
	}
	perSequence := h.hq * h.tq * 4
	step := max(1, sequenceBytes/perSequence)
	lse, start = lse.View(h.b, h.hq*h.tq), start.View(h.b, h.tq)
	for b := 0; b < h.b; b += step {
		e := min(h.b, b+step)
		part := *h
		part.b, part.q, part.k, part.v, part.do, part.o = e-b, q.Slice(b, e), k.Slice(b, e), v.Slice(b, e), do.Slice(b, e), o.Slice(b, e)
		part.lse, part.start = lse.Slice(b, e), start.Slice(b, e)
		d.attentionBackward(&part, dq.Slice(b, e), dk.Slice(b, e), dv.Slice(b, e))
	}
}

func (d *Device) attentionBackward(h *heads, dq, dk, dv tensor.Tensor) {
	rows := h.b * h.tq * h.hq
	delta := d.partials(rows, 4)
	d.launch(h.op, "attention_delta", dim{ceilDiv(rows, attentionThreads/32), 1, 1}, dim{attentionThreads, 1, 1}, 0,
		delta, h.do, h.o, isHalf(h.do), isHalf(h.o), rows, h.tq, h.hq, h.hd)
	r := h.floatTileRows()
	shared := 4 * (4*r*(h.hd+1) + 2*r*r + 2*r)
	factors := []tensor.Tensor{h.q, h.k, h.v, h.do}
	d.attend(h, "attention_dq", h.tq, h.hq, shared, []tensor.Tensor{dq}, factors, h.lse, delta)
	d.attend(h, "attention_dkv", h.tk, h.hkv, shared, []tensor.Tensor{dk, dv}, factors, h.lse, delta)
}
