package train

import (
	"fmt"
	"runtime"
	"testing"

	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/model/families"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// TestStepTakesNoMemory: the arena's peak is reached in the first step, and what a step allocates on the Go heap are the batch's numbers and small
// things for each operation, not tensors: a model of sixteen times the weights makes no more of it.
func TestStepTakesNoMemory(t *testing.T) {
	const bound = 700 << 10 // measured 480 KB, closures and shapes of some hundred operations
	perStep := func(optimizer string, hidden int) float64 {
		cfg, err := families.Parse(fmt.Appendf(nil, `{"model_type":"llama","vocab_size":61,"hidden_size":%d,"intermediate_size":%d,
			"num_hidden_layers":3,"num_attention_heads":4,"tie_word_embeddings":true}`, hidden, 2*hidden))
		if err != nil {
			t.Fatal(err)
		}
		d, err := cpukern.Open(cpukern.Options{Capacity: 256 << 20, Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close() //nolint:errcheck // a device of a test
		tr, err := New(d, Options{Model: cfg, DType: tensor.BF16, LearningRate: 1e-3, Scheduler: "constant", MaxGradNorm: 1, Recompute: true, MicroBatch: 2,
			Accumulation: 2, SequenceLen: 24, Optimizer: optim.Config{Name: optimizer, AdaLomo: optim.DefaultAdaLomo(), Common: optim.Common{Rounding: device.Stochastic}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Load(zeros{}); err != nil {
			t.Fatal(err)
		}
		tr.Schedule(10)
		step := func() {
			if _, err := tr.Step([]data.Batch{tokens(2, 24, 1), tokens(2, 24, 2)}); err != nil {
				t.Fatal(err)
			}
		}
		step()
		peak, _, _ := d.Memory().Peak()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const steps = 5
		for range steps {
			step()
		}
		runtime.ReadMemStats(&after)
		if later, _, _ := d.Memory().Peak(); later != peak {
			t.Errorf("%s: the arena's peak grew from %d to %d bytes", optimizer, peak, later)
		}
		return float64(after.TotalAlloc-before.TotalAlloc) / steps
	}
	for _, optimizer := range []string{"lomo", "adalomo"} {
		small, large := perStep(optimizer, 32), perStep(optimizer, 128)
		t.Logf("%s: %.0f and %.0f bytes a step", optimizer, small, large)
		if large > bound || large > 1.2*small {
			t.Errorf("%s: a step allocates %.0f bytes, with sixteen times the weights %.0f", optimizer, small, large)
		}
	}
}
