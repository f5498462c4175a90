package cpukern

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// AdamW is torch.optim.AdamW's step (Loshchilov and Hutter 2019) with the gradient h.
func (d *Device) AdamW(w, m, v, master, g tensor.Tensor, a device.AdamW, s device.Step) {
	for _, t := range []tensor.Tensor{m, v, g} {
		wantLen("AdamW", t, w.Len())
	}
	mv, vv, gv, wv, from := m.F32s(), v.F32s(), g.F32s(), floatsOf("AdamW", w), floats{}
	if master.IsZero() {
		from = wv
	} else {
		wantLen("AdamW", master, w.Len())
		from = floats{f: master.F32s()}
	}
	if !d.ready() || !d.finite("AdamW", g, w) {
		return
	}
	c, k := constsOf(s), adamConsts(a, s.LR)
	d.chunks(w.Len(), func(ws *workspace, off, n int) {
		scratch := newWeightScratch(ws, n)
		x := from.dst(off, n, scratch.w)
		if from.half {
			d.k.widen(x, from.h[off:off+n])
		}
		d.k.adam(x, mv[off:off+n], vv[off:off+n], gv[off:off+n], &k, &c)
		d.k.storeWeights(&scratch, wv, off, x, &c)
	})
}

type adam struct{ beta2, one1, one2, eps, rate, root float32 }

// adamConsts computes the corrections in float64 as torch does: rate = lr/(1−β₁ᵗ), root = √(1−β₂ᵗ).
func adamConsts(a device.AdamW, lr float32) adam {
	b1, b2, t := float64(a.Beta1), float64(a.Beta2), float64(a.T)
	return adam{beta2: a.Beta2, one1: float32(1 - b1), one2: float32(1 - b2), eps: a.Eps,
		rate: float32(float64(lr) / (1 - math.Pow(b1, t))), root: float32(math.Sqrt(1 - math.Pow(b2, t)))}
}

// adamGeneric is m ← m + (1−β₁)(h−m), v ← β₂v + (1−β₂)h², w ← w·keep − rate·m/(√v/root + eps).
//
//kernel:row
func adamGeneric(w, m, v, g []float32, k *adam, c *stepConsts) {
	m, v, g = m[:len(w)], v[:len(w)], g[:len(w)]
	for i := range w {
		h := c.gradient(g[i])
		m[i] += float32(k.one1 * (h - m[i]))
		v[i] = float32(v[i]*k.beta2) + float32(k.one2*float32(h*h))
		den := float32(math.Sqrt(float64(v[i])))/k.root + k.eps
		w[i] = float32(w[i]*c.keep) - float32(k.rate*(m[i]/den))
	}
}

// SGD is torch.optim.SGD's step; decay is coupled.
func (d *Device) SGD(w, buf, g tensor.Tensor, m device.Momentum, s device.Step) {
	wantLen("SGD", g, w.Len())
	wantLen("SGD", buf, w.Len())
	bv, gv, wv := buf.F32s(), g.F32s(), floatsOf("SGD", w)
	if !d.ready() || !d.finite("SGD", g, w) {
		return
	}
	c := constsOf(s)
	d.chunks(w.Len(), func(ws *workspace, off, n int) {
		scratch := newWeightScratch(ws, n)
		x := d.k.copyOf(wv, off, n, scratch.w)
		momentum(x, bv[off:off+n], gv[off:off+n], m, &c)
		d.k.storeWeights(&scratch, wv, off, x, &c)
	})
}

func momentum(w, b, g []float32, m device.Momentum, c *stepConsts) {
	for i := range w {
		h := c.gradient(g[i]) + float32(c.decay*w[i])
		if m.First {
			b[i] = h
		} else {
			b[i] = float32(m.Momentum*b[i]) + float32((1-m.Dampening)*h)
		}
		if m.Nesterov {
			h += float32(m.Momentum * b[i])
		} else {
			h = b[i]
		}
		w[i] -= float32(c.lr * h)
	}
}
