package train

import (
	"fmt"
	"math"
	"testing"

	"lomo/internal/data"
	"lomo/internal/grad"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// sameBits fails unless two sets of gradients are equal bit for bit.
func sameBits(t *testing.T, what string, a, b map[string][]float32) {
	t.Helper()
	for name, x := range a {
		for i, v := range x {
			if math.Float32bits(v) != math.Float32bits(b[name][i]) {
				t.Errorf("%s: %s[%d]: %v and %v", what, name, i, v, b[name][i])
				break
			}
		}
	}
}

// worst is the largest difference of two sets of gradients, relative to each tensor's largest element.
func worst(a, b map[string][]float32) (float64, string) {
	w, at := 0.0, ""
	for name, x := range a {
		top, diff := 0.0, 0.0
		for i, v := range x {
			top = math.Max(top, math.Abs(float64(v)))
			diff = math.Max(diff, math.Abs(float64(v)-float64(b[name][i])))
		}
		if diff != diff { // no bound is below a NaN
			return math.Inf(1), name
		}
		if r := diff / math.Max(top, 1e-30); r > w {
			w, at = r, name
		}
	}
	return w, at
}

// apart is ‖a − b‖/‖b‖ over the gradient of the whole model.
func apart(a, b map[string][]float32) float64 {
	var diff, norm float64
	for name, x := range a {
		for i, v := range x {
			d := float64(v) - float64(b[name][i])
			diff += d * d
			norm += float64(b[name][i]) * float64(b[name][i])
		}
	}
	if r := math.Sqrt(diff / norm); r == r {
		return r
	}
	return math.Inf(1) // no bound is below a NaN
}

func TestSameBitsWithAndWithoutRecomputation(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		batch := tokens(2, 13, 1)
		_, a := newTiny(t, tinyOptions{tied: true, dtype: dt, recompute: true}).gradients(t, false, batch)
		_, b := newTiny(t, tinyOptions{tied: true, dtype: dt}).gradients(t, false, batch)
		sameBits(t, "gradient checkpointing "+dt.String(), a, b)
	}
}

func TestSameBitsAtAnyThreadCount(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		batch := tokens(3, 37, 1)
		_, one := newTiny(t, tinyOptions{dtype: dt, recompute: true, threads: 1}).gradients(t, false, batch)
		for _, n := range []int{2, 3, 5} {
			_, many := newTiny(t, tinyOptions{dtype: dt, recompute: true, threads: n}).gradients(t, false, batch)
			sameBits(t, fmt.Sprintf("%v, %d threads", dt, n), one, many)
		}
	}
}

// TestAccumulationEqualsOneBatch is the claim fused trainers usually refuse: 4 micro-batches of 1 sequence
// and 1 of 4 are the same step. Both ways of holding a block's gradient are tried.
func TestAccumulationEqualsOneBatch(t *testing.T) {
	for _, tied := range []bool{true, false} {
		for _, n := range []int{5, 40} { // few tokens: factors are smaller; many: sums are
			m := newTiny(t, tinyOptions{tied: tied, recompute: true})
			var parts []data.Batch
			whole := data.Batch{B: 4, T: n}
			for i := 0; i < 4; i++ {
				p := tokens(1, n, i+1)
				parts = append(parts, p)
				whole.IDs = append(whole.IDs, p.IDs...)
				whole.Targets = append(whole.Targets, p.Targets...)
				whole.Pos = append(whole.Pos, p.Pos...)
				whole.Start = append(whole.Start, p.Start...)
			}
			pass, err := m.sweep.Load(parts)
			if err != nil {
				t.Fatal(err)
			}
			hold := pass.hold(m.net.Blocks[0], &collect{})
			if want := map[int]Hold{5: HoldFactors, 40: HoldSums}[n]; hold != want {
				t.Fatalf("%d tokens: the gradient waits as %v, want %v: the test no longer covers both", n, hold, want)
			}
			lossA, a := m.gradients(t, false, parts...)
			lossB, b := m.gradients(t, false, whole)
			// Only the order of float32 sums differs. Measured: 2e-7 over the model; 2e-6 of the largest element in the worst
			// tensor, a k_proj whose terms nearly cancel.
			if d := apart(a, b); d > 1e-6 {
				t.Errorf("tied=%v T=%d: gradients differ by %.2e", tied, n, d)
			}
			if d, at := worst(a, b); d > 1e-5 {
				t.Errorf("tied=%v T=%d: gradients differ by %.2e at %s", tied, n, d, at)
			}
			if d := math.Abs(lossA-lossB) / lossB; d > 1e-6 {
				t.Errorf("tied=%v T=%d: losses %v and %v", tied, n, lossA, lossB)
			}
		}
	}
}

// TestPackedEqualsUnpacked puts three documents in one row and each in a row of its own.
func TestPackedEqualsUnpacked(t *testing.T) {
	m := newTiny(t, tinyOptions{tied: true, recompute: true})
	packed := data.Batch{B: 1}
	padded := data.Batch{B: 3, T: 11}
	for doc, n := range []int{5, 11, 8} {
		start := len(packed.IDs)
		for i := 0; i < 11; i++ {
			id, target := int32((doc*17+i*5)%61), int32((doc*17+(i+1)*5)%61)
			if i == n-1 {
				target = -100
			}
			if i < n {
				packed.IDs, packed.Targets = append(packed.IDs, id), append(packed.Targets, target)
				packed.Pos, packed.Start = append(packed.Pos, int32(i)), append(packed.Start, int32(start))
				padded.IDs, padded.Targets = append(padded.IDs, id), append(padded.Targets, target)
				padded.Pos, padded.Start = append(padded.Pos, int32(i)), append(padded.Start, 0)
			} else {
				padded.IDs, padded.Targets = append(padded.IDs, 0), append(padded.Targets, -100)
				padded.Pos, padded.Start = append(padded.Pos, 0), append(padded.Start, int32(i))
			}
		}
	}
	packed.T = len(packed.IDs)
	lossA, a := m.gradients(t, false, packed)
	lossB, b := m.gradients(t, false, padded)
	if d := math.Abs(lossA-lossB) / lossB; d > 1e-6 { // measured 0
		t.Errorf("losses: packed %v, unpacked %v", lossA, lossB)
	}
	if d, at := worst(a, b); d > 1e-6 { // measured 4e-7
		t.Errorf("gradients differ by %.2e at %s", d, at)
	}
}

// TestPackedBeyondTheOriginal: documents that reach beyond original_max_position_embeddings, one behind the other in a row, have the losses and gradients
// of each alone, under every scaling. Another scaling gives other losses. A shift of all positions of a document changes no score: that they begin at 0 again
// is held by the tests of data.Loader, and that they are used by the suite of devices.
func TestPackedBeyondTheOriginal(t *testing.T) {
	seen := map[string]float64{}
	for name, keys := range map[string]string{
		"none": "", "linear": `"max_position_embeddings":16,"rope_scaling":{"rope_type":"linear","factor":4}`,
		"llama3": `"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":16}`,
		"theta":  `"rope_theta":500`,
	} {
		m := newTiny(t, tinyOptions{tied: true, recompute: true, keys: keys})
		packed, each, sum := data.Batch{B: 1}, []data.Batch{}, 0
		for doc, n := range []int{30, 9, 23} {
			begin, alone := len(packed.IDs), data.Batch{B: 1, T: n, Tokens: n}
			for i := range n {
				id, target := int32((doc*17+i*i*5+3*i)%61), int32((doc*17+(i+1)*(i+1)*5+3*(i+1))%61)
				if i == n-1 {
					target = -100
				} else {
					sum++
				}
				packed.IDs, packed.Targets = append(packed.IDs, id), append(packed.Targets, target)
				packed.Pos, packed.Start = append(packed.Pos, int32(i)), append(packed.Start, int32(begin))
				alone.IDs, alone.Targets = append(alone.IDs, id), append(alone.Targets, target)
				alone.Pos, alone.Start = append(alone.Pos, int32(i)), append(alone.Start, 0)
			}
			alone.Trained = n - 1
			each = append(each, alone)
		}
		packed.T, packed.Tokens, packed.Trained = len(packed.IDs), len(packed.IDs), sum
		lossA, a := m.gradients(t, false, packed)
		lossB, b := m.gradients(t, false, each...)
		if d := math.Abs(lossA-lossB) / lossB; d > 1e-6 {
			t.Errorf("%s: losses: packed %v, alone %v", name, lossA, lossB)
		}
		if d, at := worst(a, b); d > 2e-6 {
			t.Errorf("%s: gradients differ by %.2e at %s", name, d, at)
		}
		for other, loss := range seen {
			if math.Abs(loss-lossA) < 1e-6 {
				t.Errorf("%s and %s give one loss, %v", name, other, loss)
			}
		}
		seen[name] = lossA
	}
}

// TestWholeAndBlockwiseHeadAgree compares the two ways the vocabulary-sized gradients are made.
func TestWholeAndBlockwiseHeadAgree(t *testing.T) {
	for _, tied := range []bool{true, false} {
		m := newTiny(t, tinyOptions{tied: tied, recompute: true})
		_, a := m.gradients(t, false, tokens(2, 13, 1))
		_, b := m.gradients(t, true, tokens(2, 13, 1))
		if d, at := worst(a, b); d > 1e-6 { // measured 2e-7
			t.Errorf("tied=%v: gradients differ by %.2e at %s", tied, d, at)
		}
	}
}

// afterwards is LOMO without fusion: it keeps all gradients and writes when the sweep is over.
type afterwards struct {
	collect
	params []*grad.Param
}

func (a *afterwards) apply(t *testing.T, opt optim.Optimizer) {
	t.Helper()
	for _, p := range a.params {
		g := tensor.NewHost(p.Name, tensor.F32, p.Shape...)
		copy(g.F32s(), a.got[p.Name])
		if err := opt.Consume(p, grad.FromDense(g)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFusedEqualsUpdateAfterBackward: writing each tensor inside the sweep gives the weights of writing all at the end.
func TestFusedEqualsUpdateAfterBackward(t *testing.T) {
	for _, tied := range []bool{true, false} {
		batch := tokens(2, 13, 1)
		cfg := optim.Config{Name: "lomo", Common: optim.Common{WeightDecay: 0.01}}
		fused, later := newTiny(t, tinyOptions{tied: tied, recompute: true}), newTiny(t, tinyOptions{tied: tied, recompute: true})
		for step := 1; step <= 3; step++ {
			run(t, fused, cfg, step, batch)

			opt, err := optim.New(later.d, cfg, later.net.Params())
			if err != nil {
				t.Fatal(err)
			}
			opt.Begin(step, 0.05)
			sink := &afterwards{collect{d: later.d, got: map[string][]float32{}}, later.net.Params()}
			sweepOnce(t, later, sink, batch)
			sink.apply(t, opt)
		}
		for i, p := range fused.net.Params() {
			a, b := map[string][]float32{p.Name: values(fused.d, p.W)}, map[string][]float32{p.Name: values(later.d, later.net.Params()[i].W)}
			if d, _ := worst(a, b); d > 1e-6 { // measured 2e-7
				t.Errorf("tied=%v: %s differs by %.2e", tied, p.Name, d)
			}
		}
	}
}

func run(t *testing.T, m *tiny, cfg optim.Config, step int, batches ...data.Batch) {
	t.Helper()
	opt, err := optim.New(m.d, cfg, m.net.Params())
	if err != nil {
		t.Fatal(err)
	}
	opt.Begin(step, 0.05)
	sweepOnce(t, m, opt, batches...)
}

func sweepOnce(t *testing.T, m *tiny, sink grad.Sink, batches ...data.Batch) {
	t.Helper()
	mark := m.d.Memory().Mark()
	defer m.d.Memory().Release(mark)
	p, err := m.sweep.Load(batches)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Forward(true); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Backward(sink, false); err != nil {
		t.Fatal(err)
	}
}

// TestFusedFaults shows that the comparison above notices an update left out, doubled or with the wrong sign.
func TestFusedFaults(t *testing.T) {
	batch := tokens(2, 13, 1)
	cfg := optim.Config{Name: "lomo"}
	good := newTiny(t, tinyOptions{tied: true, recompute: true})
	run(t, good, cfg, 1, batch)
	for _, fault := range []string{"skipped", "doubled", "sign"} {
		bad := newTiny(t, tinyOptions{tied: true, recompute: true})
		opt, err := optim.New(bad.d, cfg, bad.net.Params())
		if err != nil {
			t.Fatal(err)
		}
		opt.Begin(1, 0.05)
		sweepOnce(t, bad, &faulty{opt, fault, "model.layers.1.mlp.up_proj.weight"}, batch)
		a, b := map[string][]float32{}, map[string][]float32{}
		for i, p := range good.net.Params() {
			a[p.Name], b[p.Name] = values(good.d, p.W), values(bad.d, bad.net.Params()[i].W)
		}
		if d, at := worst(a, b); d < 1e-5 {
			t.Errorf("an update %s goes unnoticed: %.2e at %s", fault, d, at)
		}
	}
}

// faulty spoils the update of one parameter.
type faulty struct {
	optim.Optimizer
	fault, name string
}

func (f *faulty) Consume(p *grad.Param, g grad.Grad) error {
	if p.Name != f.name {
		return f.Optimizer.Consume(p, g)
	}
	switch f.fault {
	case "skipped":
		return nil
	case "sign":
		f.Optimizer.Begin(1, -0.05)
		defer f.Optimizer.Begin(1, 0.05)
	case "doubled":
		if err := f.Optimizer.Consume(p, g); err != nil {
			return err
		}
	}
	return f.Optimizer.Consume(p, g)
}
