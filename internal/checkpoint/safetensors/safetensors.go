// Package safetensors reads and lays out safetensors files (formats.md 2): a length, a JSON table of tensors, and
// their bytes without a gap. Files are read with pread into the caller's buffers; nothing is mapped.
package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"lomo/internal/fault"
	"lomo/internal/tensor"
)

// MaxHeader is the longest JSON table accepted, the limit of the reference implementation.
const MaxHeader = 100_000_000

// Entry is one tensor of a file. Begin and End are byte positions relative to the first byte of data.
type Entry struct {
	Name       string
	DType      tensor.DType
	Shape      []int
	Begin, End int64
}

// File is an open safetensors file. Its methods may be called from several goroutines at once.
type File struct {
	Entries  []Entry // in the order of their bytes
	Metadata map[string]string

	h     *os.File
	start int64 // of the data
}

// Open reads and checks the header of the file at path: every tensor must lie in the file, and together they must
// fill it without overlap or hole.
func Open(path string) (*File, error) {
	h, size, err := fault.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{h: h}
	if err := f.readHeader(size); err != nil {
		h.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (f *File) readHeader(size int64) error {
	header, err := readHeader(f.h, size)
	if err != nil {
		return err
	}
	f.start = 8 + int64(len(header))
	f.Entries, f.Metadata, err = ParseHeader(header, size-f.start)
	return err
}

// readHeader returns the JSON table of a file of size bytes.
func readHeader(r io.ReaderAt, size int64) ([]byte, error) {
	if err := fault.Other(fault.Head(r), size, "safetensors"); err != nil {
		return nil, err
	}
	if size < 8 {
		return nil, fault.Damaged("%d bytes are too few for a safetensors header", size)
	}
	var b [8]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(b[:])
	if n > MaxHeader {
		return nil, fault.Damaged("a header of %d bytes, at most %d are possible: this is no safetensors file, or its beginning is lost", n, MaxHeader)
	}
	if int64(n) > size-8 {
		return nil, fault.Short(size, 8+int64(n))
	}
	header := make([]byte, n)
	_, err := r.ReadAt(header, 8)
	return header, err
}

// ReadRaw reads len(dst) bytes of e, from byte off of the tensor on.
func (f *File) ReadRaw(e Entry, off int64, dst []byte) error {
	if off < 0 || off+int64(len(dst)) > e.End-e.Begin {
		return fmt.Errorf("bytes [%d, %d) of %d", off, off+int64(len(dst)), e.End-e.Begin)
	}
	_, err := f.h.ReadAt(dst, f.start+e.Begin+off)
	return err
}

// Position is where byte off of e lies in the file, and Handle the file itself, for advice to the page cache.
func (f *File) Position(e Entry, off int64) int64 { return f.start + e.Begin + off }

// Handle is the underlying file.
func (f *File) Handle() *os.File { return f.h }

// Close releases the file.
func (f *File) Close() error { return f.h.Close() }
