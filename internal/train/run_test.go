package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// fixture is a tiny model on disk and a tokenized data set.
type fixture struct {
	t       *testing.T
	weights checkpoint.Source
	data    *data.Dataset
	opts    data.Options
	cfg     *model.Config
}

// eachFixture runs a test with a tied and with an untied model of so many blocks; 7 are more than the buffers that take turns.
func eachFixture(t *testing.T, layers int, test func(t *testing.T, f *fixture)) {
	for _, tied := range []bool{true, false} {
		t.Run(fmt.Sprintf("tied=%v", tied), func(t *testing.T) { test(t, newFixture(t, layers, tied)) })
	}
}

func newFixture(t *testing.T, layers int, tied bool) *fixture {
	t.Helper()
	return newFixtureOf(t, tinyOptions{tied: tied, layers: layers})
}

func newFixtureOf(t *testing.T, o tinyOptions) *fixture {
	t.Helper()
	dir := t.TempDir()
	m := newTiny(t, o)
	tr := &Trainer{o: Options{Model: m.net.Cfg, DType: tensor.F32}, d: m.d, net: m.net, store: m.sweep.Store, sweep: m.sweep}
	if err := tr.writeModel(dir, false); err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	var lines []string
	for i := 0; i < 23; i++ {
		ids := make([]string, 5+i%7)
		for j := range ids {
			ids[j] = fmt.Sprint((i*13 + j*j*3) % 61)
		}
		lines = append(lines, `{"input_ids": [`+strings.Join(ids, ",")+`]}`)
	}
	path := filepath.Join(dir, "data.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, weights: src, cfg: m.net.Cfg,
		opts: data.Options{SequenceLen: 24, Packing: true, Shuffle: true, MicroBatch: 2, Seed: 5, VocabSize: 61}}
	if f.data, err = data.Load([]data.Source{{Path: path, Type: "tokenized", Weight: 1}}, nil, f.opts); err != nil {
		t.Fatal(err)
	}
	return f
}

// options is a run in bf16 with stochastic rounding: everything that could differ after a resume.
func (f *fixture) options(dir, optimizer string) Options {
	return Options{Model: f.cfg, DType: tensor.BF16, LearningRate: 0.01, Scheduler: "cosine", WarmupSteps: 2, NumEpochs: 2,
		Optimizer: optim.Config{Name: optimizer, AdaLomo: optim.DefaultAdaLomo(), AdamW: optim.DefaultAdamW(), SGD: optim.SGDConfig{Momentum: 0.9},
			Common: optim.Common{Rounding: device.Stochastic, WeightDecay: 0.01}},
		MaxGradNorm: 1, ClipLagged: true, Recompute: true, MicroBatch: 2, Accumulation: 2, SequenceLen: 24, Seed: 5,
		SaveSteps: 3, SaveFinal: true, LoggingSteps: 1, OutputDir: dir}
}

func (f *fixture) run(ctx context.Context, o Options, resume string) error {
	f.t.Helper()
	return f.runOn(ctx, func(d device.Device) device.Device { return d }, o, resume)
}

// runOn is run on a device that wrap makes of the host.
func (f *fixture) runOn(ctx context.Context, wrap func(device.Device) device.Device, o Options, resume string) error {
	f.t.Helper()
	d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, PoisonReleased: true})
	if err != nil {
		f.t.Fatal(err)
	}
	defer d.Close()
	src := f.weights
	if resume != "" {
		if src, err = checkpoint.Open(resume); err != nil {
			f.t.Fatal(err)
		}
		defer src.Close()
	}
	return Run(ctx, wrap(d), o, Inputs{Weights: src, Train: data.NewLoader(f.data, f.opts), Eval: data.Batches(f.data, f.opts)}, resume)
}

func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if string(x) != string(y) {
		t.Errorf("%s and %s differ", a, b)
	}
}

// TestResumeIsBitIdentical: a run stopped at a checkpoint and continued writes the same bytes as one that never stopped,
// with every optimizer.
func TestResumeIsBitIdentical(t *testing.T) { eachFixture(t, 7, testResumeIsBitIdentical) }

func testResumeIsBitIdentical(t *testing.T, f *fixture) {
	for _, name := range []string{"lomo", "adalomo", "sgd", "adamw"} {
		t.Run(name, func(t *testing.T) {
			whole, parts := t.TempDir(), t.TempDir()
			var losses []float64
			o := f.options(whole, name)
			o.OnStep = func(m StepMetrics) error { losses = append(losses, m.Loss); return nil }
			if err := f.run(context.Background(), o, ""); err != nil {
				t.Fatal(err)
			}
			if len(losses) < 6 {
				t.Fatalf("only %d steps: the checkpoint is not inside the run", len(losses))
			}
			var again []float64
			o.OutputDir = parts
			o.OnStep = func(m StepMetrics) error { again = append(again, m.Loss); return nil }
			if err := f.run(context.Background(), o, filepath.Join(whole, "checkpoint-3")); err != nil {
				t.Fatal(err)
			}
			for i, l := range again {
				if l != losses[3+i] {
					t.Errorf("step %d: loss %v, uninterrupted %v", 4+i, l, losses[3+i])
				}
			}
			sameFiles(t, filepath.Join(whole, "model.safetensors"), filepath.Join(parts, "model.safetensors"))
			for _, file := range []string{"model.safetensors", "lomo_state.safetensors", "lomo_state.json"} {
				sameFiles(t, filepath.Join(whole, "checkpoint-6", file), filepath.Join(parts, "checkpoint-6", file))
			}
		})
	}
}

// TestInterruptSaves: a cancelled run finishes its step, saves, and continues to the same end.
func TestInterruptSaves(t *testing.T) { eachFixture(t, 7, testInterruptSaves) }

func testInterruptSaves(t *testing.T, f *fixture) {
	whole, cut := t.TempDir(), t.TempDir()
	if err := f.run(context.Background(), f.options(whole, "adalomo"), ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := f.options(cut, "adalomo")
	o.OnStep = func(m StepMetrics) error {
		if m.Step == 4 {
			cancel()
		}
		return nil
	}
	if err := f.run(ctx, o, ""); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("got %v", err)
	}
	last, step, err := checkpoint.Latest(cut)
	if err != nil || step != 4 {
		t.Fatalf("newest checkpoint: %s, step %d, %v", last, step, err)
	}
	if err := f.run(context.Background(), o, last); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, filepath.Join(whole, "model.safetensors"), filepath.Join(cut, "model.safetensors"))
}

func TestSaveTotalLimit(t *testing.T) { eachFixture(t, 7, testSaveTotalLimit) }

func testSaveTotalLimit(t *testing.T, f *fixture) {
	o := f.options(t.TempDir(), "lomo")
	o.SaveSteps, o.SaveLimit = 1, 2
	if err := f.run(context.Background(), o, ""); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(o.OutputDir, "checkpoint-*"))
	if err != nil || len(found) != 2 {
		t.Errorf("checkpoints kept: %v, %v", found, err)
	}
}

// TestDivergence: a step that ends in infinities stops with the place and what has been written.
func TestDivergence(t *testing.T) { eachFixture(t, 7, testDivergence) }

func testDivergence(t *testing.T, f *fixture) {
	o := f.options(t.TempDir(), "lomo")
	o.LearningRate, o.MaxGradNorm, o.WarmupSteps, o.Scheduler = 1e30, 0, 0, "constant"
	err := f.run(context.Background(), o, "")
	var d *DivergedError
	if !errors.As(err, &d) || d.Hint == "" {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), "not finite") && !strings.Contains(err.Error(), "NaN") && !strings.Contains(err.Error(), "Inf") {
		t.Errorf("the message does not say what happened: %v", err)
	}
}

// TestSkipBadSteps: with a norm pass, steps that are not finite are skipped and nothing is written.
func TestSkipBadSteps(t *testing.T) { eachFixture(t, 7, testSkipBadSteps) }

func testSkipBadSteps(t *testing.T, f *fixture) {
	d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	o := f.options("", "lomo")
	o.ClipLagged, o.SkipBad, o.DType = false, true, tensor.F32
	tr, err := New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Load(f.weights); err != nil {
		t.Fatal(err)
	}
	tr.Schedule(10)
	gain := tr.net.Norm.W
	gain.F32s()[0] = float32(math.Inf(1))
	q := tr.net.Blocks[0].ForwardUses(true)[0] // q_proj
	before := values(d, q.W)
	m, err := tr.Step([]data.Batch{tokens(2, 13, 1)})
	if err != nil || !m.Skipped {
		t.Fatalf("step: %+v, %v", m, err)
	}
	sameBits(t, "weights after a skipped step", map[string][]float32{"q": before}, map[string][]float32{"q": values(d, q.W)})
	gain.F32s()[0] = 1
	if m, err = tr.Step([]data.Batch{tokens(2, 13, 1)}); err != nil || m.Skipped || tr.state.Updates != 1 {
		t.Errorf("the step after it: %+v, %v, %d updates", m, err, tr.state.Updates)
	}
}

// TestNoTrainedToken: a step without a label changes nothing and is not an error.
func TestNoTrainedToken(t *testing.T) { eachFixture(t, 7, testNoTrainedToken) }

func testNoTrainedToken(t *testing.T, f *fixture) {
	d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tr, err := New(d, f.options("", "lomo"))
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Load(f.weights); err != nil {
		t.Fatal(err)
	}
	tr.Schedule(10)
	b := tokens(1, 8, 1)
	for i := range b.Targets {
		b.Targets[i] = -100
	}
	if m, err := tr.Step([]data.Batch{b}); err != nil || m.Loss != 0 || m.Tokens != 0 || tr.state.Updates != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestMetricsNames holds the keys of metrics.jsonl to the documented ones.
func TestMetricsNames(t *testing.T) {
	raw, err := json.Marshal(StepMetrics{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"step", "epoch", "loss", "lr", "tokens", "seen_tokens", "tok_s", "step_ms"} {
		if !strings.Contains(string(raw), `"`+k+`"`) {
			t.Errorf("no %q in %s", k, raw)
		}
	}
}

// TestExactClipEqualsScaledUpdate: LOMO with an exact clip moves the weights by κ times what it does without.
func TestExactClipEqualsScaledUpdate(t *testing.T) {
	eachFixture(t, 7, testExactClipEqualsScaledUpdate)
}

func testExactClipEqualsScaledUpdate(t *testing.T, f *fixture) {
	move := func(maxNorm float64) (map[string][]float32, *float64) {
		d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		o := f.options("", "lomo")
		o.DType, o.ClipLagged, o.MaxGradNorm, o.WarmupSteps, o.Scheduler = tensor.F32, false, maxNorm, 0, "constant"
		o.Optimizer.WeightDecay = 0
		tr, err := New(d, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Load(f.weights); err != nil {
			t.Fatal(err)
		}
		tr.Schedule(10)
		delta := map[string][]float32{}
		for _, p := range tr.net.Params() {
			delta[p.Name] = values(d, p.W)
		}
		m, err := tr.Step([]data.Batch{tokens(2, 13, 1)})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range tr.net.Params() {
			for i, v := range values(d, p.W) {
				delta[p.Name][i] -= v
			}
		}
		return delta, m.GradNorm
	}
	free, _ := move(0)
	clipped, norm := move(0.1)
	sum := 0.0
	for _, v := range free {
		for _, x := range v {
			sum += float64(x) * float64(x) / (0.01 * 0.01)
		}
	}
	// The norm is read back through weights of about 1 in float32: measured 2e-4.
	if d := math.Abs(*norm/math.Sqrt(sum) - 1); d > 1e-3 {
		t.Errorf("norm %v, from the update %v", *norm, math.Sqrt(sum))
	}
	k := 0.1 / *norm
	for name, v := range free {
		for i, x := range v {
			if d := math.Abs(float64(clipped[name][i]) - k*float64(x)); d > 3e-7 {
				t.Fatalf("%s[%d]: moved %v, want κ·%v = %v", name, i, clipped[name][i], x, k*float64(x))
			}
		}
	}
}
