package optim

import (
	"encoding/binary"
	"errors"
	"math"

	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// AdaLomoConfig are AdaLomo's options; DefaultAdaLomo gives the released ones.
type AdaLomoConfig struct {
	ClipThreshold float64 // d: the update's RMS is held to it
	DecayRate     float64 // exponent of β_t = 1 − t^DecayRate
	Eps1, Eps2    float64 // ε₁ is added to g², ε₂ is the least RMS(θ)
}

// DefaultAdaLomo is lomo_optim's default.
func DefaultAdaLomo() AdaLomoConfig {
	return AdaLomoConfig{ClipThreshold: 1, DecayRate: -0.8, Eps1: 1e-30, Eps2: 1e-3}
}

// AdaLomo is Lv et al. 2023, arXiv 2310.10195: second moment factored as in Adafactor, update normalised per tensor
// and scaled by the parameter's RMS. State: r (Out) and c (In) of a matrix, v of a vector, float32.
type AdaLomo struct {
	base
	cfg   AdaLomoConfig
	state map[string]*factors // by parameter name
	order []*grad.Param
}

type factors struct {
	r, c tensor.Tensor // matrices
	v    tensor.Tensor // vectors
}

func newAdaLomo(b base, cfg AdaLomoConfig, params []*grad.Param) (*AdaLomo, error) {
	o := &AdaLomo{base: b, cfg: cfg, state: map[string]*factors{}}
	for _, p := range params {
		f := &factors{}
		var err error
		if p.Matrix() {
			if f.r, err = o.stateTensor("r/"+p.Name, p.W.Shape[0]); err != nil {
				return nil, err
			}
			f.c, err = o.stateTensor("c/"+p.Name, p.Shape[1])
		} else {
			f.v, err = o.stateTensor("v/"+p.Name, p.Len())
		}
		if err != nil {
			return nil, err
		}
		o.state[p.Name] = f
		o.order = append(o.order, p)
	}
	return o, nil
}

// Whole is true: the factors and the RMS are taken over the whole tensor.
func (o *AdaLomo) Whole() bool { return true }

// MovesIdle is true with decay: without it a gradient of zero changes the moments alone.
func (o *AdaLomo) MovesIdle() bool { return o.common.WeightDecay != 0 }

// State is r/, c/ and v/ of every parameter.
func (o *AdaLomo) State() []StateTensor {
	var out []StateTensor
	for _, p := range o.order {
		f := o.state[p.Name]
		if p.Matrix() {
			out = append(out, StateTensor{"r/" + p.Name, f.r, p.Shape[:1], true}, StateTensor{"c/" + p.Name, f.c, p.Shape[1:], false})
		} else {
			out = append(out, StateTensor{"v/" + p.Name, f.v, p.Shape, false})
		}
	}
	return out
}

// Consume updates p from its whole gradient.
func (o *AdaLomo) Consume(p *grad.Param, g grad.Grad) error {
	if g.Kind == grad.Zero && !o.MovesIdle() {
		return o.fade(p)
	}
	return grad.Materialize(o.d, p, g, func(dense tensor.Tensor) error {
		o.observe(p, dense)
		mark := o.d.Memory().Mark()
		defer o.d.Memory().Release(mark)
		stats, err := o.d.Alloc("gradient", "adalomo.stats", tensor.F64, 4)
		if err != nil {
			return err
		}
		if p.Matrix() {
			return o.matrix(p, dense, stats)
		}
		s, beta := o.step(p), o.beta()
		f := o.state[p.Name]
		o.d.VectorStats(f.v, stats, p.W, dense, beta, float32(o.cfg.Eps1), s)
		o.d.VectorUpdate(p.W, dense, f.v, stats, float32(o.cfg.Eps2), float32(o.cfg.ClipThreshold), s)
		return nil
	})
}

// matrix runs the passes over one matrix: sums of squares, moments, norm of the update, write.
func (o *AdaLomo) matrix(p *grad.Param, g, stats tensor.Tensor) error {
	rows, err := o.d.Scratch("gradient", "adalomo.rows", tensor.F32, p.W.Shape[0])
	if err != nil {
		return err
	}
	cols, err := o.d.Scratch("gradient", "adalomo.cols", tensor.F32, p.Shape[1])
	if err != nil {
		return err
	}
	s, f := o.step(p), o.state[p.Name]
	o.d.FactorSums(rows, cols, stats, p.W, g, float32(o.cfg.Eps1), s)
	if err := errors.Join(o.reduce(cols), o.reduce(stats.Slice(0, 1))); err != nil {
		return err
	}
	o.d.FactorEMA(f.r, f.c, stats, rows, cols, o.beta(), p.Shape[0])
	if err := o.reduce(stats.Slice(1, 2)); err != nil {
		return err
	}
	o.d.FactorNorm(stats, g, f.r, f.c, s)
	if err := o.reduce(stats.Slice(2, 3)); err != nil {
		return err
	}
	o.d.FactorUpdate(p.W, g, f.r, f.c, stats, float32(o.cfg.Eps2), float32(o.cfg.ClipThreshold), s)
	return nil
}

func (o *AdaLomo) beta() float32 {
	return float32(1 - math.Pow(float64(o.t), o.cfg.DecayRate))
}

// fade is the moments' step of a matrix whose gradient is zero, of which nothing is left but eps1: the weights are not needed, and stay.
func (o *AdaLomo) fade(p *grad.Param) error {
	mark := o.d.Memory().Mark()
	defer o.d.Memory().Release(mark)
	f, whole := o.state[p.Name], p.Shape[0]
	same := func(n int, v float32) (tensor.Tensor, error) {
		t, err := o.d.Scratch("gradient", "adalomo.idle", tensor.F32, n)
		if err == nil {
			raw := make([]byte, 4*n)
			for i := range n {
				binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
			}
			o.d.CopyIn(t, raw)
		}
		return t, err
	}
	rows, err := same(f.r.Len(), float32(p.Shape[1])*float32(o.cfg.Eps1))
	if err != nil {
		return err
	}
	cols, err := same(p.Shape[1], float32(p.Shape[0])*float32(o.cfg.Eps1))
	if err != nil {
		return err
	}
	stats, err := o.d.Alloc("gradient", "adalomo.stats", tensor.F64, 4)
	if err != nil {
		return err
	}
	o.d.FactorEMA(f.r, f.c, stats, rows, cols, o.beta(), whole)
	return nil
}
