package train

import (
	"fmt"
	"sync"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/memdev"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// zeros reads every weight as nothing: only sizes matter here.
type zeros struct{}

func (zeros) ReadRows(_ string, _, _ int, dst []byte, _ tensor.DType) error { clear(dst); return nil }

// sent trains one step of k micro-batches a rank and returns the bytes rank 0 sent in it.
func sent(d device.Device, c comm.Comm, o Options, k int, src bool) (int64, error) {
	tr, err := NewRank(d, c, o)
	if err != nil {
		return 0, err
	}
	if src {
		err = tr.Load(zeros{})
	} else {
		err = tr.Load(nil)
	}
	if err != nil {
		return 0, err
	}
	tr.Schedule(1)
	var step []data.Batch
	for i := range k * c.Size() {
		step = append(step, tokens(2, 24, i+1))
	}
	before := c.Sent()
	if _, err := tr.Step(step); err != nil {
		return 0, err
	}
	return c.Sent() - before, nil
}

// planned is what a rank sends in a step, in closed form: the forward sweep gathers every block, the backward sweep all but the
// two that its buffers still hold, a norm pass before it once more; tables are gathered once, the blocks' gradients are summed
// in each backward sweep, a tied table's twice. Where tables pass through the buffers of blocks (shared), each use of a table
// gathers it, and the head's takes the place of the last block but one.
func planned(net *model.Network, o Options, n int, shared bool) int64 {
	last, passes := len(net.Blocks)-1, int64(1)
	kept := last - 1
	if shared {
		kept = last
	}
	if o.MaxGradNorm > 0 && !o.ClipLagged {
		passes = 2
	}
	total := passes * comm.AllReduceSends(8, n) // the loss
	if o.MaxGradNorm > 0 {
		total += comm.AllReduceSends(8, n)
	}
	for _, p := range net.Params() {
		if !p.Matrix() {
			total += passes * comm.AllReduceSends(4*int64(p.Len()), n)
			continue
		}
		part := int64(comm.Each(p.Shape[0], n) * p.Shape[1])
		gathers, sums := 1+passes, passes
		switch {
		case p.Block < 0 || p.Block > last:
			if gathers = 1; shared && p == net.Head {
				gathers = passes
			}
			if net.Tied() {
				sums *= 2
				if shared {
					gathers++
				}
			}
		case p.Block >= kept:
			gathers--
		}
		total += gathers*comm.GatherSends(part*int64(o.DType.Size()), n) + sums*comm.ReduceSends(part, o.ReduceDType, n)
		if o.Optimizer.Name == "adalomo" {
			total += comm.AllReduceSends(4*int64(p.Shape[1])+3*8, n)
		}
	}
	return total
}

// TestTraffic: the bytes a rank sends in a step are the closed form's, on the counting device and between real ranks, and do
// not depend on the number of micro-batches. Gathering matrix by matrix sends what the counting device says.
func TestTraffic(t *testing.T) {
	for _, c := range []struct {
		optimizer string
		tied      bool
		norm      float64
		lagged    bool
		wire      tensor.DType
		vocab     int // 499: a table larger than two blocks, which has a buffer of its own
	}{{"lomo", false, 0, false, tensor.BF16, 61}, {"lomo", true, 1, false, tensor.F32, 61}, {"lomo", true, 1, false, tensor.F32, 499},
		{"adalomo", true, 1, true, tensor.BF16, 61}, {"adamw", false, 1, false, tensor.BF16, 61}, {"adamw", false, 1, false, tensor.BF16, 499}} {
		cfg, err := families.Parse(fmt.Appendf(nil, `{"model_type":"llama","vocab_size":%d,"hidden_size":24,"intermediate_size":40,
			"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,"tie_word_embeddings":%v}`, c.vocab, c.tied))
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Model: cfg, DType: tensor.BF16, SequenceLen: 24, Recompute: true, LearningRate: 0.01, Scheduler: "constant",
			MaxGradNorm: c.norm, ClipLagged: c.lagged, ReduceDType: c.wire, MicroBatch: 2,
			Optimizer: optim.Config{Name: c.optimizer, AdaLomo: optim.DefaultAdaLomo(), AdamW: optim.DefaultAdamW()}}
		const n = 3
		want := planned(model.NewNetwork(cfg), o, n, c.vocab == 61)
		for _, byMatrix := range []bool{false, true} {
			for _, k := range []int{1, 4} {
				o.GatherByMatrix, o.Accumulation = byMatrix, k
				counted, err := sent(memdev.Open(0), comm.Counting(0, n), o, k, false)
				if err != nil {
					t.Fatal(err)
				}
				if !byMatrix && counted != want {
					t.Errorf("%+v, %d micro-batches: the plan has %d bytes, the closed form %d", c, k, counted, want)
				}
				for r, got := range sentByRanks(t, n, o, k) {
					if got != counted {
						t.Errorf("%+v, by matrix %v, %d micro-batches: rank %d sent %d bytes, planned %d", c, byMatrix, k, r, got, counted)
					}
				}
			}
		}
	}
}

func sentByRanks(t *testing.T, n int, o Options, k int) []int64 {
	t.Helper()
	out, errs := make([]int64, n), make([]error, n)
	var wg sync.WaitGroup
	for r, c := range comm.NewLocal(n) {
		d, err := cpukern.Open(cpukern.Options{Capacity: 16 << 20, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		wg.Go(func() {
			out[r], errs[r] = sent(d, c, o, k, true)
			if errs[r] != nil {
				c.Abort(errs[r])
			}
			c.Close()
		})
	}
	wg.Wait()
	if err := firstFault(errs); err != nil {
		t.Fatal(err)
	}
	return out
}
