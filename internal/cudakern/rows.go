package cudakern

import (
	"fmt"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// GatherRows is dst[i] = src[idx[i]].
func (d *Device) GatherRows(dst, src, idx tensor.Tensor) {
	n, c := rowsCols(dst)
	d.moveRows("GatherRows", dst, src, idx, n, c, false)
}

// ScatterRows is dst[idx[i]] = src[i].
func (d *Device) ScatterRows(dst, src, idx tensor.Tensor) {
	n, c := rowsCols(src)
	d.moveRows("ScatterRows", dst, src, idx, n, c, true)
}

func (d *Device) moveRows(op string, dst, src, idx tensor.Tensor, n, c int, scatter bool) {
	wantLen(op, idx, n)
	wantType(op, tensor.I32, idx)
	wantRows(op, dst, dst.Rows(), c)
	wantRows(op, src, src.Rows(), c)
	if d.ready() {
		grid, block := rowsOf(n, c)
		d.launch(op, "move_rows", grid, block, 0, dst, src, idx, n, c, scatter, halves(op, dst, src))
	}
}

// rowArgs are the parameters ROWS_PARAMS of kernels/rows.cu, after a check of the shapes.
func rowArgs(op string, r device.Rows) (args []any, count, c int) {
	count, c = r.IDs.Len(), r.D.Cols()
	wantLen(op, r.Offs, count+1)
	wantLen(op, r.Index, r.D.Rows())
	wantType(op, tensor.I32, r.IDs, r.Offs, r.Index)
	return []any{r.IDs, r.Offs, r.Index, r.D, count, c}, count, c
}

// RowsAdd adds to g, which stands for the table's rows from row0 on, the gradients of the rows that fall in it.
func (d *Device) RowsAdd(g tensor.Tensor, r device.Rows, row0 int) {
	args, count, c := rowArgs("RowsAdd", r)
	n, _ := rowsCols(g)
	wantRows("RowsAdd", g, n, c)
	wantType("RowsAdd", tensor.F32, g)
	if d.ready() {
		grid, block := rowsOf(count, c)
		d.launch("RowsAdd", "rows_add", grid, block, 0, append(append([]any{g}, args...), row0, n, halves("RowsAdd", r.D))...)
	}
}

// RowsSumSq adds the sum of squares of the summed rows to sum.
func (d *Device) RowsSumSq(sum tensor.Tensor, r device.Rows) {
	args, count, c := rowArgs("RowsSumSq", r)
	wantSum("RowsSumSq", sum)
	if d.ready() {
		d.rowSquares("RowsSumSq", r, args, count, c)
		d.addPartials("RowsSumSq", sum, rowPartials(count), true)
	}
}

// rowPartials is how many partial sums rowSquares leaves in the scratch.
func rowPartials(count int) int { return min(count, rowsMost) }

// rowSquares leaves partial sums of the squares of the summed rows in the scratch.
func (d *Device) rowSquares(op string, r device.Rows, args []any, count, c int) {
	_, block := rowsOf(count, c)
	part := d.partials(rowPartials(count), 8)
	d.launch(op, "rows_squares", dim{rowPartials(count), 1, 1}, block, 0, append(append([]any{part}, args...), halves(op, r.D))...)
}

// RowsUpdate is Update of the table w. Rows that are not listed only decay.
func (d *Device) RowsUpdate(w tensor.Tensor, r device.Rows, s device.Step) {
	const op = "RowsUpdate"
	args, count, c := rowArgs(op, r)
	v, _ := rowsCols(w)
	wantRows(op, w, v, c)
	if count > v {
		panic(fmt.Sprintf("%s: %d rows of %v", op, count, w))
	}
	if !d.ready() {
		return
	}
	d.rowSquares(op, r, args, count, c)
	d.addFinite(op, s.SumSq, rowPartials(count), w)
	grid, block := rowsOf(count, c)
	step := stepArgs(s)
	d.launch(op, "rows_update", grid, block, 0, append(append(append([]any{w}, args...), halves(op, r.D, w)), step...)...)
	if s.Decay > 0 {
		grid, block = rowsOf(v, c)
		d.launch(op, "rows_decay", grid, block, 0, append([]any{w, r.IDs, count, v, c, halves(op, w)}, step...)...)
	}
}
