package eval

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/rng"
	"lomo/internal/store"
	"lomo/internal/tensor"
	"lomo/internal/train"
)

// newSweep is a small random model on the host.
func newSweep(t *testing.T) *train.Sweep {
	t.Helper()
	cfg, err := families.Parse([]byte(`{"model_type":"llama","vocab_size":41,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":4}`))
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
	rope, err := model.NewRopes(d, cfg, positions)
	if err != nil {
		t.Fatal(err)
	}
	return &train.Sweep{D: d, Net: net, Store: st, Ropes: rope, Act: tensor.F32, Recompute: true, Comm: comm.Single()}
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
	defer func(n int) { batchTokens = n }(batchTokens)
	whole := batchTokens
	for _, c := range []struct{ rows, tokens int }{{1, whole}, {2, whole}, {5, whole}, {5, 40}, {5, 1}} { // 40 tokens, padded, take two and three of them
		rows := c.rows
		batchTokens = c.tokens
		if b := inBatches(seqs, rows); c.tokens == 40 && (len(b) != 2 || len(b[0].seqs) != 2 || b[1].first != 2) || c.tokens == 1 && len(b) != 5 {
			t.Errorf("at most %d tokens: %d batches", c.tokens, len(b))
		}
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

// TestScoresByNumber: a model that knows which token follows which: behind id, id+1 has probability 1/2 and each of the 40 others 1/80. Sums and means are
// those of the counted tokens, and the choices they make differ.
func TestScoresByNumber(t *testing.T) {
	s := newSweep(t)
	for _, p := range s.Net.Params() {
		clear(p.W.F32s())
	}
	for i := range s.Net.Norm.W.F32s() {
		s.Net.Norm.W.F32s()[i] = 1 // it makes a unit vector √24 long
	}
	for id := range 24 {
		s.Net.Embed.W.F32s()[id*24+id] = 1
		s.Net.Head.W.F32s()[(id+1)*24+id] = float32(math.Log(40) / math.Sqrt(24))
	}
	seqs := []Sequence{
		{IDs: []int32{1, 2, 3, 4, 5}, Mask: []bool{false, true, true, true, true}},          // −4·ln 2
		{IDs: []int32{1, 2, 9, 10}, Mask: []bool{true, true, true, false}},                  // −ln 2 − ln 80; the first never counts
		{IDs: []int32{7, 3}, Mask: []bool{false, true}},                                     // −ln 80
		{IDs: []int32{7, 3, 4, 5, 6, 7}, Mask: []bool{false, true, true, true, true, true}}, // −ln 80 − 4·ln 2
	}
	want := []Score{{-2.7725887, 4}, {-5.0751738, 2}, {-4.3820266, 1}, {-7.1546154, 5}}
	means := []float64{-0.6931472, -2.5375869, -4.3820266, -1.4309231}
	got, err := Scores(s, seqs, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if got[i].Tokens != w.Tokens || math.Abs(got[i].LogProb-w.LogProb) > 1e-3 || math.Abs(got[i].Mean()-means[i]) > 1e-3 {
			t.Errorf("sequence %d: %+v, mean %v; want %+v, mean %v", i, got[i], got[i].Mean(), w, means[i])
		}
	}
	for mean, best := range map[bool]int{false: 0, true: 1} { // −4.38 against −7.15, and −4.38 against −1.43 a token
		a, err := Answer(s, []Question{{Choices: seqs[2:], Gold: 1}}, mean, 4)
		if err != nil || a.Best[0] != best || a.Accuracy() != float64(best) {
			t.Errorf("mean %v: %+v %v, want choice %d", mean, a, err, best)
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

// TestScoreOfNoProbability: an answer whose logit is minus infinity, or whose score is no number, is an error and no score, whichever of the sequences has it.
func TestScoreOfNoProbability(t *testing.T) {
	s := newSweep(t)
	s.Net.Norm.W.F32s()[0] = 100
	head := s.Net.Head.W.F32s()
	const answer, width = 7, 24
	for _, weight := range []float32{3e38, -3e38} { // one of them makes the logit +Inf and the loss NaN, the other -Inf and +Inf
		for i := range width {
			head[answer*width+i] = 0
		}
		head[answer*width] = weight
		for at := range 3 {
			seqs := []Sequence{{IDs: []int32{1, 2}, Mask: []bool{false, true}}, {IDs: []int32{1, 3}, Mask: []bool{false, true}}, {IDs: []int32{1, 4}, Mask: []bool{false, true}}}
			seqs[at].IDs[1] = answer
			if scores, err := Scores(s, seqs, 3); !errors.Is(err, device.ErrNotFinite) {
				t.Errorf("weight %v, sequence %d: %v, %v", weight, at+1, scores, err)
			}
		}
	}
}
