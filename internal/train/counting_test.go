package train

import (
	"testing"

	"lomo/internal/data"
	"lomo/internal/memdev"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// countStep runs one step of a model on the counting device and returns it.
func countStep(t *testing.T, optimizer string, tied bool, batches ...data.Batch) (*memdev.Device, *model.Network) {
	t.Helper()
	raw := `{"model_type":"llama","vocab_size":997,"hidden_size":64,"intermediate_size":160,"num_hidden_layers":4,"num_attention_heads":4`
	if tied {
		raw += `,"tie_word_embeddings":true`
	}
	cfg, err := families.Parse([]byte(raw + "}"))
	if err != nil {
		t.Fatal(err)
	}
	d := memdev.Open(0)
	tr, err := New(d, Options{Model: cfg, DType: tensor.BF16, SequenceLen: 64, Recompute: true, LearningRate: 0.01, Scheduler: "constant",
		Optimizer: optim.Config{Name: optimizer, AdaLomo: optim.DefaultAdaLomo(), AdamW: optim.DefaultAdamW()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Load(nil); err != nil {
		t.Fatal(err)
	}
	tr.Schedule(1)
	if _, err := tr.Step(batches); err != nil {
		t.Fatal(err)
	}
	return d, tr.Network()
}

// TestGradientBytes is the claim of the method: with one micro-batch LOMO holds no matrix's gradient, with four at most
// one block's.
func TestGradientBytes(t *testing.T) {
	four := []data.Batch{tokens(4, 50, 1), tokens(4, 50, 2), tokens(4, 50, 3), tokens(4, 50, 4)}
	for _, tied := range []bool{true, false} {
		d, net := countStep(t, "lomo", tied, tokens(4, 50, 1))
		if got := d.Memory().OwnerPeak("gradient"); got != 0 {
			t.Errorf("tied=%v, one micro-batch: %d bytes of gradient, want 0", tied, got)
		}
		d, net = countStep(t, "lomo", tied, four...)
		block := int64(net.Blocks[0].MatrixLen()) * 4
		got := d.Memory().OwnerPeak("gradient") + d.Memory().OwnerPeak("gradient factors")
		if got == 0 || got > block {
			t.Errorf("tied=%v, four micro-batches: %d bytes of gradient, want at most one block's %d", tied, got, block)
		}
	}
}

// TestStateBytes checks the optimizers' state against the formulas of algorithms.md.
func TestStateBytes(t *testing.T) {
	for _, c := range []struct {
		name string
		want func(n *model.Network) int64
	}{
		{"lomo", func(*model.Network) int64 { return 0 }},
		{"adalomo", func(n *model.Network) (b int64) {
			for _, p := range n.Params() { // r and c, or v
				for _, s := range p.Shape {
					b += align(4 * int64(s))
				}
			}
			return b
		}},
		{"adamw", func(n *model.Network) (b int64) { // m, v and the float32 master
			for _, p := range n.Params() {
				b += 3 * align(4*int64(p.Len()))
			}
			return b
		}},
	} {
		d, net := countStep(t, c.name, true, tokens(4, 50, 1))
		if got, want := d.Memory().OwnerPeak("optimizer"), c.want(net); got != want {
			t.Errorf("%s: %d bytes of state, want %d", c.name, got, want)
		}
	}
}

func align(n int64) int64 { return (n + 63) &^ 63 }

// TestSmallerStepsFit: the arena has the size of a run's largest step, so no step of shorter sequences or fewer
// micro-batches, as the end of an epoch brings them, may take more.
func TestSmallerStepsFit(t *testing.T) {
	cfg, err := families.Parse([]byte(`{"model_type":"llama","vocab_size":320,"hidden_size":64,"intermediate_size":176,
		"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"tie_word_embeddings":true}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lomo", "adalomo", "sgd", "adamw"} {
		for _, recompute := range []bool{true, false} {
			o := Options{Model: cfg, DType: tensor.BF16, SequenceLen: 64, MicroBatch: 2, Accumulation: 3, Recompute: recompute, MaxGradNorm: 1,
				LearningRate: 0.01, Scheduler: "constant", Optimizer: optim.Config{Name: name, AdaLomo: optim.DefaultAdaLomo(), AdamW: optim.DefaultAdamW()}}
			d := memdev.Open(0)
			tr, err := New(d, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := tr.Load(nil); err != nil {
				t.Fatal(err)
			}
			tr.Schedule(1)
			planned := int64(0)
			for length := 64; length > 0; length -= 3 {
				for micros := 3; micros > 0; micros-- {
					var step []data.Batch
					for i := range micros {
						step = append(step, tokens(2-i/2, max(length-i, 2), i+1))
					}
					if planned == 0 {
						step = []data.Batch{tokens(2, 64, 1), tokens(2, 64, 2), tokens(2, 64, 3)}
					}
					if _, err := tr.Step(step); err != nil {
						t.Fatal(err)
					}
					peak, _, _ := d.Memory().Peak()
					if planned == 0 {
						planned = peak
					}
					if peak > planned {
						t.Fatalf("%s, recompute %v: %d micro-batches of up to %d tokens take %d bytes, the largest step %d", name, recompute, micros, length, peak, planned)
					}
				}
			}
		}
	}
}
