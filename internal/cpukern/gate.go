package cpukern

import (
	"math"

	"lomo/internal/tensor"
)

// gate is the rows of one kind of gated MLP: forward is dst = f(gate)·up, backward its derivatives, where dgate may be gate and dup may be up. Those of
// BF16 are the same between a widening and a rounding to nearest.
type gate struct {
	forward        func(dst, gate, up []float32)
	backward       func(dgate, dup, dact, gate, up []float32)
	forwardHalves  func(dst, gate, up []uint16)
	backwardHalves func(dgate, dup, dact, gate, up []uint16)
}

func (k *kernels) siluGate() gate {
	return gate{k.silu, k.siluBackward, k.siluHalves, k.siluBackwardHalves}
}

func (k *kernels) geluGate() gate {
	return gate{k.gelu, k.geluBackward, k.geluHalves, k.geluBackwardHalves}
}

// gelu's tanh form is ½·g·(1 + tanh(√(2/π)·(g + 0.044715·g³))). As ½·(1 + tanh(v)) = σ(2v), it is silu's with another argument of σ, and the tail of
// negative gates keeps its digits.
const (
	geluA    = 1.5957691216057308  // 2·√(2/π)
	geluB    = 0.07135481627260025 // 0.044715·geluA
	geluMost = 256                 // of the square: σ is 0 or 1 long before, and nothing overflows
)

// geluArgument is g², bounded, and what σ takes: g·(A + B·g²).
func geluArgument(g float32) (square, u float32) {
	square = min(float32(g*g), geluMost)
	return square, g * (float32(square*geluB) + geluA)
}

func geluOf(gate, up float32) float32 {
	_, u := geluArgument(gate)
	return gate / (1 + exp32(-u)) * up
}

// geluBackwardOf is, with s = σ(u): dup = dact·gate·s and dgate = dact·up·(s + gate·s·(1−s)·du/dgate). 1−s is made as e^−u·s, for its digits.
func geluBackwardOf(d, g, u float32) (dgate, dup float32) {
	square, arg := geluArgument(g)
	e := exp32(-arg)
	s := 1 / (1 + e)
	rest, slope := min(e, math.MaxFloat32)*s, float32(square*(3*geluB))+geluA
	return d * u * (float32(g*s*float32(rest*slope)) + s), d * (g * s)
}

// geluGeneric is dst = gelu(gate)·up.
//
//kernel:row
func geluGeneric(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i := range dst {
		dst[i] = geluOf(gate[i], up[i])
	}
}

// geluBackwardGeneric is geluBackwardOf of each element.
//
//kernel:row
func geluBackwardGeneric(dgate, dup, dact, gate, up []float32) {
	for i, d := range dact {
		dgate[i], dup[i] = geluBackwardOf(d, gate[i], up[i])
	}
}

// geluHalvesGeneric is gelu of BF16.
//
//kernel:row
func geluHalvesGeneric(dst, gate, up []uint16) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i := range dst {
		dst[i] = tensor.F32ToBF16(geluOf(tensor.BF16ToF32(gate[i]), tensor.BF16ToF32(up[i])))
	}
}

// geluBackwardHalvesGeneric is geluBackward of BF16.
//
//kernel:row
func geluBackwardHalvesGeneric(dgate, dup, dact, gate, up []uint16) {
	for i, d := range dact {
		dg, du := geluBackwardOf(tensor.BF16ToF32(d), tensor.BF16ToF32(gate[i]), tensor.BF16ToF32(up[i]))
		dgate[i], dup[i] = tensor.F32ToBF16(dg), tensor.F32ToBF16(du)
	}
}
