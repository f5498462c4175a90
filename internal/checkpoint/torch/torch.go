// Package torch reads the files that torch.save makes (formats.md 3): a zip archive of raw storages and one pickle that says
// which tensor lies where in them. The pickle is read by a small machine that knows a fixed table of constructors: no name is
// ever looked up and nothing is executed. Bytes are read with pread into the caller's buffers.
package torch

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"

	"lomo/internal/fault"
	"lomo/internal/tensor"
)

// maxPickle bounds data.pkl, which lists tensors: the largest LLaMA's is below 1 MB.
const maxPickle = 64 << 20

// Tensor is a view of a storage: element (i, j, …) lies Offset + i·Stride[0] + j·Stride[1] + … elements into it.
type Tensor struct {
	Name   string
	DType  tensor.DType
	Shape  []int
	Stride []int
	Offset int

	at int64 // of the storage in the file, bytes
}

// File is an open file. Its methods may be called from several goroutines at once.
type File struct {
	Tensors []Tensor // in the order of the dictionary

	r io.ReaderAt
	h *os.File
}

// Open reads and checks the table of the file at path. No weight is read.
func Open(path string) (*File, error) {
	h, size, err := fault.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := New(h, size)
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.h = h
	return f, nil
}

// New reads a file of the given size.
func New(r io.ReaderAt, size int64) (*File, error) {
	if err := refuseOld(r, size); err != nil {
		return nil, err
	}
	a, err := openArchive(r, size)
	if err != nil {
		return nil, err
	}
	raw, err := a.small("data.pkl", maxPickle)
	if err != nil {
		return nil, err
	}
	if order, err := a.small("byteorder", 16); err == nil && string(bytes.TrimSpace(order)) != "little" {
		return nil, fault.Refuse("save it on a little-endian machine", "byte order %q: want little", order)
	}
	entries, err := unpickle(raw)
	if err != nil {
		return nil, fault.Refuse("save the weights alone, with PyTorch: model.save_pretrained(dir), or torch.save(model.state_dict(), file)", "data.pkl: %w", err)
	}
	f := &File{r: r}
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.name] {
			return nil, fmt.Errorf("tensor %q occurs twice", fault.Line(e.name))
		}
		seen[e.name] = true
		t, err := a.place(e)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", fault.Line(e.name), err)
		}
		f.Tensors = append(f.Tensors, t)
	}
	return f, nil
}

// refuseOld names the formats that torch.save does not write, or wrote before version 1.6.
func refuseOld(r io.ReaderAt, size int64) error {
	head := fault.Head(r)
	if len(head) > 0 && head[0] == opProto {
		return fault.Refuse("load it with PyTorch and save it again", "a file of PyTorch before 1.6, which only a pickle interpreter can read")
	}
	if err := fault.Other(head, size, "torch.save"); err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte("PK")) {
		return fault.Damaged("it does not begin as a file of torch.save (a zip archive)")
	}
	return nil
}

func (a *archive) member(name string) (*zip.File, error) {
	e := a.entries[a.top+"/"+name]
	if e == nil {
		return nil, fault.Refuse("a file of torch.save is wanted: unpack any other zip archive", "archive member %q is missing", name)
	}
	if e.Method != zip.Store {
		return nil, fault.Refuse("a file of torch.save is wanted, as it was saved", "archive member %q is compressed, which torch.save does not do", name)
	}
	return e, nil
}

func (a *archive) small(name string, limit uint64) ([]byte, error) {
	e, err := a.member(name)
	if err != nil {
		return nil, err
	}
	if e.UncompressedSize64 > limit {
		return nil, fmt.Errorf("archive member %q: %d bytes, want at most %d", name, e.UncompressedSize64, limit)
	}
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, int64(limit)+1)) // a wrong checksum is an error here
}

// place finds a tensor's storage and checks that every element lies in it.
func (a *archive) place(e entry) (Tensor, error) {
	t := Tensor{Name: e.name, DType: e.storage.dtype, Shape: e.shape, Stride: e.stride, Offset: e.offset}
	m, err := a.member("data/" + e.storage.key)
	if err != nil {
		return t, err
	}
	size := int64(t.DType.Size())
	if e.storage.numel < 0 || e.storage.numel > int64(m.UncompressedSize64)/size || e.storage.numel*size != int64(m.UncompressedSize64) {
		return t, fmt.Errorf("storage %q: %d bytes for %d elements of %v", e.storage.key, m.UncompressedSize64, e.storage.numel, t.DType)
	}
	t.at = a.data[m]
	return t, t.within(e.storage.numel)
}

// within checks that the view stays in a storage of n elements.
func (t *Tensor) within(n int64) error {
	bad := fmt.Errorf("shape %v, stride %v, offset %d leave a storage of %d elements", t.Shape, t.Stride, t.Offset, n)
	if len(t.Shape) != len(t.Stride) || t.Offset < 0 || int64(t.Offset) > n {
		return bad
	}
	last, count := int64(t.Offset), int64(1)
	for i, d := range t.Shape {
		if d < 0 || t.Stride[i] < 0 || int64(d) > n && n > 0 {
			return bad
		}
		if d == 0 {
			return nil
		}
		if count *= int64(d); count > n { // expanded views repeat elements: torch.save keeps them, weights are none
			return bad
		}
		if s := int64(t.Stride[i]); s > 0 && int64(d-1) > (n-last)/s {
			return bad
		}
		last += int64(d-1) * int64(t.Stride[i])
	}
	if last >= n {
		return bad
	}
	return nil
}

// Contiguous reports whether the elements lie in row-major order without gaps.
func (t *Tensor) Contiguous() bool {
	want := 1
	for i, d := range slices.Backward(t.Shape) {
		if d != 1 && t.Stride[i] != want {
			return false
		}
		want *= d
	}
	return true
}

// Position is where byte off of a contiguous tensor lies in the file.
func (t *Tensor) Position(off int64) int64 { return t.at + int64(t.Offset*t.DType.Size()) + off }

// ReadRaw reads the bytes of t from byte off of its row-major order on. off and len(dst) are whole elements.
func (f *File) ReadRaw(t *Tensor, off int64, dst []byte) error {
	size := int64(t.DType.Size())
	n := int64(1)
	for _, d := range t.Shape {
		n *= int64(d)
	}
	if off < 0 || off+int64(len(dst)) > n*size || off%size != 0 || int64(len(dst))%size != 0 {
		return fmt.Errorf("bytes [%d, %d) of %d", off, off+int64(len(dst)), n*size)
	}
	if len(dst) == 0 {
		return nil
	}
	if t.Contiguous() {
		_, err := f.r.ReadAt(dst, t.Position(off))
		return err
	}
	return f.readStrided(t, off/size, dst)
}

// readStrided reads element by element, runs of neighbours together: right for any view, and slow for a transposed one.
func (f *File) readStrided(t *Tensor, first int64, dst []byte) error {
	size := t.DType.Size()
	for len(dst) > 0 {
		at, left := int64(t.Offset), first
		run := 1
		for i, d := range slices.Backward(t.Shape) {
			at += left % int64(d) * int64(t.Stride[i])
			if i == len(t.Shape)-1 && t.Stride[i] == 1 {
				run = d - int(left%int64(d))
			}
			left /= int64(d)
		}
		run = min(run, len(dst)/size)
		if _, err := f.r.ReadAt(dst[:run*size], t.at+at*int64(size)); err != nil {
			return err
		}
		dst, first = dst[run*size:], first+int64(run)
	}
	return nil
}

// Handle is the underlying file, for advice to the page cache.
func (f *File) Handle() *os.File { return f.h }

// Close releases the file.
func (f *File) Close() error {
	if f.h == nil {
		return nil
	}
	return f.h.Close()
}
