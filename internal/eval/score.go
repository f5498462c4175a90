// Package eval measures a model: the perplexity of texts, and multiple choice by the log-probability of each answer.
package eval

import (
	"lomo/internal/data"
	"lomo/internal/train"
)

// Sequence is one text to score: Mask says which of its tokens count. The first token never does, since nothing
// precedes it.
type Sequence struct {
	IDs  []int32
	Mask []bool
}

// Score is the sum of the log-probabilities of a sequence's counted tokens, and their number.
type Score struct {
	LogProb float64
	Tokens  int
}

// Mean is the log-probability a token.
func (s Score) Mean() float64 { return s.LogProb / float64(max(1, s.Tokens)) }

// batchTokens bounds the padded size of one batch of sequences.
const batchTokens = 4096

// Scores scores seqs in order, rows of similar place batched and padded together. rows bounds a batch's sequences.
func Scores(s *train.Sweep, seqs []Sequence, rows int) ([]Score, error) {
	out := make([]Score, 0, len(seqs))
	for len(seqs) > 0 {
		n, longest := 0, 0
		for n < len(seqs) && n < max(rows, 1) {
			l := max(longest, len(seqs[n].IDs))
			if n > 0 && l*(n+1) > batchTokens {
				break
			}
			longest = l
			n++
		}
		part, err := scoreBatch(s, seqs[:n], longest)
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
		seqs = seqs[n:]
	}
	return out, nil
}

func scoreBatch(s *train.Sweep, seqs []Sequence, longest int) ([]Score, error) {
	losses, err := s.TokenLosses(pad(seqs, longest))
	if err != nil {
		return nil, err
	}
	out := make([]Score, len(seqs))
	at := 0
	for i, q := range seqs {
		for j := 1; j < len(q.IDs); j++ {
			if q.Mask[j] {
				out[i].LogProb -= float64(losses[at])
				out[i].Tokens++
				at++
			}
		}
	}
	return out, nil
}

// pad lays the sequences out as rows of the given length. Every padding token is a document of its own, so that it
// is seen by none and costs no attention.
func pad(seqs []Sequence, length int) data.Batch {
	b := data.Batch{B: len(seqs), T: length}
	for _, q := range seqs {
		for j := 0; j < length; j++ {
			id, target, pos, start := int32(0), int32(-100), int32(0), int32(j)
			if j < len(q.IDs) {
				id, pos, start = q.IDs[j], int32(j), 0
				b.Tokens++
			}
			if j+1 < len(q.IDs) && q.Mask[j+1] {
				target = q.IDs[j+1]
				b.Trained++
			}
			b.IDs, b.Targets = append(b.IDs, id), append(b.Targets, target)
			b.Pos, b.Start = append(b.Pos, pos), append(b.Start, start)
		}
	}
	return b
}
