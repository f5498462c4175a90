package verify

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/optim"
	"lomo/internal/preset"
	"lomo/internal/tensor"
	"lomo/internal/train"
)

// Run is a short training of a tiny model on the device and on the host.
type Run struct {
	Optimizer string    `json:"optimizer"`
	DType     string    `json:"dtype"`
	Losses    []float64 `json:"losses"`
	Host      []float64 `json:"host"`
	Worst     float64   `json:"worst"` // |loss − host's|
	Bound     float64   `json:"bound"`
}

// steps of each run; a quick one has a few.
const (
	steps      = 20
	quickSteps = 3
)

// training compares the losses of the same steps on d and on twin, weights rounded to nearest.
func (r *Report) training(o Options, d, twin device.Device) error {
	dir, err := os.MkdirTemp(o.Temp, "lomo-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, name := range []string{"lomo", "adalomo"} {
			o.Note("training a tiny model with %s in %v", name, dt)
			// Measured with simulated cards, whose approximate functions are exact: 4e-7 in float32, 1.3e-3 in bf16, whose rounded weights drift apart.
			run := Run{Optimizer: name, DType: dt.String(), Bound: map[tensor.DType]float64{tensor.F32: 1e-5, tensor.BF16: 5e-3}[dt]}
			for _, on := range []struct {
				d  device.Device
				to *[]float64
			}{{d, &run.Losses}, {twin, &run.Host}} {
				if *on.to, err = losses(on.d, filepath.Join(dir, "model-"+dt.String()), dt, name, o.Quick); err != nil {
					r.problem("training with %s in %v on %s: %v", name, dt, on.d.Name(), err)
					return nil
				}
			}
			for i := range run.Losses {
				run.Worst = max(run.Worst, math.Abs(run.Losses[i]-run.Host[i]))
			}
			if !(run.Worst <= run.Bound) || run.Losses[0] == run.Losses[len(run.Losses)-1] {
				r.problem("training with %s in %v: losses %v, the host's %v", name, dt, run.Losses, run.Host)
			}
			r.Runs = append(r.Runs, run)
		}
	}
	return nil
}

// losses trains the tiny preset, made in dir when it is not there.
func losses(d device.Device, dir string, dt tensor.DType, optimizer string, quick bool) ([]float64, error) {
	mark := d.Memory().Mark()
	defer d.Memory().Release(mark)
	if err := tinyModel(dir, dt); err != nil {
		return nil, err
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	cfg, err := preset.Config("tiny")
	if err != nil {
		return nil, err
	}
	sequence, n := 64, steps
	if quick {
		sequence, n = 16, quickSteps
	}
	do := data.Options{SequenceLen: sequence, Packing: true, MicroBatch: 1, Seed: 1, VocabSize: cfg.VocabSize}
	set, err := data.Load([]data.Source{{Path: filepath.Join(dir, "data.jsonl"), Type: "tokenized", Weight: 1}}, nil, do)
	if err != nil {
		return nil, err
	}
	out, err := os.MkdirTemp(dir, "run-")
	if err != nil {
		return nil, err
	}
	var all []float64
	rate := map[string]float64{"lomo": 0.1, "adalomo": 5e-3}[optimizer]
	to := train.Options{Model: cfg, DType: dt, LearningRate: rate, Scheduler: "constant", MaxSteps: n, NumEpochs: float64(n),
		Optimizer: optim.Config{Name: optimizer, AdaLomo: optim.DefaultAdaLomo(), Common: optim.Common{Rounding: device.Nearest}},
		Recompute: true, MicroBatch: 1, Accumulation: 1, SequenceLen: sequence, Seed: 1, LoggingSteps: 1, OutputDir: out,
		OnStep: func(m train.StepMetrics) error { all = append(all, m.Loss); return nil }}
	err = train.Run(context.Background(), d, to, train.Inputs{Weights: src, Train: data.NewLoader(set, do)}, "")
	if err == nil && len(all) != n {
		err = fmt.Errorf("%d losses of %d steps", len(all), n)
	}
	return all, err
}

func tinyModel(dir string, dt tensor.DType) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var lines strings.Builder
	for i := range 40 {
		ids := make([]string, 9+i%7)
		for j := range ids {
			ids[j] = fmt.Sprint((i*13 + j*j*3) % 300)
		}
		fmt.Fprintf(&lines, "{\"input_ids\": [%s]}\n", strings.Join(ids, ","))
	}
	if err := os.WriteFile(filepath.Join(dir, "data.jsonl"), []byte(lines.String()), 0o644); err != nil {
		return err
	}
	_, err := preset.Create(dir, "tiny", preset.Options{DType: dt, Seed: 1})
	return err
}
