package cpukern

import (
	"math"
	"sync/atomic"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// sumBlock is how many elements a partial sum of a reduction takes.
const sumBlock = 1 << 15

// SumSq adds Σg² to sum.
func (d *Device) SumSq(sum, g tensor.Tensor) {
	if !d.ready() {
		return
	}
	sum.F64s()[0] += d.sumSq(floatsOf("SumSq", g), g.Len())
}

func (d *Device) sumSq(v floats, n int) float64 {
	return d.reduce(n, func(ws *workspace, lo, hi int) float64 {
		var sum float64
		buf := ws.floats(chunk)
		for ; lo < hi; lo += chunk {
			sum += d.k.sumSq(d.k.load(v, lo, min(chunk, hi-lo), buf))
		}
		return sum
	})
}

// reduce adds f over blocks of n elements, in their order.
func (d *Device) reduce(n int, f func(ws *workspace, lo, hi int) float64) float64 {
	slots := d.partial(ceilDiv(n, sumBlock))
	d.pool.blocks(n, sumBlock, func(ws *workspace, i, lo, hi int) { slots[i] = f(ws, lo, hi) })
	return total(slots)
}

// Sum adds Σx of an F32 tensor to sum.
func (d *Device) Sum(sum, x tensor.Tensor) {
	if !d.ready() {
		return
	}
	v := x.F32s()
	sum.F64s()[0] += d.reduce(len(v), func(_ *workspace, lo, hi int) (s float64) {
		for _, f := range v[lo:hi] {
			s += float64(f)
		}
		return s
	})
}

// AbsMax writes max|x| to out.
func (d *Device) AbsMax(out, x tensor.Tensor) {
	if !d.ready() {
		return
	}
	out.F32s()[0] = math.Float32frombits(d.absMax(x))
}

// absMax is the bit pattern of max|x|; see absMaxGeneric for infinities and NaN.
func (d *Device) absMax(x tensor.Tensor) uint32 {
	v := floatsOf("AbsMax", x)
	var most atomic.Uint32 // a maximum does not depend on the order
	d.pool.blocks(x.Len(), sumBlock, func(_ *workspace, _, lo, hi int) {
		var m uint32
		if v.half {
			m = d.k.absMax16(v.h[lo:hi])
		} else {
			m = d.k.absMax(v.f[lo:hi])
		}
		for old := most.Load(); m > old && !most.CompareAndSwap(old, m); old = most.Load() {
		}
	})
	return most.Load()
}

// finite says whether every element is; when one is not, the failure sticks, named after w.
func (d *Device) finite(op string, g, w tensor.Tensor) bool {
	if d.absMax(g) < infBits {
		return true
	}
	d.nonFinite(op, w)
	return false
}

// Update is LOMO's update of w with the gradient g.
func (d *Device) Update(w, g tensor.Tensor, s device.Step) {
	wantLen("Update", g, w.Len())
	gv, wv := g.F32s(), floatsOf("Update", w)
	if !d.ready() || !d.finite("Update", g, w) {
		return
	}
	addSumSq(s, func() float64 { return d.sumSq(floats{f: gv}, len(gv)) })
	c := constsOf(s)
	d.pool.blocks(w.Len(), sumBlock, func(ws *workspace, _, lo, hi int) {
		scratch := newWeightScratch(ws, chunk)
		for ; lo < hi; lo += chunk {
			d.k.updateRow(&scratch, wv, lo, gv[lo:min(lo+chunk, hi)], &c)
		}
	})
}

// ClipCoef is coef = min(1, maxNorm/(sqrt(sumSq)·scale + 1e-6)).
func (d *Device) ClipCoef(coef, sumSq tensor.Tensor, maxNorm, scale float32) {
	if !d.ready() {
		return
	}
	norm := float64(math.Sqrt(sumSq.F64s()[0]) * float64(scale))
	coef.F32s()[0] = float32(min(1, float64(maxNorm)/(norm+1e-6)))
}
