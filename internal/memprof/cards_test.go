package memprof

import (
	"errors"
	"strings"
	"testing"

	"lomo/internal/cudakern"
	"lomo/internal/cudakern/sim"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/model/families"
	"lomo/internal/optim"
	"lomo/internal/tensor"
	"lomo/internal/train"
)

// small is a run that a simulated card makes in a moment.
func small(t *testing.T, optimizer string, offload, inputs train.Place) train.Options {
	t.Helper()
	cfg, err := families.Parse([]byte(`{"model_type":"llama","vocab_size":67,"hidden_size":32,"intermediate_size":40,
		"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":8}`))
	if err != nil {
		t.Fatal(err)
	}
	return train.Options{Model: cfg, DType: tensor.BF16, Recompute: true, MicroBatch: 1, Accumulation: 1, SequenceLen: 9,
		LearningRate: 1e-3, Scheduler: "constant", Offload: offload, SpillInputs: inputs,
		Optimizer: optim.Config{Name: optimizer, AdaLomo: optim.DefaultAdaLomo(), AdamW: optim.DefaultAdamW()}}
}

// openCard is a simulated card with an arena of capacity bytes.
func openCard(t *testing.T, o sim.Options, capacity int64) (*cudakern.Device, error) {
	t.Helper()
	o.Cards = 1
	m := sim.New(o)
	t.Cleanup(func() { m.Close() }) //nolint:errcheck // a machine of a test
	return cudakern.Open(m, 0, cudakern.Options{Capacity: capacity, PoisonReleased: true})
}

// stepOn trains two steps on d and returns the trained weights of all tensors.
func stepOn(t *testing.T, d device.Device, o train.Options) ([]byte, error) {
	t.Helper()
	tr, err := train.New(d, o)
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	if err := tr.Load(wave{}); err != nil {
		return nil, err
	}
	tr.Schedule(2)
	var batches []data.Batch
	for i := 0; i < o.Accumulation; i++ {
		batches = append(batches, full(o.MicroBatch, o.SequenceLen, i, o.Model.VocabSize))
	}
	for range 2 {
		if _, err := tr.Step(batches); err != nil {
			return nil, err
		}
	}
	var out collected
	if err := tr.Sweep().Store.Save(&out); err != nil {
		return nil, err
	}
	return out.bytes, nil
}

// wave is weights that differ from each other.
type wave struct{}

func (wave) ReadRows(name string, r0, _ int, dst []byte, dt tensor.DType) error {
	v := make([]float32, len(dst)/dt.Size())
	for i := range v {
		v[i] = float32((i*7+r0*13+len(name))%31-15) / 200
		if strings.Contains(name, "norm") {
			v[i]++
		}
	}
	return tensor.PutFloat32s(dst, v, dt)
}

type collected struct{ bytes []byte }

func (c *collected) WriteRows(_ string, _ int, data []byte) error {
	c.bytes = append(c.bytes, data...)
	return nil
}

// TestPlanIsTheCard: the arena of a card is exactly as large as the plan, also with weights and block inputs on the host, where
// pinned memory is too; with one unit of alignment less the first allocation that does not fit says so. Wherever weights and inputs
// wait, and in whatever order the card does what events leave open, the trained weights have the same bits.
func TestPlanIsTheCard(t *testing.T) {
	want := map[string]string{}
	for _, c := range []struct {
		optimizer       string
		offload, inputs train.Place
		order           uint64 // of the card's work; 0: as late as it may
	}{{"lomo", train.OnDevice, train.OnDevice, 0}, {"lomo", train.OnHost, train.OnDevice, 3}, {"lomo", train.OnDevice, train.OnHost, 3}, {"lomo", train.OnHost, train.OnHost, 0},
		{"adalomo", train.OnDevice, train.OnDevice, 0}, {"adalomo", train.OnHost, train.OnHost, 5}} {
		o := small(t, c.optimizer, c.offload, c.inputs)
		p, err := Run(o, Machine{Ranks: 1, Cards: true}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		d, err := openCard(t, sim.Options{Order: c.order}, p.Arena)
		if err != nil {
			t.Fatal(err)
		}
		got, err := stepOn(t, d, o)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if peak, _, _ := d.Memory().Peak(); peak != p.Arena {
			t.Errorf("%+v: planned %d bytes, the card took %d", c, p.Arena, peak)
		}
		if pinned, _, _ := d.PinnedMemory().Peak(); pinned != p.Pinned {
			t.Errorf("%+v: planned %d bytes of pinned memory, the run took %d", c, p.Pinned, pinned)
		}
		if want[c.optimizer] == "" {
			want[c.optimizer] = string(got)
		}
		if string(got) != want[c.optimizer] {
			t.Errorf("%+v: other weights than with everything on the card", c)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if c.optimizer != "lomo" || c.offload != train.OnDevice || c.inputs != train.OnDevice {
			continue
		}
		if d, err = openCard(t, sim.Options{}, p.Arena-device.Align); err != nil {
			t.Fatal(err)
		}
		var full *device.OutOfMemoryError
		if _, err := stepOn(t, d, o); !errors.As(err, &full) {
			t.Errorf("%+v: an arena smaller than the plan: %v", c, err)
		}
	}
}

// TestCardRefuses: a driver that has less than the plan refuses at start, and says how much is free and how much others hold.
func TestCardRefuses(t *testing.T) {
	_, err := openCard(t, sim.Options{Memory: 1e9}, 1e9)
	if err == nil || !strings.Contains(err.Error(), "GPU 0") || !strings.Contains(err.Error(), "held by other programs") {
		t.Errorf("got %v", err)
	}
}
