package train

import (
	"errors"

	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// blockSweep is the backward pass of one block over the micro-batches of a step.
type blockSweep struct {
	*Pass
	b      *model.Block
	sink   grad.Sink
	hold   Hold
	writes bool // sink writes weights
	acts   model.Acts
	g      *model.Grads

	seen  map[*grad.Param]bool          // matrices with a gradient so far
	parts map[*grad.Param][]grad.Grad   // HoldFactors: of experts' matrices, by micro-batch
	sums  map[*grad.Param]tensor.Tensor // HoldSums
	dy    map[*grad.Param]tensor.Tensor // HoldFactors: residual gradients seen by o_proj and down_proj, (rows, C)
}

// backwardBlock recomputes block l for each micro-batch, takes dres through it and hands its gradients to the sink.
func (p *Pass) backwardBlock(l int, sink grad.Sink, dres tensor.Tensor, again bool) error {
	w := &blockSweep{Pass: p, b: p.s.Net.Blocks[l], sink: sink, hold: p.hold(p.s.Net.Blocks[l], sink),
		seen: map[*grad.Param]bool{}, parts: map[*grad.Param][]grad.Grad{}, writes: !again}
	return p.s.with(w.b.Params(), !again, func() error { return w.run(l, dres, again) })
}

// run is backwardBlock with the block's weights at hand.
func (w *blockSweep) run(l int, dres tensor.Tensor, again bool) error {
	s := w.s
	s.prefetch(l - 1)
	s.order(w.b, w.most, l-1, s.backwardUses)
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	if err := w.open(l, again); err != nil {
		return err
	}
	x, err := w.in.get(l)
	if err != nil {
		return err
	}
	for i, m := range w.micro {
		if err := w.microBatch(i, m, x, dres); err != nil {
			return err
		}
	}
	w.missed(w.b, s.backwardUses(w.b))
	return errors.Join(w.finish(x), flush(w.sink))
}

// backwardUses is the matrices in the order that a block's backward pass reads them.
func (s *Sweep) backwardUses(b *model.Block) []*grad.Param {
	if s.Recompute {
		return append(b.ForwardUses(false), b.BackwardUses()...)
	}
	return b.BackwardUses()
}

// open takes the block's scratch.
func (w *blockSweep) open(l int, again bool) (err error) {
	s, held, factors := w.s, w.maxRows, 0
	if w.hold == HoldFactors {
		held, factors = w.rows, w.rows
	}
	if s.Recompute {
		if w.acts, err = w.b.NewActs(s.D, s.Act, w.maxRows, held); err != nil {
			return err
		}
	} else {
		w.acts = w.Pass.acts[l]
	}
	var share model.Acts
	if s.Recompute && w.hold != HoldFactors { // else they are other micro-batches' too
		share = w.acts
	}
	over := s.Recompute || !again // kept activations must survive a norm pass
	if w.g, err = w.b.NewGrads(s.D, s.Act, w.maxRows, factors, over, share); err != nil {
		return err
	}
	var all, residual []*grad.Param
	for _, m := range w.b.Matrices() {
		if all = append(all, m.Param); m.Residual {
			residual = append(residual, m.Param)
		}
	}
	switch w.hold {
	case HoldSums:
		w.sums, err = w.perMatrix("gradient", tensor.F32, s.gradShape, all)
	case HoldFactors:
		shape := func(*grad.Param) []int { return []int{w.rows, s.Net.Cfg.HiddenSize} }
		w.dy, err = w.perMatrix("gradient factors", s.Act, shape, residual)
	}
	return err
}

func (w *blockSweep) perMatrix(owner string, dt tensor.DType, shape func(*grad.Param) []int, params []*grad.Param) (map[*grad.Param]tensor.Tensor, error) {
	out := map[*grad.Param]tensor.Tensor{}
	for _, p := range params {
		t, err := w.s.D.Scratch(owner, p.Name, dt, shape(p)...)
		if err != nil {
			return nil, err
		}
		out[p] = t
	}
	return out, nil
}

// microBatch recomputes and returns through the block for one micro-batch.
func (w *blockSweep) microBatch(i int, m micro, x, dres tensor.Tensor) error {
	s := w.s
	x, dres = x.Slice(m.row0, m.row0+m.n), dres.Slice(m.row0, m.row0+m.n)
	f := w.frame(m)
	if s.Recompute {
		w.b.Forward(f, x, tensor.Tensor{})
	}
	emit := func(p *grad.Param, g grad.Grad) error {
		w.seen[p] = true
		return w.consume(p, g)
	}
	switch w.hold {
	case HoldSums:
		emit = func(p *grad.Param, g grad.Grad) error {
			g.AddOuter(s.D, w.sums[p].Slice(0, p.Shape[0]), w.seen[p])
			w.seen[p] = true
			return nil
		}
	case HoldFactors:
		emit = func(p *grad.Param, g grad.Grad) error {
			w.seen[p] = true
			if p.Expert { // its rows stay where they are too
				w.parts[p] = append(w.parts[p], g)
			}
			if kept, ok := w.dy[p]; ok { // the residual gradient moves on; the others stay where they are
				s.D.Copy(kept.Slice(m.row0, m.row0+m.n), g.DY[0])
			}
			return nil
		}
	}
	return w.b.Backward(f, dres, x, i > 0, emit)
}

// consume hands over a matrix's gradient, with the matrix at hand.
func (w *blockSweep) consume(p *grad.Param, g grad.Grad) error {
	st, apart := w.s.Store.(store.ByExpert)
	if apart && p.Expert {
		st.Use(p)
		if w.writes {
			st.Changed(p)
		}
	}
	return w.sink.Consume(p, g)
}

// idle tells the sink of an expert's matrix to which no token of the step came.
func (w *blockSweep) idle(p *grad.Param) error {
	if grad.MovesIdle(w.sink) {
		return w.consume(p, grad.Nothing())
	}
	return w.sink.Consume(p, grad.Nothing())
}

// frame is micro-batch m's part of the block's tensors: at its own rows where all micro-batches are held.
func (w *blockSweep) frame(m micro) *model.Frame {
	row0, held := 0, 0
	if !w.s.Recompute {
		row0, held = m.row0, m.row0
	}
	if w.hold == HoldFactors {
		held = m.row0
	}
	return w.b.Frame(w.s.D, w.acts, w.g, row0, held, m.layout, w.s.Ropes)
}

// finish hands over what was held, and the vectors' gradients; in is the block's input.
func (w *blockSweep) finish(in tensor.Tensor) error {
	for _, m := range w.b.Matrices() {
		var err error
		switch {
		case !w.seen[m.Param]:
			err = w.idle(m.Param)
		case w.hold == HoldSums:
			err = w.consume(m.Param, grad.FromDense(w.sums[m.Param]))
		case w.hold == HoldFactors && m.Expert:
			err = w.expert(m.Param)
		case w.hold == HoldFactors:
			g := w.b.Factors(m, w.acts, w.g, in)
			if m.Residual {
				g.DY = []tensor.Tensor{w.dy[m.Param]}
			}
			err = w.consume(m.Param, g)
		}
		if err != nil {
			return err
		}
	}
	for _, p := range w.b.Vectors() {
		if err := w.sink.Consume(p, grad.FromDense(w.g.Vector(p))); err != nil {
			return err
		}
	}
	return nil
}

// expert hands over the gradient of an expert's matrix, whose rows lie apart for each micro-batch.
func (w *blockSweep) expert(p *grad.Param) error {
	parts := w.parts[p]
	if len(parts) == 1 {
		return w.consume(p, parts[0])
	}
	d := w.s.D
	mark := d.Memory().Mark()
	defer d.Memory().Release(mark)
	sum, err := d.Scratch("gradient", p.Name, tensor.F32, w.s.gradShape(p)...)
	if err != nil {
		return err
	}
	for i, g := range parts {
		g.AddOuter(d, sum.Slice(0, p.Shape[0]), i > 0)
	}
	if err := w.consume(p, grad.FromDense(sum)); err != nil {
		return err
	}
	return flush(w.sink) // before the memory is another one's
}
