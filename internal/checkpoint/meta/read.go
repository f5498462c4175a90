package meta

import (
	"fmt"
	"os"
	"sync"
)

// chunk bounds the buffer in which rows of a part wait to be put beside those of the others. Tests make it small.
var chunk int64 = 1 << 20

var buffers = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// Dropped is told which bytes of a file have been read and will not be read again.
type Dropped func(f *os.File, offset, bytes int64)

// Read reads the bytes of the joined tensor from byte off of its row-major order on, from no part more than lies there.
func (t *Tensor) Read(off int64, dst []byte, dropped Dropped) error {
	switch t.join {
	case columns:
		return t.readColumns(off, dst, dropped)
	default:
		return t.readRows(off, dst, dropped)
	}
}

// rowBytes is one row of a part.
func (p part) rowBytes() int64 {
	n := int64(p.t.DType.Size())
	for _, d := range p.t.Shape[1:] {
		n *= int64(d)
	}
	return n
}

func (p part) bytes() int64 { return p.rowBytes() * int64(p.t.Shape[0]) }

func (p part) read(off int64, dst []byte, dropped Dropped) error {
	if err := p.file.ReadRaw(p.t, off, dst); err != nil {
		return err
	}
	if f := p.file.Handle(); f != nil && p.t.Contiguous() && len(dst) > 0 {
		dropped(f, p.t.Position(off), int64(len(dst)))
	}
	return nil
}

// readRows goes from part to part.
func (t *Tensor) readRows(off int64, dst []byte, dropped Dropped) error {
	for _, p := range t.parts {
		n := p.bytes()
		if off < n && len(dst) > 0 {
			k := min(n-off, int64(len(dst)))
			if err := p.read(off, dst[:k], dropped); err != nil {
				return err
			}
			dst, off = dst[k:], off+k
		}
		off -= n
	}
	if len(dst) > 0 {
		return fmt.Errorf("%d bytes beyond the end", len(dst))
	}
	return nil
}

// readColumns reads the pieces of each row, whole rows of a part many at a time.
func (t *Tensor) readColumns(off int64, dst []byte, dropped Dropped) error {
	row := int64(0)
	for _, p := range t.parts {
		row += p.rowBytes()
	}
	if off < 0 || off+int64(len(dst)) > row*int64(t.Shape[0]) {
		return fmt.Errorf("bytes [%d, %d) of %d", off, off+int64(len(dst)), row*int64(t.Shape[0]))
	}
	for len(dst) > 0 {
		if at := off % row; at != 0 || int64(len(dst)) < row { // a piece of one row
			n := min(row-at, int64(len(dst)))
			if err := t.readWithin(off/row, at, dst[:n], dropped); err != nil {
				return err
			}
			dst, off = dst[n:], off+n
			continue
		}
		n := int64(len(dst)) / row * row
		if err := t.scatter(off/row, n/row, row, dst[:n], dropped); err != nil {
			return err
		}
		dst, off = dst[n:], off+n
	}
	return nil
}

// readWithin reads bytes of one row from byte at of it on.
func (t *Tensor) readWithin(r, at int64, dst []byte, dropped Dropped) error {
	for _, p := range t.parts {
		n := p.rowBytes()
		if at < n && len(dst) > 0 {
			k := min(n-at, int64(len(dst)))
			if err := p.read(r*n+at, dst[:k], dropped); err != nil {
				return err
			}
			dst, at = dst[k:], at+k
		}
		at -= n
	}
	return nil
}

// scatter puts n whole rows from row r on together.
func (t *Tensor) scatter(r, n, row int64, dst []byte, dropped Dropped) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if int64(len(*buf)) < chunk { // made while a test had a smaller one
		*buf = make([]byte, chunk)
	}
	column := int64(0)
	for _, p := range t.parts {
		width := p.rowBytes()
		if width > chunk {
			return fmt.Errorf("rows of %d bytes, want at most %d", width, chunk)
		}
		for i := int64(0); i < n && width > 0; i += chunk / width {
			k := min(chunk/width, n-i)
			if err := p.read((r+i)*width, (*buf)[:k*width], dropped); err != nil {
				return err
			}
			for j := range k {
				copy(dst[(i+j)*row+column:], (*buf)[j*width:(j+1)*width])
			}
		}
		column += width
	}
	return nil
}
