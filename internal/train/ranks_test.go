package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/memdev"
	"lomo/internal/tensor"
)

// runRanks trains on n ranks with poisoned arenas of their own.
func (f *fixture) runRanks(ctx context.Context, n int, o Options, resume string) error {
	f.t.Helper()
	return f.runRanksOn(ctx, n, o, resume, func(_ int, d device.Device, c comm.Comm) (device.Device, comm.Comm) { return d, c })
}

// wrap makes other devices and communicators of those of the ranks.
type wrap func(rank int, d device.Device, c comm.Comm) (device.Device, comm.Comm)

// runRanksOn is runRanks on what w makes of devices and communicators.
func (f *fixture) runRanksOn(ctx context.Context, n int, o Options, resume string, w wrap) error {
	f.t.Helper()
	src := f.weights
	if resume != "" {
		var err error
		if src, err = checkpoint.Open(resume); err != nil {
			f.t.Fatal(err)
		}
		defer src.Close()
	}
	var devices []device.Device
	var in []Inputs
	group := comm.NewLocal(n)
	for r := range n {
		d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, Threads: 1, PoisonReleased: true})
		if err != nil {
			f.t.Fatal(err)
		}
		defer d.Close()
		wrapped, c := w(r, d, group[r])
		group[r] = c
		devices = append(devices, wrapped)
		in = append(in, Inputs{Weights: src, Train: data.NewLoader(f.data, f.opts), Eval: data.Batches(f.data, f.opts)})
	}
	return RunRanks(ctx, devices, group, o, in, resume)
}

// weightsOf reads a saved model as float32.
func weightsOf(t *testing.T, dir string) map[string][]float32 {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	out := map[string][]float32{}
	for _, i := range src.Tensors() {
		x := tensor.NewHost(i.Name, tensor.F32, i.Shape...)
		if err := src.ReadRows(i.Name, 0, i.Shape[0], x.Host, tensor.F32); err != nil {
			t.Fatal(err)
		}
		out[i.Name] = x.F32s()
	}
	return out
}

// TestRanksEqualOne: eight ranks with a micro-batch each, some with none at the end of an epoch and some without rows of a small
// matrix, make the losses and weights of one rank with eight micro-batches, for every optimizer and both ways of clipping.
func TestRanksEqualOne(t *testing.T) { eachFixture(t, 7, testRanksEqualOne) }

func testRanksEqualOne(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	for _, name := range []string{"lomo", "adalomo", "sgd", "adamw"} {
		for _, lagged := range []bool{true, false} {
			for _, n := range []int{2, 8} {
				t.Run(fmt.Sprintf("%s/lagged=%v/%d", name, lagged, n), func(t *testing.T) {
					record := func(o *Options) (losses, norms, evals *[]float64) {
						losses, norms, evals = new([]float64), new([]float64), new([]float64)
						o.OnStep = func(m StepMetrics) error {
							*losses, *norms = append(*losses, m.Loss), append(*norms, *m.GradNorm)
							return nil
						}
						o.OnEval = func(m EvalMetrics) error { *evals = append(*evals, m.Loss); return nil }
						return losses, norms, evals
					}
					one := f.options(t.TempDir(), name)
					one.DType, one.ClipLagged, one.MicroBatch, one.Accumulation, one.SaveSteps = tensor.F32, lagged, 1, n, 0
					wantLoss, wantNorm, wantEval := record(&one)
					if err := f.run(context.Background(), one, ""); err != nil {
						t.Fatal(err)
					}
					many := one
					many.OutputDir, many.Accumulation = t.TempDir(), 1
					loss, norm, eval := record(&many)
					if err := f.runRanks(context.Background(), n, many, ""); err != nil {
						t.Fatal(err)
					}
					near(t, "loss", *loss, *wantLoss, 1e-5)          // measured 2e-7
					near(t, "gradient norm", *norm, *wantNorm, 1e-5) // measured 5e-7
					near(t, "evaluation", *eval, *wantEval, 1e-5)
					if d, at := worst(weightsOf(t, many.OutputDir), weightsOf(t, one.OutputDir)); d > 2e-5 { // measured 4e-6
						t.Errorf("weights differ by %.1e at %s", d, at)
					}
				})
			}
		}
	}
}

// TestRanksGatherByMatrix: gathering a block's matrices one at a time, with several micro-batches, with and without
// recomputation, gives the bits of gathering whole blocks, in less memory.
func TestRanksGatherByMatrix(t *testing.T) { eachFixture(t, 7, testRanksGatherByMatrix) }

func testRanksGatherByMatrix(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	for _, recompute := range []bool{true, false} {
		o := f.options(t.TempDir(), "adalomo")
		o.Recompute, o.MicroBatch, o.Accumulation, o.NumEpochs, o.SaveSteps = recompute, 1, 3, 1, 0 // the last step has 2 micro-batches for rank 0, 1 for rank 1
		o.ReduceDType = tensor.BF16
		blocks, matrices := o, o
		matrices.OutputDir, matrices.GatherByMatrix = t.TempDir(), true
		var peaks []int64
		for _, o := range []Options{blocks, matrices} {
			var d0 device.Device
			err := f.runRanksOn(context.Background(), 2, o, "", func(_ int, d device.Device, c comm.Comm) (device.Device, comm.Comm) {
				d0 = d
				return d, c
			})
			if err != nil {
				t.Fatal(err)
			}
			peaks = append(peaks, d0.Memory().OwnerPeak("weight buffers"))
		}
		sameFiles(t, filepath.Join(blocks.OutputDir, "model.safetensors"), filepath.Join(matrices.OutputDir, "model.safetensors"))
		if peaks[1] >= peaks[0] {
			t.Errorf("buffers: %d bytes by matrix, %d by block", peaks[1], peaks[0])
		}
	}
}

// TestRanksReduceInBF16: gradients that travel as bf16 move the weights as those in float32 do, within bf16's digits, and do not
// make the same bits.
func TestRanksReduceInBF16(t *testing.T) { eachFixture(t, 7, testRanksReduceInBF16) }

func testRanksReduceInBF16(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	o := f.options(t.TempDir(), "lomo")
	o.DType, o.MicroBatch, o.Accumulation, o.NumEpochs, o.MaxSteps, o.SaveSteps = tensor.F32, 1, 1, 0, 3, 0
	narrow := o
	narrow.OutputDir, narrow.ReduceDType = t.TempDir(), tensor.BF16
	for _, o := range []Options{o, narrow} {
		if err := f.runRanks(context.Background(), 4, o, ""); err != nil {
			t.Fatal(err)
		}
	}
	if d, at := worst(weightsOf(t, narrow.OutputDir), weightsOf(t, o.OutputDir)); d == 0 || d > 1e-4 { // measured 3e-5
		t.Errorf("weights differ by %.1e at %s", d, at)
	}
}

func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if math.Abs(got[i]-w) > tol*math.Abs(w) {
			t.Errorf("%s %d: %v, want %v", what, i+1, got[i], w)
		}
	}
}

// TestRanksResumeOnAnotherNumber: a checkpoint of eight ranks is one ordinary folder; continued on eight it ends with the same
// bytes, and on four, two and one with the same weights but for rounding.
func TestRanksResumeOnAnotherNumber(t *testing.T) { eachFixture(t, 7, testRanksResumeOnAnotherNumber) }

func testRanksResumeOnAnotherNumber(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	for _, name := range []string{"adalomo", "adamw"} {
		o := f.options(t.TempDir(), name)
		o.MicroBatch, o.Accumulation, o.SaveSteps, o.DType = 1, 1, 2, tensor.F32
		if err := f.runRanks(context.Background(), 8, o, ""); err != nil {
			t.Fatal(err)
		}
		from := filepath.Join(o.OutputDir, "checkpoint-2")
		again := o
		again.OutputDir = t.TempDir()
		if err := f.runRanks(context.Background(), 8, again, from); err != nil {
			t.Fatal(err)
		}
		sameFiles(t, filepath.Join(o.OutputDir, "model.safetensors"), filepath.Join(again.OutputDir, "model.safetensors"))
		sameFiles(t, filepath.Join(o.OutputDir, "checkpoint-4", stateTensors), filepath.Join(again.OutputDir, "checkpoint-4", stateTensors))
		for _, n := range []int{4, 2, 1} {
			fewer := o
			fewer.OutputDir, fewer.Accumulation = t.TempDir(), 8/n
			var err error
			if n == 1 {
				err = f.run(context.Background(), fewer, from)
			} else {
				err = f.runRanks(context.Background(), n, fewer, from)
			}
			if err != nil {
				t.Fatal(err)
			}
			if d, at := worst(weightsOf(t, fewer.OutputDir), weightsOf(t, o.OutputDir)); d > 1e-6 { // measured 2.4e-7
				t.Errorf("%s on %d ranks: weights differ by %.1e at %s", name, n, d, at)
			}
		}
	}
}

// TestRankFailureStopsAll: an error in one rank ends the run with one message that names it.
func TestRankFailureStopsAll(t *testing.T) { eachFixture(t, 7, testRankFailureStopsAll) }

func testRankFailureStopsAll(t *testing.T, f *fixture) {
	o := f.options(t.TempDir(), "lomo")
	broken := errors.New("the screen is gone")
	o.OnStep = func(m StepMetrics) error {
		if m.Step == 2 {
			return broken
		}
		return nil
	}
	err := f.runRanks(context.Background(), 3, o, "")
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "rank 0") {
		t.Errorf("got %v", err)
	}
}

// TestRankBytes: each of eight ranks keeps an eighth of the matrices, two ranks hold one tensor's gradient at most.
func TestRankBytes(t *testing.T) {
	for _, tied := range []bool{false, true} {
		for _, n := range []int{2, 8} {
			rankBytes(t, tied, n)
		}
	}
}

func rankBytes(t *testing.T, tied bool, n int) {
	t.Helper()
	one, net := countStep(t, "lomo", tied, tokens(4, 50, 1))
	all := one.Memory().OwnerPeak("weights")
	{
		d := memdev.Open(0)
		o := Options{Model: net.Cfg, DType: tensor.BF16, SequenceLen: 64, Recompute: true, LearningRate: 0.01, Scheduler: "constant"}
		o.Optimizer.Name = "lomo"
		tr, err := NewRank(d, comm.Counting(0, n), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Load(nil); err != nil {
			t.Fatal(err)
		}
		tr.Schedule(1)
		var step []data.Batch
		for i := range n {
			step = append(step, tokens(4, 50, i+1))
		}
		if _, err := tr.Step(step); err != nil {
			t.Fatal(err)
		}
		vectors := int64(0)
		largest := int64(0)
		for _, p := range net.Params() {
			if p.Matrix() {
				rows := comm.Each(p.Shape[0], n) * n // padded, so that all ranks move equal counts
				largest = max(largest, align(int64(rows*p.Shape[1])*4))
			} else {
				vectors += align(2 * int64(p.Len()))
			}
		}
		if got, want := d.Memory().OwnerPeak("weights"), (all-vectors)/int64(n)+vectors; math.Abs(float64(got-want)) > 0.02*float64(want) {
			t.Errorf("%d ranks: %d bytes of weights a rank, want about %d", n, got, want)
		}
		if got := d.Memory().OwnerPeak("gradient"); got > largest {
			t.Errorf("%d ranks: %d bytes of gradient, want at most one tensor's %d", n, got, largest)
		}
	}
}

// TestRankFaults: a sum over ranks that is left out, or taken of another rank's rows, does not go unnoticed.
func TestRankFaults(t *testing.T) { eachFixture(t, 7, testRankFaults) }

func testRankFaults(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	good := f.options(t.TempDir(), "lomo")
	good.DType, good.MicroBatch, good.Accumulation, good.SaveSteps, good.NumEpochs, good.MaxSteps = tensor.F32, 1, 2, 0, 0, 2
	if err := f.run(context.Background(), good, ""); err != nil {
		t.Fatal(err)
	}
	want := weightsOf(t, good.OutputDir)
	for _, fault := range []string{"none", "unsummed", "rows", "skipped", "stale"} {
		o := good
		o.OutputDir, o.Accumulation = t.TempDir(), 1
		err := f.runRanksOn(context.Background(), 2, o, "", func(_ int, d device.Device, c comm.Comm) (device.Device, comm.Comm) {
			return d, &faultyComm{c, fault}
		})
		if err != nil {
			t.Fatal(err)
		}
		d, at := worst(weightsOf(t, o.OutputDir), want)
		if (fault == "none") != (d < 2e-5) {
			t.Errorf("fault %q: weights differ by %.1e at %s", fault, d, at)
		}
	}
}

// faultyComm spoils what its channels do.
type faultyComm struct {
	comm.Comm
	fault string
}

func (c *faultyComm) Open(name string) (comm.Channel, error) {
	ch, err := c.Comm.Open(name)
	return &faultyChannel{Channel: ch, c: c}, err
}

type faultyChannel struct {
	comm.Channel
	c       *faultyComm
	gathers int
}

func (ch *faultyChannel) Gather(full, part tensor.Tensor, after device.Event) device.Event {
	if ch.gathers++; ch.c.fault == "stale" && ch.gathers > 40 && part.Len() > 0 {
		return after // the buffer keeps what was gathered there before
	}
	return ch.Channel.Gather(full, part, after)
}

func (ch *faultyChannel) ReduceScatter(part, full tensor.Tensor, wire tensor.DType, after device.Event) device.Event {
	e := ch.Channel.ReduceScatter(part, full, wire, after)
	if e.Sync() != nil {
		return e
	}
	each := part.Shape[0]
	own := full.Slice(ch.c.Rank()*each, (ch.c.Rank()+1)*each)
	switch {
	case ch.c.fault == "unsummed":
		copy(part.Host, own.Host)
	case ch.c.fault == "rows" && each > 1:
		copy(part.Slice(0, 1).Host, part.Slice(1, 2).Host)
	case ch.c.fault == "skipped" && ch.c.Rank() == 0: // rank 1's share is lost
		copy(part.Host, own.Host)
	}
	return e
}

// TestResumeSpelledAnotherWay: a run continued with the same sequences a step in other micro-batches, accumulations and ranks goes through the same
// data and ends with the same weights but for rounding, also where the checkpoint lies within an epoch.
func TestResumeSpelledAnotherWay(t *testing.T) { eachFixture(t, 2, testResumeSpelledAnotherWay) }

func testResumeSpelledAnotherWay(t *testing.T, f *fixture) {
	o := f.options(t.TempDir(), "adalomo")
	o.DType, o.SaveSteps, o.NumEpochs, o.MaxSteps = tensor.F32, 1, 0, 6
	run := func(dir, resume string, micro, accumulation, ranks int) (losses []float64) {
		o := o
		o.OutputDir, o.MicroBatch, o.Accumulation, f.opts.MicroBatch = dir, micro, accumulation, micro
		o.OnStep = func(m StepMetrics) error { losses = append(losses, m.Loss); return nil }
		var err error
		if ranks == 1 {
			err = f.run(context.Background(), o, resume)
		} else {
			err = f.runRanks(context.Background(), ranks, o, resume)
		}
		if err != nil {
			t.Fatalf("%d x %d x %d: %v", micro, accumulation, ranks, err)
		}
		return losses
	}
	want := run(o.OutputDir, "", 1, 1, 4)
	for _, from := range []int{1, 2, 4} { // an epoch is three steps
		resume := filepath.Join(o.OutputDir, fmt.Sprintf("checkpoint-%d", from))
		for _, s := range [][3]int{{1, 4, 1}, {2, 2, 1}, {4, 1, 1}, {2, 1, 2}, {1, 2, 2}} {
			dir := t.TempDir()
			near(t, fmt.Sprintf("loss of %v from %d", s, from), run(dir, resume, s[0], s[1], s[2]), want[from:], 1e-6)
			if d, at := worst(weightsOf(t, dir), weightsOf(t, o.OutputDir)); d > 1e-6 { // measured 3e-7
				t.Errorf("%v from step %d: weights differ by %.1e at %s", s, from, d, at)
			}
		}
	}
	from := filepath.Join(o.OutputDir, "checkpoint-1")
	f.opts.MicroBatch, o.MicroBatch, o.OutputDir = 3, 3, t.TempDir()
	err := f.run(context.Background(), o, from)
	if err == nil || !strings.Contains(err.Error(), "behind sequence 4 of an epoch") {
		t.Errorf("micro-batches of 3 after 4 sequences: %v", err)
	}
}
