package cpukern

import (
	"math"

	"lomo/internal/device"
)

// stepConsts is a device.Step ready for use: what is off has the value that changes nothing, exactly.
type stepConsts struct {
	scale, clip, coef float32 // h = clamp(g·scale, ±clip)·coef
	keep, lr          float32 // w·keep − lr·h
	decay             float32
	stochastic        bool
	noise             stream
	base              int64
}

func constsOf(s device.Step) stepConsts {
	c := stepConsts{scale: 1, clip: float32(math.Inf(1)), coef: 1, keep: 1, lr: s.LR, decay: s.Decay,
		stochastic: s.Round == device.Stochastic,
		noise:      stream{s.Seed, s.Tensor, s.Number}, base: s.Base}
	if s.Scale != 0 {
		c.scale = s.Scale
	}
	if s.Clip > 0 {
		c.clip = s.Clip
	}
	if !s.Coef.IsZero() {
		c.coef = s.Coef.F32s()[0]
	}
	if s.Decay > 0 {
		c.keep = keepFactor(s.LR, s.Decay)
	}
	return c
}

// addSumSq adds Σg² to the step's sum where it is wanted.
func addSumSq(s device.Step, sumSq func() float64) {
	if !s.SumSq.IsZero() {
		s.SumSq.F64s()[0] += sumSq()
	}
}

// keepFactor is 1 − lr·decay, rounded once.
func keepFactor(lr, decay float32) float32 { return float32(1 - float64(lr)*float64(decay)) }

// gradient is what an update sees of g.
func (c *stepConsts) gradient(g float32) float32 {
	return min(max(g*c.scale, -c.clip), c.clip) * c.coef
}

// weightScratch is what writing up to n weights needs.
type weightScratch struct {
	w     []float32
	noise []uint16
}

func newWeightScratch(ws *workspace, n int) weightScratch {
	return weightScratch{w: ws.floats(n), noise: ws.halves(n + 14)} // draws come in eights, so up to seven on each side
}

// updateRow is LOMO's update of the weights at off with their gradients g.
func (k *kernels) updateRow(s *weightScratch, w floats, off int, g []float32, c *stepConsts) {
	if w.half && c.stochastic {
		k.updateHalves(w.h[off:off+len(g)], g, k.draws(s, off, len(g), c), c)
		return
	}
	row := w.dst(off, len(g), s.w)
	if w.half {
		k.widen(row, w.h[off:off+len(g)])
	}
	k.update(row, g, c)
	k.store(w, off, row)
}

// storeWeights is store with the rounding of the step.
func (k *kernels) storeWeights(s *weightScratch, w floats, off int, x []float32, c *stepConsts) {
	if !w.half || !c.stochastic {
		k.store(w, off, x)
		return
	}
	k.stochastic(w.h[off:off+len(x)], x, k.draws(s, off, len(x), c))
}

// draws is the noise of n elements of a tensor: element i takes draw base+i.
func (k *kernels) draws(s *weightScratch, off, n int, c *stepConsts) []uint16 {
	first := uint64(c.base + int64(off))
	skip := int(first % 8)
	noise := s.noise[:roundUp(skip+n, 8)]
	k.philox(noise, &c.noise, first/8)
	return noise[skip:][:n]
}
