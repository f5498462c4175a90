package cudakern

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// AdamW is torch.optim.AdamW's step with the gradient h; the corrections are computed in float64 as torch does.
func (d *Device) AdamW(w, m, v, master, g tensor.Tensor, a device.AdamW, s device.Step) {
	for _, t := range []tensor.Tensor{m, v, g} {
		wantLen("AdamW", t, w.Len())
		wantType("AdamW", tensor.F32, t)
	}
	if !master.IsZero() {
		wantLen("AdamW", master, w.Len())
		wantType("AdamW", tensor.F32, master)
	}
	if !d.ready() {
		return
	}
	d.finite("AdamW", g, w)
	b1, b2, t := float64(a.Beta1), float64(a.Beta2), float64(a.T)
	rate, root := float32(float64(s.LR)/(1-math.Pow(b1, t))), float32(math.Sqrt(1-math.Pow(b2, t)))
	args := []any{w, m, v, master, g, w.Len(), halves("AdamW", w), a.Beta2, float32(1 - b1), float32(1 - b2), a.Eps, rate, root}
	d.launch("AdamW", "adamw", flat(int64(w.Len())), flatBlock, 0, append(args, stepArgs(s)...)...)
}

// SGD is torch.optim.SGD's step; decay is coupled.
func (d *Device) SGD(w, buf, g tensor.Tensor, m device.Momentum, s device.Step) {
	wantLen("SGD", g, w.Len())
	wantLen("SGD", buf, w.Len())
	wantType("SGD", tensor.F32, g, buf)
	if !d.ready() {
		return
	}
	d.finite("SGD", g, w)
	args := []any{w, buf, g, w.Len(), halves("SGD", w), m.Momentum, 1 - m.Dampening, s.Decay, m.First, m.Nesterov}
	d.launch("SGD", "sgd", flat(int64(w.Len())), flatBlock, 0, append(args, stepArgs(s)...)...)
}
