//go:build amd64 && !noasm

package cpukern

import (
	"math"

	"lomo/internal/rng"
)

// The assembly does whole vectors; these wrappers hand it the greatest multiple of its width and do the rest with the generic twin. Those of
// rows as short as a head ask first whether there is a rest: a call costs as much as the row.

func widenAVX2(dst []float32, src []uint16) {
	n := len(dst) &^ 7
	if n > 0 {
		widenVec(&dst[0], &src[0], n)
	}
	if n < len(dst) {
		widenGeneric(dst[n:], src[n:])
	}
}

func narrowAVX2(dst []uint16, src []float32) {
	n := len(dst) &^ 7
	if n > 0 {
		narrowVec(&dst[0], &src[0], n)
	}
	if n < len(dst) {
		narrowGeneric(dst[n:], src[n:])
	}
}

func stochasticAVX2(dst []uint16, src []float32, noise []uint16) {
	n := len(dst) &^ 7
	if n > 0 {
		stochasticVec(&dst[0], &src[0], &noise[0], n)
	}
	stochasticGeneric(dst[n:], src[n:], noise[n:])
}

func philoxAVX2(dst []uint16, s *stream, block uint64) {
	c := rng.Counter(rng.Rounding, s.tensor, s.step, block)
	n := len(dst) &^ 63
	if n > 0 && c[0] <= math.MaxUint32-uint32(n/8) { // else the low word of the counter overflows on the way
		philoxVec(&dst[0], s.seed, c[0], c[1], c[2], c[3], n)
		dst, block = dst[n:], block+uint64(n/8)
	}
	philoxGeneric(dst, s, block)
}

func axpyAVX2(y, x []float32, a float32) {
	n := len(y) &^ 7
	if n > 0 {
		axpyVec(&y[0], &x[0], n, a)
	}
	if n < len(y) {
		axpyGeneric(y[n:], x[n:], a)
	}
}

func scaleAVX2(x []float32, a float32) {
	n := len(x) &^ 7
	if n > 0 {
		scaleVec(&x[0], n, a)
	}
	if n < len(x) {
		scaleGeneric(x[n:], a)
	}
}

func mulScaleAVX2(dst, x, w []float32, a float32) {
	n := len(dst) &^ 7
	if n > 0 {
		mulScaleVec(&dst[0], &x[0], &w[0], n, a)
	}
	mulScaleGeneric(dst[n:], x[n:], w[n:], a)
}

func normInputAVX2(dx, dy, w, x []float32, r, back float32) {
	n := len(dx) &^ 7
	if n > 0 {
		normInputVec(&dx[0], &dy[0], &w[0], &x[0], n, r, back)
	}
	normInputGeneric(dx[n:], dy[n:], w[n:], x[n:], r, back)
}

func normWeightAVX2(sum, dy, x []float32, r float32) {
	n := len(sum) &^ 7
	if n > 0 {
		normWeightVec(&sum[0], &dy[0], &x[0], n, r)
	}
	normWeightGeneric(sum[n:], dy[n:], x[n:], r)
}

func rotateAVX2(a, b, cos, sin []float32, sign float32) {
	n := len(a) &^ 7
	if n > 0 {
		rotateVec(&a[0], &b[0], &cos[0], &sin[0], n, sign)
	}
	rotateGeneric(a[n:], b[n:], cos[n:], sin[n:], sign)
}

func dotAVX2(x, y []float32) float32 {
	n := len(x) &^ 31
	sum := dotGeneric(x[n:], y[n:])
	if n > 0 {
		sum += dotVec(&x[0], &y[0], n)
	}
	return sum
}

func dot16AVX2(x []float32, y []uint16) float32 {
	n := len(x) &^ 31
	sum := dot16Generic(x[n:], y[n:])
	if n > 0 {
		sum += dot16Vec(&x[0], &y[0], n)
	}
	return sum
}

func dot3AVX2(x, y, z []float32) float32 {
	n := len(x) &^ 7
	sum := dot3Generic(x[n:], y[n:], z[n:])
	if n > 0 {
		sum += dot3Vec(&x[0], &y[0], &z[0], n)
	}
	return sum
}

func sumSqAVX2(x []float32) float64 {
	var s [8]float64
	n := len(x) &^ 7
	if n > 0 {
		sumSqVec(&x[0], n, &s)
	}
	return sumSqLanes(&s, x[n:])
}

func absMaxAVX2(x []float32) uint32 {
	n := len(x) &^ 7
	m := absMaxGeneric(x[n:])
	if n > 0 {
		m = max(m, absMaxVec(&x[0], n))
	}
	return m
}

func absMax16AVX2(x []uint16) uint32 {
	n := len(x) &^ 15
	m := absMax16Generic(x[n:])
	if n > 0 {
		m = max(m, absMax16Vec(&x[0], n))
	}
	return m
}

func maximumAVX2(x []float32) float32 {
	n := len(x) &^ 7
	m := maximumGeneric(x[n:])
	if n > 0 {
		m = max(m, maximumVec(&x[0], n))
	}
	return m
}

func expSumAVX2(dst, x []float32, shift float32) float32 {
	n := len(x) &^ 7
	sum := expSumGeneric(dst[n:], x[n:], shift)
	if n > 0 {
		sum += expSumVec(&dst[0], &x[0], n, shift)
	}
	return sum
}

func axpyHalvesAVX2(y []uint16, x []float32, a float32) {
	n := len(y) &^ 7
	if n > 0 {
		axpyHalvesVec(&y[0], &x[0], n, a)
	}
	axpyHalvesGeneric(y[n:], x[n:], a)
}

func softCapAVX2(z []float32, inverse, limit float32) {
	n := len(z) &^ 7
	if n > 0 {
		softCapVec(&z[0], n, inverse, limit)
	}
	softCapGeneric(z[n:], inverse, limit)
}

func softCapBackwardAVX2(dz, z []float32, inverse float32) {
	n := len(dz) &^ 7
	if n > 0 {
		softCapBackwardVec(&dz[0], &z[0], n, inverse)
	}
	softCapBackwardGeneric(dz[n:], z[n:], inverse)
}

func mulScaleHalvesAVX2(dst []uint16, x, w []float32, a float32) {
	n := len(dst) &^ 7
	if n > 0 {
		mulScaleHalvesVec(&dst[0], &x[0], &w[0], n, a)
	}
	mulScaleHalvesGeneric(dst[n:], x[n:], w[n:], a)
}

func rotateHalvesAVX2(a, b []uint16, cos, sin []float32, sign float32) {
	n := len(a) &^ 7
	if n > 0 {
		rotateHalvesVec(&a[0], &b[0], &cos[0], &sin[0], n, sign)
	}
	if n < len(a) {
		rotateHalvesGeneric(a[n:], b[n:], cos[n:], sin[n:], sign)
	}
}

// vectorGate hands assembly whole vectors of width elements, and the rest of a row to rest.
func vectorGate(width int, forward forwardVec[float32], backward backwardVec[float32], forwardHalves forwardVec[uint16], backwardHalves backwardVec[uint16], rest gate) gate {
	return gate{
		forward:        forward.rows(width, rest.forward),
		backward:       backward.rows(width, rest.backward),
		forwardHalves:  forwardHalves.rows(width, rest.forwardHalves),
		backwardHalves: backwardHalves.rows(width, rest.backwardHalves),
	}
}

type forwardVec[T any] func(dst, gate, up *T, n int)

func (vec forwardVec[T]) rows(width int, rest func(dst, gate, up []T)) func(dst, gate, up []T) {
	return func(dst, gate, up []T) {
		n := len(dst) &^ (width - 1)
		if n > 0 {
			vec(&dst[0], &gate[0], &up[0], n)
		}
		rest(dst[n:], gate[n:], up[n:])
	}
}

type backwardVec[T any] func(dgate, dup, dact, gate, up *T, n int)

func (vec backwardVec[T]) rows(width int, rest func(dgate, dup, dact, gate, up []T)) func(dgate, dup, dact, gate, up []T) {
	return func(dgate, dup, dact, gate, up []T) {
		n := len(dact) &^ (width - 1)
		if n > 0 {
			vec(&dgate[0], &dup[0], &dact[0], &gate[0], &up[0], n)
		}
		rest(dgate[n:], dup[n:], dact[n:], gate[n:], up[n:])
	}
}
