package optim

import (
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// AdamWConfig are AdamW's options.
type AdamWConfig struct {
	Beta1, Beta2, Eps float64
	Master            bool // keep float32 weights beside BF16 ones
	DecayVectors      bool // decay norm gains too, as torch does when given all parameters at once
}

// DefaultAdamW is torch's default, with float32 master weights.
func DefaultAdamW() AdamWConfig {
	return AdamWConfig{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Master: true}
}

// AdamW is torch's AdamW (algorithms.md 11). State: m and v, and with BF16 weights a float32 master, each of the
// parameter's size. Like transformers' trainer it decays matrices and embeddings only, unless DecayVectors.
type AdamW struct {
	base
	cfg    AdamWConfig
	state  map[string]*moments
	params []*grad.Param
}

type moments struct{ m, v, master tensor.Tensor }

func newAdamW(b base, cfg AdamWConfig, params []*grad.Param) (*AdamW, error) {
	o := &AdamW{base: b, cfg: cfg, state: map[string]*moments{}, params: params}
	for _, p := range params {
		s := &moments{}
		var err error
		if s.m, err = o.stateTensor("exp_avg/"+p.Name, p.W.Shape...); err != nil {
			return nil, err
		}
		if s.v, err = o.stateTensor("exp_avg_sq/"+p.Name, p.W.Shape...); err != nil {
			return nil, err
		}
		if cfg.Master && p.W.DType == tensor.BF16 {
			if s.master, err = o.stateTensor("master/"+p.Name, p.W.Shape...); err != nil {
				return nil, err
			}
			b.d.Copy(s.master, p.W)
		}
		o.state[p.Name] = s
	}
	return o, nil
}

// Whole is true: m and v are kept by tensor.
func (o *AdamW) Whole() bool { return true }

// MovesIdle is true: what the moments have gathered goes on where the gradient is zero.
func (o *AdamW) MovesIdle() bool { return true }

// State is exp_avg/, exp_avg_sq/ and master/ of every parameter.
func (o *AdamW) State() []StateTensor {
	var out []StateTensor
	for _, p := range o.params {
		s := o.state[p.Name]
		out = append(out, StateTensor{"exp_avg/" + p.Name, s.m, p.Shape, p.Matrix()}, StateTensor{"exp_avg_sq/" + p.Name, s.v, p.Shape, p.Matrix()})
		if !s.master.IsZero() {
			out = append(out, StateTensor{"master/" + p.Name, s.master, p.Shape, p.Matrix()})
		}
	}
	return out
}

// Consume updates p from its whole gradient.
func (o *AdamW) Consume(p *grad.Param, g grad.Grad) error {
	return grad.Materialize(o.d, p, g, func(dense tensor.Tensor) error {
		o.observe(p, dense)
		s, st := o.step(p), o.state[p.Name]
		if !p.Matrix() && !o.cfg.DecayVectors {
			s.Decay = 0
		}
		a := device.AdamW{Beta1: float32(o.cfg.Beta1), Beta2: float32(o.cfg.Beta2), Eps: float32(o.cfg.Eps), T: o.t}
		o.d.AdamW(p.W, st.m, st.v, st.master, dense, a, s)
		return nil
	})
}
