package train

import (
	"lomo/internal/grad"
	"lomo/internal/model"
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
func (p *Pass) hold(b *model.Block, sink grad.Sink) Hold {
	if p.most == 1 {
		return HoldNothing
	}
	sums, largest := int64(b.MatrixLen())*4, 0
	for _, m := range b.Matrices() {
		if sink.Whole() || m.Expert { // an expert's rows of several micro-batches are added up in scratch
			largest = max(largest, m.Len())
		}
	}
	act := int64(p.s.Act.Size())
	waiting, residual := b.Held()
	rows, micro := int64(max(p.rows, p.s.StepRows)), int64(max(p.maxRows, p.s.MicroRows))
	factors := act*((rows-micro)*int64(waiting)+rows*int64(residual)) + 4*int64(largest)
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
	block := s.Net.RowBytes(s.Act)
	head := 2*s.Act.Size()*s.Net.Cfg.HiddenSize + 12 // its rows before and after the norm, rstd, loss and logsumexp
	return min(max(int64(micro*block-trained*head), model.LogitsBytes), model.MaxLogitsBytes)
}

// logitsBytes bounds the logits of a chunk and of a block of the vocabulary where no more memory is free.
func (s *Sweep) logitsBytes() int64 {
	if s.logits > 0 {
		return s.logits
	}
	return model.LogitsBytes
}
