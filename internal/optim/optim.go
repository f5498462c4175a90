// Package optim holds the optimizers, one file each, the gradient norm and the learning-rate schedules. An optimizer
// is a grad.Sink: it consumes each gradient as the backward sweep makes it and forgets it (algorithms.md 1, 2, 11).
package optim

import (
	"fmt"

	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Optimizer updates parameters as their gradients arrive.
type Optimizer interface {
	grad.Sink
	// Begin starts update number t (from 1) of the whole model at learning rate lr.
	Begin(t int, lr float64)
	// State is the tensors a resumed run needs, under names such as "r/model.norm.weight".
	State() []StateTensor
}

// StateTensor is one named tensor of an optimizer's state.
type StateTensor struct {
	Name  string
	T     tensor.Tensor
	Shape []int // of the whole; T may be this rank's rows of it
	Split bool  // T is this rank's rows: the state goes with a matrix's rows
}

// Common is what every optimizer is told.
type Common struct {
	WeightDecay float64
	ClipValue   float64         // 0: off
	Rounding    device.Rounding // of BF16 weights
	Seed        uint64
	Clip        *Clip // nil: no norm clipping
	Ranks       Ranks // nil: one rank
}

// Ranks is the other ranks of a run, each with a slice of the rows of every matrix and all of every vector.
type Ranks interface {
	Rank() int
	// AllReduce makes t the sum over ranks.
	AllReduce(t tensor.Tensor) error
}

// Config names an optimizer and its options.
type Config struct {
	Name string // "lomo", "adalomo", "sgd", "adamw"
	Common
	AdaLomo AdaLomoConfig
	AdamW   AdamWConfig
	SGD     SGDConfig
}

// New makes the optimizer cfg names, with its state for params on d.
func New(d device.Device, cfg Config, params []*grad.Param) (Optimizer, error) {
	b := base{d: d, common: cfg.Common}
	switch cfg.Name {
	case "lomo":
		return &Lomo{b}, nil
	case "adalomo":
		return newAdaLomo(b, cfg.AdaLomo, params)
	case "adamw":
		return newAdamW(b, cfg.AdamW, params)
	case "sgd":
		return newSGD(b, cfg.SGD, params)
	}
	return nil, fmt.Errorf("optimizer %q: this build has lomo, adalomo, sgd and adamw", cfg.Name)
}

// base is the part all optimizers share: the step's numbers.
type base struct {
	d      device.Device
	common Common
	t      int
	lr     float32
}

func (b *base) Begin(t int, lr float64) { b.t, b.lr = t, float32(lr) }

// step is what the device needs to update p now.
func (b *base) step(p *grad.Param) device.Step {
	s := device.Step{
		LR: b.lr, Decay: float32(b.common.WeightDecay), Clip: float32(b.common.ClipValue),
		Round: b.common.Rounding, Seed: b.common.Seed, Number: uint32(b.t), Tensor: p.ID, Base: p.Base(),
	}
	if c := b.common.Clip; c != nil {
		s.Coef = c.Coef
		if c.Lagged && b.counts(p) {
			s.SumSq = c.SumSq
		}
	}
	return s
}

// counts reports whether this rank adds p to the norm: its own rows of a matrix, and a vector on rank 0 alone.
func (b *base) counts(p *grad.Param) bool {
	return p.Matrix() || b.common.Ranks == nil || b.common.Ranks.Rank() == 0
}

// reduce makes t the sum over ranks.
func (b *base) reduce(t tensor.Tensor) error {
	if b.common.Ranks == nil {
		return nil
	}
	return b.common.Ranks.AllReduce(t)
}

// observe adds a dense gradient's squares to the lagged norm, for optimizers whose update does not.
func (b *base) observe(p *grad.Param, g tensor.Tensor) {
	if c := b.common.Clip; c != nil && c.Lagged && b.counts(p) {
		b.d.SumSq(c.SumSq, g)
	}
}

// stateTensor takes one zeroed state tensor from the device.
func (b *base) stateTensor(name string, shape ...int) (tensor.Tensor, error) {
	t, err := b.d.Alloc("optimizer", name, tensor.F32, shape...)
	if err != nil {
		return t, fmt.Errorf("optimizer state: %w", err)
	}
	return t, nil
}
