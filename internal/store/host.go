package store

import (
	"fmt"

	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Host keeps the matrices in pinned host memory, for models larger than a card. Blocks pass through two buffers on the
// device, used in turn: while one block computes, a queue brings the next one in and another takes the updated one back. The
// embedding and the head pass through the same two where that takes less memory than a third. Vectors stay on the device.
//
// The host never waits in a sweep. What orders copies and computation is events:
//
//	bring a unit in    after the buffer's last use, and after what was updated in it has arrived at home
//	use it             after it has been brought in
//	take it back       after the updates
//
// A unit is brought in again only when its former buffer has been given to another, which waited for its way home.
type Host struct {
	d       device.Device
	params  []*grad.Param
	dt      tensor.DType
	in, out device.Queue
	home    map[*grad.Param][]byte  // each matrix's bytes
	blocks  []*window               // used in turn
	tables  []*window               // for the embedding and the head: the same ones, or one
	held    map[*grad.Param]*window // by a unit's first matrix: acquired now
	turn    int
	moved   struct{ in, out int64 } // bytes
}

// window is one buffer on the device: the matrices of one unit.
type window struct {
	buf   tensor.Tensor // (elements)
	unit  *grad.Param   // first matrix of the unit in it, nil for none
	turn  int           // when it was last filled or used: the oldest goes first
	ready device.Event  // the unit has been brought in
	used  device.Event  // the last use of the buffer is over; nil before the first
	saved device.Event  // the last update in the buffer has arrived at home; nil before the first
}

// NewHost takes the buffers, the vectors and the host memory.
func NewHost(d device.Device, params []*grad.Param, dt tensor.DType) (*Host, error) {
	s := &Host{d: d, params: params, dt: dt, home: map[*grad.Param][]byte{}, held: map[*grad.Param]*window{}}
	var err error
	for _, p := range params {
		if !p.Matrix() {
			if p.W, err = d.Scratch("weights", p.Name, dt, p.Shape...); err != nil {
				return nil, fmt.Errorf("weights: %w", err)
			}
			continue
		}
		p.W = tensor.Tensor{Name: p.Name, DType: dt, Shape: p.Shape}
		if s.home[p], err = d.Pinned("weights", p.Name, p.W.Bytes()); err != nil {
			return nil, fmt.Errorf("host memory for the weights: %w", err)
		}
	}
	block, table := shareBuffers(unitSizes(params))
	for i := range 2 {
		if s.blocks, err = s.addWindow(s.blocks, fmt.Sprintf("block buffer %d", i), block); err != nil {
			return nil, err
		}
	}
	if s.tables = s.blocks; table > 0 {
		if s.tables, err = s.addWindow(nil, "table buffer", table); err != nil {
			return nil, err
		}
	}
	if s.in, err = d.NewQueue("weights in"); err != nil {
		return nil, err
	}
	s.out, err = d.NewQueue("weights out")
	return s, err
}

// shareBuffers is the sizes of two block buffers and a table buffer for units of the given sizes; a table buffer of 0 says
// that tables go through the block buffers.
func shareBuffers(block, table int) (ofBlocks, ofTable int) {
	if both := max(block, table); 2*both <= 2*block+table {
		return both, 0
	}
	return block, table
}

func (s *Host) addWindow(list []*window, name string, elements int) ([]*window, error) {
	buf, err := s.d.Scratch("weight buffers", name, s.dt, elements)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	return append(list, &window{buf: buf}), nil
}

// Acquire points the parameters into the unit's buffer and holds the computation back until they are there.
func (s *Host) Acquire(unit []*grad.Param) error {
	ms := matrices(unit)
	if len(ms) == 0 {
		return nil
	}
	at := s.fetch(ms)
	s.d.Wait(at.ready)
	s.held[ms[0]] = at
	s.each(ms, at, func(p *grad.Param, t tensor.Tensor) { p.W = t.View(p.Shape...).Named(p.Name) })
	return nil
}

// each goes over a unit's matrices and their places in a buffer.
func (s *Host) each(ms []*grad.Param, at *window, f func(p *grad.Param, t tensor.Tensor)) {
	n := 0
	for _, p := range ms {
		f(p, at.buf.Slice(n, n+p.Len()))
		n += p.Len()
	}
}

// Prefetch starts to bring a unit into the buffer that is not in use.
func (s *Host) Prefetch(unit []*grad.Param) {
	if ms := matrices(unit); len(ms) > 0 {
		s.fetch(ms)
	}
}

// fetch finds the buffer of a unit, or starts to bring it into one.
func (s *Host) fetch(ms []*grad.Param) *window {
	at := s.choose(ms[0])
	if at.unit == ms[0] {
		return at
	}
	at.unit = ms[0]
	s.turn++
	at.turn = s.turn
	for _, e := range []device.Event{at.used, at.saved} {
		if e != nil {
			s.in.Wait(e)
		}
	}
	s.each(ms, at, func(p *grad.Param, t tensor.Tensor) {
		s.in.CopyIn(t, s.home[p])
		s.moved.in += t.Bytes()
	})
	at.ready = s.in.Record()
	return at
}

// choose is the buffer that holds a unit already, or else the one of those not acquired that was used longest ago.
func (s *Host) choose(first *grad.Param) *window {
	list := s.blocks
	if first.Block < 0 || first.Block == s.params[len(s.params)-1].Block {
		list = s.tables
	}
	return longestIdle(list, s.held, first, func(b *window) (*grad.Param, int) { return b.unit, b.turn })
}

// Release gives the buffer free; an updated unit is taken back before the buffer is filled again.
func (s *Host) Release(unit []*grad.Param, dirty bool) error {
	ms := matrices(unit)
	if len(ms) == 0 {
		return nil
	}
	at := s.held[ms[0]]
	delete(s.held, ms[0])
	s.turn++
	at.turn, at.used = s.turn, s.d.Record()
	if dirty {
		s.out.Wait(at.used)
		s.each(ms, at, func(p *grad.Param, t tensor.Tensor) {
			s.out.CopyOut(s.home[p], t)
			s.moved.out += t.Bytes()
		})
		at.saved = s.out.Record()
	}
	for _, p := range ms {
		p.W = tensor.Tensor{Name: p.Name, DType: s.dt, Shape: p.Shape} // a use from here on fails at once
	}
	return nil
}

// Load reads every matrix into its host memory and every vector to the device.
func (s *Host) Load(src Reader) error {
	for _, p := range s.params {
		if !p.Matrix() {
			if err := LoadTensor(s.d, p.Name, p.W, src); err != nil {
				return err
			}
			continue
		}
		err := s.pieces(p, func(r0, r1 int, data []byte) error { return src.ReadRows(p.Name, r0, r1, data, s.dt) })
		if err != nil {
			return err
		}
	}
	return s.d.Sync()
}

// Save writes every parameter to dst, the matrices from host memory.
func (s *Host) Save(dst Writer) error {
	if err := s.sync(); err != nil {
		return err
	}
	for _, p := range s.params {
		var err error
		if p.Matrix() {
			err = s.pieces(p, func(r0, _ int, data []byte) error { return dst.WriteRows(p.Name, r0, data) })
		} else {
			err = SaveTensor(s.d, p.Name, p.W, dst)
		}
		if err != nil {
			return fmt.Errorf("save %q: %w", p.Name, err)
		}
	}
	return nil
}

// pieces goes over a matrix's rows a few megabytes at a time.
func (s *Host) pieces(p *grad.Param, f func(r0, r1 int, data []byte) error) error {
	row := p.W.Bytes() / int64(p.Shape[0])
	step := max(1, loadBytes/int(row))
	for r := 0; r < p.Shape[0]; r += step {
		e := min(r+step, p.Shape[0])
		if err := f(r, e, s.home[p][int64(r)*row:int64(e)*row]); err != nil {
			return err
		}
	}
	return nil
}

// sync waits until everything is at home.
func (s *Host) sync() error {
	if err := s.d.Sync(); err != nil {
		return err
	}
	for _, q := range []device.Queue{s.in, s.out} {
		if err := q.Sync(); err != nil {
			return fmt.Errorf("weights in host memory: %w", err)
		}
	}
	return nil
}

// Traffic is the bytes copied to and from the device by sweeps.
func (s *Host) Traffic() (in, out int64) { return s.moved.in, s.moved.out }

// Close waits for the copies. The memory goes back with the device.
func (s *Host) Close() error { return s.sync() }
