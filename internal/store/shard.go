package store

import (
	"fmt"
	"slices"

	"lomo/internal/comm"
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Shard is one rank's store of a model whose matrices are spread over the ranks by rows (ZeRO-3, design.md 2.3). A unit is
// gathered from all ranks when it is acquired; what a rank keeps and updates is its own rows. Vectors are on every rank.
type Shard struct {
	d      device.Device
	c      comm.Comm
	params []*grad.Param
	own    map[*grad.Param]*grad.Param // matrices: the rows this rank owns
	buf    map[bool]tensor.Tensor      // gathered units: blocks (false) and tables (true), elements
	in     map[bool]*grad.Param        // first matrix of the unit that a buffer holds, nil for none
}

// NewShard takes this rank's rows of every matrix, all vectors, and the buffers units are gathered in.
func NewShard(d device.Device, c comm.Comm, params []*grad.Param, dt tensor.DType) (*Shard, error) {
	s := &Shard{d: d, c: c, params: params, own: map[*grad.Param]*grad.Param{}, buf: map[bool]tensor.Tensor{}, in: map[bool]*grad.Param{}}
	most := map[bool]int{}
	block := map[int]int{}
	for _, p := range params {
		shape := slices.Clone(p.Shape)
		r0 := 0
		if p.Matrix() {
			var r1 int
			r0, r1 = comm.Rows(p.Shape[0], c.Size(), c.Rank())
			shape[0] = r1 - r0
		}
		t, err := d.Scratch("weights", p.Name, dt, shape...)
		if err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
		if !p.Matrix() {
			p.W = t
			continue
		}
		own := *p
		own.W, own.Row0 = t, r0
		s.own[p] = &own
		p.W = tensor.Tensor{Name: p.Name, DType: dt, Shape: p.Shape}
		if s.isTable(p) {
			most[true] = max(most[true], p.Len())
		} else {
			block[p.Block] += p.Len()
			most[false] = max(most[false], block[p.Block])
		}
	}
	for _, table := range []bool{false, true} {
		name := map[bool]string{false: "gathered block", true: "gathered table"}[table]
		t, err := d.Scratch("weight buffers", name, dt, most[table])
		if err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
		s.buf[table] = t
	}
	return s, nil
}

// isTable reports whether p is the embedding or the head.
func (s *Shard) isTable(p *grad.Param) bool {
	return p.Block < 0 || p.Block == s.params[len(s.params)-1].Block
}

// Own is the part of p this rank updates: its rows of a matrix, the whole of a vector.
func (s *Shard) Own(p *grad.Param) *grad.Param {
	if own := s.own[p]; own != nil {
		return own
	}
	return p
}

// Owned is Own of every parameter, in order.
func (s *Shard) Owned() []*grad.Param {
	out := make([]*grad.Param, len(s.params))
	for i, p := range s.params {
		out[i] = s.Own(p)
	}
	return out
}

// Acquire gathers the unit, unless it is still there and no rank has changed it.
func (s *Shard) Acquire(unit []*grad.Param) error {
	ms := matrices(unit)
	if len(ms) == 0 {
		return nil
	}
	table := s.isTable(ms[0])
	n := 0
	for _, p := range ms {
		p.W = s.buf[table].Slice(n, n+p.Len()).View(p.Shape...).Named(p.Name)
		n += p.Len()
		if s.in[table] == ms[0] {
			continue
		}
		if err := s.c.Gather(p.W, s.own[p].W); err != nil {
			return fmt.Errorf("gather %q: %w", p.Name, err)
		}
	}
	s.in[table] = ms[0]
	return nil
}

// Prefetch does nothing: on the host a gather is a copy.
func (s *Shard) Prefetch([]*grad.Param) {}

// Release ends the use of the gathered copy; after an update it is stale.
func (s *Shard) Release(unit []*grad.Param, dirty bool) error {
	for _, p := range matrices(unit) {
		if dirty {
			s.in[s.isTable(p)] = nil
		}
		p.W = tensor.Tensor{Name: p.Name, DType: p.W.DType, Shape: p.Shape}
	}
	return nil
}

// Load reads this rank's rows, and nothing else, from src.
func (s *Shard) Load(src Reader) error {
	for _, p := range s.params {
		own := s.Own(p)
		if err := LoadRows(s.d, p.Name, own.Row0, own.W, src); err != nil {
			return err
		}
	}
	return s.d.Sync()
}

// Save gathers every parameter a few megabytes at a time. Rank 0 writes; dst is nil on the others.
func (s *Shard) Save(dst Writer) error {
	if err := s.d.Sync(); err != nil {
		return err
	}
	for _, p := range s.params {
		var err error
		if p.Matrix() {
			err = s.SaveRows(p.Name, p.Shape, s.own[p].W, dst)
		} else if dst != nil {
			err = SaveTensor(s.d, p.Name, p.W, dst)
		}
		if err != nil {
			return fmt.Errorf("save %q: %w", p.Name, err)
		}
	}
	return nil
}

// SaveRows writes a tensor of the given shape of which every rank holds its rows: rank 0 collects them, one rank after the
// other and a few megabytes at a time.
func (s *Shard) SaveRows(name string, shape []int, own tensor.Tensor, dst Writer) error {
	mark := s.d.Memory().Mark()
	defer s.d.Memory().Release(mark)
	rowLen := 1
	for _, n := range shape[1:] {
		rowLen *= n
	}
	most := (shape[0] + s.c.Size() - 1) / s.c.Size() // rows of rank 0, which no rank has more of
	step := min(most, max(1, loadBytes/(rowLen*own.DType.Size()*s.c.Size())))
	buf, err := s.d.Scratch("weight buffers", name, own.DType, step*s.c.Size(), rowLen)
	if err != nil {
		return err
	}
	own = own.View(own.Shape[0], rowLen)
	for r := 0; r < most; r += step {
		if err := s.saveStep(name, shape[0], min(step, most-r), r, own, buf, dst); err != nil {
			return err
		}
	}
	return nil
}

// saveStep moves rows r … r+n−1 of every rank's part to rank 0. Ranks with fewer rows send what they have.
func (s *Shard) saveStep(name string, rows, n, r int, own, buf tensor.Tensor, dst Writer) error {
	each := buf.Slice(0, n*s.c.Size())
	part := each.Slice(s.c.Rank()*n, (s.c.Rank()+1)*n)
	if have := min(n, own.Shape[0]-r); have > 0 {
		s.d.Copy(part.Slice(0, have), own.Slice(r, r+have))
	}
	if err := s.c.Gather(each, part); err != nil || dst == nil {
		return err
	}
	for rank := range s.c.Size() {
		r0, r1 := comm.Rows(rows, s.c.Size(), rank)
		if have := min(n, r1-r0-r); have > 0 {
			if err := SaveTensorAt(s.d, name, r0+r, each.Slice(rank*n, rank*n+have), dst); err != nil {
				return err
			}
		}
	}
	return nil
}

// Traffic is the bytes sent to other ranks; what comes in is theirs to count.
func (s *Shard) Traffic() (in, out int64) { return 0, s.c.Sent() }

// Close does nothing.
func (*Shard) Close() error { return nil }
