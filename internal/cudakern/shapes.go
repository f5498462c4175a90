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

// halves is which of the tensors are BF16, a bit each in their order; the others must be F32.
func halves(op string, ts ...tensor.Tensor) uint32 {
	var bits uint32
	for i, t := range ts {
		switch t.DType {
		case tensor.F32:
		case tensor.BF16:
			bits |= 1 << i
		default:
			panic(fmt.Sprintf("%s: tensor %v: want F32 or BF16", op, t))
		}
	}
	return bits
}

// suffix is how the names of kernels with one version a dtype tell them: "bf16_f32".
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

// What one launch takes at most: threads, blocks or rows beyond it are reached by going on in a loop. Sums are made in an order that depends on
// these numbers, so they are the same for every card. Tests make them small, so that every loop goes round at small sizes.
var (
	flatBlock     = dim{256, 1, 1}   // of kernels that take eight elements a thread
	flatBlocks    = 2048             // of their grid, and of kernels with a thread for each of n things
	rowBlocks     = 1 << 20          // of kernels that give each row to a block
	rowWarps      = 8                // of their block
	tallBlocks    = 65535            // rows of a grid whose blocks lie in two axes
	loneBlock     = dim{1024, 1, 1}  // of kernels that are one block
	reduceMost    = 1024             // partial results of a sum over a tensor
	rowsMost      = 4096             // partial results of a sum over rows of a table
	normMost      = rootsAt / 8      // partial results of FactorNorm
	rangesMost    = 128              // ranges of rows that are summed beside each other
	rangeRows     = 16               // rows of a range, at least
	rangeBytes    = scratchBytes / 2 // sums of all ranges
	sequenceBytes = scratchBytes     // what AttentionBackward keeps of the sequences it takes at a time
	largestShare  = 1024             // elements a block of the search for the largest of a factor
)

// flat is the grid for n elements by flatBlock: enough blocks to fill a card, after which each thread goes on.
func flat(n int64) dim { return dim{int(min((n+8*256-1)/(8*256), int64(flatBlocks))), 1, 1} }

// each is the grid for n things with a thread each.
func each(n int) dim { return dim{min(ceilDiv(n, 256), flatBlocks), 1, 1} }

// rowsOf is the launch of a kernel that gives each of n rows of c elements to a block, eight elements a thread.
func rowsOf(n, c int) (grid, block dim) {
	return dim{min(n, rowBlocks), 1, 1}, dim{min(max(ceilDiv(c, 8*32), 1), rowWarps) * 32, 1, 1}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
