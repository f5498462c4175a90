package cudakern

import (
	"fmt"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// wantSum panics unless t is a float64 number.
func wantSum(op string, t tensor.Tensor) {
	wantLen(op, t, 1)
	wantType(op, tensor.F64, t)
}

// reduceBlocks is how many partial results a reduction over n elements leaves in the scratch: it depends on n alone.
func reduceBlocks(n int) int { return max(min(ceilDiv(n, 8*256), reduceMost), 1) }

// addPartials adds the n partial sums in the scratch to sum, or stores their sum there.
func (d *Device) addPartials(op string, sum tensor.Tensor, n int, acc bool) {
	d.launch(op, "add_partials", dim{1, 1, 1}, flatBlock, 0, sum, d.scratch, n, acc, uint64(0), uint32(0))
}

// addFinite is addPartials of squares of a gradient of w: where their sum is not finite, it stops what is launched behind it instead.
func (d *Device) addFinite(op string, sum tensor.Tensor, n int, w tensor.Tensor) {
	if sum.IsZero() { // not wanted, but checked
		sum = tensor.Tensor{Addr: d.stop.addr + unwantedSum}
	}
	word, number := d.failure(op, w)
	d.launch(op, "add_partials", dim{1, 1, 1}, flatBlock, 0, sum, d.scratch, n, true, word, number)
}

// squares leaves partial sums of Σx² in the scratch.
func (d *Device) squares(op string, x tensor.Tensor) {
	n := x.Len()
	blocks := reduceBlocks(n)
	d.launch(op, "sum_squares", dim{blocks, 1, 1}, flatBlock, 0, d.partials(blocks, 8), x, n, halves(op, x))
}

// SumSq adds Σg² to sum.
func (d *Device) SumSq(sum, g tensor.Tensor) {
	wantSum("SumSq", sum)
	if d.ready() {
		d.squares("SumSq", g)
		d.addPartials("SumSq", sum, reduceBlocks(g.Len()), true)
	}
}

// Sum adds Σx of an F32 tensor to sum.
func (d *Device) Sum(sum, x tensor.Tensor) {
	wantSum("Sum", sum)
	wantType("Sum", tensor.F32, x)
	if d.ready() {
		blocks := reduceBlocks(x.Len())
		d.launch("Sum", "sum_elements", dim{blocks, 1, 1}, flatBlock, 0, d.partials(blocks, 8), x, x.Len())
		d.addPartials("Sum", sum, blocks, true)
	}
}

// AbsMax writes max|x| to out.
func (d *Device) AbsMax(out, x tensor.Tensor) {
	wantLen("AbsMax", out, 1)
	wantType("AbsMax", tensor.F32, out)
	if d.ready() {
		blocks := reduceBlocks(x.Len())
		part := d.partials(blocks, 4)
		d.launch("AbsMax", "abs_max", dim{blocks, 1, 1}, flatBlock, 0, part, x, x.Len(), halves("AbsMax", x))
		d.launch("AbsMax", "max_partials", dim{1, 1, 1}, flatBlock, 0, out, part, blocks)
	}
}

// finite stops what is launched behind it unless every element of g is finite; the failure is named after w.
func (d *Device) finite(op string, g, w tensor.Tensor) {
	word, number := d.failure(op, w)
	d.launch(op, "check", flat(int64(g.Len())), flatBlock, 0, g, g.Len(), word, number)
}

// Update is LOMO's update of w with the gradient g.
func (d *Device) Update(w, g tensor.Tensor, s device.Step) {
	wantLen("Update", g, w.Len())
	wantType("Update", tensor.F32, g)
	if !d.ready() {
		return
	}
	if s.SumSq.IsZero() {
		d.finite("Update", g, w)
	} else {
		d.squares("Update", g)
		d.addFinite("Update", s.SumSq, reduceBlocks(g.Len()), w)
	}
	d.launch("Update", "update", flat(int64(w.Len())), flatBlock, 0, append([]any{w, g, w.Len(), halves("Update", w)}, stepArgs(s)...)...)
}

// ClipCoef is coef = min(1, maxNorm/(sqrt(sumSq)·scale + 1e-6)).
func (d *Device) ClipCoef(coef, sumSq tensor.Tensor, maxNorm, scale float32) {
	wantLen("ClipCoef", coef, 1)
	wantType("ClipCoef", tensor.F32, coef)
	wantSum("ClipCoef", sumSq)
	if d.ready() {
		d.launch("ClipCoef", "clip_coef", dim{1, 1, 1}, dim{1, 1, 1}, 0, coef, sumSq, maxNorm, scale)
	}
}

// Quant is a 4-bit encoding of GGUF.
type Quant string

const (
	Q4_0 Quant = "q4_0"
	Q4_1 Quant = "q4_1"
)

// Dequantize widens whole 4-bit blocks (32 elements each, src U8) into dst.
func (d *Device) Dequantize(dst, src tensor.Tensor, q Quant) {
	size := map[Quant]int{Q4_0: 18, Q4_1: 20}[q]
	blocks := dst.Len() / 32
	if size == 0 || dst.Len()%32 != 0 || src.Len() != blocks*size {
		panic(fmt.Sprintf("Dequantize: %v to %v by %s", src, dst, q))
	}
	wantType("Dequantize", tensor.U8, src)
	if d.ready() {
		d.launch("Dequantize", "dequant_"+string(q), each(blocks*16), flatBlock, 0, dst, src, blocks, halves("Dequantize", dst))
	}
}
