// Package gguf reads GGUF files, versions 2 and 3 (formats.md 8): the key-value metadata, the table of tensors,
// and the tensors' rows, dequantised. It knows nothing of any model; names and shapes are those of the file.
//
// A file comes from outside: every length in it is checked against the size of the file before memory is taken
// for it, and the part before the tensors may not exceed 64 MiB (a vocabulary of 256k tokens needs under 20).
package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"

	"lomo/internal/fault"
)

// File is an open GGUF file. Its methods may be called from several goroutines at once.
type File struct {
	// KV is the metadata. Values are uint8, int8, uint16, int16, uint32, int32, float32, bool, string, uint64,
	// int64, float64, or a slice of one of these.
	KV map[string]any
	// Tensors is the table of tensors in the order of the file.
	Tensors []Tensor
	Version int

	r      io.ReaderAt
	parts  []io.Closer // the file, or all files of a split one
	path   string
	index  map[string]int
	unread []string // tensors of types that are not read
}

// Open reads the header of the file at path and checks every offset in it. The tensors stay on disk. Of a file that is
// split any part will do; the others lie beside it.
func Open(path string) (*File, error) {
	f, err := openOne(path)
	if err != nil {
		return nil, err
	}
	if n, ok := f.Int(splitCount); ok && n > 1 {
		return f.join(path, n)
	}
	return f, nil
}

func openOne(path string) (*File, error) {
	h, size, err := fault.Open(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(h, size)
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.parts, f.path = []io.Closer{h}, path
	return f, nil
}

// Close releases the files.
func (f *File) Close() error {
	var errs []error
	for _, p := range f.parts {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// Readable is an error that names the tensors whose encoding is not read.
func (f *File) Readable() error {
	if len(f.unread) == 0 {
		return nil
	}
	t, _ := f.Tensor(f.unread[0])
	return fault.Refuse(readable, "%s %q: the encoding %v is not supported", fault.Count(len(f.unread), "tensor"), t.Name, t.Type)
}

// Path is the path that Open was given.
func (f *File) Path() string { return f.path }

// ReadFrom reports whether the file at path is one of those that f is read from.
func (f *File) ReadFrom(path string) bool {
	at, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, p := range f.parts {
		if h, ok := p.(*os.File); ok {
			if mine, err := h.Stat(); err == nil && os.SameFile(mine, at) {
				return true
			}
		}
	}
	return false
}

// Tensor finds a tensor by its name in the file.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// ReadRaw reads len(dst) encoded bytes of t, from byte off of the tensor on.
func (f *File) ReadRaw(t Tensor, off int64, dst []byte) error {
	if off < 0 || off+int64(len(dst)) > t.Bytes() {
		return fmt.Errorf("bytes [%d, %d) of %d", off, off+int64(len(dst)), t.Bytes())
	}
	_, err := t.r.ReadAt(dst, t.Offset+off)
	return err
}

// Handle is the file that holds the tensor, nil for one that is not on disk.
func (t Tensor) Handle() *os.File {
	h, _ := t.r.(*os.File)
	return h
}
