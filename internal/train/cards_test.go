package train

import (
	"context"
	"testing"

	"lomo/internal/cudakern"
	"lomo/internal/cudakern/sim"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// runCards trains on n simulated cards.
func (f *fixture) runCards(n int, so sim.Options, o Options) error {
	f.t.Helper()
	so.Cards = n
	m := sim.New(so)
	defer m.Close()
	var cards []*cudakern.Device
	var devices []device.Device
	var in []Inputs
	for i := range n {
		d, err := cudakern.Open(m, i, cudakern.Options{Capacity: 8 << 20, PoisonReleased: true})
		if err != nil {
			f.t.Fatal(err)
		}
		defer d.Close()
		cards, devices = append(cards, d), append(devices, d)
		in = append(in, Inputs{Weights: f.weights, Train: data.NewLoader(f.data, f.opts), Eval: data.Batches(f.data, f.opts)})
	}
	if n == 1 {
		return Run(context.Background(), devices[0], o, in[0], "")
	}
	group, err := cudakern.NewComm(cards)
	if err != nil {
		f.t.Fatal(err)
	}
	return RunRanks(context.Background(), devices, group, o, in, "")
}

// TestRanksOnCards: the sharded sweep on three simulated cards, whose streams run late and in another order, makes the losses and
// weights of three host ranks, with whole blocks gathered from the cards and with single matrices from host memory. It is the same
// code: what differs is who waits for whom.
func TestRanksOnCards(t *testing.T) { eachFixture(t, 2, testRanksOnCards) } // with the table more units than buffers

func testRanksOnCards(t *testing.T, f *fixture) {
	f.opts.MicroBatch = 1
	o := f.options(t.TempDir(), "adalomo")
	o.DType, o.MicroBatch, o.Accumulation, o.NumEpochs, o.MaxSteps, o.SaveSteps = tensor.F32, 1, 1, 0, 2, 0
	var losses []float64
	o.OnStep = func(m StepMetrics) error { losses = append(losses, m.Loss); return nil }
	if err := f.runRanks(context.Background(), 3, o, ""); err != nil {
		t.Fatal(err)
	}
	want := losses
	for _, onHost := range []bool{false, true} {
		cards := o
		cards.OutputDir, losses = t.TempDir(), nil
		if onHost {
			cards.Offload, cards.GatherByMatrix = OnHost, true
		}
		if err := f.runCards(3, sim.Options{Order: 3}, cards); err != nil {
			t.Fatal(err)
		}
		near(t, "loss", losses, want, 5e-8)                                                               // measured 1.1e-8
		if d, at := worst(weightsOf(t, cards.OutputDir), weightsOf(t, o.OutputDir)); d == 0 || d > 5e-7 { // measured 1.6e-7
			t.Errorf("weights differ by %.1e at %s", d, at)
		}
	}
}
