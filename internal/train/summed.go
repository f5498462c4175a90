package train

import (
	"slices"

	"lomo/internal/comm"
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// across is the sink that gradients go to in a group of ranks: each is summed over the ranks first, and sink gets the
// rows its rank owns. Alone, it is sink itself.
// With keep, sink writes no weight.
func (s *Sweep) across(sink grad.Sink, keep bool) grad.Sink {
	if s.Comm.Size() == 1 {
		return sink
	}
	return &summed{sink: sink, s: s, keep: keep}
}

// summed hands on the sum over ranks. One matrix's gradient is held at a time, and it travels while the next one's dX is
// computed: it is handed on when the next comes, or by flush.
type summed struct {
	sink grad.Sink
	s    *Sweep

	full, part tensor.Tensor // room for a block's largest matrix, whole and this rank's rows; zero outside blocks

	keep bool // sink writes no weight

	own *grad.Param // what is on its way, nil for none
	sum tensor.Tensor
	e   device.Event
}

// Whole is true: rows are owned of whole tensors.
func (r *summed) Whole() bool { return true }

// Consume starts to sum g over the ranks. A dense matrix comes with the padding of gradShape and is read until the next call.
func (r *summed) Consume(p *grad.Param, g grad.Grad) error {
	if !p.Matrix() {
		r.s.sum(g.Dense)
		return r.sink.Consume(p, g)
	}
	if err := r.flush(); err != nil {
		return err
	}
	if g.Kind == grad.Dense {
		return r.start(p, g.Dense)
	}
	if r.full.IsZero() {
		mark := r.s.D.Memory().Mark()
		defer r.s.D.Memory().Release(mark)
		full, err := r.s.D.Scratch("gradient", p.Name, tensor.F32, r.s.gradShape(p)...)
		if err != nil {
			return err
		}
		if err := r.fill(full, p, g); err != nil {
			return err
		}
		return r.flush()
	}
	return r.fill(view(r.full, r.s.gradShape(p)), p, g)
}

// fill makes the dense gradient and starts its sum.
func (r *summed) fill(full tensor.Tensor, p *grad.Param, g grad.Grad) error {
	rows := full.Slice(0, p.Shape[0]).Named(p.Name)
	if g.Kind == grad.Outer {
		g.AddOuter(r.s.D, rows, false)
	} else {
		r.s.D.Zero(rows)
		r.s.D.RowsAdd(rows, g.Rows, 0)
	}
	return r.start(p, full)
}

// start sends a gradient on its way.
func (r *summed) start(p *grad.Param, full tensor.Tensor) error {
	r.own = r.shard().Own(p)
	if !r.keep {
		r.shard().Hold(r.own)
	}
	part := r.part
	if part.IsZero() {
		mark := r.s.D.Memory().Mark()
		defer r.s.D.Memory().Release(mark)
		var err error
		if part, err = r.s.D.Scratch("gradient rows", p.Name, tensor.F32, r.s.partShape(p)...); err != nil {
			return err
		}
		r.send(p, part, full)
		return r.flush()
	}
	r.send(p, view(part, r.s.partShape(p)), full)
	return nil
}

func (r *summed) send(p *grad.Param, part, full tensor.Tensor) {
	d := r.s.D
	r.e = r.s.Reduce.ReduceScatter(part.Named(p.Name), full, r.s.Wire, d.Record())
	r.sum = part.Slice(0, r.own.W.Shape[0]).Named(p.Name)
}

// flush hands on what is on its way.
func (r *summed) flush() error {
	if r.own == nil {
		return nil
	}
	own := r.own
	r.own = nil
	r.s.D.Wait(r.e)
	if r.keep {
		return r.sink.Consume(own, grad.FromDense(r.sum))
	}
	r.shard().Held(own)
	if err := r.sink.Consume(own, grad.FromDense(r.sum)); err != nil {
		return err
	}
	r.shard().Return(own)
	return nil
}

func (r *summed) shard() *store.Shard { return r.s.Store.(*store.Shard) }

// flush ends the use of gradients given to a sink of across.
func flush(sink grad.Sink) error {
	if r, ok := sink.(*summed); ok {
		return r.flush()
	}
	return nil
}

// openBlocks takes the room in which the gradients of blocks travel.
func openBlocks(sink grad.Sink) (err error) {
	r, ok := sink.(*summed)
	if !ok {
		return nil
	}
	full, part := 0, 0
	for _, b := range r.s.Net.Blocks {
		for _, m := range b.Matrices() {
			n := product(r.s.partShape(m.Param))
			full, part = max(full, n*r.s.Comm.Size()), max(part, n)
		}
	}
	if r.full, err = r.s.D.Scratch("gradient", "gradient on its way", tensor.F32, full); err != nil {
		return err
	}
	r.part, err = r.s.D.Scratch("gradient rows", "gradient rows", tensor.F32, part)
	return err
}

// closeBlocks forgets that room, which its taker releases.
func closeBlocks(sink grad.Sink) {
	if r, ok := sink.(*summed); ok {
		r.full, r.part = tensor.Tensor{}, tensor.Tensor{}
	}
}

// gradShape is the shape of p's gradient with the padding in which ranks sum it.
func (s *Sweep) gradShape(p *grad.Param) []int {
	shape := s.partShape(p)
	shape[0] *= s.Comm.Size()
	return shape
}

// partShape is one rank's part of it.
func (s *Sweep) partShape(p *grad.Param) []int {
	shape := slices.Clone(p.Shape)
	shape[0] = comm.Each(shape[0], s.Comm.Size())
	return shape
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// view is the first elements of a flat tensor in a shape.
func view(t tensor.Tensor, shape []int) tensor.Tensor {
	return t.Slice(0, product(shape)).View(shape...)
}
