package cudakern

import "lomo/internal/tensor"

// SwiGLU is act = silu(gate) ⊙ up.
func (d *Device) SwiGLU(act, gate, up tensor.Tensor) { d.glu("SwiGLU", "swiglu", act, gate, up) }

// SwiGLUBackward writes dgate and dup, which may be gate and up.
func (d *Device) SwiGLUBackward(dgate, dup, dact, gate, up tensor.Tensor) {
	d.gluBackward("SwiGLUBackward", "swiglu_backward", dgate, dup, dact, gate, up)
}

// GeGLU is act = gelu(gate) ⊙ up.
func (d *Device) GeGLU(act, gate, up tensor.Tensor) { d.glu("GeGLU", "geglu", act, gate, up) }

// GeGLUBackward writes dgate and dup, which may be gate and up.
func (d *Device) GeGLUBackward(dgate, dup, dact, gate, up tensor.Tensor) {
	d.gluBackward("GeGLUBackward", "geglu_backward", dgate, dup, dact, gate, up)
}

func (d *Device) glu(op, kernel string, act, gate, up tensor.Tensor) {
	n := act.Len()
	wantLen(op, gate, n)
	wantLen(op, up, n)
	if d.ready() {
		d.launch(op, kernel, flat(int64(n)), flatBlock, 0, act, gate, up, n, halves(op, act, gate, up))
	}
}

func (d *Device) gluBackward(op, kernel string, dgate, dup, dact, gate, up tensor.Tensor) {
	n := dgate.Len()
	for _, t := range []tensor.Tensor{dup, dact, gate, up} {
		wantLen(op, t, n)
	}
	if d.ready() {
		d.launch(op, kernel, flat(int64(n)), flatBlock, 0, dgate, dup, dact, gate, up, n, halves(op, dgate, dup, dact, gate, up))
	}
}
