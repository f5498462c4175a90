package cpukern

import "lomo/internal/tensor"

// SwiGLU is act = silu(gate) ⊙ up.
func (d *Device) SwiGLU(act, gate, up tensor.Tensor) { d.glu("SwiGLU", d.k.siluGate(), act, gate, up) }

// SwiGLUBackward writes dgate and dup, which may be gate and up.
func (d *Device) SwiGLUBackward(dgate, dup, dact, gate, up tensor.Tensor) {
	d.gluBackward("SwiGLUBackward", d.k.siluGate(), dgate, dup, dact, gate, up)
}

// GeGLU is act = gelu(gate) ⊙ up.
func (d *Device) GeGLU(act, gate, up tensor.Tensor) { d.glu("GeGLU", d.k.geluGate(), act, gate, up) }

// GeGLUBackward writes dgate and dup, which may be gate and up.
func (d *Device) GeGLUBackward(dgate, dup, dact, gate, up tensor.Tensor) {
	d.gluBackward("GeGLUBackward", d.k.geluGate(), dgate, dup, dact, gate, up)
}

func (d *Device) glu(op string, rows gate, act, gate, up tensor.Tensor) {
	wantLen(op, gate, act.Len())
	wantLen(op, up, act.Len())
	if !d.ready() {
		return
	}
	av, gv, uv := floatsOf(op, act), floatsOf(op, gate), floatsOf(op, up)
	d.chunks(act.Len(), func(ws *workspace, off, n int) {
		if av.half && gv.half && uv.half {
			rows.forwardHalves(av.h[off:off+n], gv.h[off:], uv.h[off:])
			return
		}
		gb, ub, ab := ws.floats(n), ws.floats(n), ws.floats(n)
		out := av.dst(off, n, ab)
		rows.forward(out, d.k.load(gv, off, n, gb), d.k.load(uv, off, n, ub))
		d.k.store(av, off, out)
	})
}

func (d *Device) gluBackward(op string, rows gate, dgate, dup, dact, gate, up tensor.Tensor) {
	for _, t := range []tensor.Tensor{dup, dact, gate, up} {
		wantLen(op, t, dgate.Len())
	}
	if !d.ready() {
		return
	}
	dgv, duv := floatsOf(op, dgate), floatsOf(op, dup)
	dav, gv, uv := floatsOf(op, dact), floatsOf(op, gate), floatsOf(op, up)
	d.chunks(dgate.Len(), func(ws *workspace, off, n int) {
		if dgv.half && duv.half && dav.half && gv.half && uv.half {
			rows.backwardHalves(dgv.h[off:off+n], duv.h[off:], dav.h[off:off+n], gv.h[off:], uv.h[off:])
			return
		}
		db, gb, ub := ws.floats(n), ws.floats(n), ws.floats(n)
		g, u := d.k.load(gv, off, n, gb), d.k.load(uv, off, n, ub)
		dg, du := dgv.dst(off, n, gb), duv.dst(off, n, ub)
		rows.backward(dg, du, d.k.load(dav, off, n, db), g, u)
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
