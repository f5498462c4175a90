//go:build amd64 && !noasm

package cpukern

// The exponentials on 512 bits: what is left over goes to the 256-bit ones.

func expSumAVX512(x []float32, scale, shift float32) float32 {
	n := len(x) &^ 15
	sum := expSumAVX2(x[n:], scale, shift)
	if n > 0 {
		sum += expSumVec512(&x[0], n, scale, shift)
	}
	return sum
}

func siluAVX512(dst, gate, up []float32) {
	n := len(dst) &^ 15
	if n > 0 {
		siluVec512(&dst[0], &gate[0], &up[0], n)
	}
	siluAVX2(dst[n:], gate[n:], up[n:])
}

func siluBackwardAVX512(dgate, dup, dact, gate, up []float32) {
	n := len(dact) &^ 15
	if n > 0 {
		siluBackwardVec512(&dgate[0], &dup[0], &dact[0], &gate[0], &up[0], n)
	}
	siluBackwardAVX2(dgate[n:], dup[n:], dact[n:], gate[n:], up[n:])
}
