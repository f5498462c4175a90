package cudakern

import "lomo/internal/tensor"

// AddRow is y += b in each row.
func (d *Device) AddRow(y, b tensor.Tensor) {
	n, c := rowsCols(y)
	wantLen("AddRow", b, c)
	if d.ready() {
		grid, block := rowsOf(n, c)
		d.launch("AddRow", "add_row", grid, block, 0, y, b, n, c, halves("AddRow", y, b))
	}
}

// AddScaled is y += a·x.
func (d *Device) AddScaled(y, x tensor.Tensor, a float32) {
	n := y.Len()
	wantLen("AddScaled", x, n)
	if d.ready() {
		d.launch("AddScaled", "add_scaled", flat(int64(n)), flatBlock, 0, y, x, n, a, halves("AddScaled", y, x))
	}
}

// ColumnSum is db = Σ over the rows of dy.
func (d *Device) ColumnSum(db, dy tensor.Tensor, acc bool) {
	const op = "ColumnSum"
	n, c := rowsCols(dy)
	wantLen(op, db, c)
	wantType(op, tensor.F32, db)
	if d.ready() {
		d.sumRows(op, db, n, acc, func(part uint64, grid, block dim, perRange int) {
			d.launch(op, "column_sum", grid, block, 0, part, dy, n, c, perRange, halves(op, dy))
		})
	}
}

// sumRows is dst (c, F32) = Σ over n rows, or with acc dst += it: first launches the kernel that writes the sums of ranges of rows to part.
func (d *Device) sumRows(op string, dst tensor.Tensor, n int, acc bool, first func(part uint64, grid, block dim, perRange int)) {
	c := dst.Len()
	ranges, perRange := split(n, c)
	part := d.partials(ranges*c, 4)
	first(part, dim{ceilDiv(c, 8*64), ranges, 1}, dim{64, 1, 1}, perRange)
	d.launch(op, "add_ranges", each(c), flatBlock, 0, dst, part, ranges, c, acc)
}
