package infer

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// TestSamplerFrequencies: tokens are drawn as often as the softmax says, and never beyond top-k, top-p or what the vocabulary has: id 4, a padding row,
// would win each time.
func TestSamplerFrequencies(t *testing.T) {
	logits := []float32{float32(math.Log(0.5)), float32(math.Log(0.3)), float32(math.Log(0.15)), float32(math.Log(0.05)), 9}
	known := []bool{true, true, true, true}
	count := func(s Sampler) (c [5]float64) {
		const n = 20000
		for i := range n {
			c[s.Next(slices.Clone(logits), i, nil)] += 1.0 / n
		}
		return c
	}
	near := func(what string, got [5]float64, want [5]float64) {
		for i := range want {
			if math.Abs(got[i]-want[i]) > 0.015 { // four standard errors
				t.Errorf("%s: %v, want %v", what, got, want)
				return
			}
		}
	}
	near("plain", count(Sampler{Temperature: 1, Known: known}), [5]float64{0.5, 0.3, 0.15, 0.05, 0})
	near("top-k 2", count(Sampler{Temperature: 1, Known: known, TopK: 2}), [5]float64{0.625, 0.375, 0, 0, 0})
	near("top-k beyond the vocabulary", count(Sampler{Temperature: 1, Known: known, TopK: 5}), [5]float64{0.5, 0.3, 0.15, 0.05, 0})
	near("top-p 0.7", count(Sampler{Temperature: 1, Known: known, TopP: 0.7}), [5]float64{0.625, 0.375, 0, 0, 0})
	near("top-p 0.81", count(Sampler{Temperature: 1, Known: known, TopP: 0.81}), [5]float64{0.526, 0.316, 0.158, 0, 0})
	near("top-k 3, top-p 0.6", count(Sampler{Temperature: 1, Known: known, TopK: 3, TopP: 0.6}), [5]float64{0.625, 0.375, 0, 0, 0})
	near("cold", count(Sampler{Temperature: 0.01, Known: known}), [5]float64{1, 0, 0, 0, 0})
	near("the likeliest", count(Sampler{Known: known}), [5]float64{1, 0, 0, 0, 0})
	near("a gap in the vocabulary", count(Sampler{Temperature: 1, Known: []bool{false, true, true, true}}), [5]float64{0, 0.6, 0.3, 0.1, 0})
	near("nothing is unknown", count(Sampler{}), [5]float64{0, 0, 0, 0, 1})
}

// TestTopPReachedExactly: where the likeliest tokens weigh exactly top-p together they are all that is kept, as in transformers.
func TestTopPReachedExactly(t *testing.T) {
	for _, n := range []int{2, 4, 8} { // equal ones: their shares, and sums of these, are exact
		for keep := 1; keep < n; keep++ {
			p := float64(keep) / float64(n)
			for topP, want := range map[float64]int{p: keep, math.Nextafter(p, 0): keep, math.Nextafter(p, 1): keep + 1} {
				ids, weights, total := Sampler{Temperature: 1, TopP: topP}.candidates(make([]float32, n))
				if len(ids) != want || len(weights) != want || total != float64(want) {
					t.Errorf("%d tokens alike, top-p %v: %v of total weight %v, want %d", n, topP, ids, total, want)
				}
			}
		}
	}
}

// TestDraws: draws that follow each other are independent, those of another prompt, attempt or seed are others, and the same are the same.
func TestDraws(t *testing.T) {
	const n = 30000
	draws := func(s Sampler) []int32 {
		out := make([]int32, n)
		for i := range out {
			out[i] = s.Next([]float32{0, 0}, i, nil)
		}
		return out
	}
	// equal is how often a[i] equals b[i+lag]; independent ones do so every second time, and four standard errors are 0.0116.
	equal := func(a, b []int32, lag int) float64 {
		k := 0
		for i := range n - lag {
			if a[i] == b[i+lag] {
				k++
			}
		}
		return float64(k) / float64(n-lag)
	}
	base := Sampler{Temperature: 1, Seed: 1, Stream: StreamOf([]int32{5, 9}, 0)}
	a := draws(base)
	if !slices.Equal(a, draws(base)) {
		t.Error("the same seed and prompt draw other tokens")
	}
	for _, lag := range []int{1, 2, 3, 4, 8} {
		if e := equal(a, a, lag); math.Abs(e-0.5) > 0.012 {
			t.Errorf("draws %d apart are equal in %v of the cases", lag, e)
		}
	}
	for what, s := range map[string]Sampler{
		"another seed":           {Temperature: 1, Seed: 2, Stream: base.Stream},
		"another prompt":         {Temperature: 1, Seed: 1, Stream: StreamOf([]int32{5, 10}, 0)},
		"a longer prompt":        {Temperature: 1, Seed: 1, Stream: StreamOf([]int32{5, 9, 0}, 0)},
		"tokens the other way":   {Temperature: 1, Seed: 1, Stream: StreamOf([]int32{9, 5}, 0)},
		"another attempt":        {Temperature: 1, Seed: 1, Stream: StreamOf([]int32{5, 9}, 1)},
		"a stream one bit above": {Temperature: 1, Seed: 1, Stream: base.Stream ^ 1<<63},
	} {
		if e := equal(a, draws(s), 0); math.Abs(e-0.5) > 0.012 {
			t.Errorf("%s: draws are equal in %v of the cases", what, e)
		}
	}
}

// TestPenalty is transformers' repetition_penalty: scores above 0 are divided by it, those below multiplied, once for each token of the text.
func TestPenalty(t *testing.T) {
	logits := []float32{2, -2, 1, -1}
	Sampler{Penalty: 2}.Next(logits, 0, []int32{0, 1, 0, 0, 1, 77})
	if want := []float32{1, -4, 1, -1}; !slices.Equal(logits, want) {
		t.Errorf("scores %v, want %v", logits, want)
	}
	for _, c := range []struct {
		penalty float64
		want    string
	}{{0, "[0 0 0]"}, {1, "[0 0 0]"}, {1.5, "[0 1 2]"}} {
		var out []int32
		for i := range 3 {
			out = append(out, Sampler{Penalty: c.penalty}.Next([]float32{3, 2.5, 2.2}, i, out))
		}
		if fmt.Sprint(out) != c.want {
			t.Errorf("penalty %v: %v, want %s", c.penalty, out, c.want)
		}
	}
}
