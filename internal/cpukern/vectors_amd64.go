//go:build amd64 && !noasm

package cpukern

import (
	"math"

	"lomo/internal/rng"
)

// The assembly does whole vectors; these wrappers hand it the greatest multiple of its width and do the rest with the generic twin. Those that
// are alike are made by _gen/rows.

func philoxAVX2(dst []uint16, s *stream, block uint64) {
	c := rng.Counter(rng.Rounding, s.tensor, s.step, block)
	n := len(dst) &^ 63
	if n > 0 && c[0] <= math.MaxUint32-uint32(n/8) { // else the low word of the counter overflows on the way
		philoxVec(&dst[0], s.seed, c[0], c[1], c[2], c[3], n)
		dst, block = dst[n:], block+uint64(n/8)
	}
	philoxGeneric(dst, s, block)
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

func sumSqAVX2(x []float32) float64 {
	var s [8]float64
	n := len(x) &^ 7
	if n > 0 {
		sumSqVec(&x[0], n, &s)
	}
	return sumSqLanes(&s, x[n:])
}
