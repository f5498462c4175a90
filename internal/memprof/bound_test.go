package memprof

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/data"
	"lomo/internal/memdev"
	"lomo/internal/model/families"
	"lomo/internal/optim"
	"lomo/internal/tensor"
	"lomo/internal/train"
)

// drawn is a random run: its options, of how many ranks, and whether it evaluates.
type drawn struct {
	o       train.Options
	ranks   int
	evalLen int
}

func (r drawn) String() string {
	o := r.o
	return fmt.Sprintf("%s %v tied=%v norm=%v lagged=%v offload=%d spill=%d gather=%v recompute=%v ranks=%d vocab=%d hidden=%d mlp=%d kv=%d %dx%dx%d eval=%d",
		o.Optimizer.Name, o.DType, o.Model.TieWordEmbeddings, o.MaxGradNorm, o.ClipLagged, o.Offload, o.SpillInputs, o.GatherByMatrix, o.Recompute, r.ranks,
		o.Model.VocabSize, o.Model.HiddenSize, o.Model.IntermediateSize, o.Model.NumKeyValueHeads, o.Accumulation, o.MicroBatch, o.SequenceLen, r.evalLen)
}

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }

// draw is one of the runs that a configuration can ask for. Vocabularies are such that the chunks of logits, the blocks or the
// inputs of blocks are what counts, and widths such that tensors end between two multiples of the arena's alignment too.
func draw(t *testing.T, rnd *rand.Rand) drawn {
	t.Helper()
	heads := pick(rnd, 1, 2, 3, 4)
	hidden := heads * pick(rnd, 8, 10, 10, 256)
	cfg, err := families.Parse(fmt.Appendf(nil, `{"model_type":"llama","vocab_size":%d,"hidden_size":%d,"intermediate_size":%d,"num_hidden_layers":%d,
		"num_attention_heads":%d,"num_key_value_heads":%d,"tie_word_embeddings":%v}`, pick(rnd, 97, 97, 32000, 49152, 128256), hidden,
		hidden*pick(rnd, 1, 2, 2, 3)+pick(rnd, 0, 0, 1), pick(rnd, 1, 2, 3), heads, pick(rnd, 1, heads, heads), rnd.IntN(2) == 0))
	if err != nil {
		t.Fatal(err)
	}
	r := drawn{ranks: pick(rnd, 1, 1, 2, 3), o: train.Options{
		Model: cfg, DType: pick(rnd, tensor.BF16, tensor.F32), Recompute: rnd.IntN(2) == 0, MicroBatch: pick(rnd, 1, 2, 5), Accumulation: pick(rnd, 1, 1, 2, 4),
		SequenceLen: pick(rnd, 7, 64, 130, 512), LearningRate: 1e-3, Scheduler: "constant", MaxGradNorm: pick(rnd, 0.0, 1), ClipLagged: rnd.IntN(2) == 0,
		SpillInputs: pick(rnd, train.OnDevice, train.OnHost, train.OnDisk), Offload: pick(rnd, train.OnDevice, train.OnHost, train.OnDisk),
		ReduceDType: pick(rnd, tensor.BF16, tensor.F32), GatherByMatrix: rnd.IntN(2) == 0,
		Optimizer: optim.Config{Name: pick(rnd, "lomo", "adalomo", "adamw", "sgd"), AdaLomo: optim.DefaultAdaLomo(), AdamW: optim.DefaultAdamW()}}}
	if r.ranks > 1 && r.o.Offload == train.OnDisk {
		r.o.Offload = train.OnHost
	}
	if r.ranks > 1 && r.o.SpillInputs == train.OnDisk {
		r.o.SpillInputs = train.OnHost
	}
	if rnd.IntN(2) == 0 {
		r.evalLen = 1 + rnd.IntN(r.o.SequenceLen)
	}
	return r
}

// someTokens is a micro-batch of at most b × t tokens, of which any number is trained on.
func someTokens(rnd *rand.Rand, b, t, vocab int) data.Batch {
	x := full(1+rnd.IntN(b), pick(rnd, t, 1+rnd.IntN(t)), rnd.IntN(3), vocab)
	if x.Trained == 0 {
		return x
	}
	var at []int
	for i, l := range x.Targets {
		if l >= 0 {
			at = append(at, i)
		}
	}
	keep := pick(rnd, 0, 1, rnd.IntN(len(at)), rnd.IntN(len(at)), len(at))
	rnd.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
	for _, i := range at[keep:] {
		x.Targets[i] = -100
	}
	x.Trained = keep
	return x
}

// TestPlanBoundsEveryStep: no step, last partial step or evaluation of any rank takes more than was planned, whatever its lengths and the number of its
// trained tokens. The run's arena is exactly as large as the plan's.
func TestPlanBoundsEveryStep(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	runs := 800
	if testing.Short() {
		runs = 300
	}
	for range runs {
		r := draw(t, rnd)
		evalRows := 0
		if r.evalLen > 0 {
			evalRows = r.o.MicroBatch
		}
		p, err := Run(r.o, Machine{Ranks: r.ranks}, evalRows, r.evalLen)
		if err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		host := int64(0)
		for owner, n := range p.Owners {
			if len(owner) > 18 && owner[len(owner)-18:] == " beside the device" {
				host += n
			}
		}
		rank := rnd.IntN(r.ranks)
		d := memdev.Open(p.Arena)
		if err := randomRun(rnd, d, r, rank); err != nil {
			t.Fatalf("rank %d of %v: %v", rank, r, err)
		}
		if bytes, _, _ := d.PinnedMemory().Peak(); bytes*int64(r.ranks) > host {
			t.Fatalf("rank %d of %v: %d bytes of host memory, planned %d", rank, r, bytes*int64(r.ranks), host)
		}
	}
}

// randomRun is one rank's way through some steps and evaluations.
func randomRun(rnd *rand.Rand, d *memdev.Device, r drawn, rank int) error {
	tr, err := train.NewRank(d, comm.Counting(rank, r.ranks), r.o)
	if err != nil {
		return err
	}
	if err := tr.Load(nil); err != nil {
		return err
	}
	tr.Schedule(100)
	for range 12 {
		var step []data.Batch
		most := r.o.Accumulation * r.ranks
		for range pick(rnd, most, 1+rnd.IntN(most)) {
			step = append(step, someTokens(rnd, r.o.MicroBatch, r.o.SequenceLen, r.o.Model.VocabSize))
		}
		if _, err := tr.Step(step); err != nil {
			counts := []int{}
			for _, b := range step {
				counts = append(counts, b.B, b.T, b.Trained)
			}
			return fmt.Errorf("step of %v (rows, length, trained): %w", counts, err)
		}
		if _, err := tr.Stop(context.Background()); err != nil {
			return err
		}
		if r.evalLen > 0 && rnd.IntN(3) == 0 {
			turn := []data.Batch{}
			for range 1 + rnd.IntN(r.ranks) {
				turn = append(turn, someTokens(rnd, r.o.MicroBatch, r.evalLen, r.o.Model.VocabSize))
			}
			if _, err := tr.Sweep().TurnLosses(turn); err != nil {
				return fmt.Errorf("evaluation: %w", err)
			}
		}
	}
	return tr.Close()
}
