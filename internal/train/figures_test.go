package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/model"
)

// TestSpeed: tokens a second are all tokens of the step, learned or not, as the machine works on all of them, and mfu is 6 operations a weight and token.
func TestSpeed(t *testing.T) {
	net := model.NewNetwork(newTiny(t, tinyOptions{layers: 1}).net.Cfg)
	weights := float64(net.NumParams())
	for _, c := range []struct {
		batches []data.Batch
		took    time.Duration
		peak    float64
		tokS    float64
		stepMS  float64
	}{
		{[]data.Batch{{Tokens: 30, Trained: 7}}, time.Second, 0, 30, 1000},
		{[]data.Batch{{Tokens: 30, Trained: 7}, {Tokens: 12, Trained: 12}}, 500 * time.Millisecond, 1e9, 84, 500},
		{[]data.Batch{{B: 2, T: 50, Tokens: 60}, {B: 2, T: 50, Tokens: 61, Trained: 1}, {Tokens: 3, Trained: 3}}, 250 * time.Microsecond, 1e12, 496000, 0.25},
		{[]data.Batch{{Tokens: 30, Trained: 7}}, 0, 1e9, 0, 0}, // a clock that did not move
	} {
		tr := &Trainer{net: net, o: Options{PeakFLOPS: c.peak}}
		var m StepMetrics
		tr.speed(&m, c.batches, c.took)
		if math.Abs(m.TokS-c.tokS) > 1e-9*c.tokS || m.StepMS != c.stepMS {
			t.Errorf("%+v in %v: %v tokens a second, %v ms; want %v and %v", c.batches, c.took, m.TokS, m.StepMS, c.tokS, c.stepMS)
		}
		if known := c.peak > 0 && c.took > 0; known != (m.MFU != nil) || known && math.Abs(*m.MFU-6*weights*c.tokS/c.peak) > 1e-12 {
			t.Errorf("%+v in %v: mfu %v", c.batches, c.took, m.MFU)
		}
	}
}

// TestPartsOfEpochs: packed and shuffled, epochs have different numbers of batches, and the part of an epoch that is done is counted in its own.
func TestPartsOfEpochs(t *testing.T) {
	f := newFixture(t, 1, true)
	f.opts.MicroBatch, f.opts.SequenceLen = 1, 12
	var l *data.Loader
	for f.opts.Seed = 0; ; f.opts.Seed++ {
		if l = data.NewLoader(f.data, f.opts); l.BatchesIn(0) != l.BatchesIn(1) && l.BatchesIn(1) != l.BatchesIn(2) {
			break
		}
	}
	o := f.options(t.TempDir(), "lomo")
	o.MicroBatch, o.SequenceLen, o.Accumulation, o.NumEpochs, o.SaveSteps, o.Seed, o.SaveFinal = 1, 12, 1, 3, 0, f.opts.Seed, false
	var got, want []float64
	o.OnStep = func(m StepMetrics) error { got = append(got, m.Epoch); return nil }
	for epoch := range 3 {
		n := l.BatchesIn(epoch)
		for k := range n {
			want = append(want, float64(epoch)+float64(k+1)/float64(n))
		}
	}
	if err := f.run(context.Background(), o, ""); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d steps, want %d", len(got), len(want))
	}
	for i, w := range want {
		if math.Abs(got[i]-w) > 1e-12 {
			t.Errorf("step %d: epoch %v, want %v (%d, %d and %d batches)", i+1, got[i], w, l.BatchesIn(0), l.BatchesIn(1), l.BatchesIn(2))
		}
	}
}

// TestProgressOfAStep: what is told of a step grows with each block and comes to the whole with the last one, also where a norm pass goes before the updates.
// A tied table, whose gradient and update come behind the blocks, is all that is then left.
func TestProgressOfAStep(t *testing.T) {
	eachFixture(t, 3, func(t *testing.T, f *fixture) {
		for _, clip := range []struct {
			norm   float64
			lagged bool
			passes int // over the blocks
		}{{0, false, 2}, {1, true, 2}, {1, false, 3}} {
			for _, again := range []bool{false, true} {
				what := fmt.Sprintf("max_grad_norm %v, lagged %v, gradient_checkpointing %v", clip.norm, clip.lagged, again)
				d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20})
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				var told []Activity
				o := f.options("", "lomo")
				o.MaxGradNorm, o.ClipLagged, o.Recompute = clip.norm, clip.lagged, again
				o.OnDoing = func(a Activity) {
					if a.Task == Stepping {
						told = append(told, a)
					}
				}
				tr, err := New(d, o)
				if err != nil {
					t.Fatal(err)
				}
				if err := tr.Load(f.weights); err != nil {
					t.Fatal(err)
				}
				tr.Schedule(10)
				if _, err := tr.Step([]data.Batch{tokens(2, 13, 1), tokens(2, 13, 2)}); err != nil {
					t.Fatal(err)
				}
				if n := clip.passes*3 + clip.passes - 1; len(told) != n { // the head at the beginning of each pass but the first
					t.Fatalf("%s: told %d times, want %d: %v", what, len(told), n, told)
				}
				last := told[len(told)-1]
				for i, a := range told {
					if a.Of != last.Of || i > 0 && a.Done <= told[i-1].Done || i < len(told)-1 && a.Done >= a.Of {
						t.Errorf("%s: %+v is number %d of %v", what, a, i, told)
					}
				}
				if tied := tr.net.Tied(); tied == (last.Done == last.Of) || 2*last.Done < last.Of {
					t.Errorf("%s: %d of %d at the end, tied %v", what, last.Done, last.Of, tied)
				}
			}
		}
	})
}

// TestEvaluateOnRanks: every number of batches, also one that leaves a single rank at work in the last turn, is the evaluation of one device on all ranks.
func TestEvaluateOnRanks(t *testing.T) {
	var all []data.Batch
	for i := range 9 {
		all = append(all, tokens(1+i%2, 3+i, i+1))
	}
	for i := range all[4].Targets { // a batch of which nothing is predicted
		all[4].Targets[i] = -100
	}
	alone := newTiny(t, tinyOptions{layers: 1}).sweep
	for _, n := range []int{2, 3, 4} {
		ranks := make([]*Sweep, n)
		group := comm.NewLocal(n)
		for r, c := range group {
			ranks[r] = newTiny(t, tinyOptions{layers: 1}).sweep
			if err := ranks[r].Join(c); err != nil {
				t.Fatal(err)
			}
		}
		for batches := 1; batches <= 2*n+1; batches++ {
			want, err := alone.Evaluate(slices.Values(all[:batches]))
			if err != nil {
				t.Fatal(err)
			}
			got := make([]EvalMetrics, n)
			if err := OnRanks(group, func(r int) (err error) {
				got[r], err = ranks[r].Evaluate(slices.Values(all[:batches]))
				return err
			}); err != nil {
				t.Fatal(err)
			}
			for r, m := range got {
				if m.Tokens != want.Tokens || math.Abs(m.Loss-want.Loss) > 1e-9 || math.Abs(m.Perplexity-want.Perplexity) > 1e-9*want.Perplexity {
					t.Errorf("%d batches on %d ranks: rank %d finds %+v, one device %+v", batches, n, r, m, want)
				}
			}
		}
		for _, c := range group {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
