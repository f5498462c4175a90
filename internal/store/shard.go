package store

import (
	"errors"
	"fmt"
	"slices"

	"lomo/internal/comm"
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Shard is one rank's store of a model whose matrices are spread over the ranks by rows (ZeRO-3, design.md 2.3). A unit is
// gathered from all ranks ahead of its use, beside the computation: blocks into two buffers in turn, the embedding and the
// head into the same two or, where that takes less memory, into a third. What a rank keeps and updates is its own rows. Vectors are on every rank.
type Shard struct {
	d      device.Device
	c      comm.Comm
	gather comm.Channel
	params []*grad.Param
	own    map[*grad.Param]*grad.Param   // matrices: the rows this rank owns
	part   map[*grad.Param]tensor.Tensor // the same with the padding that travels, (Each, …)
	blocks []*gathered
	tables []*gathered               // the same ones, or one of their own
	held   map[*grad.Param]*gathered // by a unit's first matrix: acquired now
	turn   int

	home *home // offload: host, where the rows live; nil: on the device

	byMatrix bool
	order    []*grad.Param // byMatrix: the matrices that will be used, in turn
	using    []*grad.Param // byMatrix: the one in use
}

// gathered is one buffer: the matrices of one unit, padded.
type gathered struct {
	buf   tensor.Tensor
	stage tensor.Tensor // offload: host, this rank's rows of the unit on their way to all
	unit  *grad.Param   // first matrix of the unit in it, nil for none
	turn  int           // when it was last gathered into or used: the oldest goes first
	ready device.Event  // of the last gather into it; nil when that was waited for
}

// ShardOptions are how a rank keeps its share.
type ShardOptions struct {
	ByMatrix bool // a block's matrices are gathered one at a time, in buffers of the largest one: see Order
	OnHost   bool // the rank's rows live in pinned host memory and pass through the device: see home
}

// NewShard takes this rank's rows of every matrix, all vectors, and the buffers units are gathered in.
func NewShard(d device.Device, c comm.Comm, params []*grad.Param, dt tensor.DType, o ShardOptions) (*Shard, error) {
	s := &Shard{d: d, c: c, params: params, byMatrix: o.ByMatrix, own: map[*grad.Param]*grad.Param{},
		part: map[*grad.Param]tensor.Tensor{}, held: map[*grad.Param]*gathered{}}
	var err error
	if s.gather, err = c.Open("gather"); err != nil {
		return nil, err
	}
	if o.OnHost {
		if s.home, err = newHome(d); err != nil {
			return nil, err
		}
	}
	for _, p := range params {
		if err := s.take(p, dt); err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
	}
	return s, s.openBuffers(dt)
}

// openBuffers takes the buffers of gathered units. By matrix, where nothing but the next matrix is gathered ahead, a table
// shares the first buffer alone, and only that one is as large.
func (s *Shard) openBuffers(dt tensor.DType) (err error) {
	block, table := s.sizes()
	first := max(block, table)
	if !s.byMatrix {
		block, table = shareBuffers(block, table)
		first = block
	}
	for i, n := range []int{first, block} {
		if s.blocks, err = s.addBuffer(s.blocks, fmt.Sprintf("gathered block %d", i), dt, n); err != nil {
			return err
		}
	}
	switch s.tables = s.blocks; {
	case s.byMatrix:
		s.tables = s.blocks[:1]
	case table > 0:
		s.tables, err = s.addBuffer(nil, "gathered table", dt, table)
	}
	if err == nil && s.home != nil {
		err = s.home.open(s, dt)
	}
	return err
}

func (s *Shard) addBuffer(list []*gathered, name string, dt tensor.DType, elements int) ([]*gathered, error) {
	t, err := s.d.Scratch("weight buffers", name, dt, elements)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	return append(list, &gathered{buf: t}), nil
}

// take is a parameter's memory on this rank.
func (s *Shard) take(p *grad.Param, dt tensor.DType) error {
	shape := slices.Clone(p.Shape)
	if p.Matrix() {
		shape[0] = comm.Each(p.Shape[0], s.c.Size())
	}
	if p.Matrix() && s.home != nil {
		return s.home.take(s, p, dt, shape)
	}
	t, err := s.d.Scratch("weights", p.Name, dt, shape...)
	if err != nil || !p.Matrix() {
		p.W = t
		return err
	}
	r0, r1 := comm.Rows(p.Shape[0], s.c.Size(), s.c.Rank())
	own := *p
	own.W, own.Row0 = t.Slice(0, r1-r0), r0
	s.d.Zero(t)
	s.own[p], s.part[p] = &own, t
	p.W = tensor.Tensor{Name: p.Name, DType: dt, Shape: p.Shape}
	return nil
}

// sizes is the elements of the largest block, or with byMatrix of its largest matrix, and of the largest table.
func (s *Shard) sizes() (block, table int) {
	blocks := map[int]int{}
	for _, p := range s.params {
		n := 0
		if p.Matrix() {
			n = s.padded(p)
		}
		switch {
		case s.isTable(p):
			table = max(table, n)
		case s.byMatrix:
			block = max(block, n)
		default:
			blocks[p.Block] += n
			block = max(block, blocks[p.Block])
		}
	}
	return block, table
}

// padded is the elements of p as it is gathered.
func (s *Shard) padded(p *grad.Param) int { return s.part[p].Len() * s.c.Size() }

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

// Acquire holds the computation back until the unit is gathered. With byMatrix it does nothing for a block: see Use.
func (s *Shard) Acquire(unit []*grad.Param) error {
	ms := matrices(unit)
	if len(ms) > 0 && !(s.byMatrix && !s.isTable(ms[0])) {
		s.acquire(ms)
	}
	return nil
}

func (s *Shard) acquire(ms []*grad.Param) {
	at := s.fetch(ms)
	if at.ready != nil {
		s.d.Wait(at.ready)
		at.ready = nil
	}
	s.held[ms[0]] = at
	n := 0
	for _, p := range ms {
		p.W = at.buf.Slice(n, n+p.Len()).View(p.Shape...).Named(p.Name)
		n += s.padded(p)
	}
}

// Prefetch starts to gather a unit into the buffer that is not in use. With byMatrix the order of Use has both buffers.
func (s *Shard) Prefetch(unit []*grad.Param) {
	if ms := matrices(unit); len(ms) > 0 && !s.byMatrix {
		s.fetch(ms)
	}
}

// fetch finds the buffer of a unit, or starts to gather it into one: behind all computation queued so far, which are the last
// use of that buffer and the last update of these rows.
func (s *Shard) fetch(ms []*grad.Param) *gathered {
	at := s.choose(ms[0])
	if at.unit == ms[0] {
		return at
	}
	at.unit = ms[0]
	s.touch(at)
	after, n := s.d.Record(), 0
	parts := s.part
	if s.home != nil {
		parts, after = s.home.bring(at, ms, s.part, after)
	}
	for _, p := range ms {
		full := at.buf.Slice(n, n+s.padded(p)).Named(p.Name)
		at.ready = s.gather.Gather(full, parts[p].View(parts[p].Len()), after)
		n += s.padded(p)
	}
	return at
}

// touch makes at the buffer used last.
func (s *Shard) touch(at *gathered) {
	s.turn++
	at.turn = s.turn
}

// choose is the buffer that holds a unit already, or else the one of those not acquired that was used longest ago.
func (s *Shard) choose(first *grad.Param) *gathered {
	list := s.blocks
	if s.isTable(first) {
		list = s.tables
	}
	return longestIdle(list, s.held, first, func(b *gathered) (*grad.Param, int) { return b.unit, b.turn })
}

// buffers is each buffer once.
func (s *Shard) buffers() []*gathered {
	if s.tables[0] == s.blocks[0] {
		return s.blocks
	}
	return append(slices.Clip(s.blocks), s.tables...)
}

// Order says which matrices will be used in which order, when they are gathered one at a time: a block's for each of its
// micro-batches, and after them the next block's first.
func (s *Shard) Order(ms []*grad.Param) {
	s.order = ms
	if s.using == nil && len(ms) > 0 {
		s.fetch(ms[:1])
	}
}

// Use brings the next matrix of Order for the operations queued from here on, and starts to gather the one after it.
func (s *Shard) Use(p *grad.Param) {
	if len(s.order) == 0 || s.order[0] != p {
		panic(fmt.Sprintf("store: %q is used out of order", p.Name))
	}
	s.letGo()
	s.using = s.order[:1]
	s.acquire(s.using)
	if s.order = s.order[1:]; len(s.order) > 0 {
		s.fetch(s.order[:1])
	}
}

// letGo ends the use of the last matrix of Use.
func (s *Shard) letGo() {
	for _, p := range s.using {
		s.forget(p, false)
		p.W = tensor.Tensor{Name: p.Name, DType: p.W.DType, Shape: p.Shape}
	}
	s.using = nil
}

// forget gives a unit's buffer free; stale says that what is in it is not what the ranks own any more.
func (s *Shard) forget(first *grad.Param, stale bool) {
	if at := s.held[first]; at != nil {
		s.touch(at)
	}
	delete(s.held, first)
	for _, b := range s.buffers() {
		if stale && b.unit == first {
			b.unit = nil
		}
	}
}

// Release ends the use of the gathered copy; after an update it is stale.
func (s *Shard) Release(unit []*grad.Param, dirty bool) error {
	s.letGo()
	for _, p := range matrices(unit) { // by matrix each of them may be in a buffer
		s.forget(p, dirty)
		p.W = tensor.Tensor{Name: p.Name, DType: p.W.DType, Shape: p.Shape}
	}
	return nil
}

// Load reads this rank's rows, and nothing else, from src.
func (s *Shard) Load(src Reader) error {
	for _, p := range s.params {
		own := s.Own(p)
		if err := LoadRows(s.d, p.Name, own.Row0, s.kept(own), src); err != nil {
			return err
		}
	}
	return s.d.Sync()
}

// Save writes this rank's rows of every matrix to dst, and rank 0 the vectors. All ranks together write the whole.
func (s *Shard) Save(dst Writer) error {
	if err := errors.Join(s.d.Sync(), s.home.sync()); err != nil {
		return err
	}
	for _, p := range s.params {
		own := s.Own(p)
		if !p.Matrix() && s.c.Rank() > 0 {
			continue
		}
		if err := SaveTensorAt(s.d, p.Name, own.Row0, s.kept(own), dst); err != nil {
			return fmt.Errorf("save %q: %w", p.Name, err)
		}
	}
	return nil
}

// kept is where this rank's rows live: on the device or, as bytes of the host, at home.
func (s *Shard) kept(own *grad.Param) tensor.Tensor {
	if s.home == nil || !own.Matrix() {
		return own.W
	}
	t := own.W
	t.Host = s.home.bytes[own.Name][:t.Bytes()]
	return t
}

// Traffic is the bytes moved to and from places that are not ranks.
func (s *Shard) Traffic() (in, out int64) {
	if s.home == nil {
		return 0, 0
	}
	return s.home.moved.in, s.home.moved.out
}

// Close waits for gathers that nobody asked for any more.
func (s *Shard) Close() error {
	var errs []error
	for _, b := range s.buffers() {
		if b.ready != nil {
			errs = append(errs, b.ready.Sync())
			b.ready = nil
		}
	}
	return errors.Join(append(errs, s.home.sync())...)
}
