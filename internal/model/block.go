package model

import (
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Layout is how the rows of a micro-batch are arranged: B sequences of T tokens, the rows of the rotary tables that turn them
// (Config.RopeRows) and the start of each token's document.
type Layout struct {
	B, T  int
	Pos   tensor.Tensor // (B·T) I32
	Start tensor.Tensor // (B, T) I32

	Windows map[int]tensor.Tensor // by the windows that layers have: Start, no farther back than the window
}

// starts is where the tokens that each one sees begin, through a window or without.
func (l Layout) starts(window int) tensor.Tensor {
	if window == 0 {
		return l.Start
	}
	return l.Windows[window]
}

// WindowStart is the first of the tokens 0 … i that token i of a sequence sees through a window, where its document begins at start.
func WindowStart(i, start, window int) int { return max(start, i-window+1) }

// Block is one decoder block: a list of layers over slots. The list is all that is known of it, and all that is done
// for a block is done from it: its parameters, its passes, the memory that they take (memory.go), and the order in which
// matrices are read.
type Block struct {
	layers []layer
	slots  []slot
	out    Slot // the block's output; like its input it is the caller's
	kind   string

	// What the list says, by wire:
	matrices []Matrix      // in the order in which Backward reads and emits them
	vectors  []*grad.Param // the other parameters, in the order of the backward pass
	factor   []bool        // by slot: its activation's memory holds a factor of a matrix's gradient at the end of the backward pass
	over     []bool        // by slot: its gradient may take its place
	again    int           // how many layers are computed again for a backward pass

	// Use, where it is set, is called with each matrix just before it is read: a store that brings them one at a time needs it. Soon tells it of the
	// expert's that comes next.
	Use, Soon func(p *grad.Param)

	EveryExpert bool // all experts' matrices are used and emitted, with no rows too: ranks gather and sum them together
}

// Slot is one tensor of a block that its layers hand on to each other, by its number. A block's input is slot 0.
type Slot int

// slot is what a tensor of a block is before it has memory. It has N = B·T rows, or a multiple of them.
type slot struct {
	name     string
	cols     int  // numbers a row
	times    int  // rows a token; 0: one
	f32      bool // whatever the dtype of activations is
	ints     bool // I32: rows' numbers
	heads    bool // lies as (B, cols, T)
	residual bool // part of the residual stream, of which all have one gradient, in F32
	sum      bool // several products make its gradient, which adds up in F32
}

// layer is one operation of a block. It reads and writes the tensors of a Frame by their slots.
type layer interface {
	forward(f *Frame)
	// backward turns the gradients of what the layer made into those of what it was given, and emits its matrices' gradients as
	// soon as their dX have been taken from the old weights.
	backward(f *Frame) error
	wires() wires
}

// wires is what a layer has to do with a block's slots and parameters.
type wires struct {
	from, to []Slot // what it is given and what it makes; the backward pass writes the gradients of from and reads those of to
	reads    []Slot // what its backward pass reads beside gradients
	over     bool   // the gradients of from may take their places: nothing else reads them afterwards
	matrices []Matrix
	vectors  []*grad.Param
}

// Matrix is a matrix of a block with the slots of its gradient's factors, dYᵀ·X; of several dY each makes some of its rows.
type Matrix struct {
	*grad.Param
	x        Slot
	y        []Slot
	Residual bool // dY is the gradient of the residual stream, which moves on
}

// Forward takes the frame's rows x (N, C) through the block into y. With y the zero Tensor what only it needs and no backward
// pass reads is left out (recomputation).
func (b *Block) Forward(f *Frame, x, y tensor.Tensor) {
	f.acts[0], f.acts[b.out] = x, y
	for _, l := range b.forward(!y.IsZero()) {
		l.forward(f)
	}
}

// forward is the layers of the forward pass, without the last ones that leave nothing for the backward pass unless the output is wanted.
func (b *Block) forward(whole bool) []layer {
	if whole {
		return b.layers
	}
	return b.layers[:b.again]
}

// Emit receives a matrix's gradient as factors, as soon as its dX has been taken from the old weights.
type Emit func(p *grad.Param, g grad.Grad) error

// Backward turns dres (N, C) F32 from the gradient of the block's output into that of its input x, and emits every
// matrix's gradient on the way. The vectors' gradients are left in the frame's Grads (with acc, added to them).
func (b *Block) Backward(f *Frame, dres, x tensor.Tensor, acc bool, emit Emit) error {
	f.acts[0], f.dres, f.acc, f.emit = x, dres, acc, emit
	for s, of := range b.slots {
		if of.residual {
			f.grads[s] = dres
		}
	}
	for i := len(b.layers) - 1; i >= 0; i-- {
		if err := b.layers[i].backward(f); err != nil {
			return err
		}
	}
	return nil
}

// Params is the block's parameters in the order of the backward pass: the matrices, then the vectors.
func (b *Block) Params() []*grad.Param { return append(b.BackwardUses(), b.vectors...) }

// Matrices is the block's matrices in the order in which Backward reads and emits them.
func (b *Block) Matrices() []Matrix { return b.matrices }

// Vectors is the block's other parameters, in the order of the backward pass.
func (b *Block) Vectors() []*grad.Param { return b.vectors }

// wire reads the list once.
func (b *Block) wire() {
	b.factor, b.over = make([]bool, len(b.slots)), make([]bool, len(b.slots))
	for i := len(b.layers) - 1; i >= 0; i-- {
		w := b.layers[i].wires()
		b.matrices, b.vectors = append(b.matrices, w.matrices...), append(b.vectors, w.vectors...)
		for _, s := range w.from {
			b.over[s] = b.over[s] || w.over
		}
	}
	for _, m := range b.matrices {
		b.factor[m.x] = true
		for _, y := range m.y {
			b.factor[y] = b.factor[y] || b.over[y]
		}
	}
	b.again = b.needed()
}

// needed is how many of the layers a backward pass needs: what the others make it does not read.
func (b *Block) needed() int {
	by, read := make([]int, len(b.slots)), make([]bool, len(b.slots)) // the layer that makes each slot, and whether a backward pass reads it
	for i := len(b.layers) - 1; i >= 0; i-- {
		w := b.layers[i].wires()
		for _, s := range w.reads {
			by[s], read[s] = i, true // made beside what it hands on: sums, orders
		}
		for _, s := range w.from {
			by[s] = i
		}
	}
	for i, l := range b.layers {
		for _, s := range l.wires().to {
			by[s] = i
		}
	}
	last := 0
	for s := range b.slots {
		if read[s] && s != 0 {
			last = max(last, by[s])
		}
	}
	return last + 1
}

// MatrixLen is the number of elements of the block's matrices.
func (b *Block) MatrixLen() int {
	n := 0
	for _, m := range b.matrices {
		n += m.Len()
	}
	return n
}

// ForwardUses is the matrices in the order that Forward reads them; whole as Forward has an output.
func (b *Block) ForwardUses(whole bool) []*grad.Param {
	var out []*grad.Param
	for _, l := range b.forward(whole) {
		for _, m := range l.wires().matrices {
			out = append(out, m.Param)
		}
	}
	return out
}

// BackwardUses is the matrices in the order that Backward reads them.
func (b *Block) BackwardUses() []*grad.Param {
	var out []*grad.Param
	for _, m := range b.matrices {
		out = append(out, m.Param)
	}
	return out
}

// Frame is one micro-batch's part of a block's tensors, as Block.Frame cuts it.
type Frame struct {
	d      device.Device
	layout Layout
	ropes  Ropes
	acts   []tensor.Tensor // by slot
	use    func(p *grad.Param)
	soon   func(p *grad.Param)
	offs   map[Slot][]int // of a mixture: where experts' rows begin

	everyExpert bool

	Cache *Cache // of a text in progress; nil where sequences begin

	// of the backward pass
	dres  tensor.Tensor   // (N, C) F32
	grads []tensor.Tensor // by slot; those of the residual stream are dres
	dout  tensor.Tensor   // (N, C): dres in the dtype of activations; zero Tensor where that is F32
	vecs  map[*grad.Param]tensor.Tensor
	acc   bool
	emit  Emit
}

// Cache is the keys and values of a text's tokens so far, of one block.
type Cache struct {
	K, V tensor.Tensor // (max, Hkv·Hd)
	Seen int           // tokens before the frame's
}

// residual is the residual gradient as products take it: where activations are BF16 it is rounded to them, so that both factors of
// a product are, which hardware multiplies faster. The residual itself adds up in F32.
func (f *Frame) residual() tensor.Tensor {
	if f.dout.IsZero() {
		return f.dres
	}
	f.d.Copy(f.dout, f.dres)
	return f.dout
}

// w is a matrix about to be read.
func (f *Frame) w(p *grad.Param) tensor.Tensor {
	if f.use != nil {
		f.use(p)
	}
	return p.W
}

// seq is t (N, n) as (B, T, n).
func (f *Frame) seq(t tensor.Tensor) tensor.Tensor {
	return t.View(f.layout.B, f.layout.T, t.Cols())
}
