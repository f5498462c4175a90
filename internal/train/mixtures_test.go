package train

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/data"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// mixtures are models with experts to which no token of a step may come.
var mixtures = []tinyOptions{
	{kind: "qwen3_moe", recompute: true, keys: `"num_experts":24,"num_experts_per_tok":2,"moe_intermediate_size":12,"mlp_only_layers":[1]`},
	{kind: "mixtral", recompute: true, keys: `"num_local_experts":9,"num_experts_per_tok":3`},
}

func eachMixture(t *testing.T, f func(t *testing.T, o tinyOptions)) {
	for _, o := range mixtures {
		t.Run(o.kind, func(t *testing.T) { f(t, o) })
	}
}

// TestMixturesFromDisk: experts that are read one by one give the bytes of a run in memory, with every optimizer, and those without tokens are not read
// where they stay as they are.
func TestMixturesFromDisk(t *testing.T) {
	eachMixture(t, func(t *testing.T, o tinyOptions) {
		f := newFixtureOf(t, o)
		run := func(name string, decay float64, lagged bool, accumulation int) (read int64) {
			memory := f.options(t.TempDir(), name)
			memory.Optimizer.WeightDecay, memory.ClipLagged, memory.Accumulation = decay, lagged, accumulation
			disk := memory
			disk.OutputDir = t.TempDir()
			disk.Offload, disk.WorkingCopy = OnDisk, filepath.Join(disk.OutputDir, "weights.tmp")
			disk.OnDone = func(in, _ int64) { read = in }
			for _, o := range []Options{memory, disk} {
				if err := f.run(context.Background(), o, ""); err != nil {
					t.Fatal(err)
				}
			}
			for _, file := range []string{"model.safetensors", "checkpoint-3/lomo_state.safetensors"} {
				sameFiles(t, filepath.Join(memory.OutputDir, file), filepath.Join(disk.OutputDir, file))
			}
			return read
		}
		for _, name := range []string{"lomo", "adalomo", "sgd"} {
			without, with := run(name, 0, true, 1), run(name, 0.01, true, 1)
			if without == 0 || name != "sgd" && without >= with {
				t.Errorf("%s: %d bytes were read without decay, %d with it", name, without, with)
			}
			run(name, 0, false, 3)
		}
	})
}

// TestMixturesAccumulate: micro-batches of different lengths give what one of all their sequences gives, whether factors wait or sums; to some experts the
// first token comes late.
func TestMixturesAccumulate(t *testing.T) {
	eachMixture(t, func(t *testing.T, o tinyOptions) {
		m := newTiny(t, o)
		for _, n := range []int{5, 60} {
			parts := []data.Batch{tokens(1, 4, 9), tokens(1, n, 2), tokens(1, n, 3), tokens(1, n, 4)}
			whole := data.Batch{B: 4, T: n}
			for i, p := range parts {
				pad := tokens(1, n, 9)
				if i > 0 {
					pad = data.Batch{}
				}
				add := func(to *[]int32, v, rest []int32, other int32) {
					*to = append(*to, v...)
					for range max(0, len(rest)-len(v)) {
						*to = append(*to, other) // a document of its own that nobody learns from
					}
				}
				add(&whole.IDs, p.IDs, pad.IDs, 0)
				add(&whole.Targets, p.Targets, pad.Targets, -100)
				add(&whole.Pos, p.Pos, pad.Pos, 0)
				add(&whole.Start, p.Start, pad.Start, 4)
			}
			_, b := m.gradients(t, false, whole) // first: what it has released is poisoned
			_, a := m.gradients(t, false, parts...)
			if d := apart(a, b); !(d <= 3e-6) { // a NaN too
				t.Errorf("T=%d: gradients differ by %.2e", n, d)
			}
		}
	})
}

// TestMixturesOnRanks: ranks with several micro-batches each, to whose experts different tokens come, give what one gives.
func TestMixturesOnRanks(t *testing.T) {
	eachMixture(t, func(t *testing.T, o tinyOptions) {
		f := newFixtureOf(t, o)
		f.opts.MicroBatch = 1
		one := f.options(t.TempDir(), "lomo")
		one.DType, one.MicroBatch, one.Accumulation, one.NumEpochs, one.MaxSteps, one.SaveSteps = tensor.F32, 1, 6, 0, 2, 0
		ranks := one
		ranks.OutputDir, ranks.Accumulation = t.TempDir(), 2
		if err := f.run(context.Background(), one, ""); err != nil {
			t.Fatal(err)
		}
		if err := f.runRanks(context.Background(), 3, ranks, ""); err != nil {
			t.Fatal(err)
		}
		if d, at := worst(weightsOf(t, ranks.OutputDir), weightsOf(t, one.OutputDir)); !(d <= 2e-5) {
			t.Errorf("three ranks: weights differ by %.1e at %s", d, at)
		}
	})
}

// TestIdleExperts: an expert whose gradient is zero in PyTorch, because no token of the step comes to it, keeps its bits with LOMO and AdaLomo, and loses
// what decay takes; the others move.
func TestIdleExperts(t *testing.T) {
	g := openGolden(t, "qwen3_moe_idle")
	for _, name := range []string{"lomo", "adalomo"} {
		for _, decay := range []float64{0, 0.5} {
			tr := g.trainer(Options{Scheduler: "constant", LearningRate: 0.01, Optimizer: optim.Config{Name: name,
				Common: optim.Common{WeightDecay: decay}, AdaLomo: optim.DefaultAdaLomo()}})
			before := map[string][]float32{}
			for _, p := range tr.net.Params() {
				before[p.Name] = values(tr.d, p.W)
			}
			if _, err := tr.Step([]data.Batch{g.batch(0)}); err != nil {
				t.Fatal(err)
			}
			idle := 0
			for _, p := range tr.net.Params() {
				zero := !slices.ContainsFunc(g.F32("grad/"+p.Name), func(v float32) bool { return v != 0 })
				if zero && p.Expert {
					idle++
				}
				if same := slices.Equal(before[p.Name], values(tr.d, p.W)); same != (zero && decay == 0) {
					t.Errorf("%s with decay %v: %s: the gradient is zero: %v, the weights stay: %v", name, decay, p.Name, zero, same)
				}
			}
			if idle == 0 {
				t.Error("every expert has tokens")
			}
		}
	}
}

// TestOneExpert: where a router says nothing all tokens go to the first expert, which is the MLP of a dense model then; and all other experts stay.
func TestOneExpert(t *testing.T) {
	for _, accumulated := range []bool{false, true} {
		mixed := newTiny(t, tinyOptions{kind: "qwen3_moe", recompute: true, keys: `"num_experts":3,"num_experts_per_tok":1,"moe_intermediate_size":40,"norm_topk_prob":true`})
		dense := newTiny(t, tinyOptions{kind: "qwen3", recompute: true})
		twin := func(name string) string { return strings.Replace(name, "mlp.", "mlp.experts.0.", 1) }
		at := map[string]tensor.Tensor{}
		for _, p := range mixed.net.Params() {
			at[p.Name] = p.W
			if strings.HasSuffix(p.Name, "mlp.gate.weight") {
				mixed.d.Zero(p.W)
			}
		}
		for _, p := range dense.net.Params() {
			from := at[twin(p.Name)]
			raw := make([]byte, from.Bytes())
			mixed.d.CopyOut(raw, from)
			dense.d.CopyIn(p.W, raw)
		}
		step := []data.Batch{tokens(2, 13, 3)}
		if accumulated {
			step = append(step, tokens(1, 9, 4), tokens(2, 13, 5))
		}
		lossA, a := mixed.gradients(t, false, step...)
		lossB, b := dense.gradients(t, false, step...)
		if d := math.Abs(lossA - lossB); d > 1e-6 {
			t.Errorf("losses %v and %v", lossA, lossB)
		}
		for name, want := range b {
			got := a[twin(name)]
			if d, _ := worst(map[string][]float32{name: got}, map[string][]float32{name: want}); d > 2e-6 {
				t.Errorf("%s differs by %.1e", name, d)
			}
		}
		for name, got := range a {
			if other := strings.Contains(name, "experts.1.") || strings.Contains(name, "experts.2."); other && slices.ContainsFunc(got, func(v float32) bool { return v != 0 }) {
				t.Errorf("%s has a gradient, and no token", name)
			}
		}
	}
}
