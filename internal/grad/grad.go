// Package grad is the gradient as a value: what the backward pass hands to whoever consumes it, instead
// of a tensor that waits (design.md 2.1). model makes gradients, optim consumes them; neither knows the other.
package grad

import (
	"fmt"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Param is one trained tensor, or some rows of one.
type Param struct {
	Name  string // the Hugging Face name, model.layers.0.self_attn.q_proj.weight
	ID    uint32 // position in the model's parameter table; keys the rounding noise
	Block int    // 0 … L−1; −1 for the embedding, L for the final norm and the head
	Shape []int  // of the whole tensor
	W     tensor.Tensor
	Row0  int // first row of W in the whole tensor

	Expert bool // of an expert of a mixture: a step may use few of many, and a store may bring it apart from its block
}

// Matrix reports whether the parameter is 2-D.
func (p *Param) Matrix() bool { return len(p.Shape) == 2 }

// Len is the number of elements of the whole tensor.
func (p *Param) Len() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// Base is the index in the whole tensor of W's first element.
func (p *Param) Base() int64 {
	b := int64(p.Row0)
	for _, d := range p.Shape[1:] {
		b *= int64(d)
	}
	return b
}

// Rows is the parameter restricted to the rows [r0, r1) of W.
func (p *Param) Rows(r0, r1 int) *Param {
	q := *p
	q.W, q.Row0 = p.W.Slice(r0, r1), p.Row0+r0
	return &q
}

// Kind is the form a gradient comes in.
type Kind uint8

const (
	Outer Kind = iota // factors: g = DYᵀ·X
	Rows              // an embedding's touched rows
	Dense             // the gradient itself, float32
	Zero              // none of it is not zero: no token came to the expert that the parameter belongs to
)

// Grad is the gradient of the mean token loss with respect to one Param, valid until Consume returns.
type Grad struct {
	Kind  Kind
	DY    []tensor.Tensor // Outer: (N, Out) each, maybe the rows of several micro-batches; their columns one after another are the matrix's rows
	X     tensor.Tensor   // Outer: (N, In)
	Rows  device.Rows     // Rows
	Dense tensor.Tensor   // Dense: the shape of Param.W
}

// FromOuter is the gradient of a linear layer, or of several in one matrix.
func FromOuter(x tensor.Tensor, dy ...tensor.Tensor) Grad { return Grad{Kind: Outer, DY: dy, X: x} }

// Outers calls f with each of an outer gradient's factors and the rows of the matrix that it makes.
func (g Grad) Outers(f func(r0, r1 int, dy tensor.Tensor)) {
	r := 0
	for _, dy := range g.DY {
		f(r, r+dy.Cols(), dy)
		r += dy.Cols()
	}
}

// AddOuter makes t, or adds to it, an outer gradient's matrix in float32. Of no rows it is zero.
func (g Grad) AddOuter(d device.Device, t tensor.Tensor, acc bool) {
	g.Outers(func(r0, r1 int, dy tensor.Tensor) {
		switch {
		case dy.Shape[0] > 0:
			d.OuterAdd(t.Slice(r0, r1), dy, g.X, acc)
		case !acc:
			d.Zero(t.Slice(r0, r1))
		}
	})
}

// FromRows is the gradient of an embedding lookup.
func FromRows(r device.Rows) Grad { return Grad{Kind: Rows, Rows: r} }

// FromDense is a gradient that has been added up already.
func FromDense(g tensor.Tensor) Grad { return Grad{Kind: Dense, Dense: g} }

// Nothing is the gradient of an expert's parameter to which no token came. W is not read, and need not be at hand, but for a sink that MovesIdle.
func Nothing() Grad { return Grad{Kind: Zero} }

// MovesIdle reports whether sink changes or reads the weights of parameters whose gradient is Nothing: decay and momentum do.
func MovesIdle(sink Sink) bool {
	m, ok := sink.(interface{ MovesIdle() bool })
	return ok && m.MovesIdle()
}

// Sink consumes gradients: an optimizer, the norm pass, a test.
type Sink interface {
	// Whole reports whether a parameter's gradient must come in one piece. If not, a large table may
	// arrive as several blocks of rows and no buffer of its size is ever held.
	Whole() bool
	Consume(p *Param, g Grad) error
}

// Materialize calls f with the float32 matrix of g, made in scratch of the device when g is not dense yet.
func Materialize(d device.Device, p *Param, g Grad, f func(dense tensor.Tensor) error) error {
	if g.Kind == Dense {
		return f(g.Dense)
	}
	mark := d.Memory().Mark()
	defer d.Memory().Release(mark)
	if g.Kind == Outer {
		t, err := d.Scratch("gradient", p.Name, tensor.F32, p.W.Shape...)
		if err != nil {
			return fmt.Errorf("gradient of %q: %w", p.Name, err)
		}
		g.AddOuter(d, t, false)
		return f(t)
	}
	t, err := d.Alloc("gradient", p.Name, tensor.F32, p.W.Shape...)
	if err != nil {
		return fmt.Errorf("gradient of %q: %w", p.Name, err)
	}
	if g.Kind == Rows {
		d.RowsAdd(t, g.Rows, p.Row0)
	}
	return f(t)
}
