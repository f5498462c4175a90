package infer

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"

	"lomo/internal/rng"
)

// Sampler chooses the next token. Temperature 0 takes the likeliest; ties go to the lower id.
type Sampler struct {
	Temperature float64
	TopK        int     // 0: all
	TopP        float64 // 0 or 1: all
	Penalty     float64 // repetition_penalty of transformers, for tokens that the text has already; 0 or 1: none
	Seed        uint64
	Stream      uint64 // sets draws of one seed apart: those of one prompt from those of another (StreamOf)
	// Known are the ids that stand for something: a table may have padding rows, and a vocabulary gaps, which are never chosen. nil: all.
	Known []bool
}

// StreamOf is the stream of the draws that continue these tokens, at the given attempt.
func StreamOf(ids []int32, attempt int) uint64 {
	h := fnv.New64a()
	for _, id := range append(slices.Clip(ids), int32(attempt)) {
		h.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}) //nolint:errcheck // a hash takes all
	}
	return h.Sum64()
}

// Next is token number i of the continuation of text, given its logits, which it changes.
func (s Sampler) Next(logits []float32, i int, text []int32) int32 {
	if s.Known != nil {
		for id := range logits {
			if id >= len(s.Known) || !s.Known[id] {
				logits[id] = float32(math.Inf(-1))
			}
		}
	}
	s.penalize(logits, text)
	if s.Temperature <= 0 {
		return argmax(logits)
	}
	ids, weights, total := s.candidates(logits)
	u := rng.Float64(s.Seed, rng.Sample, uint32(s.Stream>>32), uint32(s.Stream), uint64(i)) * total
	for j, w := range weights {
		if u -= w; u < 0 {
			return ids[j]
		}
	}
	return ids[len(ids)-1]
}

// penalize makes the tokens of the text less likely.
func (s Sampler) penalize(logits []float32, text []int32) {
	if s.Penalty == 0 || s.Penalty == 1 {
		return
	}
	seen := map[int32]bool{}
	for _, id := range text {
		if seen[id] || int(id) >= len(logits) {
			continue
		}
		seen[id] = true
		if logits[id] < 0 {
			logits[id] *= float32(s.Penalty)
		} else {
			logits[id] /= float32(s.Penalty)
		}
	}
}

// candidates are the ids that may be drawn, with their weights and the sum of these. They are in the order of falling weight where that decides
// who is among them.
func (s Sampler) candidates(logits []float32) (ids []int32, weights []float64, total float64) {
	top := float64(logits[argmax(logits)])
	all := make([]float64, len(logits))
	for id, l := range logits {
		all[id] = math.Exp((float64(l) - top) / s.Temperature)
		total += all[id]
	}
	nucleus := s.TopP > 0 && s.TopP < 1
	least := 0.0 // lighter ones cannot be within top-p: together they weigh less than what it leaves out
	if nucleus && s.TopK == 0 {
		least = (1 - s.TopP) * total / float64(len(all)+1)
	}
	for id, w := range all {
		if w > least {
			ids = append(ids, int32(id))
		}
	}
	if nucleus || s.TopK > 0 && s.TopK < len(ids) {
		slices.SortFunc(ids, func(a, b int32) int { return cmp.Or(cmp.Compare(all[b], all[a]), cmp.Compare(a, b)) })
	}
	if s.TopK > 0 && s.TopK < len(ids) {
		ids, total = ids[:s.TopK], 0
		for _, id := range ids {
			total += all[id]
		}
	}
	if nucleus {
		kept := 0.0
		for j, id := range ids {
			if kept += all[id]; kept >= s.TopP*total {
				ids, total = ids[:j+1], kept
				break
			}
		}
	}
	for _, id := range ids {
		weights = append(weights, all[id])
	}
	return ids, weights, total
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}
