package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"lomo/internal/fault"
)

// scanner reads the header front to back. The first failure sticks; nothing is allocated for a length that
// exceeds what is left of the file.
type scanner struct {
	r                *bufio.Reader
	off, limit, size int64  // limit is what may be read of the file's size
	strs             uint64 // of arrays, so far
	err              error
}

func newScanner(r io.ReaderAt, size int64) *scanner {
	limit := min(size, maxHeader)
	return &scanner{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, limit), 1<<16), limit: limit, size: size}
}

// ends is the error of a header that goes on beyond the file, or beyond what a header may have.
func (s *scanner) ends() error {
	if s.limit < s.size {
		return fault.Damaged("a header of more than %d bytes", int64(maxHeader))
	}
	return fault.Damaged("the file ends at byte %d, within its header", s.size)
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
		s.err = s.ends()
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
		s.err = fault.Damaged("at byte %d: string of %d bytes, %d left", s.off, n, s.left())
		return ""
	}
	if n <= 1<<16 {
		b := make([]byte, n)
		s.fill(b)
		return string(b)
	}
	var b strings.Builder // the bytes are held once
	b.Grow(int(n))
	if _, err := io.CopyN(&b, s, int64(n)); err != nil {
		s.err = fmt.Errorf("at byte %d: %w", s.off, err)
		return ""
	}
	return b.String()
}

// name is a string that is a name.
func (s *scanner) name() string {
	at := s.off
	name := s.string()
	if s.err == nil && len(name) > maxName {
		s.err = fault.Damaged("at byte %d: a name of %d bytes", at, len(name))
		return ""
	}
	return name
}

func (s *scanner) strings(n uint64) ([]string, error) {
	if !s.fits(n, 8) {
		return nil, fault.Damaged("array of %d strings does not fit in the %d bytes left", n, s.left())
	}
	if s.strs += n; s.strs > maxStrings {
		return nil, fault.Damaged("arrays of %d strings in all, at most %d", s.strs, maxStrings)
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

// piece is how many numbers are read at once: their bytes are held a second time.
const piece = 1 << 16

func numbers[T any](s *scanner, n uint64) ([]T, error) {
	var one T
	if !s.fits(n, int64(binary.Size(one))) {
		return nil, fault.Damaged("array of %d numbers does not fit in the %d bytes left", n, s.left())
	}
	out := make([]T, n)
	buf := make([]byte, min(n, piece)*uint64(binary.Size(one)))
	for at := 0; at < len(out); at += piece {
		to := out[at:min(at+piece, len(out))]
		if s.fill(buf[:binary.Size(to)]); s.err != nil {
			return nil, s.err
		}
		if _, err := binary.Decode(buf, binary.LittleEndian, to); err != nil {
			return nil, fmt.Errorf("at byte %d: %w", s.off, err)
		}
	}
	return out, nil
}
