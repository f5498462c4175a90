package optim

import (
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Lomo is LOMO (Lv et al. 2023, arXiv 2306.09782): SGD fused with the backward pass, W ← W·(1−η·λ) − η·κ·clamp(g).
// It has no state, and for a linear layer not even a gradient: the update happens inside the product dYᵀX.
type Lomo struct{ base }

// Whole is false: the update is element by element, so any rows will do.
func (o *Lomo) Whole() bool { return false }

// State is empty.
func (o *Lomo) State() []StateTensor { return nil }

// MovesIdle is true with decay: without it a gradient of zero leaves every weight as it is.
func (o *Lomo) MovesIdle() bool { return o.common.WeightDecay != 0 }

// Consume updates p at once.
func (o *Lomo) Consume(p *grad.Param, g grad.Grad) error {
	s := o.step(p)
	switch g.Kind {
	case grad.Zero:
		if o.MovesIdle() {
			return grad.Materialize(o.d, p, g, func(zero tensor.Tensor) error { o.d.Update(p.W, zero, s); return nil })
		}
	case grad.Outer:
		g.Outers(func(r0, r1 int, dy tensor.Tensor) {
			rows := p.Rows(r0, r1)
			o.d.OuterUpdate(rows.W, dy, g.X, o.step(rows))
		})
	case grad.Rows:
		o.d.RowsUpdate(p.W, g.Rows, s)
	default:
		o.d.Update(p.W, g.Dense, s)
	}
	return nil
}
