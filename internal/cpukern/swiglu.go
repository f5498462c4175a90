package cpukern

import "lomo/internal/tensor"

// SwiGLU is act = silu(gate) ⊙ up.
func (d *Device) SwiGLU(act, gate, up tensor.Tensor) {
	wantLen("SwiGLU", gate, act.Len())
	wantLen("SwiGLU", up, act.Len())
	if !d.ready() {
		return
	}
	av, gv, uv := floatsOf("SwiGLU", act), floatsOf("SwiGLU", gate), floatsOf("SwiGLU", up)
	d.chunks(act.Len(), func(ws *workspace, off, n int) {
		if av.half && gv.half && uv.half {
			d.k.siluHalves(av.h[off:off+n], gv.h[off:], uv.h[off:])
			return
		}
		gb, ub, ab := ws.floats(n), ws.floats(n), ws.floats(n)
		out := av.dst(off, n, ab)
		d.k.silu(out, d.k.load(gv, off, n, gb), d.k.load(uv, off, n, ub))
		d.k.store(av, off, out)
	})
}

// SwiGLUBackward writes dgate and dup, which may be gate and up.
func (d *Device) SwiGLUBackward(dgate, dup, dact, gate, up tensor.Tensor) {
	for _, t := range []tensor.Tensor{dup, dact, gate, up} {
		wantLen("SwiGLUBackward", t, dgate.Len())
	}
	if !d.ready() {
		return
	}
	dgv, duv := floatsOf("SwiGLUBackward", dgate), floatsOf("SwiGLUBackward", dup)
	dav, gv, uv := floatsOf("SwiGLUBackward", dact), floatsOf("SwiGLUBackward", gate), floatsOf("SwiGLUBackward", up)
	d.chunks(dgate.Len(), func(ws *workspace, off, n int) {
		if dgv.half && duv.half && dav.half && gv.half && uv.half {
			d.k.siluBackwardHalves(dgv.h[off:off+n], duv.h[off:], dav.h[off:off+n], gv.h[off:], uv.h[off:])
			return
		}
		db, gb, ub := ws.floats(n), ws.floats(n), ws.floats(n)
		g, u := d.k.load(gv, off, n, gb), d.k.load(uv, off, n, ub)
		dg, du := dgv.dst(off, n, gb), duv.dst(off, n, ub)
		d.k.siluBackward(dg, du, d.k.load(dav, off, n, db), g, u)
		d.k.store(dgv, off, dg)
		d.k.store(duv, off, du)
	})
}

// chunks calls f for pieces of at most chunk elements that cover n; the workspace is fresh for each.
func (d *Device) chunks(n int, f func(ws *workspace, off, n int)) {
	const block = 8 * chunk
	d.pool.blocks(n, block, func(ws *workspace, _, lo, hi int) {
		for ; lo < hi; lo += chunk {
			ws.reset()
			f(ws, lo, min(chunk, hi-lo))
		}
	})
}
