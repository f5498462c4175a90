package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// scanner reads the header front to back. The first failure sticks; nothing is allocated for a length that
// exceeds what is left of the file.
type scanner struct {
	r          *bufio.Reader
	off, limit int64
	err        error
}

func newScanner(r io.ReaderAt, limit int64) *scanner {
	return &scanner{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, limit), 1<<16), limit: limit}
}

func (s *scanner) left() int64 { return s.limit - s.off }

// fits reports whether n things of at least size bytes can still follow.
func (s *scanner) fits(n uint64, size int64) bool { return n <= uint64(s.left()/size) }

// Read makes scanner an io.Reader for binary.Read.
func (s *scanner) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.off += int64(n)
	return n, err
}

func (s *scanner) fill(p []byte) {
	if s.err != nil {
		return
	}
	if int64(len(p)) > s.left() {
		s.err = fmt.Errorf("header ends at byte %d, %d more wanted", s.limit, int64(len(p))-s.left())
		return
	}
	if _, err := io.ReadFull(s, p); err != nil {
		s.err = fmt.Errorf("at byte %d: %w", s.off, err)
	}
}

func (s *scanner) uint32() uint32 {
	var b [4]byte
	s.fill(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

func (s *scanner) uint64() uint64 {
	var b [8]byte
	s.fill(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

func (s *scanner) string() string {
	n := s.uint64()
	if s.err != nil {
		return ""
	}
	if !s.fits(n, 1) {
		s.err = fmt.Errorf("at byte %d: string of %d bytes, %d left", s.off, n, s.left())
		return ""
	}
	b := make([]byte, n)
	s.fill(b)
	return string(b)
}

func (s *scanner) strings(n uint64) ([]string, error) {
	if !s.fits(n, 8) {
		return nil, fmt.Errorf("array of %d strings does not fit in the %d bytes left", n, s.left())
	}
	out := make([]string, 0, n)
	for range n {
		out = append(out, s.string())
		if s.err != nil {
			return nil, fmt.Errorf("string %d of %d: %w", len(out), n, s.err)
		}
	}
	return out, nil
}

func numbers[T any](s *scanner, n uint64) ([]T, error) {
	var one T
	if !s.fits(n, int64(binary.Size(one))) {
		return nil, fmt.Errorf("array of %d numbers does not fit in the %d bytes left", n, s.left())
	}
	out := make([]T, n)
	if err := binary.Read(s, binary.LittleEndian, out); err != nil {
		return nil, fmt.Errorf("at byte %d: %w", s.off, err)
	}
	return out, nil
}
