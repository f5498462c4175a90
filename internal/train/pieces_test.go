package train

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// pieces is a device that notes the chunks of rows and the blocks of the vocabulary that logits are made in.
type pieces struct {
	device.Device
	chunks []int        // rows of each
	blocks map[int]bool // where each begins
}

func (d *pieces) SoftmaxStats(stats, z, targets tensor.Tensor, v0 int, first bool) {
	d.chunks = append(d.chunks, z.Shape[0])
	d.Device.SoftmaxStats(stats, z, targets, v0, first)
}

func (d *pieces) SoftmaxGrad(dz, z, lse, targets tensor.Tensor, v0 int, scale, limit float32) {
	d.blocks[v0] = true
	d.Device.SoftmaxGrad(dz, z, lse, targets, v0, scale, limit)
}

// logitsSizes are room for logits of tiny models, 61 to 96 ids: chunks and blocks are several, with a shorter one at the end, or one or two of each.
var logitsSizes = []int64{800, 2200, 3200, 4200}

// TestHeadInPieces: however few logits there is room for, in chunks of rows and in blocks of the vocabulary, loss and gradients are those of all at
// once, which finite differences and PyTorch vouch for. With a norm pass before and without, with and without a gradient that waits for the embedding's.
func TestHeadInPieces(t *testing.T) {
	step := []data.Batch{tokens(2, 13, 1), tokens(1, 9, 3)}
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, tied := range []bool{true, false} {
			m := newTiny(t, tinyOptions{tied: tied, dtype: dt, recompute: true})
			wantLoss, want := m.gradients(t, false, step...)
			wantEval := m.loss(t, step...)
			for _, whole := range []bool{true, false} {
				for _, again := range []bool{true, false} {
					for _, room := range logitsSizes {
						t.Run(fmt.Sprintf("%v/tied=%v/whole=%v/again=%v/%d", dt, tied, whole, again, room), func(t *testing.T) {
							seen := &pieces{Device: m.d, blocks: map[int]bool{}}
							m.sweep.D, m.sweep.logits = seen, room
							defer func() { m.sweep.D, m.sweep.logits = m.d, 0 }()
							loss, got := m.gradientsAfter(t, again, whole, step...)
							if n := len(seen.chunks); n < 2 || room < 2000 && seen.chunks[n-1] >= seen.chunks[0] {
								t.Fatalf("chunks of %v rows", seen.chunks)
							}
							if !whole && len(seen.blocks) < 2 {
								t.Fatalf("blocks at %v", seen.blocks)
							}
							if math.Abs(loss-wantLoss) > 1e-6*wantLoss {
								t.Errorf("loss %v, want %v", loss, wantLoss)
							}
							near, each := 1e-6, 1e-5 // the order of float32 sums: measured 3e-7 and 1e-6
							if dt == tensor.BF16 {
								near, each = 0.01, 0.03 // what a bit in the eighth place of dX makes: measured 0.003 and 0.01
							}
							if d := apart(got, want); d > near {
								t.Errorf("gradients differ by %.2e", d)
							}
							if d, at := worst(got, want); d > each {
								t.Errorf("gradients differ by %.2e at %s", d, at)
							}
							if eval := m.loss(t, step...); math.Abs(eval-wantEval) > 1e-6*wantEval {
								t.Errorf("loss of an evaluation %v, want %v", eval, wantEval)
							}
						})
					}
				}
			}
		}
	}
}

// gradientsAfter is gradients, with a norm pass before where again says so.
func (m *tiny) gradientsAfter(t *testing.T, again, whole bool, batches ...data.Batch) (float64, map[string][]float32) {
	t.Helper()
	if !again {
		return m.gradients(t, whole, batches...)
	}
	mark := m.d.Memory().Mark()
	defer m.d.Memory().Release(mark)
	p, err := m.sweep.Load(batches)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := m.d.Alloc("test", "sum", tensor.F64, 1)
	if err != nil {
		t.Fatal(err)
	}
	sink := &collect{d: m.d, whole: whole, got: map[string][]float32{}}
	err = p.Forward(true)
	if err == nil {
		_, err = p.Backward(&optim.NormPass{D: m.d, Sum: sum}, true)
	}
	var loss float64
	if err == nil {
		loss, err = p.Backward(sink, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return loss / float64(p.Trained()), sink.got
}

// TestStepsInPieces: two steps of a run, alone and on ranks, with each optimizer and both ways of clipping, end at the weights of a run that has
// room for all logits.
func TestStepsInPieces(t *testing.T) { eachFixture(t, 2, testStepsInPieces) }

func testStepsInPieces(t *testing.T, f *fixture) {
	for _, name := range []string{"lomo", "adalomo", "sgd", "adamw"} {
		for _, lagged := range []bool{true, false} {
			for _, ranks := range []int{1, 2} {
				o := f.options("", name)
				o.WarmupSteps = 0 // else the first step writes nothing
				o.DType, o.ClipLagged, o.MicroBatch, o.Accumulation = tensor.F32, lagged, 2, 2/ranks
				t.Run(fmt.Sprintf("%s/lagged=%v/%d", name, lagged, ranks), func(t *testing.T) {
					want := f.stepsInPieces(t, ranks, o, 0)
					for _, room := range []int64{800, 3200} {
						if d, at := worst(f.stepsInPieces(t, ranks, o, room), want); d > 2e-5 { // measured 2e-6
							t.Errorf("room of %d: weights differ by %.1e at %s", room, d, at)
						}
					}
				})
			}
		}
	}
}

// stepsInPieces makes two steps with room bytes for logits and returns the model.
func (f *fixture) stepsInPieces(t *testing.T, ranks int, o Options, room int64) map[string][]float32 {
	t.Helper()
	dir := t.TempDir()
	group := comm.NewLocal(ranks)
	if ranks == 1 {
		group = []comm.Comm{comm.Single()}
	}
	one := func(r int) (err error) {
		d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, Threads: 1, PoisonReleased: true})
		if err != nil {
			return err
		}
		defer d.Close()
		tr, err := NewRank(d, group[r], o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, tr.Close()) }()
		tr.sweep.logits = room
		if err := tr.Load(f.weights); err != nil {
			return err
		}
		tr.Schedule(2)
		for s := range 2 {
			if _, err := tr.Step([]data.Batch{tokens(2, 13, 1+s), tokens(2, 13, 3+s)}); err != nil {
				return err
			}
		}
		return tr.writeModel(dir, false)
	}
	var err error
	if ranks == 1 {
		err = guarded(func() error { return one(0) })
	} else {
		err = OnRanks(group, one, comm.Comm.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	return weightsOf(t, dir)
}
