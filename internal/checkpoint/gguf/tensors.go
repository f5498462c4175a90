package gguf

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"

	"lomo/internal/fault"
)

const (
	magic            = 0x46554747 // "GGUF"
	maxHeader        = 64 << 20
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

	r io.ReaderAt // the file
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
	f, ok := formats[t.Type]
	if !ok {
		return 0
	}
	return int64(t.Cols()) / int64(f.block) * int64(f.size)
}

// Bytes is the encoded size of the tensor.
func (t Tensor) Bytes() int64 { return int64(t.Rows()) * t.RowBytes() }

// convert is the way out of files that are too old, too new or of another machine.
const convert = "make it anew from the model's Hugging Face folder, or use that folder"

// oldMagics are the formats before GGUF.
var oldMagics = map[uint32]string{0x67676d6c: "GGML", 0x67676d66: "GGMF", 0x67676a74: "GGJT", 0x67676c61: "GGLA"}

func readMagic(s *scanner) error {
	m := s.uint32()
	switch name := oldMagics[m]; {
	case s.err != nil:
		return fault.Damaged("%d bytes are too few for a GGUF header", s.limit)
	case name != "":
		return fault.Refuse(convert, "a %s file, the format before GGUF, which is not supported", name)
	case m != magic:
		return fault.Damaged("it starts with %#08x, a GGUF file with %#08x (\"GGUF\")", m, magic)
	}
	return nil
}

// Parse reads the header of a GGUF file of size bytes. It is Open for files that are not on disk.
func Parse(r io.ReaderAt, size int64) (*File, error) {
	if err := fault.Other(fault.Head(r), size, "GGUF"); err != nil {
		return nil, err
	}
	s := newScanner(r, size)
	if err := readMagic(s); err != nil {
		return nil, err
	}
	version := s.uint32()
	switch {
	case s.err != nil:
		return nil, s.err
	case version == 2 || version == 3:
	case version == 0x01000000 || version == 0x02000000 || version == 0x03000000:
		return nil, fault.Refuse(convert, "a GGUF file of a big-endian machine, which is not supported")
	case version == 1:
		return nil, fault.Refuse(convert, "a GGUF file of version 1, which is not supported: 2 and 3 are")
	case version > 1<<16:
		return nil, fault.Damaged("GGUF version %d", version)
	default:
		return nil, fault.Refuse(convert, "GGUF version %d is not supported: 2 and 3 are", version)
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
		return 0, fault.Damaged("general.alignment is %v, want a power of two up to %d", f.KV["general.alignment"], maxAlignment)
	}
	return int64(a), nil
}

func (f *File) readInfos(s *scanner, count uint64) error {
	if count > maxTensors || !s.fits(count, minInfo) {
		return fault.Damaged("%d tensors: at most %d, in the %d bytes left", count, maxTensors, s.left())
	}
	f.index = make(map[string]int)
	for i := range count {
		t, err := readInfo(s)
		if err != nil {
			return fmt.Errorf("tensor %d of %d %q: %w", i+1, count, fault.Line(t.Name), err)
		}
		if t.r = f.r; formats[t.Type].block == 0 {
			f.unread = append(f.unread, t.Name)
		}
		if _, dup := f.index[t.Name]; dup {
			return fault.Damaged("tensor %q occurs twice", fault.Line(t.Name))
		}
		f.index[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}

func readInfo(s *scanner) (Tensor, error) {
	t := Tensor{Name: s.name()}
	n := s.uint32()
	if s.err == nil && (n < 1 || n > maxDims) {
		return t, fault.Damaged("%d dimensions, want 1 to %d", n, maxDims)
	}
	elems := uint64(1)
	for range n {
		d := s.uint64()
		if s.err != nil {
			return t, s.err
		}
		if d < 1 || d > math.MaxInt32 || d > maxElements/elems {
			return t, fault.Damaged("dimension %d is out of range", d)
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
	if fast := t.Shape[len(t.Shape)-1]; ok && (fast%form.block != 0 || len(t.Shape) == 1 && form.block > 1) {
		return t, fault.Damaged("%v with shape %v: rows must be a multiple of %d elements", t.Type, t.Shape, form.block)
	}
	if off > math.MaxInt64/2 {
		return t, fault.Damaged("offset %d is out of range", off)
	}
	t.Offset = int64(off)
	return t, nil
}

// place turns the offsets into positions in the file and checks that the tensors lie in it, apart from each other.
func (f *File) place(start, align, size int64) error {
	order := make([]*Tensor, len(f.Tensors))
	end := int64(0)
	for i := range f.Tensors {
		t := &f.Tensors[i]
		if t.Offset%align != 0 {
			return fault.Damaged("tensor %q: offset %d is not a multiple of %d", fault.Line(t.Name), t.Offset, align)
		}
		t.Offset += start
		end = max(end, t.Offset+t.Bytes())
		order[i] = t
	}
	if end > size {
		return fault.Short(size, end)
	}
	slices.SortFunc(order, func(a, b *Tensor) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := 1; i < len(order); i++ {
		if a, b := order[i-1], order[i]; a.Offset+a.Bytes() > b.Offset {
			return fault.Damaged("tensors %q and %q overlap at byte %d", fault.Line(a.Name), fault.Line(b.Name), b.Offset)
		}
	}
	return nil
}
