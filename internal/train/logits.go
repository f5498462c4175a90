package train

import (
	"lomo/internal/data"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Logits is the logits of every position of a micro-batch, (B·T, V) in row order. It holds them all at once: for short
// texts and for comparisons.
func (s *Sweep) Logits(b data.Batch) ([]float32, error) {
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	p, err := s.load([]data.Batch{b}, b, 0)
	if err != nil {
		return nil, err
	}
	if err := p.Forward(false); err != nil {
		return nil, err
	}
	cfg := s.Net.Cfg
	var normed, rstd, z tensor.Tensor
	if err := s.take("logits", []sized{{&normed, "hidden", s.Act, []int{p.rows, cfg.HiddenSize}},
		{&rstd, "rstd", tensor.F32, []int{p.rows}}, {&z, "logits", tensor.F32, []int{p.rows, cfg.VocabSize}}}); err != nil {
		return nil, err
	}
	unit := []*grad.Param{s.Net.Norm, s.Net.Head}
	if err := s.Store.Acquire(unit); err != nil {
		return nil, err
	}
	s.D.RMSNorm(normed, rstd, p.in.last(), s.Net.Norm.W, cfg.RMSNormEps)
	s.D.MatMul(z, normed, s.Net.Head.W, false)
	raw := make([]byte, z.Bytes())
	s.D.CopyOut(raw, z)
	if err := s.D.Sync(); err != nil {
		return nil, err
	}
	return floatsOf(raw), s.Store.Release(unit, false)
}
