package cpukern

import "math"

// The exponential function: x = n·ln2 + r with |r| ≤ ln2/2, a polynomial of degree 7 for eʳ (the coefficients are those of
// Cephes expf), and two multiplications by powers of two, so that results may overflow to +Inf or underflow through
// the subnormals. The error is below 2 ulp where the result is normal. The assembly multiplies
// powers of two instead (exp2Poly), fused, with the same bound and other last bits.
const (
	expMax   = 89.0   // e^89 overflows
	expMin   = -105.0 // e^−105 is less than half the least subnormal
	expLog2e = 1.44269504088896341
	expLn2Hi = 0.693359375 // n·Hi is exact for |n| < 2¹⁴
	expLn2Lo = -2.12194440e-4
	expRound = 12582912.0 // 1.5·2²³: adding it rounds to an integer
)

var expPoly = [6]float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}

func exp32(x float32) float32 {
	if x > expMax {
		x = expMax
	}
	if x < expMin {
		x = expMin
	}
	n := float32(float32(x*expLog2e)+expRound) - expRound
	r := x - float32(n*expLn2Hi)
	r -= float32(n * expLn2Lo)
	p := expPoly[0]
	for _, c := range expPoly[1:] {
		p = float32(p*r) + c
	}
	p = float32(float32(p*r)*r) + r
	p++
	i := int32(n) // not used for NaN, where p is NaN whatever it is multiplied by
	half := i >> 1
	return p * pow2(half) * pow2(i-half)
}

// pow2 is 2ⁿ for −126 ≤ n ≤ 127.
func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// expSumGeneric is dst = exp(x − shift); it returns the sum of the results. dst may be x.
//
//kernel:row sum
func expSumGeneric(dst, x []float32, shift float32) float32 {
	dst = dst[:len(x)]
	var s [4]float32
	for i, v := range x {
		e := exp32(v - shift)
		dst[i] = e
		s[i&3] += e
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// maximumGeneric is the greatest element, −Inf when there is none. A NaN may be passed over: exp finds it again.
//
//kernel:row max
func maximumGeneric(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// siluGeneric is dst = gate·σ(gate)·up.
//
//kernel:row
func siluGeneric(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i := range dst {
		dst[i] = siluOf(gate[i], up[i])
	}
}

func siluOf(gate, up float32) float32 { return gate / (1 + exp32(-gate)) * up }

// siluBackwardGeneric is, with s = σ(gate): dup = dact·gate·s and dgate = dact·up·s·(1 + gate·(1−s)). dgate may be gate and dup may be up.
//
//kernel:row
func siluBackwardGeneric(dgate, dup, dact, gate, up []float32) {
	for i, d := range dact {
		dgate[i], dup[i] = siluBackwardOf(d, gate[i], up[i])
	}
}

func siluBackwardOf(d, g, u float32) (dgate, dup float32) {
	s := 1 / (1 + exp32(-g))
	return d * u * (s * (1 + float32(g*(1-s)))), d * (g * s)
}

// tanhPoly are the coefficients of (tanh(x)−x)/x³ in x² for |x| < tanhSmall, the highest first: those of Cephes tanhf. Beyond, tanh comes from exp.
var tanhPoly = [5]float32{-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1}

const tanhSmall = 0.625

// tanh32 is the hyperbolic tangent to 3 ulp, and never above 1.
func tanh32(x float32) float32 {
	size := float32(math.Abs(float64(x)))
	if size < tanhSmall {
		square, p := x*x, tanhPoly[0]
		for _, c := range tanhPoly[1:] {
			p = float32(p*square) + c
		}
		return float32(float32(p*square)*x) + x
	}
	return float32(math.Copysign(float64(1-2/(1+exp32(size+size))), float64(x)))
}

// softCapGeneric is z = limit·tanh(z·inverse).
//
//kernel:row
func softCapGeneric(z []float32, inverse, limit float32) {
	for i, v := range z {
		z[i] = limit * tanh32(v*inverse)
	}
}

// softCapBackwardGeneric is dz *= 1 − (z·inverse)², with z as softCap left it.
//
//kernel:row
func softCapBackwardGeneric(dz, z []float32, inverse float32) {
	z = z[:len(dz)]
	for i := range dz {
		t := z[i] * inverse
		dz[i] *= 1 - float32(t*t)
	}
}
