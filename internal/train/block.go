package train

import (
	"errors"

	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/tensor"
)

// blockSweep is the backward pass of one block over the micro-batches of a step.
type blockSweep struct {
	*Pass
	b    *model.Block
	sink grad.Sink
	hold Hold
	acts *model.Acts
	g    *model.Grads

	sums map[*grad.Param]tensor.Tensor // HoldSums
	dy   map[*grad.Param]tensor.Tensor // HoldFactors: residual gradients seen by o_proj and down_proj, (rows, C)
}

// backwardBlock recomputes block l for each micro-batch, takes dres through it and hands its gradients to the sink.
func (p *Pass) backwardBlock(l int, sink grad.Sink, dres tensor.Tensor, again bool) error {
	w := &blockSweep{Pass: p, b: p.s.Net.Blocks[l], sink: sink, hold: p.hold(sink)}
	return p.s.with(w.b.Params(), !again, func() error { return w.run(l, dres, again) })
}

// run is backwardBlock with the block's weights at hand.
func (w *blockSweep) run(l int, dres tensor.Tensor, again bool) error {
	s := w.s
	s.prefetch(l - 1)
	uses := w.b.BackwardUses()
	if s.Recompute {
		uses = append(w.b.ForwardUses(false), uses...)
	}
	s.order(w.b, w.most, l-1, uses)
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
	w.missed(w.b, uses)
	return errors.Join(w.finish(), flush(w.sink))
}

// open takes the block's scratch.
func (w *blockSweep) open(l int, again bool) (err error) {
	s, held := w.s, w.maxRows
	if w.hold == HoldFactors {
		held = w.rows
	}
	inPlace := s.Recompute || !again // kept activations must survive a norm pass
	if s.Recompute {
		if w.acts, err = s.newActs(w.maxRows, held); err != nil {
			return err
		}
	} else {
		w.acts = w.Pass.acts[l]
	}
	var share *model.Acts
	if s.Recompute && w.hold != HoldFactors { // else they are other micro-batches' too
		share = w.acts
	}
	if w.g, err = s.newGrads(w.maxRows, held, inPlace, share); err != nil {
		return err
	}
	switch w.hold {
	case HoldSums:
		w.sums, err = w.perMatrix("gradient", tensor.F32, s.gradShape, w.matrices())
	case HoldFactors:
		shape := func(*grad.Param) []int { return []int{w.rows, s.Net.Cfg.HiddenSize} }
		w.dy, err = w.perMatrix("gradient factors", s.Act, shape, []*grad.Param{w.b.O, w.b.Down})
	}
	return err
}

func (w *blockSweep) matrices() []*grad.Param {
	var out []*grad.Param
	for _, p := range w.b.Params() {
		if p.Matrix() {
			out = append(out, p)
		}
	}
	return out
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
	acts, g := w.slices(m)
	if s.Recompute {
		w.b.Forward(s.D, tensor.Tensor{}, x, acts, m.layout, s.Rope)
	}
	emit := w.sinkNow
	switch w.hold {
	case HoldSums:
		emit = func(p *grad.Param, dy, x tensor.Tensor) error {
			s.D.OuterAdd(w.sums[p].Slice(0, p.Shape[0]), dy, x, i > 0)
			return nil
		}
	case HoldFactors:
		emit = func(p *grad.Param, dy, x tensor.Tensor) error {
			if kept, ok := w.dy[p]; ok { // the residual gradient moves on; the others stay where they are
				s.D.Copy(kept.Slice(m.row0, m.row0+m.n), dy)
			}
			return nil
		}
	}
	return w.b.Backward(s.D, dres, x, acts, g, m.layout, s.Rope, i > 0, emit)
}

func (w *blockSweep) sinkNow(p *grad.Param, dy, x tensor.Tensor) error {
	return w.sink.Consume(p, grad.FromOuter(dy, x))
}

// slices is micro-batch m's part of the block's tensors: at its own rows where all micro-batches are held.
func (w *blockSweep) slices(m micro) (*model.Acts, *model.Grads) {
	row0 := 0
	if !w.s.Recompute {
		row0 = m.row0
	}
	held := row0
	if w.hold == HoldFactors {
		held = m.row0
	}
	acts := w.s.sliceActs(w.acts, row0, held, m)
	one := func(t tensor.Tensor) tensor.Tensor { return t.Slice(0, m.n) }
	heldGrad := one
	if w.hold == HoldFactors {
		heldGrad = func(t tensor.Tensor) tensor.Tensor { return t.Slice(m.row0, m.row0+m.n) }
	}
	g := &model.Grads{DHidden: one(w.g.DHidden), DNorm: one(w.g.DNorm), DAtt: one(w.g.DAtt),
		DQ: heldGrad(w.g.DQ), DK: heldGrad(w.g.DK), DV: heldGrad(w.g.DV), DInput: w.g.DInput, DPost: w.g.DPost}
	if !w.g.DOut.IsZero() {
		g.DOut = one(w.g.DOut)
	}
	g.DGate, g.DUp = acts.Gate, acts.Up
	if !w.g.DGate.IsZero() {
		g.DGate, g.DUp = heldGrad(w.g.DGate), heldGrad(w.g.DUp)
	}
	return acts, g
}

// finish hands over what was held, and the gains' gradients.
func (w *blockSweep) finish() error {
	b := w.b
	switch w.hold {
	case HoldSums:
		for _, p := range w.matrices() {
			if err := w.sink.Consume(p, grad.FromDense(w.sums[p])); err != nil {
				return err
			}
		}
	case HoldFactors:
		dgate, dup := w.acts.Gate, w.acts.Up
		if !w.g.DGate.IsZero() {
			dgate, dup = w.g.DGate, w.g.DUp
		}
		for _, e := range []struct {
			p     *grad.Param
			dy, x tensor.Tensor
		}{{b.Down, w.dy[b.Down], w.acts.Hidden}, {b.GateProj, dgate, w.acts.N2}, {b.UpProj, dup, w.acts.N2},
			{b.O, w.dy[b.O], w.acts.Att}, {b.Q, w.g.DQ, w.acts.N1}, {b.K, w.g.DK, w.acts.N1}, {b.V, w.g.DV, w.acts.N1}} {
			if err := w.sinkNow(e.p, e.dy, e.x); err != nil {
				return err
			}
		}
	}
	if err := w.sink.Consume(b.PostNorm, grad.FromDense(w.g.DPost)); err != nil {
		return err
	}
	return w.sink.Consume(b.InputNorm, grad.FromDense(w.g.DInput))
}
