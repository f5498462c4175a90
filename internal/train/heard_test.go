package train

import (
	"math"
	"slices"
	"testing"

	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// heard is a device that notes what each update is told.
type heard struct {
	*sickly
	steps []heardStep
	beta  []float32 // of AdaLomo's averages
	count []int     // AdamW's number of the update
	first []bool    // SGD's: there is no momentum yet
}

type heardStep struct {
	device.Step
	len int // elements of the weight
}

func (d *heard) note(w tensor.Tensor, s device.Step) {
	d.steps = append(d.steps, heardStep{s, w.Len()})
}

func (d *heard) OuterUpdate(w, dy, x tensor.Tensor, s device.Step) {
	d.note(w, s)
	d.sickly.OuterUpdate(w, dy, x, s)
}

func (d *heard) Update(w, g tensor.Tensor, s device.Step) {
	d.note(w, s)
	d.sickly.Update(w, g, s)
}

func (d *heard) RowsUpdate(w tensor.Tensor, r device.Rows, s device.Step) {
	d.note(w, s)
	d.sickly.RowsUpdate(w, r, s)
}

func (d *heard) FactorEMA(r, c, stats, rows, cols tensor.Tensor, beta float32, wholeRows int) {
	d.beta = append(d.beta, beta)
	d.sickly.FactorEMA(r, c, stats, rows, cols, beta, wholeRows)
}

func (d *heard) FactorUpdate(w, g, r, c, stats tensor.Tensor, eps2, dd float32, s device.Step) {
	d.note(w, s)
	d.sickly.FactorUpdate(w, g, r, c, stats, eps2, dd, s)
}

func (d *heard) VectorStats(v, stats, w, g tensor.Tensor, beta, eps1 float32, s device.Step) {
	d.beta = append(d.beta, beta)
	d.sickly.VectorStats(v, stats, w, g, beta, eps1, s)
}

func (d *heard) VectorUpdate(w, g, v, stats tensor.Tensor, eps2, dd float32, s device.Step) {
	d.note(w, s)
	d.sickly.VectorUpdate(w, g, v, stats, eps2, dd, s)
}

func (d *heard) AdamW(w, m, v, master, g tensor.Tensor, a device.AdamW, s device.Step) {
	d.note(w, s)
	d.count = append(d.count, a.T)
	d.sickly.AdamW(w, m, v, master, g, a, s)
}

func (d *heard) SGD(w, buf, g tensor.Tensor, m device.Momentum, s device.Step) {
	d.note(w, s)
	d.first = append(d.first, m.First)
	d.sickly.SGD(w, buf, g, m, s)
}

// TestWhatUpdatesHear: six steps of a run, of which the fourth is skipped: every tensor is updated once, all of it, with the rate of its step, its own stream
// of noise, the number of the update and not of the step, and the decay that is its own. The numbers are by hand: a linear course with two steps of
// warm-up of ten, β = 1 − t^−0.8.
func TestWhatUpdatesHear(t *testing.T) { eachFixture(t, 2, testWhatUpdatesHear) }

func testWhatUpdatesHear(t *testing.T, f *fixture) {
	rates := []float64{0, 0.005, 0.01, 0.00875, 0.0075, 0.00625}
	betas := []float64{0, 0.42565082, 0.58475635, 0, 0.67012302, 0.72405405}
	for _, name := range []string{"lomo", "adalomo", "sgd", "adamw"} {
		t.Run(name, func(t *testing.T) {
			o := f.options(t.TempDir(), name)
			o.Scheduler, o.WarmupSteps, o.ClipLagged, o.SkipBad, o.Seed = "linear", 2, false, true, 77
			d := &heard{sickly: &sickly{Device: hostFor(t)}}
			tr, err := New(d, o)
			if err != nil {
				t.Fatal(err)
			}
			tr.sweep.logits = logitsSizes[0]
			if err := tr.Load(f.weights); err != nil {
				t.Fatal(err)
			}
			tr.Schedule(10)
			updates := 0
			for i, rate := range rates {
				d.steps, d.beta, d.count, d.first = nil, nil, nil, nil
				d.sick = i == 3
				m, err := tr.Step([]data.Batch{tokens(2, 13, 1), tokens(1, 7, 4)})
				if err != nil {
					t.Fatal(err)
				}
				learned, seen := 23, 23*(i+1)
				if i >= 3 {
					seen -= 23
				}
				if i == 3 {
					learned = 0
				}
				if m.LR != rate || m.Step != i+1 || m.Tokens != learned || m.SeenTokens != int64(seen) {
					t.Errorf("step %d: %+v, want a rate of %v and %d tokens, %d so far", i+1, m, rate, learned, seen)
				}
				if m.Skipped {
					if len(d.steps) > 0 {
						t.Errorf("step %d is skipped, and writes", i+1)
					}
					continue
				}
				updates++
				d.check(t, tr.net, name == "adamw", updates, rate)
				for _, b := range d.beta {
					if math.Abs(float64(b)-betas[i]) > 1e-6 {
						t.Errorf("step %d: β is %v, want %v", i+1, b, betas[i])
					}
				}
				if slices.ContainsFunc(d.count, func(n int) bool { return n != updates }) || slices.ContainsFunc(d.first, func(is bool) bool { return is != (updates == 1) }) {
					t.Errorf("step %d, update %d: AdamW counts %v, first for SGD is %v", i+1, updates, d.count, d.first)
				}
			}
		})
	}
}

// hostFor is a device for the length of a test.
func hostFor(t *testing.T) *cpukern.Device {
	t.Helper()
	d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, PoisonReleased: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// check looks at the updates of one step: each parameter from its first element to its last.
func (d *heard) check(t *testing.T, net *model.Network, plainVectors bool, number int, rate float64) {
	t.Helper()
	slices.SortStableFunc(d.steps, func(a, b heardStep) int { return int(a.Base - b.Base) })
	for _, p := range net.Params() {
		at := int64(0)
		for _, s := range d.steps {
			if s.Tensor != p.ID {
				continue
			}
			if s.Base != at {
				t.Errorf("%s: an update from element %d, want %d", p.Name, s.Base, at)
			}
			at += int64(s.len)
			decay := float32(0.01)
			if plainVectors && !p.Matrix() {
				decay = 0
			}
			if s.Decay != decay || s.LR != float32(rate) || s.Number != uint32(number) || s.Seed != 77 || s.Round != device.Stochastic {
				t.Errorf("%s: %+v, want decay %v, rate %v, update %d, seed 77", p.Name, s.Step, decay, rate, number)
			}
		}
		if at != int64(p.Len()) {
			t.Errorf("%s: %d of %d elements are updated", p.Name, at, p.Len())
		}
	}
}

// newPairs is a model that knows which token follows which and nothing else: behind id, for ids below 24, id+1 comes with probability 1/2 and each
// of the 60 others with 1/120. The blocks are zero, an embedding is a unit vector, and the final norm makes it √24 long.
func newPairs(t *testing.T) *tiny {
	t.Helper()
	m := newTiny(t, tinyOptions{recompute: true})
	for _, p := range m.net.Params() {
		clear(p.W.F32s())
	}
	for i := range m.net.Norm.W.F32s() {
		m.net.Norm.W.F32s()[i] = 1
	}
	for id := range 24 {
		m.net.Embed.W.F32s()[id*24+id] = 1
		m.net.Head.W.F32s()[(id+1)*24+id] = float32(math.Log(60) / math.Sqrt(24))
	}
	return m
}

// row is a sequence of which the tokens behind the first are all learned.
func row(ids ...int32) data.Batch {
	b := data.Batch{B: 1, T: len(ids), IDs: ids, Start: make([]int32, len(ids)), Tokens: len(ids), Trained: len(ids) - 1}
	b.Targets = append(slices.Clone(ids[1:]), -100)
	for i := range ids {
		b.Pos = append(b.Pos, int32(i))
	}
	return b
}

// TestLossByNumber: the loss of a step is the mean over its tokens, not over its micro-batches, and so is the gradient; an evaluation's is the mean over all
// its tokens. Three tokens of probability 1/2 and one of 1/120.
func TestLossByNumber(t *testing.T) {
	const want = 1.7167334 // (3·ln 2 + ln 120)/4
	batches := []data.Batch{row(3, 4, 5, 6), row(7, 9)}
	e, err := newPairs(t).sweep.Evaluate(slices.Values(batches))
	if err != nil || math.Abs(e.Loss-want) > 1e-4 || math.Abs(e.Perplexity-5.5663) > 1e-3 || e.Tokens != 4 {
		t.Errorf("evaluation: %+v %v, want loss %v of 4 tokens", e, err, want)
	}
	m := newPairs(t)
	tr := m.trainer(Options{LearningRate: 0.1, Scheduler: "constant", Optimizer: optim.Config{Name: "lomo"}})
	got, err := tr.Step(batches)
	if err != nil || math.Abs(got.Loss-want) > 1e-4 || got.Tokens != 4 || got.SeenTokens != 4 {
		t.Errorf("step: %+v %v, want loss %v of 4 tokens", got, err, want)
	}
	head := m.net.Head.W.F32s()
	for _, c := range []struct {
		row, col int
		want     float64 // − 0.1·√24·(p − [is the target])/4 behind what it was
	}{{9, 7, 0.121453}, {30, 7, -0.0010206}, {4, 3, 0.835750 + 0.0612372}, {30, 3, -0.0010206}, {30, 8, 0}} {
		if v := float64(head[c.row*24+c.col]); math.Abs(v-c.want) > 2e-5 {
			t.Errorf("head[%d, %d] = %.7f, want %.7f", c.row, c.col, v, c.want)
		}
	}
	for _, p := range m.net.Params() {
		clear(p.W.F32s())
	}
	if l := m.loss(t, batches...); math.Abs(l-math.Log(61)) > 1e-6 {
		t.Errorf("a model that knows nothing has a loss of %v, want ln 61", l)
	}
}

// trainer is a Trainer of the model as it lies on the device.
func (m *tiny) trainer(o Options) *Trainer {
	o.Model, o.DType, o.SequenceLen = m.net.Cfg, m.sweep.Act, 64
	tr := &Trainer{o: o, d: m.d, net: m.net, store: m.sweep.Store, sweep: m.sweep, asked: func() bool { return false }}
	tr.state = State{LastNorm: -1}
	cfg := o.Optimizer
	var err error
	if o.MaxGradNorm > 0 {
		if tr.clip, err = optim.NewClip(m.d, o.MaxGradNorm, o.ClipLagged); err != nil {
			panic(err)
		}
		cfg.Clip = tr.clip
	}
	if tr.opt, err = optim.New(m.d, cfg, m.net.Params()); err != nil {
		panic(err)
	}
	tr.Schedule(10)
	return tr
}

// TestLaggedNorm: with clip_policy: lagged the norm of a step is that of its gradient, whoever adds it up, and the next step's update is that gradient times
// min(1, max_grad_norm/(norm + 1e-6)); the first one is not clipped.
func TestLaggedNorm(t *testing.T) {
	const lr, most = 0.05, 0.25
	for _, tied := range []bool{true, false} {
		for _, name := range []string{"lomo", "adalomo", "sgd", "adamw"} {
			m := newTiny(t, tinyOptions{tied: tied, recompute: true})
			tr := m.trainer(Options{LearningRate: lr, Scheduler: "constant", MaxGradNorm: most, ClipLagged: true,
				Optimizer: optim.Config{Name: name, AdaLomo: optim.DefaultAdaLomo(), AdamW: optim.DefaultAdamW(), SGD: optim.SGDConfig{Momentum: 0.9}}})
			coef := 1.0
			for step := range 3 {
				batches := []data.Batch{tokens(2, 13, 1+step), tokens(1, 7, 4)}
				_, g := m.gradients(t, false, batches...)
				norm := 0.0
				for _, p := range m.net.Params() {
					for _, v := range g[p.Name] {
						norm += float64(v) * float64(v)
					}
				}
				norm = math.Sqrt(norm)
				if norm < 2*most {
					t.Fatalf("a gradient of norm %v is hardly clipped: the test sees nothing", norm)
				}
				want := map[string][]float32{}
				for _, p := range m.net.Params() {
					w := values(m.d, p.W)
					for i := range w {
						w[i] -= float32(lr * coef * float64(g[p.Name][i]))
					}
					want[p.Name] = w
				}
				got, err := tr.Step(batches)
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(*got.GradNorm-norm) > 1e-5*norm { // measured 1e-7
					t.Errorf("tied=%v, %s, step %d: norm %v, the gradient's %v", tied, name, step+1, *got.GradNorm, norm)
				}
				for _, p := range m.net.Params() {
					if name != "lomo" {
						break // κ is one number for all of them
					}
					if d, _ := worst(map[string][]float32{p.Name: values(m.d, p.W)}, want); d > 1e-6 {
						t.Errorf("tied=%v, step %d: %s differs by %.1e from w − lr·κ·g with κ = %v", tied, step+1, p.Name, d, coef)
					}
				}
				coef = most / (norm + 1e-6)
			}
		}
	}
}
