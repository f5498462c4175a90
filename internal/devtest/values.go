package devtest

import (
	"encoding/binary"
	"math"

	"lomo/internal/tensor"
)

// encode writes vals as elements of dt, rounding to nearest even.
func encode(raw []byte, dt tensor.DType, vals []float64) {
	for i, v := range vals {
		switch dt {
		case tensor.F32:
			binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(float32(v)))
		case tensor.BF16:
			binary.LittleEndian.PutUint16(raw[2*i:], tensor.F32ToBF16(float32(v)))
		case tensor.F64:
			binary.LittleEndian.PutUint64(raw[8*i:], math.Float64bits(v))
		case tensor.I32:
			binary.LittleEndian.PutUint32(raw[4*i:], uint32(int32(v)))
		default:
			panic("devtest: no encoding of " + dt.String())
		}
	}
}

func decode(raw []byte, dt tensor.DType) []float64 {
	vals := make([]float64, len(raw)/dt.Size())
	for i := range vals {
		switch dt {
		case tensor.F32:
			vals[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
		case tensor.BF16:
			vals[i] = float64(tensor.BF16ToF32(binary.LittleEndian.Uint16(raw[2*i:])))
		case tensor.F64:
			vals[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		case tensor.I32:
			vals[i] = float64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
		default:
			panic("devtest: no decoding of " + dt.String())
		}
	}
	return vals
}

// sum folds f over 0 … n−1.
func sum(n int, f func(i int) float64) float64 {
	var s float64
	for i := range n {
		s += f(i)
	}
	return s
}

// mapped is f of each index.
func mapped(n int, f func(i int) float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

func sumSquares(x []float64) float64 { return sum(len(x), func(i int) float64 { return x[i] * x[i] }) }
