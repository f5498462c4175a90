package devtest

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"GatherScatterRows", gatherScatter},
	{"RowsAddAndSumSq", rowsAdd},
	{"RowsUpdate", rowsUpdate},
	{"RowsUpdateNaN", rowsUpdateNaN},
})

func gatherScatter(c *C) {
	for _, s := range []struct{ rows, n, cols int }{{1, 1, 1}, {9, 20, 7}, {40, 33, 64}, {5, 3, 3001}} {
		c.both(func(dt tensor.DType) {
			table, ts := c.noise("table", dt, 1, s.rows, s.cols)
			ids := make([]int, s.n)
			for i := range ids {
				ids[i] = c.rnd.IntN(s.rows)
			}
			for _, to := range []tensor.DType{tensor.F32, tensor.BF16} {
				dst := c.like("dst", to, s.n, s.cols)
				c.D.GatherRows(dst, table, c.ints("ids", ids, s.n))
				want := mapped(s.n*s.cols, func(i int) float64 { return ts[ids[i/s.cols]*s.cols+i%s.cols] })
				c.close(dst, want, 0)
			}
			order := c.rnd.Perm(s.rows)[:(s.rows+1)/2]
			src, ss := c.noise("src", dt, 1, len(order), s.cols)
			c.D.ScatterRows(table, src, c.ints("order", order, len(order)))
			for i, row := range order {
				copy(ts[row*s.cols:(row+1)*s.cols], ss[i*s.cols:])
			}
			c.equal(table, ts)
		})
	}
}

// rowsCase is random row gradients of a (v, cols) table and their dense sum. One id of several is listed with no rows: its rows
// stand behind the last offset, and count for nothing.
func (c *C) rowsCase(v, n, cols int, dt tensor.DType) (r device.Rows, ids []int, dense []float64) {
	d, ds := c.noise("d", dt, 1, n, cols)
	byID := map[int][]int{}
	for i := range n {
		id := c.rnd.IntN(v)
		byID[id] = append(byID[id], i)
	}
	var offs, index, idle []int
	dense = make([]float64, v*cols)
	for id := range v {
		if len(byID[id]) == 0 {
			continue
		}
		ids, offs = append(ids, id), append(offs, len(index))
		if len(ids) == 2 {
			idle = byID[id]
			continue
		}
		index = append(index, byID[id]...)
		for _, i := range byID[id] {
			axpy(dense[id*cols:], 1, ds[i*cols:(i+1)*cols])
		}
	}
	offs, index = append(offs, len(index)), append(index, idle...)
	return device.Rows{IDs: c.ints("ids", ids, len(ids)), Offs: c.ints("offs", offs, len(offs)), Index: c.ints("index", index, n), D: d}, ids, dense
}

func rowsAdd(c *C) {
	for _, s := range []struct{ v, n, cols int }{{1, 1, 1}, {10, 40, 7}, {300, 70, 33}, {6, 5, 2504}} {
		c.both(func(dt tensor.DType) {
			r, _, dense := c.rowsCase(s.v, s.n, s.cols, dt)
			row0, rows := s.v/3, (s.v+1)/2
			g, gs := c.noise("g", tensor.F32, 1, rows, s.cols)
			c.D.RowsAdd(g, r, row0)
			c.close(g, added(gs, true, func(i int) float64 { return dense[row0*s.cols+i] }), 1e-6)
			total := c.scalar(1)
			c.D.RowsSumSq(total, r)
			c.close(total, []float64{1 + sumSquares(dense)}, 1e-6)
		})
	}
}

func rowsUpdate(c *C) {
	c.both(func(dt tensor.DType) {
		for _, step := range c.steps() {
			for _, cols := range []int{21, 24} {
				c.release(func() { rowsUpdateOne(c, dt, 150, 60, cols, step) })
			}
			c.release(func() { rowsUpdateOne(c, dt, 7, 4, pick(c, 2504, 24), step) }) // a row in more than one piece
		}
	})
	rowsUpdateRounding(c)
}

func rowsUpdateOne(c *C, dt tensor.DType, v, n, cols int, step device.Step) {
	r, _, dense := c.rowsCase(v, n, cols, tensor.F32)
	w, ws := c.noise("w", dt, 1, v, cols)
	step.SumSq = c.scalar(0)
	c.D.RowsUpdate(w, r, step)
	c.close(w, mapped(len(ws), func(i int) float64 { return lomo(ws[i], dense[i], step, coefOf(step)) }), 1e-6)
	c.close(step.SumSq, []float64{sumSquares(dense)}, 1e-6)
}

// rowsUpdateRounding: the noise is that of the element's place in the table; with one gradient a row the sums are exact, so
// the dense Update gives the same bits.
func rowsUpdateRounding(c *C) {
	const v, cols = 40, 13
	ids := []int{3, 4, 17, 39}
	d, ds := c.noise("d", tensor.F32, 0.01, len(ids), cols)
	dense := make([]float64, v*cols)
	for i, id := range ids {
		copy(dense[id*cols:], ds[i*cols:(i+1)*cols])
	}
	r := device.Rows{IDs: c.ints("ids", ids, 4), Offs: c.ints("offs", []int{0, 1, 2, 3, 4}, 5), Index: c.ints("index", []int{0, 1, 2, 3}, 4), D: d}
	_, ws := c.noise("w", tensor.BF16, 1, v, cols)
	a, b := c.new("a", tensor.BF16, ws, v, cols), c.new("b", tensor.BF16, ws, v, cols)
	s := device.Step{LR: 0.3, Decay: 0.01, Round: device.Stochastic, Seed: 5, Number: 2, Tensor: 1, Base: 1000003}
	c.D.RowsUpdate(a, r, s)
	c.D.Update(b, c.new("g", tensor.F32, dense, v, cols), s)
	c.sync()
	c.equal(a, c.get(b))
}

func rowsUpdateNaN(c *C) {
	_, ds := c.noise("d", tensor.BF16, 1, 3, 9)
	ds[20] = math.NaN()
	r := device.Rows{IDs: c.ints("ids", []int{1, 4}, 2), Offs: c.ints("offs", []int{0, 2, 3}, 3), Index: c.ints("index", []int{0, 1, 2}, 3),
		D: c.new("d", tensor.BF16, ds, 3, 9)}
	w, ws := c.noise("w", tensor.F32, 1, 6, 9)
	c.D.RowsUpdate(w, r, device.Step{LR: 1, Decay: 0.5})
	c.wantNonFinite("w")
	c.equal(w, ws)
}
