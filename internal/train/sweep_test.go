package train

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/rng"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// tiny is a small random model on the host, with hostile settings: released memory is poisoned.
type tiny struct {
	d     *cpukern.Device
	net   *model.Network
	sweep *Sweep
}

type tinyOptions struct {
	tied, recompute bool
	kvHeads         int // of 4
	layers          int
	kind            string // model_type; "": llama
	keys            string // more of the configuration
	dtype           tensor.DType
	threads         int
}

func newTiny(t *testing.T, o tinyOptions) *tiny {
	t.Helper()
	if o.dtype == tensor.Invalid {
		o.dtype = tensor.F32
	}
	if o.kvHeads == 0 {
		o.kvHeads = 2
	}
	if o.layers == 0 {
		o.layers = 3
	}
	if o.keys != "" {
		o.keys = "," + o.keys
	}
	cfg, err := families.Parse([]byte(fmt.Sprintf(`{"model_type":%q,"vocab_size":61,"hidden_size":24,"intermediate_size":40,
		"num_hidden_layers":%d,"num_attention_heads":4,"num_key_value_heads":%d,"head_dim":6,"tie_word_embeddings":%v%s}`, cmp.Or(o.kind, "llama"), o.layers, o.kvHeads, o.tied, o.keys)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, Threads: o.threads, PoisonReleased: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	net := model.NewNetwork(cfg)
	st, err := store.NewResident(d, net.Params(), o.dtype)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range net.Params() {
		fillRandom(d, p)
	}
	rope, err := model.NewRopes(d, cfg, 64)
	if err != nil {
		t.Fatal(err)
	}
	return &tiny{d: d, net: net, sweep: &Sweep{D: d, Net: net, Store: st, Ropes: rope, Act: o.dtype, Recompute: o.recompute, Comm: comm.Single()}}
}

func fillRandom(d device.Device, p *grad.Param) {
	vals := make([]float32, p.Len())
	for i := range vals {
		u := float32(rng.Float64(7, rng.Init, p.ID, 0, uint64(i))) - 0.5
		vals[i] = u * 0.6
		if !p.Matrix() {
			vals[i] = 1 + u
		}
	}
	buf := make([]byte, p.W.Bytes())
	if err := tensor.PutFloat32s(buf, vals, p.W.DType); err != nil {
		panic(err)
	}
	d.CopyIn(p.W, buf)
}

// tokens is a batch of b sequences of n tokens, with a document boundary in the middle of each and some labels ignored.
func tokens(b, n, first int) data.Batch {
	x := data.Batch{B: b, T: n, Tokens: b * n}
	for s := 0; s < b; s++ {
		start := 0
		for i := 0; i < n; i++ {
			if i == n/2+s {
				start = i
			}
			id := func(j int) int32 { return int32((first + 7*(s+j) + j*j*(s+first+3)) % 61) }
			x.IDs = append(x.IDs, id(i))
			x.Pos = append(x.Pos, int32(i-start))
			x.Start = append(x.Start, int32(start))
			target := id(i + 1)
			if i == n-1 || i+1 == n/2+s || i%6 == 5 {
				target = -100
			} else {
				x.Trained++
			}
			x.Targets = append(x.Targets, target)
		}
	}
	return x
}

// collect is a sink that keeps every gradient as float32, by parameter name.
type collect struct {
	d     device.Device
	whole bool
	got   map[string][]float32
	order []string
}

func (c *collect) Whole() bool { return c.whole }

func (c *collect) Consume(p *grad.Param, g grad.Grad) error {
	return grad.Materialize(c.d, p, g, func(t tensor.Tensor) error {
		all := c.got[p.Name]
		if all == nil {
			all = make([]float32, p.Len())
			c.got[p.Name] = all
			c.order = append(c.order, p.Name)
		}
		copy(all[p.Base():], values(c.d, t))
		return c.d.Sync()
	})
}

func values(d device.Device, t tensor.Tensor) []float32 {
	raw := make([]byte, t.Bytes())
	d.CopyOut(raw, t)
	out := make([]float32, t.Len())
	if err := tensor.Float32s(out, raw, t.DType); err != nil {
		panic(err)
	}
	return out
}

// gradients runs one step's sweeps and returns the mean loss and all gradients.
func (m *tiny) gradients(t *testing.T, whole bool, batches ...data.Batch) (float64, map[string][]float32) {
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
	sink := &collect{d: m.d, whole: whole, got: map[string][]float32{}}
	loss, err := p.Backward(sink, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(sink.got) != len(m.net.Params()) {
		t.Fatalf("gradients of %d parameters, want %d: %v", len(sink.got), len(m.net.Params()), sink.order)
	}
	return loss / float64(p.Trained()), sink.got
}

func (m *tiny) loss(t *testing.T, batches ...data.Batch) float64 {
	t.Helper()
	sum, n := 0.0, 0
	for _, b := range batches {
		l, err := m.sweep.TokenLosses(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range l {
			sum += float64(v)
		}
		n += len(l)
	}
	return sum / float64(n)
}

// TestGradientFiniteDifferences compares each parameter's gradient along a random direction with central differences.
func TestGradientFiniteDifferences(t *testing.T) {
	for _, tied := range []bool{true, false} {
		for _, kv := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("tied=%v/kv=%d", tied, kv), func(t *testing.T) {
				m := newTiny(t, tinyOptions{tied: tied, kvHeads: kv, recompute: true})
				batch := tokens(2, 13, 1)
				_, g := m.gradients(t, false, batch)
				for _, p := range m.net.Params() {
					w := values(m.d, p.W)
					dir := make([]float64, len(w))
					want := 0.0
					for i := range dir {
						dir[i] = math.Copysign(1, rng.Float64(3, rng.Init, p.ID, 1, uint64(i))-0.5)
						want += dir[i] * float64(g[p.Name][i])
					}
					set := func(s float64) float64 {
						buf := make([]byte, 4*len(w))
						for i := range w {
							binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(float32(float64(w[i])+s*dir[i])))
						}
						m.d.CopyIn(p.W, buf)
						return m.loss(t, batch)
					}
					central := func(h float64) float64 { return (set(h) - set(-h)) / (2 * h) }
					const h = 2e-3
					got := (4*central(h) - central(2*h)) / 3 // Richardson: the error falls with h⁴
					set(0)
					norm := 0.0
					for _, v := range g[p.Name] {
						norm += float64(v) * float64(v)
					}
					// Measured: at most 7e-4 of the scale, which is the loss's own rounding divided by h.
					if tol := 3e-3 * math.Max(math.Sqrt(norm), 0.5); math.Abs(got-want) > tol {
						t.Errorf("%s: directional derivative %.6f, finite difference %.6f (norm %.4f)", p.Name, want, got, math.Sqrt(norm))
					}
				}
			})
		}
	}
}
