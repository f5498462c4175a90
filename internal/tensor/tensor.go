package tensor

import (
	"fmt"
	"unsafe"
)

// Tensor is a row-major array somewhere: on the host (Host holds its bytes), on another
// device (Addr is its address there), or nowhere (the counting device: both are empty).
// It is a value; copying it copies the reference, not the elements.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Host  []byte
	Addr  uint64
}

// NewHost wraps a fresh zeroed Go slice. Tests and small host-side values use it; tensors of a
// run live in a device's arena.
func NewHost(name string, dt DType, shape ...int) Tensor {
	t := Tensor{Name: name, DType: dt, Shape: shape}
	words := make([]uint64, (t.Bytes()+7)/8) // 8-byte aligned
	if len(words) > 0 {
		t.Host = unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), t.Bytes())
	}
	return t
}

// IsZero reports whether t is the zero Tensor ("not given").
func (t Tensor) IsZero() bool { return t.DType == Invalid }

// Len is the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Bytes is the number of bytes of all elements.
func (t Tensor) Bytes() int64 { return int64(t.Len()) * int64(t.DType.Size()) }

// Cols is the length of the last axis (1 for a scalar).
func (t Tensor) Cols() int {
	if len(t.Shape) == 0 {
		return 1
	}
	return t.Shape[len(t.Shape)-1]
}

// Rows is the product of all axes but the last.
func (t Tensor) Rows() int {
	n := 1
	for i := 0; i+1 < len(t.Shape); i++ {
		n *= t.Shape[i]
	}
	return n
}

// View is the same elements under another shape of the same length.
func (t Tensor) View(shape ...int) Tensor {
	v := t
	v.Shape = shape
	if v.Len() != t.Len() {
		panic(fmt.Sprintf("tensor %q: view %v of %v", t.Name, shape, t.Shape))
	}
	return v
}

// Slice is the entries [i0, i1) of the first axis.
func (t Tensor) Slice(i0, i1 int) Tensor {
	if len(t.Shape) == 0 || i0 < 0 || i1 < i0 || i1 > t.Shape[0] {
		panic(fmt.Sprintf("tensor %q: slice [%d:%d] of %v", t.Name, i0, i1, t.Shape))
	}
	stride := t.DType.Size()
	for _, d := range t.Shape[1:] {
		stride *= d
	}
	s := t
	s.Shape = append([]int{i1 - i0}, t.Shape[1:]...)
	if t.Host != nil {
		s.Host = t.Host[i0*stride : i1*stride : i1*stride]
	}
	if t.Addr != 0 {
		s.Addr = t.Addr + uint64(i0*stride)
	}
	return s
}

// Part is a tensor of any type in t's memory, off bytes from its beginning.
func (t Tensor) Part(name string, dt DType, off int64, shape ...int) Tensor {
	p := Tensor{Name: name, DType: dt, Shape: shape}
	end := off + p.Bytes()
	if off < 0 || end > t.Bytes() || off%int64(max(1, dt.Size())) != 0 {
		panic(fmt.Sprintf("tensor %q: %v of %d bytes at %d in %d", t.Name, p, p.Bytes(), off, t.Bytes()))
	}
	if t.Host != nil {
		p.Host = t.Host[off:end:end]
	}
	if t.Addr != 0 {
		p.Addr = t.Addr + uint64(off)
	}
	return p
}

// Named is t under another name.
func (t Tensor) Named(name string) Tensor { t.Name = name; return t }

func cast[T any](t Tensor, want DType) []T {
	if t.DType != want {
		panic(fmt.Sprintf("tensor %q: is %v, used as %v", t.Name, t.DType, want))
	}
	if len(t.Host) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&t.Host[0])), t.Len())
}

// F32s is the host elements of a float32 tensor. It panics on another dtype.
func (t Tensor) F32s() []float32 { return cast[float32](t, F32) }

// F64s is the host elements of a float64 tensor.
func (t Tensor) F64s() []float64 { return cast[float64](t, F64) }

// I32s is the host elements of an int32 tensor.
func (t Tensor) I32s() []int32 { return cast[int32](t, I32) }

// I64s is the host elements of an int64 tensor.
func (t Tensor) I64s() []int64 { return cast[int64](t, I64) }

// U16s is the host bit patterns of a BF16 or F16 tensor.
func (t Tensor) U16s() []uint16 {
	if t.DType == F16 {
		return cast[uint16](t, F16)
	}
	return cast[uint16](t, BF16)
}

func (t Tensor) String() string { return fmt.Sprintf("%s %v%v", t.Name, t.DType, t.Shape) }
