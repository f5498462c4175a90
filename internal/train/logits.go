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
	for _, e := range []struct {
		t    *tensor.Tensor
		name string
		dt   tensor.DType
		cols int
	}{{&normed, "hidden", s.Act, cfg.HiddenSize}, {&rstd, "rstd", tensor.F32, 1}, {&z, "logits", tensor.F32, cfg.VocabSize}} {
		if *e.t, err = s.D.Scratch("logits", e.name, e.dt, p.rows, e.cols); err != nil {
			return nil, err
		}
	}
	rstd = rstd.View(p.rows)
	raw := make([]byte, z.Bytes())
	err = s.with([]*grad.Param{s.Net.Norm, s.Net.Head}, false, func() error {
		s.Net.Logits(s.D, z, normed, rstd, p.in.last())
		s.D.CopyOut(raw, z)
		return s.D.Sync()
	})
	return floatsOf(raw), err
}
