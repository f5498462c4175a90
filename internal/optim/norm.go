package optim

import (
	"encoding/binary"
	"math"

	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Clip is the clipping of the gradient to a global norm: κ = min(1, c/(G + 1e-6)).
type Clip struct {
	MaxNorm float64
	Lagged  bool          // κ from the last step's norm, gathered during the update; else a norm pass of its own
	SumSq   tensor.Tensor // F64 (1): Σg² of this step so far
	Coef    tensor.Tensor // F32 (1): κ of this step
}

// NewClip takes the two scalars.
func NewClip(d device.Device, maxNorm float64, lagged bool) (*Clip, error) {
	c := &Clip{MaxNorm: maxNorm, Lagged: lagged}
	var err error
	if c.SumSq, err = d.Alloc("optimizer", "grad_norm.sum", tensor.F64, 1); err != nil {
		return nil, err
	}
	c.Coef, err = d.Alloc("optimizer", "grad_norm.coef", tensor.F32, 1)
	return c, err
}

// Fix sets κ from the squares gathered so far.
func (c *Clip) Fix(d device.Device) { d.ClipCoef(c.Coef, c.SumSq, float32(c.MaxNorm), 1) }

// Set sets κ for a known norm; a negative norm (the first lagged step knows none) gives κ = 1.
func (c *Clip) Set(d device.Device, norm float64) {
	k := float32(1)
	if norm >= 0 {
		k = float32(math.Min(1, c.MaxNorm/(norm+1e-6)))
	}
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], math.Float32bits(k))
	d.CopyIn(c.Coef, b[:])
}

// Reset starts a new sum.
func (c *Clip) Reset(d device.Device) { d.Zero(c.SumSq) }

// Norm reads G = √Σg² from the device.
func (c *Clip) Norm(d device.Device) float64 {
	var b [8]byte
	d.CopyOut(b[:], c.SumSq)
	return math.Sqrt(math.Float64frombits(binary.LittleEndian.Uint64(b[:])))
}

// NormPass is the sink of the norm pass: it adds up squares and keeps nothing.
type NormPass struct {
	D   device.Device
	Sum tensor.Tensor // F64 (1)

	MatricesOnly bool // vectors, which every rank holds, are another rank's to count
}

// Whole is false: squares add up in any pieces.
func (n *NormPass) Whole() bool { return false }

// Consume adds ‖g‖².
func (n *NormPass) Consume(p *grad.Param, g grad.Grad) error {
	if n.MatricesOnly && !p.Matrix() {
		return nil
	}
	switch g.Kind {
	case grad.Zero:
	case grad.Outer:
		g.Outers(func(_, _ int, dy tensor.Tensor) { n.D.OuterSumSq(n.Sum, dy, g.X) })
	case grad.Rows:
		n.D.RowsSumSq(n.Sum, g.Rows)
	default:
		n.D.SumSq(n.Sum, g.Dense)
	}
	return nil
}
