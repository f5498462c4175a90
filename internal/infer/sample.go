package infer

import (
	"math"
	"sort"

	"lomo/internal/rng"
)

// Sampler chooses the next token. Temperature 0 takes the likeliest; ties go to the lower id.
type Sampler struct {
	Temperature float64
	TopK        int     // 0: all
	TopP        float64 // 0 or 1: all
	Seed        uint64
	Vocab       int // ids from here on are padding rows of the table and never chosen; 0: none are
}

// Next is token number i of the continuation, given its logits.
func (s Sampler) Next(logits []float32, i int) int32 {
	if s.Vocab > 0 && s.Vocab < len(logits) {
		logits = logits[:s.Vocab]
	}
	if s.Temperature <= 0 {
		return argmax(logits)
	}
	ids := s.candidates(logits)
	weights := make([]float64, len(ids))
	total := 0.0
	top := float64(logits[ids[0]])
	for j, id := range ids {
		weights[j] = math.Exp((float64(logits[id]) - top) / s.Temperature)
		total += weights[j]
	}
	if s.TopP > 0 && s.TopP < 1 {
		kept := 0.0
		for j, w := range weights {
			kept += w
			if kept >= s.TopP*total {
				ids, weights, total = ids[:j+1], weights[:j+1], kept
				break
			}
		}
	}
	u := rng.Float64(s.Seed, rng.Sample, 0, 0, uint64(i)) * total
	for j, w := range weights {
		if u -= w; u < 0 {
			return ids[j]
		}
	}
	return ids[len(ids)-1]
}

// candidates is the ids by falling logit, the TopK first ones.
func (s Sampler) candidates(logits []float32) []int32 {
	ids := make([]int32, len(logits))
	for i := range ids {
		ids[i] = int32(i)
	}
	sort.SliceStable(ids, func(a, b int) bool { return logits[ids[a]] > logits[ids[b]] })
	if s.TopK > 0 && s.TopK < len(ids) {
		ids = ids[:s.TopK]
	}
	return ids
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

// Generate appends prompt and then up to limit chosen tokens, until one of stop is chosen; each goes to emit, which may end the
// generation by returning false. It returns the chosen tokens without the stopping one.
func Generate(s *Session, prompt []int32, sampler Sampler, limit int, stop []int32, emit func(id int32) bool) ([]int32, error) {
	logits, err := s.Append(prompt)
	var out []int32
	for i := 0; err == nil && i < limit; i++ {
		id := sampler.Next(logits, i)
		for _, e := range stop {
			if id == e {
				return out, nil
			}
		}
		out = append(out, id)
		if emit != nil && !emit(id) || i+1 == limit || s.Len() == s.Max() {
			break
		}
		logits, err = s.Append([]int32{id})
	}
	return out, err
}
