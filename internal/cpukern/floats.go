package cpukern

import (
	"fmt"
	"slices"
	"unsafe"

	"lomo/internal/tensor"
)

// floats is the elements of an F32 or BF16 tensor. Kernels see float32 rows: those of the tensor itself when it is
// F32, else a piece of it widened into scratch.
type floats struct {
	f    []float32
	h    []uint16
	half bool
}

func floatsOf(op string, t tensor.Tensor) floats {
	switch t.DType {
	case tensor.F32:
		return floats{f: t.F32s()}
	case tensor.BF16:
		return floats{h: t.U16s(), half: true}
	}
	panic(fmt.Sprintf("%s: tensor %v: want F32 or BF16", op, t))
}

// chunk is how many elements row kernels take at once. It fits the first-level cache with its scratch, and bounds the
// workspace whatever the width of a tensor.
const chunk = 2048

// load is elements [off, off+n) as float32: the tensor's own, or widened into buf.
func (k *kernels) load(v floats, off, n int, buf []float32) []float32 {
	if !v.half {
		return v.f[off : off+n : off+n]
	}
	k.widen(buf[:n], v.h[off:off+n])
	return buf[:n]
}

// copyOf is elements [off, off+n) in buf, which the caller may change.
func (k *kernels) copyOf(v floats, off, n int, buf []float32) []float32 {
	if v.half {
		k.widen(buf[:n], v.h[off:off+n])
	} else {
		copy(buf[:n], v.f[off:off+n])
	}
	return buf[:n]
}

// at is the address of element i, for kernels that read rows of either type.
func (v floats) at(i int) *float32 {
	if v.half {
		return (*float32)(unsafe.Pointer(&v.h[i]))
	}
	return &v.f[i]
}

// dst is where a kernel should write elements [off, off+n): in place, or in buf with store to follow.
func (v floats) dst(off, n int, buf []float32) []float32 {
	if !v.half {
		return v.f[off : off+n : off+n]
	}
	return buf[:n]
}

// store puts x at off, rounding to nearest even; nothing is left to do when x came from dst of an F32 tensor.
func (k *kernels) store(v floats, off int, x []float32) {
	switch {
	case len(x) == 0:
	case v.half:
		k.narrow(v.h[off:off+len(x)], x)
	case &v.f[off] != &x[0]:
		copy(v.f[off:], x)
	}
}

// rowsCols is a matrix's shape; every axis but the last counts as rows.
func rowsCols(t tensor.Tensor) (int, int) { return t.Rows(), t.Cols() }

// wantLen panics unless the tensor has n elements: a wrong shape is a programmer's error.
func wantLen(op string, t tensor.Tensor, n int) {
	if t.Len() != n {
		panic(fmt.Sprintf("%s: tensor %v: want %d elements", op, t, n))
	}
}

// wantRows panics unless the tensor is a (rows, cols) matrix, with any split of the rows over leading axes.
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
