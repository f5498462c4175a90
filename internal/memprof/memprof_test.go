package memprof

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/optim"
	"lomo/internal/tensor"
	"lomo/internal/train"
)

// zeros reads every weight as nothing: only sizes matter here.
type zeros struct{}

func (zeros) ReadRows(_ string, _, _ int, dst []byte, _ tensor.DType) error { clear(dst); return nil }

func options(t *testing.T, optimizer string, dt tensor.DType, tied, recompute bool, accumulation int, maxNorm float64) train.Options {
	t.Helper()
	cfg, err := families.Parse(fmt.Appendf(nil, `{"model_type":"llama","vocab_size":499,"hidden_size":48,"intermediate_size":112,
		"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,"tie_word_embeddings":%v}`, tied))
	if err != nil {
		t.Fatal(err)
	}
	return train.Options{Model: cfg, DType: dt, Recompute: recompute, MicroBatch: 3, Accumulation: accumulation, SequenceLen: 33,
		LearningRate: 1e-3, Scheduler: "constant", MaxGradNorm: maxNorm,
		Optimizer: optim.Config{Name: optimizer, AdaLomo: optim.DefaultAdaLomo(), AdamW: optim.DefaultAdamW()}}
}

// TestPlanIsTheRun: the counting device's peak is, to the byte, the host's when it makes the same step and evaluation, whatever
// the optimizer and settings.
func TestPlanIsTheRun(t *testing.T) {
	for _, optimizer := range []string{"lomo", "adalomo", "adamw", "sgd"} {
		for _, dt := range []tensor.DType{tensor.BF16, tensor.F32} {
			for _, tied := range []bool{true, false} {
				for _, recompute := range []bool{true, false} {
					for _, c := range []struct {
						accumulation int
						maxNorm      float64
					}{{1, 0}, {3, 0}, {1, 1}, {3, 1}} {
						name := fmt.Sprintf("%s/%v/tied=%v/recompute=%v/k=%d/norm=%v", optimizer, dt, tied, recompute, c.accumulation, c.maxNorm)
						o := options(t, optimizer, dt, tied, recompute, c.accumulation, c.maxNorm)
						p, err := Run(o, Machine{Beside: map[string]int64{"kernel workspace": 10, "program and its heap": 20}}, o.MicroBatch, o.SequenceLen)
						if err != nil {
							t.Fatalf("%s: %v", name, err)
						}
						if got := realPeak(t, o, p.Arena); got != p.Arena {
							t.Errorf("%s: planned %d bytes, the run took %d", name, p.Arena, got)
						}
						sum := int64(0)
						for _, r := range p.Rows() {
							sum += r.Bytes
						}
						if sum != p.Peak || p.Peak != p.Arena+30 || p.At == "" {
							t.Errorf("%s: owners add up to %d, peak %d at %q", name, sum, p.Peak, p.At)
						}
					}
				}
			}
		}
	}
}

// TestStateOfRanks: the optimizer's state of a plan is that of all ranks, each with its rows of a matrix and all of a vector.
func TestStateOfRanks(t *testing.T) {
	const align = 64
	for _, c := range []struct {
		optimizer string
		dt        tensor.DType
		copies    int64 // of a weight, in float32
	}{{"lomo", tensor.BF16, 0}, {"adamw", tensor.F32, 2}, {"adamw", tensor.BF16, 3}} {
		for _, ranks := range []int{0, 1, 2, 3} {
			o := options(t, c.optimizer, c.dt, false, true, 1, 0)
			p, err := Run(o, Machine{Ranks: ranks}, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			var want int64
			for _, w := range model.NewNetwork(o.Model).Params() {
				n := w.Len()
				if w.Matrix() {
					n = comm.Each(w.Shape[0], max(1, ranks)) * w.Shape[1]
					if r0, r1 := comm.Rows(w.Shape[0], max(1, ranks), 0); r1-r0 != n/w.Shape[1] {
						t.Fatalf("rank 0 has %d rows of %d", r1-r0, n/w.Shape[1])
					}
				}
				want += c.copies * int64(max(1, ranks)) * int64((4*n+align-1)/align*align)
			}
			if p.State != want {
				t.Errorf("%s of %v weights on %d ranks: %d bytes of state, want %d", c.optimizer, c.dt, ranks, p.State, want)
			}
		}
	}
}

// realPeak trains a step and evaluates on the host, in an arena of exactly the planned size.
func realPeak(t *testing.T, o train.Options, capacity int64) int64 {
	t.Helper()
	d, err := cpukern.Open(cpukern.Options{Capacity: capacity, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tr, err := train.New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if err := tr.Load(zeros{}); err != nil {
		t.Fatal(err)
	}
	tr.Schedule(1)
	var step []data.Batch
	for i := 0; i < o.Accumulation; i++ {
		step = append(step, full(o.MicroBatch, o.SequenceLen, i, o.Model.VocabSize))
	}
	if _, err := tr.Step(step); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Sweep().TokenLosses(full(o.MicroBatch, o.SequenceLen, 0, o.Model.VocabSize)); err != nil {
		t.Fatal(err)
	}
	bytes, _, _ := d.Memory().Peak()
	return bytes
}

// TestLogitsRoom: chunks of logits take what a block's backward pass frees and no more, so a step of SmolLM2-135M's shape peaks there, also where a
// gradient of the whole head is held.
func TestLogitsRoom(t *testing.T) {
	for _, optimizer := range []string{"lomo", "adalomo"} {
		for _, tied := range []bool{true, false} {
			for _, maxNorm := range []float64{0, 1} {
				o := options(t, optimizer, tensor.BF16, tied, true, 1, maxNorm)
				o.Model.VocabSize, o.Model.HiddenSize, o.Model.IntermediateSize, o.Model.HeadDim = 49152, 576, 1536, 64
				o.Model.NumAttentionHeads, o.Model.NumKeyValueHeads, o.MicroBatch, o.SequenceLen = 9, 3, 4, 1024
				p, err := Run(o, Machine{}, 4, 1024)
				if err != nil {
					t.Fatal(err)
				}
				if whole := optimizer == "adalomo" && !tied; strings.HasPrefix(p.At, "backward, block") == whole {
					t.Errorf("%s, tied=%v, norm=%v: %d bytes at %q", optimizer, tied, maxNorm, p.Peak, p.At)
				}
			}
		}
	}
}

// TestPlanKnowsDistinctTokens: the rows of the embedding that a step reads are counted over its micro-batches, so the plan's
// must not repeat each other's tokens.
func TestPlanKnowsDistinctTokens(t *testing.T) {
	const b, length, vocab = 2, 5, 23
	seen := map[int32]bool{}
	for number, want := range []int{10, 20, vocab, vocab} {
		for _, id := range full(b, length, number, vocab).IDs {
			seen[id] = true
		}
		if len(seen) != want {
			t.Errorf("%d micro-batches: %d different tokens, want %d", number+1, len(seen), want)
		}
	}
}

// TestPlanOfDisk: weights and block inputs on disk take buffers instead, and the plan knows them.
func TestPlanOfDisk(t *testing.T) {
	resident := options(t, "lomo", tensor.BF16, false, true, 1, 1)
	disk := resident
	disk.Offload, disk.SpillInputs = train.OnDisk, train.OnDisk
	p, err := Run(disk, Machine{}, disk.MicroBatch, disk.SequenceLen)
	if err != nil {
		t.Fatal(err)
	}
	if p.Owners["weights"] >= p.Owners["weight buffers"] {
		t.Errorf("owners: %v", p.Owners)
	}
	dir := t.TempDir()
	disk.WorkingCopy, disk.SpillFile = filepath.Join(dir, "weights"), filepath.Join(dir, "inputs")
	if got := realPeak(t, disk, p.Arena); got != p.Arena {
		t.Errorf("planned %d bytes, the run took %d", p.Arena, got)
	}
}
