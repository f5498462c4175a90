package train

import (
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/tensor"
)

// Hold is how one block's gradient waits while its micro-batches return.
type Hold uint8

const (
	HoldNothing Hold = iota // one micro-batch on every rank: each gradient goes to the sink at once
	HoldSums                // float32 accumulators, one per matrix
	HoldFactors             // the factors dY and X of all micro-batches
)

// hold chooses how a block's gradient waits: whichever form is smaller in the run's largest step, so that no smaller
// step takes more memory than that one. A sink that wants whole matrices pays for one more in scratch when it is given
// factors.
func (p *Pass) hold(sink grad.Sink) Hold {
	if p.most == 1 {
		return HoldNothing
	}
	cfg := p.s.Net.Cfg
	b := p.s.Net.Blocks[0]
	sums := int64(b.MatrixLen()) * 4
	act := int64(p.s.Act.Size())
	C, F, q, kv := int64(cfg.HiddenSize), int64(cfg.IntermediateSize), int64(cfg.QSize()), int64(cfg.KVSize())
	waiting := act * (2*C + q + F + 2*F + q + 2*kv) // n1, n2, att, hidden; dgate, dup; dq, dk, dv
	rows, micro := int64(max(p.rows, p.s.StepRows)), int64(max(p.maxRows, p.s.MicroRows))
	factors := (rows-micro)*waiting + rows*2*C*act
	if sink.Whole() {
		factors += 4 * max(C*F, C*q)
	}
	if factors < sums {
		return HoldFactors
	}
	return HoldSums
}

// logitsRoom is what chunks of logits may take in a run of steps of up to micro rows a micro-batch and trained ones in all: the memory that a
// block's backward pass will use afterwards, less what the head holds beside them. So the step's peak is what it would be with less. Without
// recomputation activations are held already and it grows, by 2 % at most; the chunks are the same, so that the bits are.
func (s *Sweep) logitsRoom(micro, trained int) int64 {
	if s.logits > 0 {
		return s.logits
	}
	cfg, act := s.Net.Cfg, s.Act.Size()
	C, F, q, kv := cfg.HiddenSize, cfg.IntermediateSize, cfg.QSize(), cfg.KVSize()
	block := act*(3*C+2*q+2*kv+3*F) + max(act*F, 4*C) // of newActs and newGrads, the least
	head := 2*act*C + 12                              // its rows before and after the norm, rstd, loss and logsumexp
	return min(max(int64(micro*block-trained*head), model.LogitsBytes), model.MaxLogitsBytes)
}

// logitsBytes bounds the logits of a chunk and of a block of the vocabulary where no more memory is free.
func (s *Sweep) logitsBytes() int64 {
	if s.logits > 0 {
		return s.logits
	}
	return model.LogitsBytes
}

// newActs takes a block's activations: those that become gradient factors for held rows, the others for rows.
func (s *Sweep) newActs(rows, held int) (*model.Acts, error) {
	cfg := s.Net.Cfg
	C, F, q, kv := cfg.HiddenSize, cfg.IntermediateSize, cfg.QSize(), cfg.KVSize()
	a := &model.Acts{}
	return a, s.take("activations", []sized{
		{&a.N1, "n1", s.Act, []int{held, C}}, {&a.Rstd1, "rstd1", tensor.F32, []int{rows}},
		{&a.Q, "q", s.Act, []int{rows, q}}, {&a.K, "k", s.Act, []int{rows, kv}}, {&a.V, "v", s.Act, []int{rows, kv}},
		{&a.Att, "att", s.Act, []int{held, q}}, {&a.LSE, "lse", tensor.F32, []int{rows, cfg.NumAttentionHeads}},
		{&a.H, "h", s.Act, []int{rows, C}},
		{&a.N2, "n2", s.Act, []int{held, C}}, {&a.Rstd2, "rstd2", tensor.F32, []int{rows}},
		{&a.Gate, "gate", s.Act, []int{held, F}}, {&a.Up, "up", s.Act, []int{held, F}}, {&a.Hidden, "hidden", s.Act, []int{held, F}},
	})
}

// newGrads takes the scratch of a block's backward pass. inPlace says that gate and up may be overwritten by their gradients. With share,
// activations that nobody reads after the matrices of the MLP have been handed over, the gradients of attention lie in its gate and up.
func (s *Sweep) newGrads(rows, held int, inPlace bool, share *model.Acts) (*model.Grads, error) {
	cfg := s.Net.Cfg
	C, F, q, kv := cfg.HiddenSize, cfg.IntermediateSize, cfg.QSize(), cfg.KVSize()
	g := &model.Grads{}
	list := []sized{{&g.DInput, "dinput_norm", tensor.F32, []int{C}}, {&g.DPost, "dpost_norm", tensor.F32, []int{C}}}
	if s.Act != tensor.F32 {
		list = append(list, sized{&g.DOut, "dout", s.Act, []int{rows, C}})
	}
	if !inPlace {
		list = append(list, sized{&g.DGate, "dgate", s.Act, []int{held, F}}, sized{&g.DUp, "dup", s.Act, []int{held, F}})
	}
	// DHidden is read for the last time before DNorm is written for the first: they have one memory.
	both := max(int64(rows*F*s.Act.Size()), int64(rows*C*4))
	var hidden tensor.Tensor
	list = append(list, sized{&hidden, "dhidden, dnorm", s.Act, []int{int(both) / s.Act.Size()}})
	attention := []sized{{&g.DAtt, "datt", s.Act, []int{rows, q}}, {&g.DQ, "dq", s.Act, []int{held, q}},
		{&g.DK, "dk", s.Act, []int{held, kv}}, {&g.DV, "dv", s.Act, []int{held, kv}}}
	if share == nil || !s.shares() || !layInto(attention, share.Gate, share.Up) {
		list = append(list, attention...)
	}
	if err := s.take("activations", list); err != nil {
		return nil, err
	}
	g.DHidden, g.DNorm = hidden.Part("dhidden", s.Act, 0, rows, F), hidden.Part("dnorm", tensor.F32, 0, rows, C)
	return g, nil
}

// shares reports whether the gradients of attention find room in a block's gate and up for any number of rows: they do where they do for one,
// which the arena's alignment takes the most of. It may not depend on the rows, or a step could take more memory than a larger one.
func (s *Sweep) shares() bool {
	cfg := s.Net.Cfg
	of := func(n int) tensor.Tensor { return tensor.Tensor{DType: s.Act, Shape: []int{1, n}} }
	list := make([]sized, 4)
	for i, n := range []int{cfg.QSize(), cfg.QSize(), cfg.KVSize(), cfg.KVSize()} {
		list[i] = sized{&tensor.Tensor{}, "", s.Act, []int{1, n}}
	}
	return layInto(list, of(cfg.IntermediateSize), of(cfg.IntermediateSize))
}

// layInto gives tensors their place in the memory of others, in order. It reports whether there is room for all.
func layInto(list []sized, room ...tensor.Tensor) bool {
	off := int64(0)
	for _, e := range list {
		t := tensor.Tensor{DType: e.dt, Shape: e.shape}
		for len(room) > 0 && off+t.Bytes() > room[0].Bytes() {
			room, off = room[1:], 0
		}
		if len(room) == 0 {
			return false
		}
		*e.t = room[0].Part(e.name, e.dt, off, e.shape...)
		off += (t.Bytes() + device.Align - 1) / device.Align * device.Align
	}
	return true
}

type sized struct {
	t     *tensor.Tensor
	name  string
	dt    tensor.DType
	shape []int
}

func (s *Sweep) take(owner string, list []sized) error {
	for _, e := range list {
		var err error
		if *e.t, err = s.D.Scratch(owner, e.name, e.dt, e.shape...); err != nil {
			return err
		}
	}
	return nil
}

// sliceActs is the part of a for micro-batch m. The tensors that become gradient factors hold its rows from held on,
// the others from own on.
func (s *Sweep) sliceActs(a *model.Acts, own, held int, m micro) *model.Acts {
	at := func(t tensor.Tensor) tensor.Tensor { return t.Slice(own, own+m.n) }
	factor := func(t tensor.Tensor) tensor.Tensor { return t.Slice(held, held+m.n) }
	return &model.Acts{
		N1: factor(a.N1), Rstd1: at(a.Rstd1), Q: at(a.Q), K: at(a.K), V: at(a.V), Att: factor(a.Att),
		LSE: at(a.LSE).View(m.layout.B, s.Net.Cfg.NumAttentionHeads, m.layout.T),
		H:   at(a.H), N2: factor(a.N2), Rstd2: at(a.Rstd2),
		Gate: factor(a.Gate), Up: factor(a.Up), Hidden: factor(a.Hidden),
	}
}
