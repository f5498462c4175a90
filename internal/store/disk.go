package store

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Disk keeps a working copy of the matrices in a file, for models larger than memory. Two blocks' worth of buffers on the
// device are used in turn, so that one block is read or written while the other computes; a third buffer holds the embedding
// or the head. Vectors stay on the device. The file is read and written, never mapped: its pages are not the process's.
type Disk struct {
	d       device.Device
	params  []*grad.Param
	dt      tensor.DType
	file    *os.File              // nil on the counting device
	offsets map[*grad.Param]int64 // of matrices in the file
	table   *slot                 // embedding or head
	blocks  [2]*slot              // used in turn
	held    map[*grad.Param]*slot // by a unit's first matrix: acquired now
	io      *worker

	experts []*slot     // used in turn: an expert's matrix each
	using   *grad.Param // the expert's matrix in use, nil for none
	changed bool        // it has been updated
	turn    int
	failed  error // of a matrix that could not be brought
}

// slot is one buffer: the matrices of one unit.
type slot struct {
	buf    tensor.Tensor // (elements)
	unit   *grad.Param   // first matrix of the unit in it, nil for none
	turn   int           // when it was last filled or used: of experts' the oldest goes first
	ready  chan error    // of the last read into it; nil when that was waited for
	saving chan struct{} // closed when the last update in it is written; nil when that was waited for
}

// NewDisk takes the buffers and, unless path is "" (the counting device), makes the working copy.
func NewDisk(d device.Device, params []*grad.Param, dt tensor.DType, path string) (*Disk, error) {
	s := &Disk{d: d, params: params, dt: dt, offsets: map[*grad.Param]int64{}, held: map[*grad.Param]*slot{}}
	size := int64(0)
	for _, p := range params {
		if !p.Matrix() {
			t, err := d.Scratch("weights", p.Name, dt, p.Shape...)
			if err != nil {
				return nil, fmt.Errorf("weights: %w", err)
			}
			p.W = t
			continue
		}
		s.offsets[p] = size
		size += int64(p.Len()) * int64(dt.Size())
		p.W = tensor.Tensor{Name: p.Name, DType: dt, Shape: p.Shape}
	}
	block, table, expert := apartSizes(params)
	var err error
	if s.table, err = s.newSlot("table buffer", table); err != nil {
		return nil, err
	}
	for i := range s.blocks {
		if s.blocks[i], err = s.newSlot(fmt.Sprintf("block buffer %d", i), block); err != nil {
			return nil, err
		}
	}
	for i := range expertBuffers {
		if expert == 0 {
			break
		}
		b, err := s.newSlot(fmt.Sprintf("expert buffer %d", i), expert)
		if err != nil {
			return nil, err
		}
		s.experts = append(s.experts, b)
	}
	if path == "" {
		return s, nil
	}
	return s, s.create(path, size)
}

func (s *Disk) newSlot(name string, elements int) (*slot, error) {
	buf, err := s.d.Scratch("weight buffers", name, s.dt, elements)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	return &slot{buf: buf}, nil
}

// create makes the working copy at its full size, so that a full disk is met before the run and not in it.
func (s *Disk) create(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("working copy of the weights: %w", err)
	}
	if err := reserve(f, size); err != nil {
		return errors.Join(fmt.Errorf("working copy of the weights: %d bytes at %s: %w", size, path, err), f.Close(), os.Remove(path))
	}
	s.file, s.io = f, newWorker()
	return nil
}

// expertBuffers is one in use, one that is being read, and one that may still be on its way to the file.
const expertBuffers = 3

// apartSizes is unitSizes where experts' matrices are no part of their blocks, and the elements of the largest of those.
func apartSizes(params []*grad.Param) (block, table, expert int) {
	var rest []*grad.Param
	for _, p := range params {
		if p.Expert {
			expert = max(expert, p.Len())
		} else {
			rest = append(rest, p)
		}
	}
	block, table = unitSizes(rest)
	return block, table, expert
}

// unitSizes is the elements of the largest block's matrices, and of the larger of embedding and head.
func unitSizes(params []*grad.Param) (block, table int) {
	last := params[len(params)-1].Block
	perBlock := map[int]int{}
	for _, p := range params {
		switch {
		case !p.Matrix():
		case p.Block < 0 || p.Block == last:
			table = max(table, p.Len())
		default:
			perBlock[p.Block] += p.Len()
			block = max(block, perBlock[p.Block])
		}
	}
	return block, table
}

// matrices is the part of a unit that travels with its block.
func (s *Disk) matrices(unit []*grad.Param) []*grad.Param {
	return slices.DeleteFunc(matrices(unit), func(p *grad.Param) bool { return p.Expert })
}

// matrices is the part of a unit that travels.
func matrices(unit []*grad.Param) []*grad.Param {
	var out []*grad.Param
	for _, p := range unit {
		if p.Matrix() {
			out = append(out, p)
		}
	}
	return out
}

// Acquire waits for the unit's buffer and points the parameters into it.
func (s *Disk) Acquire(unit []*grad.Param) error {
	ms := s.matrices(unit)
	if len(ms) == 0 {
		return nil
	}
	return s.bring(ms)
}

func (s *Disk) bring(ms []*grad.Param) error {
	at := s.fetch(ms)
	s.held[ms[0]] = at
	s.point(ms, at)
	if at.saving != nil { // what is written must not change meanwhile
		<-at.saving
		at.saving = nil
	}
	if at.ready != nil {
		err := <-at.ready
		at.ready = nil
		if err != nil {
			return fmt.Errorf("read the weights of %q: %w", ms[0].Name, err)
		}
	}
	return nil
}

// Use brings an expert's matrix and takes the one before back. Where that fails the buffer holds anything; Release says so before it is used for more.
func (s *Disk) Use(p *grad.Param) {
	if !p.Expert || p == s.using {
		return
	}
	s.letGo()
	s.using = p
	if err := s.bring([]*grad.Param{p}); err != nil && s.failed == nil {
		s.failed = err
	}
}

// Soon starts to read an expert's matrix.
func (s *Disk) Soon(p *grad.Param) { s.fetch([]*grad.Param{p}) }

// Changed says that the matrix in use is updated.
func (s *Disk) Changed(p *grad.Param) { s.changed = s.changed || p == s.using }

// letGo ends the use of an expert's matrix.
func (s *Disk) letGo() {
	if s.using == nil {
		return
	}
	if err := s.release([]*grad.Param{s.using}, s.changed); err != nil && s.failed == nil {
		s.failed = err
	}
	s.using, s.changed = nil, false
}

// point makes the parameters views of the buffer.
func (s *Disk) point(ms []*grad.Param, at *slot) {
	n := 0
	for _, p := range ms {
		p.W = at.buf.Slice(n, n+p.Len()).View(p.Shape...).Named(p.Name)
		n += p.Len()
	}
}

// Prefetch starts to read a unit into the buffer that is not in use.
func (s *Disk) Prefetch(unit []*grad.Param) {
	if ms := s.matrices(unit); len(ms) > 0 {
		s.fetch(ms)
	}
}

// fetch finds the buffer of a unit, or starts to read it into one.
func (s *Disk) fetch(ms []*grad.Param) *slot {
	at := s.choose(ms[0])
	s.turn++
	if at.turn = s.turn; at.unit == ms[0] {
		return at
	}
	if at.ready != nil { // read ahead, and nobody came for it
		if err := <-at.ready; err != nil && s.failed == nil {
			s.failed = err
		}
	}
	at.unit = ms[0]
	if s.file == nil {
		return at
	}
	ready := make(chan error, 1)
	at.ready = ready
	s.io.do(func() { ready <- s.transfer(ms, at, s.file.ReadAt, &s.io.in) })
	return at
}

// choose is the buffer that holds a unit already, or else one that is not acquired.
func (s *Disk) choose(first *grad.Param) *slot {
	if first.Block < 0 || first.Block == s.params[len(s.params)-1].Block {
		return s.table
	}
	if first.Expert {
		return longestIdle(s.experts, s.held, first, func(b *slot) (*grad.Param, int) { return b.unit, b.turn })
	}
	for _, b := range s.blocks {
		if b.unit == first {
			return b
		}
	}
	for _, b := range s.blocks {
		if b.unit == nil || s.held[b.unit] != b {
			return b
		}
	}
	panic("store: both block buffers are acquired")
}

// transfer moves a unit's matrices between file and buffer.
func (s *Disk) transfer(ms []*grad.Param, at *slot, move func([]byte, int64) (int, error), moved *counter) error {
	n := 0
	for _, p := range ms {
		part := at.buf.Slice(n, n+p.Len()).Host
		if _, err := move(part, s.offsets[p]); err != nil {
			return err
		}
		moved.add(len(part))
		n += p.Len()
	}
	return nil
}

// Release gives the buffer free; an updated unit is written back before the buffer is read into again.
func (s *Disk) Release(unit []*grad.Param, dirty bool) error {
	s.letGo()
	ms := s.matrices(unit)
	if len(ms) == 0 {
		return s.failure()
	}
	return errors.Join(s.failure(), s.release(ms, dirty))
}

// failure is what has failed since it was asked last.
func (s *Disk) failure() error {
	err := s.failed
	s.failed = nil
	return err
}

func (s *Disk) release(ms []*grad.Param, dirty bool) error {
	at := s.held[ms[0]]
	delete(s.held, ms[0])
	for _, p := range ms {
		p.W = tensor.Tensor{Name: p.Name, DType: s.dt, Shape: p.Shape} // a use from here on fails at once
	}
	if s.file == nil {
		return nil
	}
	if dirty {
		if err := s.d.Sync(); err != nil {
			return err
		}
		saved := make(chan struct{})
		at.saving = saved
		s.io.do(func() {
			defer close(saved)
			s.io.fail(s.transfer(ms, at, s.file.WriteAt, &s.io.out))
		})
	}
	return s.io.err()
}

// Load copies every matrix from src into the working copy and every vector to the device.
func (s *Disk) Load(src Reader) error {
	var buf []byte
	for _, p := range s.params {
		if !p.Matrix() {
			if err := LoadTensor(s.d, p.Name, p.W, src); err != nil {
				return err
			}
			continue
		}
		err := s.pieces(p, func(r0, r1 int, offset, bytes int64) error {
			buf = slices.Grow(buf[:0], int(bytes))[:bytes]
			if err := src.ReadRows(p.Name, r0, r1, buf, s.dt); err != nil {
				return err
			}
			_, err := s.file.WriteAt(buf, offset)
			return err
		})
		if err != nil {
			return err
		}
	}
	return s.d.Sync()
}

// Save writes every parameter to dst, the matrices from the working copy.
func (s *Disk) Save(dst Writer) error {
	if err := errors.Join(s.d.Sync(), s.io.drain()); err != nil {
		return err
	}
	var buf []byte
	for _, p := range s.params {
		if !p.Matrix() {
			if err := SaveTensor(s.d, p.Name, p.W, dst); err != nil {
				return fmt.Errorf("save %q: %w", p.Name, err)
			}
			continue
		}
		err := s.pieces(p, func(r0, _ int, offset, bytes int64) error {
			buf = slices.Grow(buf[:0], int(bytes))[:bytes]
			if _, err := s.file.ReadAt(buf, offset); err != nil {
				return err
			}
			return dst.WriteRows(p.Name, r0, buf)
		})
		if err != nil {
			return fmt.Errorf("save %q: %w", p.Name, err)
		}
	}
	return nil
}

// pieces goes over a matrix's rows a few megabytes at a time.
func (s *Disk) pieces(p *grad.Param, f func(r0, r1 int, offset, bytes int64) error) error {
	row := int64(p.Len()/p.Shape[0]) * int64(s.dt.Size())
	step := max(1, loadBytes/int(row))
	for r := 0; r < p.Shape[0]; r += step {
		e := min(r+step, p.Shape[0])
		if err := f(r, e, s.offsets[p]+int64(r)*row, int64(e-r)*row); err != nil {
			return err
		}
	}
	return nil
}

// Traffic is the bytes read from and written to the working copy by sweeps.
func (s *Disk) Traffic() (in, out int64) {
	if s.io == nil {
		return 0, 0
	}
	return s.io.in.value(), s.io.out.value()
}

// Close removes the working copy.
func (s *Disk) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.io.drain()
	s.io.stop()
	return errors.Join(err, s.file.Close(), os.Remove(s.file.Name()))
}
