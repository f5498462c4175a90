package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// TestNothingLearned: a run whose updates vanish ends with an error that says why, and writes neither a checkpoint of its end nor a model.
func TestNothingLearned(t *testing.T) {
	f := newFixture(t, 1, true)
	for _, c := range []struct {
		name   string
		change func(*Options)
		hint   string
	}{
		{"nearest", func(o *Options) { o.LearningRate = 1e-30; o.Optimizer.Rounding = device.Nearest }, "rounding: nearest loses"},
		{"nearest, no checkpoints", func(o *Options) { o.LearningRate, o.SaveSteps = 1e-30, 0; o.Optimizer.Rounding = device.Nearest }, "rounding: nearest loses"},
		{"float32", func(o *Options) { o.LearningRate, o.DType = 1e-30, tensor.F32 }, "raise learning_rate, which is 1e-30"},
		{"clipped", func(o *Options) { o.MaxGradNorm, o.ClipLagged, o.DType = 1e-30, false, tensor.F32 }, "max_grad_norm, which is 1e-30"},
		{"clipped by value", func(o *Options) { o.MaxGradNorm, o.Optimizer.ClipValue, o.DType = 0, 1e-35, tensor.F32 }, "clip_value, which is 1e-35"},
	} {
		dir := t.TempDir()
		o := f.options(dir, "lomo")
		o.Optimizer.WeightDecay = 0
		o.SaveSteps = 500
		c.change(&o)
		err := f.run(context.Background(), o, "")
		var still *UnchangedError
		if !errors.As(err, &still) || !strings.Contains(still.Hint(), c.hint) {
			t.Errorf("%s: %v, want a hint %q", c.name, err, c.hint)
			continue
		}
		left, _ := filepath.Glob(dir + "/*")
		if left = slices.DeleteFunc(left, func(p string) bool { return filepath.Base(p) == "config.json" }); len(left) > 0 {
			t.Errorf("%s: it has written %v", c.name, left)
		}
	}
}

// TestNothingLearnedYet: a checkpoint of unchanged weights is told of, and the run may yet learn; a resumed run compares with the weights that it first began with.
func TestNothingLearnedYet(t *testing.T) {
	f := newFixture(t, 1, true)
	dir := t.TempDir()
	o := f.options(dir, "lomo")
	o.LearningRate, o.SaveSteps, o.Optimizer.WeightDecay, o.DType = 1e-30, 2, 0, tensor.F32
	var lines []string
	o.Note = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	var still *UnchangedError
	if err := f.run(context.Background(), o, ""); !errors.As(err, &still) {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(lines, func(s string) bool {
		return strings.Contains(s, "after 2 steps every weight is as the run began with it")
	}) {
		t.Errorf("said: %q", lines)
	}
	at := filepath.Join(dir, "checkpoint-2")
	if err := f.run(context.Background(), o, at); !errors.As(err, &still) {
		t.Errorf("resumed: %v", err)
	}
	o.LearningRate = 0.01
	if err := f.run(context.Background(), o, at); err != nil {
		t.Errorf("resumed with a rate: %v", err)
	}
}

// TestNothingLearnedOnRanks: ranks agree on it, however the rows are spread.
func TestNothingLearnedOnRanks(t *testing.T) {
	for _, tied := range []bool{true, false} {
		f := newFixture(t, 1, tied)
		for _, n := range []int{2, 3} {
			o := f.options(t.TempDir(), "lomo")
			o.LearningRate, o.Optimizer.WeightDecay, o.DType, o.Accumulation = 1e-30, 0, tensor.F32, 1
			var still *UnchangedError
			if err := f.runRanks(context.Background(), n, o, ""); !errors.As(err, &still) {
				t.Errorf("%d ranks: %v", n, err)
			}
			o.LearningRate, o.OutputDir = 0.01, t.TempDir()
			if err := f.runRanks(context.Background(), n, o, ""); err != nil {
				t.Errorf("%d ranks that learn: %v", n, err)
			}
		}
	}
}

// TestHeldOutLossTold: a held-out loss that has not moved, or has risen, is told of at the end, also of a run that was resumed.
func TestHeldOutLossTold(t *testing.T) {
	f := newFixture(t, 1, true)
	for _, c := range []struct {
		name, optimizer string
		lr              float64
		said            string
	}{{"learns", "adalomo", 0.01, ""}, {"stands", "lomo", 1e-7, "has not moved"}, {"is made worse", "adalomo", 2, "rose from"}} {
		var lines []string
		dir := t.TempDir()
		o := f.options(dir, c.optimizer)
		o.LearningRate, o.EvalOnStart, o.DType, o.Optimizer.WeightDecay = c.lr, true, tensor.F32, 0
		o.Note = func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		for _, resume := range []string{"", filepath.Join(dir, "checkpoint-3")} {
			lines = nil
			if err := f.run(context.Background(), o, resume); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			told := slices.ContainsFunc(lines, func(s string) bool { return strings.Contains(s, "held-out loss") && strings.Contains(s, c.said) })
			if told != (c.said != "") {
				t.Errorf("%s, resume %q: said %q", c.name, resume, lines)
			}
		}
	}
}

// TestLastCheckpoint: there is one after the last step unless save_steps is 0, and the trained model is its files under second names.
func TestLastCheckpoint(t *testing.T) {
	f := newFixture(t, 1, true)
	for _, every := range []int{0, 1, 4, 500} {
		dir := t.TempDir()
		o := f.options(dir, "adalomo")
		o.SaveSteps, o.SaveLimit, o.NumEpochs, o.MaxSteps = every, 2, 0, 5
		if err := f.run(context.Background(), o, ""); err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, "checkpoint-5")
		if err := checkpoint.Complete(at); (err == nil) != (every > 0) {
			t.Errorf("save_steps %d: %v", every, err)
		}
		a, err := os.Stat(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.Stat(filepath.Join(at, "model.safetensors")); every > 0 && (err != nil || !os.SameFile(a, b)) {
			t.Errorf("save_steps %d: the trained model takes space of its own", every)
		}
	}
}

// TestPrints: checksums read back, add up over pieces, and tell rows that have changed places.
func TestPrints(t *testing.T) {
	p := prints{0, 1, 0xffffffff, 0x12345678}
	if q, err := printsOf(p.text()); err != nil || !slices.Equal(p, q) {
		t.Errorf("%v: %v, %v", p, q, err)
	}
	for _, bad := range []string{"1", "123456", "zzzzzzzz", "123456789"} {
		if _, err := printsOf(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	data := []byte("one two threefour")[:16]
	sum := func(pieces ...int) uint32 {
		p := &printer{sums: make(prints, 1), index: map[string]int{"w": 0}}
		for i := 0; i+1 < len(pieces); i++ {
			p.add("w", pieces[i], pieces[i+1]-pieces[i], data[4*pieces[i]:4*pieces[i+1]])
		}
		return p.sums[0]
	}
	whole := sum(0, 4)
	if sum(0, 1, 4) != whole || sum(0, 1, 2, 3, 4) != whole {
		t.Error("pieces do not add up")
	}
	data = []byte("two one threefour")[:16]
	if sum(0, 4) == whole {
		t.Error("rows that changed places are not told")
	}
}
