package data

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// shrink makes pieces of a few tokens and stretches of a few samples.
func shrink(t *testing.T, tokens, ends int) {
	a, b := tokenShift, endShift
	tokenShift, endShift = tokens, ends
	t.Cleanup(func() { tokenShift, endShift = a, b })
}

// TestCorpus: what goes in comes out, over the borders of pieces and words, for ids of few bits and of many, with labels of their own here and there.
func TestCorpus(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		tokens, ends int
		vocab        int32
	}{{3, 1, 2}, {3, 2, 1 << 8}, {4, 3, 49152}, {6, 2, 128256}, {5, 1, 250002}, {7, 4, 1<<31 - 1}, {15, 10, 300}} {
		shrink(t, c.tokens, c.ends)
		var corpus corpus
		var samples, labels [][]int32
		var cut []bool
		for i := range 200 {
			n := 1 + rnd.IntN(40)
			ids, own := make([]int32, n), make([]int32, n)
			for j := range ids {
				ids[j] = rnd.Int32N(c.vocab)
				switch own[j] = ids[j]; {
				case rnd.IntN(3) == 0:
					own[j] = ignored
				case i%50 == 7:
					own[j] = rnd.Int32N(c.vocab)
				}
			}
			corpus.add(ids, own, i%3 == 0)
			own[0] = ignored
			samples, labels, cut = append(samples, ids), append(labels, own), append(cut, i%3 == 0)
		}
		d := &Dataset{c: &corpus}
		for i := range samples {
			d.index = append(d.index, int32(i))
		}
		tokens, trained := 0, 0
		for i := range samples {
			if e := d.Example(i); !slices.Equal(e.IDs, samples[i]) || !slices.Equal(e.Labels, labels[i]) || corpus.cut.has(i) != cut[i] {
				t.Fatalf("%+v: sample %d: %v with labels %v, want %v with %v", c, i, e.IDs, e.Labels, samples[i], labels[i])
			}
			for _, l := range labels[i] {
				if l != ignored {
					trained++
				}
			}
			tokens += len(samples[i])
		}
		if s := d.Stats(); s.Trained != trained || s.Tokens != tokens || corpus.tokens() != tokens || corpus.len() != len(samples) {
			t.Errorf("%+v: %+v, want %d tokens of which %d are learned", c, s, tokens, trained)
		}
	}
}

// TestCorpusIsSmall: the memory of a set does not grow with the bytes of an integer, but with what the vocabulary and the lengths ask.
func TestCorpusIsSmall(t *testing.T) {
	const n = 1 << 18
	for _, c := range []struct {
		vocab, each int
		own         bool    // labels of their own
		most        float64 // bytes a token
	}{{256, 64, false, 1.3}, {49152, 512, false, 2.3}, {128256, 3, false, 3.2}, {250002, 1000, false, 2.6}, {49152, 512, true, 4.4}} {
		var corpus corpus
		ids, labels := make([]int32, c.each), make([]int32, c.each)
		for i := 0; i < n; i += c.each {
			for j := range ids {
				ids[j] = int32((i*7919 + j*31) % c.vocab)
				if labels[j] = ids[j]; c.own {
					labels[j] = int32(c.vocab - 1)
				}
			}
			corpus.add(ids, labels, false)
		}
		if got := float64(corpus.bytes()) / n; got > c.most+float64(int(8)<<tokenShift)/n {
			t.Errorf("%+v: %.2f bytes a token", c, got)
		}
	}
}
