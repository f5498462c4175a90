package train

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/golden"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

var goldenModels = []string{"mha_tied", "mha_untied", "gqa_tied", "gqa_untied", "gqa_llama3", "gqa_headdim", "pad_tied", "pad_untied",
	"mistral_window", "ministral_mixed", "qwen3_gqa", "qwen3_window", "smollm3_nope", "smollm3_window",
	"llama_biases", "qwen2_gqa", "qwen2_window", "olmo2_mha", "olmo2_gqa", "granite_tied", "granite_untied",
	"gemma_mqa", "gemma_mha", "gemma3_gqa", "gemma3_mha", "qwen3_yarn", "llama_longrope", "phi3_plain", "phi3_partial", "phi3_cross",
	"qwen3_moe_idle", "qwen3_moe_renorm", "mixtral_window", "mixtral_fused", "gemma2_gqa", "gemma2_mha",
	"exaone4_gqa", "exaone4_full", "olmo3_yarn", "olmo3_untied", "granite4_dense", "granite4_norope"}

// goldenModel is a tiny model that transformers wrote, with what PyTorch and lomo-optim compute on it.
type goldenModel struct {
	*golden.File
	t   *testing.T
	cfg *model.Config
	src checkpoint.Source

	logits int64 // bytes that logits have; 0: enough for all at once
}

func openGolden(t *testing.T, name string) *goldenModel {
	t.Helper()
	f := golden.Load(t, filepath.Join("testdata/golden", name+".golden.safetensors"))
	src, err := checkpoint.Open(f.ModelDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	cfg, err := families.Parse(src.Config())
	if err != nil {
		t.Fatal(err)
	}
	return &goldenModel{File: f, t: t, cfg: cfg, src: src}
}

// trainer loads the model, float32, on a host with poisoned memory.
func (g *goldenModel) trainer(o Options) *Trainer {
	g.t.Helper()
	d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, PoisonReleased: true})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { d.Close() })
	o.Model, o.DType, o.SequenceLen, o.Recompute = g.cfg, tensor.F32, max(o.SequenceLen, 32), true
	tr, err := New(d, o)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := tr.Load(g.src); err != nil {
		g.t.Fatal(err)
	}
	tr.sweep.logits = g.logits
	tr.Schedule(10)
	return tr
}

// batch is number s of the ten batches.
func (g *goldenModel) batch(s int) data.Batch {
	shape := g.Shape("ids")
	b, n := shape[1], shape[2]
	at := s * b * n
	return labelled(b, n, g.I32("ids")[at:at+b*n], g.I32("labels")[at:at+b*n], nil, nil)
}

// labelled makes a batch of labels in the Hugging Face convention: the label of position i is predicted at i − 1.
func labelled(b, n int, ids, labels, pos, start []int32) data.Batch {
	x := data.Batch{B: b, T: n, IDs: ids, Targets: make([]int32, b*n), Pos: pos, Start: start, Tokens: b * n}
	if pos == nil {
		x.Pos, x.Start = make([]int32, b*n), make([]int32, b*n)
		for i := range x.Pos {
			x.Pos[i] = int32(i % n)
		}
	}
	for i := range x.Targets {
		x.Targets[i] = -100
		if i%n+1 < n {
			x.Targets[i] = labels[i+1]
		}
		if x.Targets[i] >= 0 {
			x.Trained++
		}
	}
	return x
}

func eachGolden(t *testing.T, f func(t *testing.T, g *goldenModel)) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) { f(t, openGolden(t, name)) })
	}
}

// heads are golden models of each kind of head: tied and not, scaled, capped, with a row that is not learned.
var heads = []string{"mha_tied", "gqa_untied", "pad_tied", "pad_untied", "granite_tied", "granite_untied", "gemma2_gqa", "gemma3_mha"}

// eachGoldenInPieces is eachGolden with logits at once, and for some of the models in several chunks and blocks.
func eachGoldenInPieces(t *testing.T, some []string, f func(t *testing.T, g *goldenModel)) {
	eachGolden(t, f)
	for _, room := range logitsSizes[1:3] {
		for _, name := range some {
			t.Run(fmt.Sprintf("%s/logits=%d", name, room), func(t *testing.T) {
				g := openGolden(t, name)
				g.logits = room
				f(t, g)
			})
		}
	}
}

// TestGoldenGradients: loss and every parameter's gradient are PyTorch's.
func TestGoldenGradients(t *testing.T) {
	eachGoldenInPieces(t, goldenModels, func(t *testing.T, g *goldenModel) {
		tr := g.trainer(Options{Optimizer: optim.Config{Name: "lomo"}, Scheduler: "constant"})
		m := &tiny{d: tr.d.(*cpukern.Device), net: tr.net, sweep: tr.sweep}
		loss, got := m.gradients(t, false, g.batch(0))
		golden.Close(t, "loss", []float32{float32(loss)}, g.F32("loss"), 7e-7) // measured 1.4e-7
		for _, name := range g.Names("grad/") {
			golden.Close(t, name, got[name], g.F32("grad/"+name), 1e-5) // asked for: 1e-4; measured 2.5e-6
		}
	})
}

// TestGoldenLogits: the head's logits of the first batch.
func TestGoldenLogits(t *testing.T) {
	eachGolden(t, func(t *testing.T, g *goldenModel) {
		tr := g.trainer(Options{Optimizer: optim.Config{Name: "lomo"}, Scheduler: "constant"})
		golden.Close(t, "logits", logitsOf(t, tr, g.batch(0)), g.F32("logits"), 3e-6) // measured 7e-7
	})
}

// TestGoldenPacked: two documents in one sequence, each seeing itself only.
func TestGoldenPacked(t *testing.T) {
	eachGolden(t, func(t *testing.T, g *goldenModel) {
		tr := g.trainer(Options{Optimizer: optim.Config{Name: "lomo"}, Scheduler: "constant"})
		n := g.Shape("packed/ids")[1]
		b := labelled(1, n, g.I32("packed/ids"), g.I32("packed/labels"), g.I32("packed/positions"), g.I32("packed/start"))
		m := &tiny{d: tr.d.(*cpukern.Device), net: tr.net, sweep: tr.sweep}
		golden.Close(t, "loss", []float32{float32(m.loss(t, b))}, g.F32("packed/loss"), 8e-7) // measured 1.7e-7
		golden.Close(t, "loss of the documents alone", []float32{float32(m.loss(t, b))}, g.F32("packed/separate_loss"), 8e-7)
		golden.Close(t, "logits", logitsOf(t, tr, b), g.F32("packed/logits"), 3e-6)
	})
}

func logitsOf(t *testing.T, tr *Trainer, b data.Batch) []float32 {
	t.Helper()
	mark := tr.d.Memory().Mark()
	defer tr.d.Memory().Release(mark)
	out, err := tr.sweep.Logits(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGoldenLosses: ten steps of every optimizer, each loss within 1e-4 of what torch and lomo-optim make; the weights after
// ten steps of LOMO and AdaLomo too.
func TestGoldenLosses(t *testing.T) {
	eachGoldenInPieces(t, heads, func(t *testing.T, g *goldenModel) {
		for name, r := range g.Runs {
			t.Run(name, func(t *testing.T) { g.losses(t, name, r) })
		}
	})
}

func (g *goldenModel) losses(t *testing.T, name string, r golden.Run) {
	o := Options{Scheduler: "constant", LearningRate: r.LR, MaxGradNorm: r.ClipGradNorm, Optimizer: optim.Config{
		Name: r.Optimizer, Common: optim.Common{WeightDecay: r.WeightDecay, ClipValue: r.ClipGradValue},
		AdaLomo: optim.DefaultAdaLomo(), AdamW: optim.DefaultAdamW(), SGD: optim.SGDConfig{Momentum: r.Momentum}}}
	o.Optimizer.AdamW.DecayVectors = true // torch's AdamW, given all parameters in one group
	tr := g.trainer(o)
	want := g.F32("losses/" + name)
	// Asked for: 1e-4; measured 1.5e-6. A run that weights rounded otherwise move by more may be moved as far by sums in another order: qwen3_window's
	// AdamW, whose noise is 5.2e-6, by 7.6e-6 in plain Go.
	bound := max(7e-6, 4*g.Noise[name])
	worst := 0.0
	for s := range want {
		m, err := tr.Step([]data.Batch{g.batch(s)})
		if err != nil {
			t.Fatal(err)
		}
		d := math.Abs(m.Loss - float64(want[s]))
		worst = math.Max(worst, d)
		if d > bound {
			t.Errorf("step %d: loss %.7f, want %.7f", s+1, m.Loss, want[s])
		}
		if g.Has("norms/" + name) {
			golden.Close(t, "norm", []float32{float32(*m.GradNorm)}, g.F32("norms/" + name)[s:s+1], 5e-6) // measured 1.7e-6, of LLaMA's 2.3e-7
		}
	}
	t.Logf("losses differ by at most %.1e", worst)
	for _, p := range tr.net.Params() {
		if key := "final/" + name + "/" + p.Name; g.Has(key) {
			bound := 6e-6 // measured 1.3e-6
			if strings.HasSuffix(key, "k_proj.bias") {
				bound = 1e-4 // measured 3.3e-5: a shift of all keys changes scores by the rotation alone, so that its gradient is what is left of large sums
			}
			golden.Close(t, key, values(tr.d, p.W), g.F32(key), bound)
		}
	}
}
