package gguf

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
)

const (
	magic            = 0x46554747 // "GGUF"
	maxHeader        = 128 << 20
	maxTensors       = 1 << 16 // a 65B model has 723
	maxDims          = 4
	maxElements      = 1 << 44 // bytes and sums of offsets stay within int64
	maxAlignment     = 1 << 20
	defaultAlignment = 32
	minInfo          = 8 + 4 + 8 + 4 + 8 // an empty name, one dimension, type, offset
)

// Tensor is one entry of the table. Shape has the slowest dimension first, as in Hugging Face files: [out, in].
type Tensor struct {
	Name   string
	Type   Type
	Shape  []int
	Offset int64 // of the first byte, from the start of the file
}

// Rows is the length of the first dimension, Cols the number of elements of one row.
func (t Tensor) Rows() int { return t.Shape[0] }

// Cols is the product of all dimensions but the first.
func (t Tensor) Cols() int {
	n := 1
	for _, d := range t.Shape[1:] {
		n *= d
	}
	return n
}

// RowBytes is the encoded size of one row. A quantised vector is refused by Parse, so rows are whole blocks.
func (t Tensor) RowBytes() int64 {
	f := formats[t.Type]
	return int64(t.Cols()) / int64(f.block) * int64(f.size)
}

// Bytes is the encoded size of the tensor.
func (t Tensor) Bytes() int64 { return int64(t.Rows()) * t.RowBytes() }

// Parse reads the header of a GGUF file of size bytes. It is Open for files that are not on disk.
func Parse(r io.ReaderAt, size int64) (*File, error) {
	s := newScanner(r, min(size, maxHeader))
	if m := s.uint32(); s.err != nil || m != magic {
		return nil, fmt.Errorf("not a GGUF file: it starts with %#08x, want %#08x (\"GGUF\")", m, magic)
	}
	version := s.uint32()
	switch {
	case s.err != nil:
		return nil, s.err
	case version == 2 || version == 3:
	case version == 0x02000000 || version == 0x03000000:
		return nil, fmt.Errorf("big-endian GGUF files are not supported")
	default:
		return nil, fmt.Errorf("GGUF version %d, want 2 or 3", version)
	}
	tensors, keys := s.uint64(), s.uint64()
	if s.err != nil {
		return nil, s.err
	}
	f := &File{Version: int(version), r: r}
	var err error
	if f.KV, err = readKV(s, keys); err != nil {
		return nil, err
	}
	align, err := f.alignment()
	if err != nil {
		return nil, err
	}
	if err := f.readInfos(s, tensors); err != nil {
		return nil, err
	}
	return f, f.place((s.off+align-1)/align*align, align, size)
}

func (f *File) alignment() (int64, error) {
	if _, ok := f.KV["general.alignment"]; !ok {
		return defaultAlignment, nil
	}
	a, ok := f.Int("general.alignment")
	if !ok || a < 1 || a > maxAlignment || a&(a-1) != 0 {
		return 0, fmt.Errorf("general.alignment is %v, want a power of two up to %d", f.KV["general.alignment"], maxAlignment)
	}
	return int64(a), nil
}

func (f *File) readInfos(s *scanner, count uint64) error {
	if count > maxTensors || !s.fits(count, minInfo) {
		return fmt.Errorf("%d tensors: at most %d, in the %d bytes left", count, maxTensors, s.left())
	}
	f.index = make(map[string]int)
	for i := range count {
		t, err := readInfo(s)
		if err != nil {
			return fmt.Errorf("tensor %d of %d %q: %w", i+1, count, t.Name, err)
		}
		if _, dup := f.index[t.Name]; dup {
			return fmt.Errorf("tensor %q occurs twice", t.Name)
		}
		f.index[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}

func readInfo(s *scanner) (Tensor, error) {
	t := Tensor{Name: s.string()}
	n := s.uint32()
	if s.err == nil && (n < 1 || n > maxDims) {
		return t, fmt.Errorf("%d dimensions, want 1 to %d", n, maxDims)
	}
	elems := uint64(1)
	for range n {
		d := s.uint64()
		if s.err != nil {
			return t, s.err
		}
		if d < 1 || d > math.MaxInt32 || d > maxElements/elems {
			return t, fmt.Errorf("dimension %d is out of range", d)
		}
		elems *= d
		t.Shape = append(t.Shape, int(d))
	}
	slices.Reverse(t.Shape) // the file has the fastest dimension first
	t.Type = Type(s.uint32())
	off := s.uint64()
	if s.err != nil {
		return t, s.err
	}
	form, ok := formats[t.Type]
	if !ok {
		return t, fmt.Errorf("encoding %v is not supported", t.Type)
	}
	if fast := t.Shape[len(t.Shape)-1]; fast%form.block != 0 || len(t.Shape) == 1 && form.block > 1 {
		return t, fmt.Errorf("%v with shape %v: rows must be a multiple of %d elements", t.Type, t.Shape, form.block)
	}
	if off > math.MaxInt64/2 {
		return t, fmt.Errorf("offset %d is out of range", off)
	}
	t.Offset = int64(off)
	return t, nil
}

// place turns the offsets into positions in the file and checks that the tensors lie in it, apart from each other.
func (f *File) place(start, align, size int64) error {
	order := make([]*Tensor, len(f.Tensors))
	for i := range f.Tensors {
		t := &f.Tensors[i]
		if t.Offset%align != 0 {
			return fmt.Errorf("tensor %q: offset %d is not a multiple of %d", t.Name, t.Offset, align)
		}
		t.Offset += start
		if end := t.Offset + t.Bytes(); end > size {
			return fmt.Errorf("tensor %q ends at byte %d, the file has %d: it is truncated", t.Name, end, size)
		}
		order[i] = t
	}
	slices.SortFunc(order, func(a, b *Tensor) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := 1; i < len(order); i++ {
		if a, b := order[i-1], order[i]; a.Offset+a.Bytes() > b.Offset {
			return fmt.Errorf("tensors %q and %q overlap at byte %d", a.Name, b.Name, b.Offset)
		}
	}
	return nil
}
