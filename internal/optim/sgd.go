package optim

import (
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// SGDConfig are SGD's options; all zero is plain SGD.
type SGDConfig struct {
	Momentum, Dampening float64
	Nesterov            bool
}

// SGD is torch's SGD (algorithms.md 11) with coupled weight decay. Without momentum it needs no state, and
// w − η·(g + λ·w) is LOMO's fused update; with momentum it keeps one float32 buffer a parameter.
type SGD struct {
	base
	cfg    SGDConfig
	bufs   map[string]tensor.Tensor
	params []*grad.Param
}

func newSGD(b base, cfg SGDConfig, params []*grad.Param) (Optimizer, error) {
	o := &SGD{base: b, cfg: cfg, bufs: map[string]tensor.Tensor{}, params: params}
	if cfg.Momentum == 0 {
		return &Lomo{b}, nil
	}
	for _, p := range params {
		t, err := o.stateTensor("momentum_buffer/"+p.Name, p.W.Shape...)
		if err != nil {
			return nil, err
		}
		o.bufs[p.Name] = t
	}
	return o, nil
}

// Whole is true: the buffers are kept by tensor.
func (o *SGD) Whole() bool { return true }

// MovesIdle is true: momentum goes on where the gradient is zero.
func (o *SGD) MovesIdle() bool { return true }

// State is momentum_buffer/ of every parameter.
func (o *SGD) State() []StateTensor {
	var out []StateTensor
	for _, p := range o.params {
		out = append(out, StateTensor{"momentum_buffer/" + p.Name, o.bufs[p.Name], p.Shape, p.Matrix()})
	}
	return out
}

// Consume updates p from its whole gradient.
func (o *SGD) Consume(p *grad.Param, g grad.Grad) error {
	return grad.Materialize(o.d, p, g, func(dense tensor.Tensor) error {
		o.observe(p, dense)
		m := device.Momentum{Momentum: float32(o.cfg.Momentum), Dampening: float32(o.cfg.Dampening), Nesterov: o.cfg.Nesterov, First: o.t == 1}
		o.d.SGD(p.W, o.bufs[p.Name], dense, m, o.step(p))
		return nil
	})
}
