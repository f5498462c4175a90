// Package gguf reads GGUF files, versions 2 and 3 (formats.md 8): the key-value metadata, the table of tensors,
// and the tensors' rows, dequantised. It knows nothing of any model; names and shapes are those of the file.
//
// A file comes from outside: every length in it is checked against the size of the file before memory is taken
// for it, and the part before the tensors may not exceed 128 MiB (a vocabulary of 256k tokens needs under 20).
package gguf

import (
	"fmt"
	"io"
	"os"
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
	closer io.Closer
	path   string
	index  map[string]int
}

// Open reads the header of the file at path and checks every offset in it. The tensors stay on disk.
func Open(path string) (*File, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := h.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("not a regular file")
	}
	var f *File
	if err == nil {
		f, err = Parse(h, st.Size())
	}
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.closer, f.path = h, path
	return f, nil
}

// Close releases the file.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Path is the path that Open was given.
func (f *File) Path() string { return f.path }

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
	_, err := f.r.ReadAt(dst, t.Offset+off)
	return err
}

// Handle is the underlying file, nil for one that is not on disk.
func (f *File) Handle() *os.File {
	h, _ := f.r.(*os.File)
	return h
}
