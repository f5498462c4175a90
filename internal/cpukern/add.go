package cpukern

import "lomo/internal/tensor"

// AddRow is y += b in each row.
func (d *Device) AddRow(y, b tensor.Tensor) {
	n, c := rowsCols(y)
	wantLen("AddRow", b, c)
	if !d.ready() {
		return
	}
	yv, bv := floatsOf("AddRow", y), floatsOf("AddRow", b)
	d.pool.blocks(n, rowBlock, func(ws *workspace, _, lo, hi int) {
		b := d.k.load(bv, 0, c, ws.floats(c))
		for i := lo; i < hi; i++ {
			d.k.addScaled(yv, i*c, b, 1)
		}
	})
}

// AddScaled is y += a·x.
func (d *Device) AddScaled(y, x tensor.Tensor, a float32) {
	wantLen("AddScaled", x, y.Len())
	if !d.ready() {
		return
	}
	yv, xv := floatsOf("AddScaled", y), floatsOf("AddScaled", x)
	d.chunks(y.Len(), func(ws *workspace, off, n int) {
		d.k.addScaled(yv, off, d.k.load(xv, off, n, ws.floats(n)), a)
	})
}

// addScaled adds a·x to the elements of y from off on.
func (k *kernels) addScaled(y floats, off int, x []float32, a float32) {
	if y.half {
		k.axpyHalves(y.h[off:off+len(x)], x, a)
	} else {
		k.axpy(y.f[off:off+len(x)], x, a)
	}
}
