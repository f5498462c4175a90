package cpukern

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// VectorStats is v ← β·v + (1−β)(h²+eps1), stats[0] = Σw², stats[2] = Σ(h·v^−½)².
func (d *Device) VectorStats(v, stats, w, g tensor.Tensor, beta, eps1 float32, s device.Step) {
	wantLen("VectorStats", v, g.Len())
	wantLen("VectorStats", w, g.Len())
	if !d.ready() || !d.finite("VectorStats", g, w) {
		return
	}
	c, vv, gv, st := constsOf(s), v.F32s(), g.F32s(), stats.F64s()
	var sum float64
	for i := range vv {
		h := c.gradient(gv[i])
		vv[i] = float32(vv[i]*beta) + float32((1-beta)*(float32(h*h)+eps1))
		u := float64(vectorUnit(h, vv[i]))
		sum += u * u
	}
	st[0], st[2] = d.sumSq(floatsOf("VectorStats", w), w.Len()), sum
}

func vectorUnit(h, v float32) float32 {
	if h == 0 {
		return 0
	}
	return h * float32(1/math.Sqrt(float64(v)))
}

// VectorUpdate is FactorUpdate for a vector.
func (d *Device) VectorUpdate(w, g, v, stats tensor.Tensor, eps2, dd float32, s device.Step) {
	wantLen("VectorUpdate", v, g.Len())
	wantLen("VectorUpdate", w, g.Len())
	if !d.ready() {
		return
	}
	c, vv, gv, wv := constsOf(s), v.F32s(), g.F32s(), floatsOf("VectorUpdate", w)
	a := adaStep(stats.F64s(), float64(w.Len()), eps2, dd, &c)
	d.chunks(w.Len(), func(ws *workspace, off, n int) {
		scratch, u := newWeightScratch(ws, n), ws.floats(n)
		for i := range u {
			u[i] = vectorUnit(c.gradient(gv[off+i]), vv[off+i])
		}
		d.k.updateRow(&scratch, wv, off, u, &a)
	})
}
