// Package eval measures a model: the perplexity of texts, and multiple choice by the log-probability of each answer.
package eval

import (
	"fmt"
	"math"

	"lomo/internal/data"
	"lomo/internal/device"
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

// batchTokens bounds the padded size of one batch of sequences. Tests make it small.
var batchTokens = 4096

// Scores scores seqs in order, rows of similar place batched and padded together. rows bounds a batch's sequences. Ranks take the
// batches in turn, and all get every score.
func Scores(s *train.Sweep, seqs []Sequence, rows int) ([]Score, error) {
	out := make([]float64, 2*len(seqs)) // of each its LogProb and Tokens
	ranks, me := s.Comm.Size(), s.Comm.Rank()
	for rest := inBatches(seqs, rows); len(rest) > 0; {
		now := rest[:min(ranks, len(rest))]
		rest = rest[len(now):]
		var turn []data.Batch
		for _, b := range now {
			turn = append(turn, pad(b.seqs))
		}
		losses, err := s.TurnLosses(turn)
		if err != nil {
			return nil, err
		}
		if me < len(now) {
			scoreBatch(out[2*now[me].first:], now[me].seqs, losses)
		}
	}
	if err := s.AddUp(out); err != nil {
		return nil, err
	}
	scores := make([]Score, len(seqs))
	for i := range scores {
		if x := out[2*i]; math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("the log-probability of sequence %d of %d is %w: %v", i+1, len(scores), device.ErrNotFinite, x)
		}
		scores[i] = Score{out[2*i], int(out[2*i+1])}
	}
	return scores, nil
}

// batch is some sequences scored at once, number first of all and those behind it.
type batch struct {
	first int
	seqs  []Sequence
}

func inBatches(seqs []Sequence, rows int) (batches []batch) {
	for first := 0; first < len(seqs); {
		n, longest := 0, 0
		for n < len(seqs)-first && n < max(rows, 1) {
			l := max(longest, len(seqs[first+n].IDs))
			if n > 0 && l*(n+1) > batchTokens {
				break
			}
			longest = l
			n++
		}
		batches = append(batches, batch{first, seqs[first : first+n]})
		first += n
	}
	return batches
}

// scoreBatch adds up the losses of each sequence's counted tokens.
func scoreBatch(out []float64, seqs []Sequence, losses []float32) {
	at := 0
	for i, q := range seqs {
		for j := 1; j < len(q.IDs); j++ {
			if q.Mask[j] {
				out[2*i] -= float64(losses[at])
				out[2*i+1]++
				at++
			}
		}
	}
}

// pad lays the sequences out as rows of the length of the longest. Every padding token is a document of its own, so that it
// is seen by none and costs no attention.
func pad(seqs []Sequence) data.Batch {
	length := 0
	for _, q := range seqs {
		length = max(length, len(q.IDs))
	}
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
