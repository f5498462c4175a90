package cudakern

import "lomo/internal/tensor"

// SwiGLU is act = silu(gate) ⊙ up.
func (d *Device) SwiGLU(act, gate, up tensor.Tensor) {
	n := act.Len()
	wantLen("SwiGLU", gate, n)
	wantLen("SwiGLU", up, n)
	if d.ready() {
		d.launch("SwiGLU", "swiglu", flat(int64(n)), flatBlock, 0, act, gate, up, n, halves("SwiGLU", act, gate, up))
	}
}

// SwiGLUBackward writes dgate and dup, which may be gate and up.
func (d *Device) SwiGLUBackward(dgate, dup, dact, gate, up tensor.Tensor) {
	n := dgate.Len()
	for _, t := range []tensor.Tensor{dup, dact, gate, up} {
		wantLen("SwiGLUBackward", t, n)
	}
	if d.ready() {
		d.launch("SwiGLUBackward", "swiglu_backward", flat(int64(n)), flatBlock, 0, dgate, dup, dact, gate, up, n,
			halves("SwiGLUBackward", dgate, dup, dact, gate, up))
	}
}
