package cudakern

import (
	"fmt"

	"lomo/internal/tensor"
)

// Route is the softmax of z, and its k greatest in each row.
func (d *Device) Route(w, ids, z tensor.Tensor, renorm bool) {
	n, experts := rowsCols(z)
	wantRoute("Route", w, ids, z, n, experts)
	if d.ready() {
		d.launch("Route", "route", warps(n), warpRows, 0, w, ids, z, n, experts, ids.Cols(), renorm)
	}
}

// RouteBackward goes back through the choice and the softmax.
func (d *Device) RouteBackward(dz, dw, w, ids, p tensor.Tensor, renorm bool) {
	n, experts := rowsCols(p)
	wantRoute("RouteBackward", w, ids, p, n, experts)
	wantRows("RouteBackward", dz, n, experts)
	wantRows("RouteBackward", dw, n, ids.Cols())
	wantType("RouteBackward", tensor.F32, dz, dw)
	if d.ready() {
		d.launch("RouteBackward", "route_back", warps(n), warpRows, 0, dz, dw, w, ids, p, n, experts, ids.Cols(), renorm)
	}
}

func wantRoute(op string, w, ids, z tensor.Tensor, n, experts int) {
	if k := ids.Cols(); k < 1 || k > experts {
		panic(fmt.Sprintf("%s: %d of %d experts", op, k, experts))
	}
	wantRows(op, w, n, ids.Cols())
	wantRows(op, ids, n, ids.Cols())
	wantType(op, tensor.F32, w, z)
	wantType(op, tensor.I32, ids)
}

// warpRows is a block of kernels that give a row to a warp.
var warpRows = dim{256, 1, 1}

func warps(n int) dim { return dim{min(max(ceilDiv(n, 8), 1), rowBlocks), 1, 1} }

// SumRows is y[i] = Σ_j x[at[i, j]].
func (d *Device) SumRows(y, x, at tensor.Tensor, acc bool) {
	const op = "SumRows"
	n, c := rowsCols(y)
	wantRows(op, at, n, at.Cols())
	wantRows(op, x, x.Rows(), c)
	wantType(op, tensor.I32, at)
	if d.ready() {
		grid, block := rowsOf(n, c)
		d.launch(op, "sum_rows", grid, block, 0, y, x, at, n, c, at.Cols(), acc, halves(op, y, x))
	}
}

// ScaleRows is y[i] = w[at[i]]·x[i].
func (d *Device) ScaleRows(y, x, w, at tensor.Tensor) {
	const op = "ScaleRows"
	n, c := rowsCols(x)
	wantRows(op, y, n, c)
	wantLen(op, at, n)
	wantType(op, tensor.F32, w)
	wantType(op, tensor.I32, at)
	if d.ready() {
		grid, block := rowsOf(n, c)
		d.launch(op, "scale_rows", grid, block, 0, y, x, w, at, n, c, halves(op, y, x))
	}
}

// RowDots is dw[at[i]] = a[i]·b[i].
func (d *Device) RowDots(dw, a, b, at tensor.Tensor) {
	const op = "RowDots"
	n, c := rowsCols(a)
	wantRows(op, b, n, c)
	wantLen(op, at, n)
	wantType(op, tensor.F32, dw)
	wantType(op, tensor.I32, at)
	if d.ready() {
		grid, block := rowsOf(n, c)
		d.launch(op, "row_dots", grid, block, 0, dw, a, b, at, n, c, halves(op, a, b))
	}
}
