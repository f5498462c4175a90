package cpukern

import (
	"math"

	"lomo/internal/rng"
	"lomo/internal/tensor"
)

// Products are written float32(x*y) + z: the conversion keeps Go from fusing them on machines where it would.

func genericKernels() *kernels {
	return &kernels{
		level: "generic", name: "generic",
		mr: 4, nr: 4, blockK: 256, micro: microGeneric, direct: directGeneric, pack: packGeneric, floatTiles: genericTiles(),
		roundedTiles: genericTiles().rounded(softmaxRowRounded, gradRowRounded),
		philox:       philoxGeneric, sumSq: sumSqGeneric, rowKernels: genericRows(),
	}
}

//kernel:row
func widenGeneric(dst []float32, src []uint16) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = tensor.BF16ToF32(src[i])
	}
}

//kernel:row
func narrowGeneric(dst []uint16, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = tensor.F32ToBF16(src[i])
	}
}

//kernel:row
func stochasticGeneric(dst []uint16, src []float32, noise []uint16) {
	src, noise = src[:len(dst)], noise[:len(dst)]
	for i := range dst {
		dst[i] = tensor.F32ToBF16Stochastic(src[i], noise[i])
	}
}

// stream is the noise of one tensor at one step.
type stream struct {
	seed         uint64
	tensor, step uint32
}

// philoxGeneric fills dst with the draws of elements 8·block …; len(dst) is a multiple of 8.
func philoxGeneric(dst []uint16, s *stream, block uint64) {
	for i := 0; i+8 <= len(dst); i += 8 {
		draws := rng.Uint16x8(s.seed, rng.Rounding, s.tensor, s.step, block)
		copy(dst[i:], draws[:])
		block++
	}
}

// updateGeneric is h = clamp(g·scale, ±clip)·coef, w = w·keep − rate·h.
//
//kernel:row
func updateGeneric(w, g []float32, s *stepConsts) {
	g = g[:len(w)]
	for i := range w {
		h := s.gradient(g[i])
		w[i] = float32(w[i]*s.keep) - float32(s.lr*h)
	}
}

// updateHalvesGeneric is update of BF16 weights, rounded stochastically.
//
//kernel:row
func updateHalvesGeneric(w []uint16, g []float32, noise []uint16, s *stepConsts) {
	g, noise = g[:len(w)], noise[:len(w)]
	for i := range w {
		h := s.gradient(g[i])
		w[i] = tensor.F32ToBF16Stochastic(float32(tensor.BF16ToF32(w[i])*s.keep)-float32(s.lr*h), noise[i])
	}
}

//kernel:row
func axpyGeneric(y, x []float32, a float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += float32(a * x[i])
	}
}

//kernel:row
func scaleGeneric(x []float32, a float32) {
	for i := range x {
		x[i] *= a
	}
}

// mulScaleGeneric is dst = (x·a)·w.
//
//kernel:row
func mulScaleGeneric(dst, x, w []float32, a float32) {
	x, w = x[:len(dst)], w[:len(dst)]
	for i := range dst {
		dst[i] = x[i] * a * w[i]
	}
}

//kernel:row sum
func dotGeneric(x, y []float32) float32 {
	y = y[:len(x)]
	var s [4]float32 // independent sums: shorter chains and smaller errors
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s[0] += float32(x[i] * y[i])
		s[1] += float32(x[i+1] * y[i+1])
		s[2] += float32(x[i+2] * y[i+2])
		s[3] += float32(x[i+3] * y[i+3])
	}
	for ; i < len(x); i++ {
		s[0] += float32(x[i] * y[i])
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

//kernel:row sum
func dot16Generic(x []float32, y []uint16) float32 {
	y = y[:len(x)]
	var s [4]float32
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s[0] += float32(x[i] * tensor.BF16ToF32(y[i]))
		s[1] += float32(x[i+1] * tensor.BF16ToF32(y[i+1]))
		s[2] += float32(x[i+2] * tensor.BF16ToF32(y[i+2]))
		s[3] += float32(x[i+3] * tensor.BF16ToF32(y[i+3]))
	}
	for ; i < len(x); i++ {
		s[0] += float32(x[i] * tensor.BF16ToF32(y[i]))
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// dot3Generic is Σ x·y·z.
//
//kernel:row sum
func dot3Generic(x, y, z []float32) float32 {
	y, z = y[:len(x)], z[:len(x)]
	var s [2]float32
	for i := range x {
		s[i&1] += float32(x[i] * y[i] * z[i])
	}
	return s[0] + s[1]
}

// sumSqGeneric is Σx² in float64: squares of float32 are exact there, so only the order of the sum matters: eight
// lanes by index modulo 8, then their fixed tree.
func sumSqGeneric(x []float32) float64 {
	var s [8]float64
	return sumSqLanes(&s, x)
}

// sumSqLanes adds the squares of x to the lanes, from the first on, and the lanes.
func sumSqLanes(s *[8]float64, x []float32) float64 {
	for i, v := range x {
		s[i&7] += float64(v) * float64(v)
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// absMaxGeneric is the greatest bit pattern without its sign: for finite values and infinities that of max|x|, and a NaN's if
// there is one, because NaN patterns lie above all others.
//
//kernel:row max
func absMaxGeneric(x []float32) uint32 {
	var m uint32
	for _, v := range x {
		m = max(m, math.Float32bits(v)&0x7fffffff)
	}
	return m
}

//kernel:row max
func absMax16Generic(x []uint16) uint32 {
	var m uint16
	for _, v := range x {
		m = max(m, v&0x7fff)
	}
	return uint32(m) << 16
}

const infBits = 0x7f800000 // patterns from here on are not finite
