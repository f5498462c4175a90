package cudakern

import (
	"fmt"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// RMSNorm is y = gain ⊙ x·rstd over the last axis.
func (d *Device) RMSNorm(y, rstd, x, w tensor.Tensor, norm device.Norm) {
	n, c := rowsCols(x)
	wantRows("RMSNorm", y, n, c)
	wantLen("RMSNorm", w, c)
	wantLen("RMSNorm", rstd, n)
	wantType("RMSNorm", tensor.F32, rstd)
	if d.ready() {
		grid, block := rowsOf(n, c)
		d.launch("RMSNorm", "rms_norm", grid, block, 0, y, rstd, x, w, n, c, norm.Eps, norm.PlusOne, halves("RMSNorm", y, x, w))
	}
}

// RMSNormBackward is dx = rstd·(dy⊙gain − x̂·mean(dy⊙gain⊙x̂)) and dw = Σ dy⊙x̂ over the rows, x̂ = x·rstd; both may add. dw is first: dx may be dy.
func (d *Device) RMSNormBackward(dx, dw, dy, x, w, rstd tensor.Tensor, norm device.Norm, addX, addW bool) {
	const op = "RMSNormBackward"
	n, c := rowsCols(x)
	wantRows(op, dx, n, c)
	wantRows(op, dy, n, c)
	wantLen(op, w, c)
	wantLen(op, dw, c)
	wantLen(op, rstd, n)
	wantType(op, tensor.F32, dw, rstd)
	if !d.ready() {
		return
	}
	d.sumRows(op, dw, n, addW, func(part uint64, grid, block dim, perRange int) {
		d.launch(op, "rms_norm_weight", grid, block, 0, part, dy, x, rstd, n, c, perRange, halves(op, dy, x))
	})
	grid, block := rowsOf(n, c)
	d.launch(op, "rms_norm_input", grid, block, 0, dx, dy, x, w, rstd, n, c, norm.PlusOne, addX, halves(op, dx, dy, x, w))
}

// split cuts n rows of c columns into ranges that are summed beside each other: some hundred, of 16 rows or more, whose sums fit the scratch.
// It depends on the shape alone, so results have the same bits on every card.
func split(n, c int) (ranges, perRange int) {
	most := max(min(rangesMost, rangeBytes/(4*c)), 1)
	perRange = max(ceilDiv(n, most), rangeRows)
	return ceilDiv(n, perRange), perRange
}

// RoPE rotates every head of x in place.
func (d *Device) RoPE(x, pos, cos, sin tensor.Tensor, headDim int, inverse bool) {
	n, width := rowsCols(x)
	wantLen("RoPE", pos, n)
	if headDim <= 0 || headDim%2 != 0 || width%headDim != 0 || cos.Cols() > headDim/2 {
		panic(fmt.Sprintf("RoPE: head size %d does not fit %v and %v", headDim, x, cos))
	}
	wantSame("RoPE", cos, sin)
	wantType("RoPE", tensor.F32, cos, sin)
	wantType("RoPE", tensor.I32, pos)
	if !d.ready() {
		return
	}
	sign := float32(1)
	if inverse {
		sign = -1
	}
	half, heads := cos.Cols(), width/headDim
	d.launch("RoPE", "rope", each(n*heads*ceilDiv(half, 8)), flatBlock, 0, x, pos, cos, sin, n, heads, headDim, half, sign, halves("RoPE", x))
}
