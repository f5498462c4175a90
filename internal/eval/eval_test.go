package eval

import (
	"fmt"
	"math"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/model"
	"lomo/internal/rng"
	"lomo/internal/store"
	"lomo/internal/tensor"
	"lomo/internal/train"
)

// newSweep is a small random model on the host.
func newSweep(t *testing.T) *train.Sweep {
	t.Helper()
	cfg, err := model.ParseConfig([]byte(`{"model_type":"llama","vocab_size":41,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":4}`))
	if err != nil {
		t.Fatal(err)
	}
	s := hostSweep(t, cfg, 64)
	for _, p := range s.Net.Params() {
		for i := range p.W.F32s() {
			p.W.F32s()[i] = 2 * float32(rng.Float64(5, rng.Init, p.ID, 0, uint64(i))-0.5)
		}
	}
	return s
}

// hostSweep is a model on the host, its weights not yet set.
func hostSweep(t *testing.T, cfg *model.Config, positions int) *train.Sweep {
	t.Helper()
	d, err := cpukern.Open(cpukern.Options{Capacity: 32 << 20, PoisonReleased: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	net := model.NewNetwork(cfg)
	st, err := store.NewResident(d, net.Params(), tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	rope, err := model.NewRope(d, cfg, positions)
	if err != nil {
		t.Fatal(err)
	}
	return &train.Sweep{D: d, Net: net, Store: st, Rope: rope, Act: tensor.F32, Recompute: true, Comm: comm.Single()}
}

// sequence has n tokens, of which those from first on count.
func sequence(n, first, salt int) Sequence {
	s := Sequence{IDs: make([]int32, n), Mask: make([]bool, n)}
	for i := range s.IDs {
		s.IDs[i] = int32((i*i*3 + i*salt + salt) % 41)
		s.Mask[i] = i >= first
	}
	return s
}

// alone is a sequence's score from a batch of its own, without padding.
func alone(t *testing.T, s *train.Sweep, q Sequence) Score {
	t.Helper()
	n := len(q.IDs)
	b := data.Batch{B: 1, T: n, IDs: q.IDs, Targets: make([]int32, n), Pos: make([]int32, n), Start: make([]int32, n)}
	for i := range n {
		b.Pos[i], b.Targets[i] = int32(i), -100
		if i+1 < n && q.Mask[i+1] {
			b.Targets[i] = q.IDs[i+1]
		}
	}
	losses, err := s.TokenLosses(b)
	if err != nil {
		t.Fatal(err)
	}
	out := Score{Tokens: len(losses)}
	for _, l := range losses {
		out.LogProb -= float64(l)
	}
	return out
}

// TestScoresDoNotDependOnTheBatch: padded beside longer sequences and in any number, each sequence has the score it has alone.
func TestScoresDoNotDependOnTheBatch(t *testing.T) {
	s := newSweep(t)
	seqs := []Sequence{sequence(7, 4, 1), sequence(19, 12, 2), sequence(3, 2, 3), sequence(5, 0, 4), sequence(11, 11, 5)}
	for _, rows := range []int{1, 2, 5} {
		got, err := Scores(s, seqs, rows)
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range seqs {
			want := alone(t, s, q)
			// Measured: 2e-6 of sums of about 40.
			if got[i].Tokens != want.Tokens || math.Abs(got[i].LogProb-want.LogProb) > 1e-5 {
				t.Errorf("rows %d, sequence %d: %+v, alone %+v", rows, i, got[i], want)
			}
		}
	}
}

// TestAccuracy: the likeliest choice wins, by sum or by mean, and what the gold says is counted.
func TestAccuracy(t *testing.T) {
	s := newSweep(t)
	questions := []Question{
		{Choices: []Sequence{sequence(9, 6, 1), sequence(14, 6, 2)}},
		{Choices: []Sequence{sequence(8, 5, 3), sequence(8, 5, 4), sequence(20, 5, 6)}},
	}
	for _, mean := range []bool{false, true} {
		var best []int
		for _, q := range questions {
			top := 0
			value := func(i int) float64 {
				a := alone(t, s, q.Choices[i])
				if mean {
					return a.Mean()
				}
				return a.LogProb
			}
			for i := range q.Choices {
				if value(i) > value(top) {
					top = i
				}
			}
			best = append(best, top)
		}
		questions[0].Gold, questions[1].Gold = best[0], (best[1]+1)%3
		got, err := Answer(s, questions, mean, 4)
		if err != nil {
			t.Fatal(err)
		}
		if got.Accuracy() != 0.5 || got.Best[0] != best[0] || got.Best[1] != best[1] || len(got.Ties) > 0 {
			t.Errorf("mean %v: %+v, want %v", mean, got, best)
		}
	}
	if _, err := Answer(s, nil, false, 4); err == nil {
		t.Error("no questions make a score")
	}
	same := []Question{{Choices: []Sequence{sequence(9, 6, 1), sequence(9, 6, 1)}, Gold: 1}}
	if got, err := Answer(s, append(questions, same...), false, 4); err != nil || fmt.Sprint(got.Ties) != "[2]" || got.Best[2] != 0 {
		t.Errorf("a choice given twice: %+v, %v", got, err)
	}
}

// TestLikeliest: the first of equal choices is taken, and a tie counts only at the top.
func TestLikeliest(t *testing.T) {
	for _, c := range []struct {
		sums []float64
		best int
		tied bool
	}{
		{[]float64{-3}, 0, false}, {[]float64{-3, -2}, 1, false}, {[]float64{-2, -2}, 0, true}, {[]float64{-3, -3, -1}, 2, false},
		{[]float64{-1, -3, -1}, 0, true}, {[]float64{-4, -2, -2, -3}, 1, true}, {[]float64{-2, -2, -1, -1}, 2, true},
	} {
		var scores []Score
		for _, s := range c.sums {
			scores = append(scores, Score{LogProb: s, Tokens: 2})
		}
		for _, mean := range []bool{false, true} {
			if best, tied := likeliest(scores, mean); best != c.best || tied != c.tied {
				t.Errorf("%v: %d %v", c.sums, best, tied)
			}
		}
	}
	if best, _ := likeliest([]Score{{-4, 1}, {-6, 3}}, true); best != 1 {
		t.Error("the mean is by token")
	}
}
