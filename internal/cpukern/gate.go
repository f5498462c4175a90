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

// gateOf is the gate with these elements.
func gateOf(forward func(gate, up float32) float32, backward func(dact, gate, up float32) (dgate, dup float32)) gate {
	return gate{
		forward: func(dst, gate, up []float32) {
			gate, up = gate[:len(dst)], up[:len(dst)]
			for i := range dst {
				dst[i] = forward(gate[i], up[i])
			}
		},
		backward: func(dgate, dup, dact, gate, up []float32) {
			for i, d := range dact {
				dgate[i], dup[i] = backward(d, gate[i], up[i])
			}
		},
		forwardHalves: func(dst, gate, up []uint16) {
			gate, up = gate[:len(dst)], up[:len(dst)]
			for i := range dst {
				dst[i] = tensor.F32ToBF16(forward(tensor.BF16ToF32(gate[i]), tensor.BF16ToF32(up[i])))
			}
		},
		backwardHalves: func(dgate, dup, dact, gate, up []uint16) {
			for i, d := range dact {
				dg, du := backward(tensor.BF16ToF32(d), tensor.BF16ToF32(gate[i]), tensor.BF16ToF32(up[i]))
				dgate[i], dup[i] = tensor.F32ToBF16(dg), tensor.F32ToBF16(du)
			}
		},
	}
}

// siluGate is gate·σ(gate)·up.
func siluGate() gate { return gateOf(siluOf, siluBackwardOf) }

func siluOf(gate, up float32) float32 { return gate / (1 + exp32(-gate)) * up }

// siluBackwardOf is, with s = σ(gate): dup = dact·gate·s and dgate = dact·up·s·(1 + gate·(1−s)).
func siluBackwardOf(d, g, u float32) (dgate, dup float32) {
	s := 1 / (1 + exp32(-g))
	return d * u * (s * (1 + float32(g*(1-s)))), d * (g * s)
}

// geluGate is ½·gate·(1 + tanh(√(2/π)·(gate + 0.044715·gate³)))·up. As ½·(1 + tanh(v)) = σ(2v), it is silu's with another argument of σ, and the tail
// of negative gates keeps its digits.
func geluGate() gate { return gateOf(geluOf, geluBackwardOf) }

const (
	geluA    = 1.5957691216057308  // 2·√(2/π)
	geluB    = 0.07135481627260025 // 0.044715·geluA
	geluMost = 256                 // of the square: σ is 0 or 1 long before, and nothing overflows
)

// geluArgument is gate², bounded, and what σ takes: gate·(A + B·gate²).
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
