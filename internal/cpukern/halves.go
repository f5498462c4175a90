package cpukern

import "lomo/internal/tensor"

// Rows of BF16 tensors in one pass: each is its float32 twin between a widening and a rounding to nearest, with the same bits.

// axpyHalvesGeneric is axpy of BF16: x is float32.
//
//kernel:row
func axpyHalvesGeneric(y []uint16, x []float32, a float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] = tensor.F32ToBF16(tensor.BF16ToF32(y[i]) + float32(a*x[i]))
	}
}

// mulScaleHalvesGeneric is mulScale with the result rounded.
//
//kernel:row
func mulScaleHalvesGeneric(dst []uint16, x, w []float32, a float32) {
	x, w = x[:len(dst)], w[:len(dst)]
	for i := range dst {
		dst[i] = tensor.F32ToBF16(x[i] * a * w[i])
	}
}

// rotateHalvesGeneric is rotate of BF16.
//
//kernel:row
func rotateHalvesGeneric(a, b []uint16, cos, sin []float32, sign float32) {
	b, cos, sin = b[:len(a)], cos[:len(a)], sin[:len(a)]
	for j := range a {
		x, y := [1]float32{tensor.BF16ToF32(a[j])}, [1]float32{tensor.BF16ToF32(b[j])}
		rotateGeneric(x[:], y[:], cos[j:], sin[j:], sign)
		a[j], b[j] = tensor.F32ToBF16(x[0]), tensor.F32ToBF16(y[0])
	}
}

// siluHalvesGeneric is silu of BF16.
//
//kernel:row
func siluHalvesGeneric(dst, gate, up []uint16) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i := range dst {
		dst[i] = tensor.F32ToBF16(siluOf(tensor.BF16ToF32(gate[i]), tensor.BF16ToF32(up[i])))
	}
}

// siluBackwardHalvesGeneric is siluBackward of BF16. dgate may be gate and dup may be up.
//
//kernel:row
func siluBackwardHalvesGeneric(dgate, dup, dact, gate, up []uint16) {
	for i, d := range dact {
		dg, du := siluBackwardOf(tensor.BF16ToF32(d), tensor.BF16ToF32(gate[i]), tensor.BF16ToF32(up[i]))
		dgate[i], dup[i] = tensor.F32ToBF16(dg), tensor.F32ToBF16(du)
	}
}
