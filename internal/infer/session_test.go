package infer

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

// newModel is a small random model on the host.
func newModel(t *testing.T, kvHeads int) (*cpukern.Device, *model.Network, store.Store) {
	t.Helper()
	cfg, err := model.ParseConfig([]byte(fmt.Sprintf(`{"model_type":"llama","vocab_size":53,"hidden_size":32,"intermediate_size":48,
		"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":%d}`, kvHeads)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, PoisonReleased: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	net := model.NewNetwork(cfg)
	st, err := store.NewResident(d, net.Params(), tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range net.Params() {
		vals := make([]float32, p.Len())
		for i := range vals {
			vals[i] = float32(rng.Float64(1, rng.Init, p.ID, 0, uint64(i))) - 0.5
			if !p.Matrix() {
				vals[i]++
			}
		}
		raw := make([]byte, p.W.Bytes())
		if err := tensor.PutFloat32s(raw, vals, tensor.F32); err != nil {
			t.Fatal(err)
		}
		d.CopyIn(p.W, raw)
	}
	return d, net, st
}

// TestCacheEqualsWholeSequence: token by token from the cache, in pieces and in chunks, the log-probabilities are those of
// one pass over the whole sequence.
func TestCacheEqualsWholeSequence(t *testing.T) {
	for _, kv := range []int{1, 4} {
		d, net, st := newModel(t, kv)
		const n = prefillRows + 44 // more than one chunk
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32((i*i*7 + 3*i) % 53)
		}
		want := wholeSequence(t, d, net, st, ids)
		for _, first := range []int{1, 5, n - 3} {
			mark := d.Memory().Mark()
			s, err := NewSession(d, net, st, n, tensor.F32)
			if err != nil {
				t.Fatal(err)
			}
			logits, err := s.Append(ids[:first])
			if err != nil {
				t.Fatal(err)
			}
			for i := first; i < n; i++ {
				got := -logSoftmax(logits, ids[i])
				// Measured: 1.1e-5 of values around 5; the cache and the whole sequence sum attention in another order.
				if math.Abs(got-float64(want[i-1])) > 4e-5 {
					t.Fatalf("kv=%d, prompt %d: token %d: −log p %v, want %v", kv, first, i, got, want[i-1])
				}
				if logits, err = s.Append(ids[i : i+1]); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Append(ids[:1]); err == nil {
				t.Error("a full session takes another token")
			}
			d.Memory().Release(mark)
		}
	}
}

func wholeSequence(t *testing.T, d *cpukern.Device, net *model.Network, st store.Store, ids []int32) []float32 {
	t.Helper()
	n := len(ids)
	b := data.Batch{B: 1, T: n, IDs: ids, Targets: make([]int32, n), Pos: make([]int32, n), Start: make([]int32, n)}
	for i := range ids {
		b.Pos[i], b.Targets[i] = int32(i), -100
		if i+1 < n {
			b.Targets[i] = ids[i+1]
		}
	}
	rope, err := model.NewRope(d, net.Cfg, n)
	if err != nil {
		t.Fatal(err)
	}
	s := &train.Sweep{D: d, Net: net, Store: st, Rope: rope, Act: tensor.F32, Recompute: true, Comm: comm.Single()}
	losses, err := s.TokenLosses(b)
	if err != nil {
		t.Fatal(err)
	}
	return losses
}

func logSoftmax(logits []float32, id int32) float64 {
	top := logits[argmax(logits)]
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l - top))
	}
	return float64(logits[id]-top) - math.Log(sum)
}

func TestGenerate(t *testing.T) {
	d, net, st := newModel(t, 2)
	run := func(sampler Sampler, limit int, stop []int32) []int32 {
		t.Helper()
		mark := d.Memory().Mark()
		defer d.Memory().Release(mark)
		s, err := NewSession(d, net, st, 40, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		out, err := Generate(s, []int32{1, 2, 3}, sampler, limit, stop, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	greedy := run(Sampler{}, 12, nil)
	if len(greedy) != 12 || fmt.Sprint(greedy) != fmt.Sprint(run(Sampler{}, 12, nil)) {
		t.Errorf("greedy: %v", greedy)
	}
	if out := run(Sampler{}, 12, []int32{greedy[4]}); len(out) > 4 {
		t.Errorf("stop at %d: %v", greedy[4], out)
	}
	if out := run(Sampler{}, 100, nil); len(out) != 38 { // 40 tokens of room: 37 appended after the prompt, one more chosen
		t.Errorf("%d tokens from a session of 40", len(out))
	}
	hot := Sampler{Temperature: 5, Seed: 1}
	if fmt.Sprint(run(hot, 12, nil)) != fmt.Sprint(run(hot, 12, nil)) {
		t.Error("the same seed gives other tokens")
	}
	if fmt.Sprint(run(hot, 12, nil)) == fmt.Sprint(run(Sampler{Temperature: 5, Seed: 2}, 12, nil)) {
		t.Error("another seed gives the same tokens")
	}
	if fmt.Sprint(run(Sampler{Temperature: 5, TopK: 1}, 12, nil)) != fmt.Sprint(greedy) {
		t.Error("top-k 1 is not greedy")
	}
}

// TestSamplerFrequencies: tokens are drawn as often as the softmax says, and never beyond top-k, top-p or the vocabulary.
func TestSamplerFrequencies(t *testing.T) {
	logits := []float32{float32(math.Log(0.5)), float32(math.Log(0.3)), float32(math.Log(0.15)), float32(math.Log(0.05)), 9}
	count := func(s Sampler) [5]float64 {
		var c [5]float64
		const n = 20000
		for i := 0; i < n; i++ {
			c[s.Next(logits, i)] += 1.0 / n
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
	near("plain", count(Sampler{Temperature: 1, Vocab: 4}), [5]float64{0.5, 0.3, 0.15, 0.05, 0})
	near("top-k 2", count(Sampler{Temperature: 1, Vocab: 4, TopK: 2}), [5]float64{0.625, 0.375, 0, 0, 0})
	near("top-p 0.7", count(Sampler{Temperature: 1, Vocab: 4, TopP: 0.7}), [5]float64{0.625, 0.375, 0, 0, 0})
	near("cold", count(Sampler{Temperature: 0.01, Vocab: 4}), [5]float64{1, 0, 0, 0, 0})
}
