package cudakern

import (
	"fmt"
	"slices"

	"lomo/internal/tensor"
)

// A wrong shape or dtype is a programmer's error and must not become a wild write on the card: these panic.

// rowsCols is a matrix's shape; every axis but the last counts as rows.
func rowsCols(t tensor.Tensor) (int, int) { return t.Rows(), t.Cols() }

func wantLen(op string, t tensor.Tensor, n int) {
	if t.Len() != n {
		panic(fmt.Sprintf("%s: tensor %v: want %d elements", op, t, n))
	}
}

func wantRows(op string, t tensor.Tensor, rows, cols int) {
	if t.Rows() != rows || t.Cols() != cols {
		panic(fmt.Sprintf("%s: tensor %v: want (%d, %d)", op, t, rows, cols))
	}
}

func wantSame(op string, a, b tensor.Tensor) {
	if !slices.Equal(a.Shape, b.Shape) {
		panic(fmt.Sprintf("%s: shapes differ: %v and %v", op, a, b))
	}
}

func wantType(op string, dt tensor.DType, ts ...tensor.Tensor) {
	for _, t := range ts {
		if t.DType != dt {
			panic(fmt.Sprintf("%s: tensor %v: want %v", op, t, dt))
		}
	}
}

// suffix is how a kernel's name tells the dtypes of its tensors: "bf16_f32".
func suffix(op string, ts ...tensor.Tensor) string {
	s := ""
	for i, t := range ts {
		if i > 0 {
			s += "_"
		}
		switch t.DType {
		case tensor.F32:
			s += "f32"
		case tensor.BF16:
			s += "bf16"
		default:
			panic(fmt.Sprintf("%s: tensor %v: want F32 or BF16", op, t))
		}
	}
	return s
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
