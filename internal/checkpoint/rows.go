package checkpoint

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"lomo/internal/tensor"
)

// stored is one tensor as a file holds it: cells of block elements in size bytes, rows·cols elements in all.
type stored struct {
	info        Info
	rows, cols  int // a scalar is one row of one
	block, size int
	exact       bool                                  // the bytes are plain elements of info.DType
	read        func(off int64, dst []byte) error     // pread, off in bytes from the start of the tensor
	decode      func(dst []float32, src []byte) error // whole cells
	file        *os.File                              // for the advice to the page cache, may be nil
	position    int64                                 // of the tensor in file
	head        int                                   // rows of an attention head stored in Meta's order, else 0
	packed      string                                // the type of blocks in the file, "" where it is info.DType
}

// chunkElements bounds the buffers of a conversion: 256 KiB of float32, a multiple of every block.
const chunkElements = 1 << 16

type chunk struct {
	raw  []byte
	vals []float32
}

var chunks = sync.Pool{New: func() any {
	return &chunk{raw: make([]byte, 8*chunkElements), vals: make([]float32, chunkElements)}
}}

// readRows is Source.ReadRows for one tensor.
func (s *stored) readRows(r0, r1 int, dst []byte, dt tensor.DType) error {
	if r0 < 0 || r1 < r0 || r1 > s.rows {
		return fmt.Errorf("rows [%d, %d) of %d", r0, r1, s.rows)
	}
	rowBytes := s.cols * dt.Size()
	if len(dst) != (r1-r0)*rowBytes {
		return fmt.Errorf("buffer of %d bytes for %d rows of %d", len(dst), r1-r0, rowBytes)
	}
	err := s.fill(r0, r1, dst, dt)
	s.dropCache(r0, r1)
	if err != nil {
		return err
	}
	if i := firstNonFinite(dst, dt); i >= 0 {
		return &NonFiniteError{r0 + i/s.cols, i % s.cols, dt}
	}
	return nil
}

func (s *stored) fill(r0, r1 int, dst []byte, dt tensor.DType) error {
	if s.head == 0 {
		return s.elements(int64(r0)*int64(s.cols), int64(r1-r0)*int64(s.cols), dst, dt)
	}
	rowBytes := s.cols * dt.Size()
	for r := r0; r < r1; r++ {
		from := int64(metaRow(r, s.head)) * int64(s.cols)
		if err := s.elements(from, int64(s.cols), dst[(r-r0)*rowBytes:][:rowBytes], dt); err != nil {
			return err
		}
	}
	return nil
}

// metaRow is where the Hugging Face row r is stored in Meta's order, with heads of d rows: Hugging Face pairs row j
// with j + d/2, Meta pairs neighbours, so row s·(d/2) + j of a head is row 2j + s there (formats.md 4, 8).
func metaRow(r, d int) int {
	h, i := r/d, r%d
	return h*d + i%(d/2)*2 + i/(d/2)
}

// elements decodes n elements from the first on; both are whole cells.
func (s *stored) elements(first, n int64, dst []byte, dt tensor.DType) error {
	at := func(i int64) int64 { return i / int64(s.block) * int64(s.size) }
	if s.exact && s.info.DType == dt {
		return s.read(at(first), dst)
	}
	c := chunks.Get().(*chunk)
	defer chunks.Put(c)
	for n > 0 {
		k := min(n, chunkElements)
		raw, vals := c.raw[:at(k)], c.vals[:k]
		if err := s.read(at(first), raw); err != nil {
			return err
		}
		if err := s.decode(vals, raw); err != nil {
			return err
		}
		if err := tensor.PutFloat32s(dst[:int(k)*dt.Size()], vals, dt); err != nil {
			return err
		}
		dst = dst[int(k)*dt.Size():]
		first, n = first+k, n-k
	}
	return nil
}

// dropCache tells the kernel that the pages of these rows will not be read again, so that a load does not push
// other programs' files out of memory. It is advice; failing is harmless.
func (s *stored) dropCache(r0, r1 int) {
	if s.file == nil {
		return
	}
	if s.head > 0 { // the rows come from all over their heads
		r0, r1 = r0/s.head*s.head, (r1+s.head-1)/s.head*s.head
	}
	rowBytes := int64(s.cols) / int64(s.block) * int64(s.size)
	adviseDontNeed(s.file, s.position+int64(r0)*rowBytes, int64(r1-r0)*rowBytes)
}

// table is the part of a Source that all formats share.
type table struct {
	path    string
	order   []Info
	tensors map[string]*stored
}

func (t *table) add(s *stored) {
	t.order = append(t.order, s.info)
	t.tensors[s.info.Name] = s
}

func (t *table) Tensors() []Info { return t.order }
func (t *table) Path() string    { return t.path }

func (t *table) ReadRows(name string, r0, r1 int, dst []byte, dt tensor.DType) error {
	s, ok := t.tensors[name]
	if !ok {
		return fmt.Errorf("%s: no tensor %q", t.path, name)
	}
	if err := s.readRows(r0, r1, dst, dt); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", t.path, name, err)
	}
	return nil
}

// FileBytes is how many bytes of the file the rows [r0, r1) of a tensor are.
func (t *table) FileBytes(name string, r0, r1 int) int64 {
	s, ok := t.tensors[name]
	if !ok {
		return 0
	}
	return int64(r1-r0) * int64(s.cols) / int64(s.block) * int64(s.size)
}

// FileType is the name of the type that a tensor has in the file; of a quantised one that is not the dtype it decodes to.
func (t *table) FileType(name string) string {
	s, ok := t.tensors[name]
	switch {
	case !ok:
		return ""
	case s.packed != "":
		return s.packed
	}
	return s.info.DType.String()
}

// Counted is a Source that adds up what is read through it.
type Counted struct {
	Source
	bytes atomic.Int64
}

// Count wraps src.
func Count(src Source) *Counted { return &Counted{Source: src} }

// ReadRows reads and counts.
func (c *Counted) ReadRows(name string, r0, r1 int, dst []byte, dt tensor.DType) error {
	if f, ok := c.Source.(interface {
		FileBytes(name string, r0, r1 int) int64
	}); ok {
		c.bytes.Add(f.FileBytes(name, r0, r1))
	}
	return c.Source.ReadRows(name, r0, r1, dst, dt)
}

// Bytes is the bytes of weights read from files so far.
func (c *Counted) Bytes() int64 { return c.bytes.Load() }

// dims splits a shape into the rows that ReadRows counts and the elements of each.
func dims(shape []int) (rows, cols int) {
	if len(shape) == 0 {
		return 1, 1
	}
	cols = 1
	for _, d := range shape[1:] {
		cols *= d
	}
	return shape[0], cols
}
