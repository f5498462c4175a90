package train

import (
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/tensor"
)

// kept is what the head's part of a norm pass leaves for the sweep that updates: no weight has changed in between, so the loss and dX, two of
// the head's products, need not be made again. With several ranks the head's gradient travels in between, and both passes are whole.
type kept struct {
	loss float64
	head *model.Head   // its normed rows and log-sums
	dres tensor.Tensor // (rows, C) F32: the gradient of the last block's output
	dw   tensor.Tensor // (C) F32: the final norm's gradient
}

// keep takes the memory.
func (p *Pass) keep() (err error) {
	s, c := p.s, p.s.Net.Cfg.HiddenSize
	k := &kept{}
	if k.head, err = p.openHead(); err != nil {
		return err
	}
	if k.dres, err = s.D.Scratch("residual gradient", "residual gradient of the top", tensor.F32, p.rows, c); err != nil {
		return err
	}
	if k.dw, err = s.D.Scratch("head", "kept "+s.Net.Norm.Name, tensor.F32, c); err != nil {
		return err
	}
	p.kept = k
	return nil
}

// secondHead is backwardHead when a norm pass has gone before: it hands over the head's gradient and the final norm's.
func (p *Pass) secondHead(sink grad.Sink) (top, error) {
	t := top{loss: p.kept.loss}
	p.s.D.Memory().SetPhase("head, second pass")
	err := p.s.withHead(true, func() error { return p.handOver(sink, &t) })
	return t, err
}

// handOver is secondHead with the weights at hand.
func (p *Pass) handOver(sink grad.Sink, t *top) (err error) {
	s, k := p.s, p.kept
	tied, whole := s.Net.Tied(), sink.Whole()
	mark := s.D.Memory().Mark()
	switch {
	case whole:
		var g tensor.Tensor
		if g, err = s.D.Scratch("gradient", s.Net.Head.Name, tensor.F32, s.Net.Head.Shape...); err != nil {
			return err
		}
		if tied { // it waits for the embedding's rows at the end of the sweep
			t.grad = g
			mark = s.D.Memory().Mark()
		}
		if !tied {
			k.head.Room = s.logitsBytes() // as in backwardHead
		}
		if err = k.head.Gradient(g, p.scale()); err == nil && !tied {
			err = sink.Consume(s.Net.Head, grad.FromDense(g))
		}
	case tied:
		t.head = k.head
	default:
		err = k.head.Blocks(sink, p.scale(), tensor.Tensor{}, nil)
	}
	if err == nil {
		err = sink.Consume(s.Net.Norm, grad.FromDense(k.dw))
	}
	s.D.Memory().Release(mark)
	return err
}
