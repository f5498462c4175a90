//go:build amd64 && !noasm

package cpukern

import (
	"math"

	"lomo/internal/rng"
)

// Rows on 512 bits: what is left over goes to the 256-bit twins.

func widenAVX512(dst []float32, src []uint16) {
	n := len(dst) &^ 15
	if n > 0 {
		widenVec512(&dst[0], &src[0], n)
	}
	if n < len(dst) {
		widenAVX2(dst[n:], src[n:])
	}
}

func narrowAVX512(dst []uint16, src []float32) {
	n := len(dst) &^ 15
	if n > 0 {
		narrowVec512(&dst[0], &src[0], n)
	}
	if n < len(dst) {
		narrowAVX2(dst[n:], src[n:])
	}
}

func updateHalvesAVX512(w []uint16, g []float32, noise []uint16, s *stepConsts) {
	n := len(w) &^ 15
	if n > 0 {
		updateHalvesVec512(&w[0], &g[0], &noise[0], n, s.scale, s.clip, s.coef, s.keep, s.lr)
	}
	updateHalvesAVX2(w[n:], g[n:], noise[n:], s)
}

func philoxAVX512(dst []uint16, s *stream, block uint64) {
	c := rng.Counter(rng.Rounding, s.tensor, s.step, block)
	n := len(dst) &^ 127
	if n > 0 && c[0] <= math.MaxUint32-uint32(n/8) { // else the low word of the counter overflows on the way
		philoxVec512(&dst[0], s.seed, c[0], c[1], c[2], c[3], n)
		dst, block = dst[n:], block+uint64(n/8)
	}
	philoxAVX2(dst, s, block)
}

func expSumAVX512(dst, x []float32, shift float32) float32 {
	n := len(x) &^ 15
	sum := expSumAVX2(dst[n:], x[n:], shift)
	if n > 0 {
		sum += expSumVec512(&dst[0], &x[0], n, shift)
	}
	return sum
}

func axpyHalvesAVX512(y []uint16, x []float32, a float32) {
	n := len(y) &^ 15
	if n > 0 {
		axpyHalvesVec512(&y[0], &x[0], n, a)
	}
	axpyHalvesAVX2(y[n:], x[n:], a)
}

func mulScaleHalvesAVX512(dst []uint16, x, w []float32, a float32) {
	n := len(dst) &^ 15
	if n > 0 {
		mulScaleHalvesVec512(&dst[0], &x[0], &w[0], n, a)
	}
	mulScaleHalvesAVX2(dst[n:], x[n:], w[n:], a)
}

func rotateHalvesAVX512(a, b []uint16, cos, sin []float32, sign float32) {
	n := len(a) &^ 15
	if n > 0 {
		rotateHalvesVec512(&a[0], &b[0], &cos[0], &sin[0], n, sign)
	}
	if n < len(a) {
		rotateHalvesAVX2(a[n:], b[n:], cos[n:], sin[n:], sign)
	}
}

func softCapAVX512(z []float32, inverse, limit float32) {
	n := len(z) &^ 15
	if n > 0 {
		softCapVec512(&z[0], n, inverse, limit)
	}
	softCapAVX2(z[n:], inverse, limit)
}
