package train

import (
	"errors"
	"fmt"
	"math"

	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/tensor"
)

// LossError says that the loss of a step is not finite. It is found before any weight is written.
type LossError struct{ Loss float64 }

func (e *LossError) Error() string { return fmt.Sprintf("the loss is %v", e.Loss) }

// Backward returns from the loss to the embedding and hands every parameter's gradient of the mean loss to sink, from
// the top. again says that sink writes no weight and that another sweep over the same forward follows, so that what it
// needs is left untouched. It returns the sum of the token losses, and a *LossError before any
// write when that is not finite.
func (p *Pass) Backward(sink grad.Sink, again bool) (float64, error) {
	s, cfg := p.s, p.s.Net.Cfg
	if p.whole == 0 {
		return 0, nil
	}
	sink = p.s.across(sink, again)
	second := p.kept != nil && !again
	if again && p.kept == nil && s.Comm.Size() == 1 {
		if err := p.keep(); err != nil {
			return 0, err
		}
	}
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	dres, err := s.D.Scratch("residual gradient", "residual gradient", tensor.F32, p.rows, cfg.HiddenSize)
	if err != nil {
		return 0, err
	}
	var top top
	if second {
		s.D.Copy(dres, p.kept.dres)
		top, err = p.secondHead(sink)
	} else {
		top, err = p.backwardHead(sink, dres, !again)
	}
	if err != nil {
		return top.loss, err
	}
	s.passed(nil, false)
	if again && p.kept != nil {
		s.D.Copy(p.kept.dres, dres)
		p.kept.loss = top.loss
	}
	if err := p.backwardBlocks(sink, dres, again); err != nil {
		return top.loss, err
	}
	s.D.Memory().SetPhase("backward, embedding")
	if err := p.backwardEmbedding(sink, dres, top, !again); err != nil {
		return top.loss, fmt.Errorf("embedding: %w", err)
	}
	return top.loss, s.D.Sync()
}

// backwardBlocks returns through all blocks.
func (p *Pass) backwardBlocks(sink grad.Sink, dres tensor.Tensor, again bool) error {
	s := p.s
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	if err := openBlocks(sink); err != nil {
		return err
	}
	defer closeBlocks(sink)
	for l := len(s.Net.Blocks) - 1; l >= 0; l-- {
		s.D.Memory().SetPhase(fmt.Sprintf("backward, block %d", l))
		if err := p.backwardBlock(l, sink, dres, again); err != nil {
			return fmt.Errorf("block %d: %w", l, err)
		}
		s.passed(s.Net.Blocks[l], false)
	}
	return nil
}

// top is what the head leaves for the end of the sweep.
type top struct {
	loss float64
	head *model.Head   // tied, in blocks: the kept final rows
	grad tensor.Tensor // tied, whole: the head's gradient (V, C); on ranks only while the head is computed
	part tensor.Tensor // tied, on ranks: this rank's rows of the head's gradient, summed
}

// withHead calls f with the weights of the final norm and the head. A tied table is updated at the end of the sweep and not here.
func (s *Sweep) withHead(dirty bool, f func() error) error {
	return s.with([]*grad.Param{s.Net.Norm}, dirty, func() error {
		return s.with([]*grad.Param{s.Net.Head}, dirty && !s.Net.Tied(), f)
	})
}

// backwardHead computes the loss, the head's gradient and dres, the gradient of the last block's output.
func (p *Pass) backwardHead(sink grad.Sink, dres tensor.Tensor, dirty bool) (t top, err error) {
	p.s.D.Memory().SetPhase("loss and head")
	err = p.s.withHead(dirty, func() (err error) {
		t, err = p.head(sink, dres)
		return err
	})
	return t, err
}

// head is backwardHead with the weights at hand.
func (p *Pass) head(sink grad.Sink, dres tensor.Tensor) (top, error) {
	s := p.s
	s.prefetch(len(s.Net.Blocks) - 1) // after a norm pass it is not at hand any more
	// A tied tensor is written at the end of the sweep: what that needs outlives this call.
	var t top
	var err error
	tied, whole, split := s.Net.Tied(), sink.Whole(), s.Comm.Size() > 1
	pass := model.HeadPass{Scale: p.scale()}
	gradW := func() (err error) {
		t.grad, err = s.D.Scratch("gradient", s.Net.Head.Name, tensor.F32, s.gradShape(s.Net.Head)...)
		pass.GradW = t.grad.Slice(0, s.Net.Head.Shape[0])
		return err
	}
	switch {
	case tied && split:
		t.part, err = s.D.Scratch("gradient rows", s.Net.Head.Name, tensor.F32, s.partShape(s.Net.Head)...)
	case tied && whole:
		err = gradW()
	}
	if err != nil {
		return t, err
	}
	mark := s.D.Memory().Mark()
	var head *model.Head
	if p.kept != nil {
		head = p.kept.head
	} else if head, err = p.openHead(); err != nil {
		return t, err
	}
	if whole && (!tied || split) {
		head.Room = s.logitsBytes() // the gradient has the memory that were free
		if err = gradW(); err != nil {
			return t, err
		}
	}
	if tied && !whole {
		t.head = head
		mark = s.D.Memory().Mark()
	}
	defer s.D.Memory().Release(mark)
	t.loss, err = p.headPasses(sink, head, pass, dres, &t)
	return t, err
}

// headPasses is the head's arithmetic, between its allocations.
func (p *Pass) headPasses(sink grad.Sink, head *model.Head, pass model.HeadPass, dres tensor.Tensor, t *top) (float64, error) {
	s, c := p.s, p.s.Net.Cfg.HiddenSize
	if err := head.Open(); err != nil {
		return 0, err
	}
	s.D.GatherRows(head.X, p.in.last(), p.labeled)
	dnormed := dres.Slice(0, p.trained)        // the same shape, and dres is not wanted before the end
	inBlocks := !s.Net.Tied() && !sink.Whole() // dX comes with the vocabulary blocks, from each one's old rows
	if !inBlocks {
		pass.DNormed = dnormed
	}
	if err := head.Forward(pass); err != nil {
		return 0, err
	}
	loss, err := p.sumLoss(head.Loss)
	if err != nil {
		return loss, err
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return loss, &LossError{loss}
	}
	switch {
	case inBlocks:
		err = head.Blocks(sink, pass.Scale, dnormed, nil)
	case !s.Net.Tied():
		err = errors.Join(sink.Consume(s.Net.Head, grad.FromDense(t.grad)), flush(sink))
	case !t.part.IsZero():
		s.D.Wait(s.Reduce.ReduceScatter(t.part, t.grad, s.Wire, s.D.Record()))
	}
	if err != nil {
		return loss, err
	}
	dx, err := s.D.Scratch("head", "head.dx", tensor.F32, p.trained, c)
	if err != nil {
		return loss, err
	}
	dw, err := s.D.Scratch("head", s.Net.Norm.Name, tensor.F32, c)
	if err != nil {
		return loss, err
	}
	head.BackwardNorm(dx, dw, dnormed)
	if p.kept != nil {
		s.D.Copy(p.kept.dw, dw)
	}
	if err := sink.Consume(s.Net.Norm, grad.FromDense(dw)); err != nil {
		return loss, err
	}
	s.D.Zero(dres)
	s.D.ScatterRows(dres, dx, p.labeled)
	return loss, nil
}

// backwardEmbedding hands over the embedding's gradient; when tied, together with the head's.
func (p *Pass) backwardEmbedding(sink grad.Sink, dres tensor.Tensor, t top, dirty bool) error {
	s, unit := p.s, []*grad.Param{p.s.Net.Embed}
	if s.Comm.Size() == 1 {
		return s.with(unit, dirty, func() error { return p.embedding(sink, dres, t) })
	}
	// Ranks update their own rows and read nothing else: what they have gathered of the table becomes stale.
	return errors.Join(p.embedding(sink, dres, t), s.Store.Release(unit, dirty))
}

// embedding is backwardEmbedding with the table at hand.
func (p *Pass) embedding(sink grad.Sink, dres tensor.Tensor, t top) error {
	s := p.s
	rows := p.embed
	s.Net.BackwardEmbedded(s.D, dres)
	rows.D = dres
	var err error
	switch {
	case !s.Net.Tied():
		err = sink.Consume(s.Net.Embed, grad.FromRows(rows))
	case !t.part.IsZero():
		err = p.tiedRows(sink, rows, t.part)
	case !t.grad.IsZero():
		s.D.RowsAdd(t.grad, rows, 0)
		err = sink.Consume(s.Net.Embed, grad.FromDense(t.grad))
	default:
		err = t.head.Blocks(sink, p.scale(), tensor.Tensor{}, &rows)
	}
	return errors.Join(err, flush(sink))
}

// tiedRows hands over a tied table's gradient on ranks: head is this rank's rows of the head's, summed already, so it goes
// into the sum of the rows' gradients once, from the rank that owns it. No rank holds the whole table's gradient in between.
func (p *Pass) tiedRows(sink grad.Sink, rows device.Rows, head tensor.Tensor) error {
	s, table := p.s, p.s.Net.Embed
	full, err := s.D.Alloc("gradient", table.Name, tensor.F32, s.gradShape(table)...)
	if err != nil {
		return err
	}
	each := head.Shape[0]
	s.D.Copy(full.Slice(s.Comm.Rank()*each, (s.Comm.Rank()+1)*each), head)
	s.D.RowsAdd(full.Slice(0, table.Shape[0]), rows, 0)
	return errors.Join(sink.Consume(table, grad.FromDense(full)), flush(sink))
}
