package model

import (
	"fmt"
	"strings"

	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Acts is what a block's forward pass leaves for its backward pass, by slot. With gradient checkpointing one set serves all
// micro-batches and is filled again before each one's backward pass.
type Acts []tensor.Tensor

// NewActs takes the memory of a block's activations: those that become factors of matrices' gradients for held rows, the others for rows.
func (b *Block) NewActs(d device.Device, act tensor.DType, rows, held int) (Acts, error) {
	a := make(Acts, len(b.slots))
	for _, s := range b.own() {
		n := rows
		if b.factor[s] {
			n = held
		}
		var err error
		if a[s], err = b.slots[s].take(d, act, n); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Kind is alike for blocks whose activations have the same shapes: one after another they may use the same ones.
func (b *Block) Kind() string {
	if b.kind == "" {
		b.kind = fmt.Sprint(b.slots, b.factor)
	}
	return b.kind
}

// own is the slots whose memory is the block's, in the order in which it is taken.
func (b *Block) own() []Slot {
	var all []Slot
	for s := 1; s < len(b.slots); s++ {
		if Slot(s) != b.out {
			all = append(all, Slot(s))
		}
	}
	return all
}

func (s slot) take(d device.Device, act tensor.DType, rows int) (tensor.Tensor, error) {
	dt, shape := act, []int{s.rowsOf(rows)}
	switch {
	case s.ints:
		dt = tensor.I32
	case s.f32:
		dt = tensor.F32
	}
	if s.cols > 0 {
		shape = append(shape, s.cols)
	}
	return d.Scratch("activations", s.name, dt, shape...)
}

// numbers reports whether the slot has the dtype of activations.
func (s slot) numbers() bool { return !s.f32 && !s.ints }

// rowsOf is how many rows the slot has of n tokens.
func (s slot) rowsOf(n int) int { return n * max(1, s.times) }

// width is the numbers of a token.
func (s slot) width() int { return s.cols * max(1, s.times) }

// Held is the numbers a row of the factors of the matrices' gradients, and apart those of the residual gradient at each matrix that takes it.
func (b *Block) Held() (factors, residual int) {
	seen := make([]bool, len(b.slots))
	count := func(s Slot) {
		if !seen[s] && s != 0 { // a block's input is kept anyway
			factors += b.slots[s].width()
		}
		seen[s] = true
	}
	for _, m := range b.matrices {
		count(m.x)
		if m.Residual {
			residual += b.slots[m.y[0]].width()
			continue
		}
		for _, y := range m.y {
			count(y)
		}
	}
	return factors, residual
}

// RowBytes is what a block's backward pass takes for a row of a micro-batch at the least.
func (b *Block) RowBytes(act tensor.DType) int {
	n := 0
	for _, s := range b.own() {
		if s := b.slots[s]; s.numbers() {
			n += s.width() * act.Size()
		}
	}
	_, own := b.places(act, true, true, false)
	for _, r := range own {
		n += int(r.bytes)
	}
	return n
}

// Grads is the scratch of a block's backward pass.
type Grads struct {
	at   []tensor.Tensor // gradients by slot; where one lies over its activation, the zero Tensor
	held []bool          // by slot: has rows for all micro-batches
	dout tensor.Tensor
	vecs map[*grad.Param]tensor.Tensor // F32, each parameter's shape
}

// NewGrads takes that scratch for micro-batches of rows; held, where it is not 0, is the rows for which factors of matrices' gradients stay
// until all micro-batches have gone through. over says that activations may be overwritten by their own gradients. With share,
// activations that nobody else reads after this backward pass, gradients lie in the memory of those that it does not read any more.
func (b *Block) NewGrads(d device.Device, act tensor.DType, rows, held int, over bool, share Acts) (*Grads, error) {
	g := &Grads{at: make([]tensor.Tensor, len(b.slots)), held: make([]bool, len(b.slots)), vecs: map[*grad.Param]tensor.Tensor{}}
	var err error
	take := func(name string, dt tensor.DType, shape ...int) (t tensor.Tensor) {
		if err == nil {
			t, err = d.Scratch("activations", name, dt, shape...)
		}
		return t
	}
	for _, p := range b.vectors {
		g.vecs[p] = take("d"+p.Name, tensor.F32, p.Shape...)
	}
	if act != tensor.F32 {
		g.dout = take("dout", act, rows, b.slots[0].cols)
	}
	at, own := b.places(act, over, share != nil, held > 0)
	memory := make([]tensor.Tensor, len(own))
	for i, r := range own {
		memory[i] = take(strings.Join(r.names, ", "), act, int(r.bytes)*rows/act.Size())
	}
	for s, p := range at {
		sl := b.slots[s]
		switch name := "d" + sl.name; {
		case err != nil || p.kind == nowhere:
		case p.kind == apart:
			g.held[s] = true
			g.at[s] = take(name, sl.apart(act), sl.rowsOf(held), sl.cols)
		case p.kind == ofItsOwn:
			g.at[s] = memory[p.room].Part(name, sl.gradient(act), 0, sl.rowsOf(rows), sl.cols)
		default:
			g.at[s] = share[p.room].Part(name, sl.gradient(act), p.off*int64(rows), sl.rowsOf(rows), sl.cols)
		}
	}
	return g, err
}

// apart is the dtype of a gradient that waits as a factor.
func (s slot) apart(act tensor.DType) tensor.DType {
	if s.f32 {
		return tensor.F32
	}
	return act
}

// gradient is the dtype of a slot's gradient.
func (s slot) gradient(act tensor.DType) tensor.DType {
	if s.sum || s.f32 {
		return tensor.F32
	}
	return act
}

// place is where the gradient of a slot lies.
type place struct {
	kind kind
	room int   // its number among the rooms of their own, or the slot whose activation's memory it is
	off  int64 // bytes a row before it
}

type kind uint8

const (
	nowhere  kind = iota // there is none, or it lies over its activation
	apart                // in a tensor for held rows
	ofItsOwn             // in memory taken for gradients, one at a time
	within               // in an activation's memory
)

// room is memory that gradients take turns in.
type room struct {
	bytes int64 // a row
	slot  Slot  // the activation whose memory it is
	users []user
	names []string
}

// user is a part of a room for a time: the layers of the backward pass, counted from the top.
type user struct {
	off, end    int64
	first, last int
}

// places says where each gradient lies: over its activation where that may be, else in memory that is not in use when it is made and long enough,
// else in an activation's that nobody reads any more, else in memory of its own. It depends on no number of rows, as a step may not take more
// memory than a larger one. Sizes are those of one row, whose alignment takes the most.
func (b *Block) places(act tensor.DType, over, share, held bool) ([]place, []room) {
	at, first, last, read := make([]place, len(b.slots)), b.times(1<<30), b.times(-1), b.times(-1)
	for i := range b.layers {
		t, w := len(b.layers)-1-i, b.layers[i].wires()
		for _, s := range w.from {
			first[s] = min(first[s], t)
		}
		for _, s := range w.to {
			last[s] = max(last[s], t)
		}
		for _, s := range w.reads {
			read[s] = max(read[s], t)
		}
	}
	waits := make([]bool, len(b.slots))
	for _, m := range b.matrices {
		for _, y := range m.y {
			waits[y] = true
		}
	}
	var own, acts []room
	for _, s := range b.own() {
		if sl := b.slots[s]; share && sl.numbers() {
			until := read[s]
			if over && b.over[s] {
				until = last[s]
			}
			size := int64(sl.width() * act.Size())
			acts = append(acts, room{bytes: size, slot: s, users: []user{{end: size, first: -1, last: until}}})
		}
	}
	for t := range b.layers {
		for _, s := range b.own() {
			sl := b.slots[s]
			switch {
			case first[s] != t || last[s] < 0 || sl.residual || over && b.over[s]:
			case held && waits[s]:
				at[s] = place{kind: apart}
			default:
				at[s] = give(&own, acts, int64(sl.width()*sl.gradient(act).Size()), user{first: t, last: last[s]}, "d"+sl.name)
			}
		}
	}
	return at, own
}

func (b *Block) times(v int) []int {
	out := make([]int, len(b.slots))
	for i := range out {
		out[i] = v
	}
	return out
}

// give finds size bytes a row for u.
func give(own *[]room, acts []room, size int64, u user, name string) place {
	longest := -1
	for i := range *own {
		r := &(*own)[i]
		if !r.free(u) {
			continue
		}
		if r.bytes >= size {
			r.add(u, name)
			return place{kind: ofItsOwn, room: i}
		}
		if longest < 0 || r.bytes > (*own)[longest].bytes {
			longest = i
		}
	}
	for i := range acts {
		if off, ok := acts[i].find(size, u); ok {
			return place{kind: within, room: int(acts[i].slot), off: off}
		}
	}
	if longest < 0 {
		*own, longest = append(*own, room{}), len(*own)
	}
	r := &(*own)[longest]
	r.bytes = max(r.bytes, size)
	r.add(u, name)
	return place{kind: ofItsOwn, room: longest}
}

func (r *room) add(u user, name string) {
	r.users, r.names = append(r.users, u), append(r.names, name)
}

// free reports whether nobody uses the room at u's time.
func (r *room) free(u user) bool {
	for _, o := range r.users {
		if o.first <= u.last && u.first <= o.last {
			return false
		}
	}
	return true
}

// find takes the first part of the room that is free at u's time.
func (r *room) find(size int64, u user) (off int64, ok bool) {
	for i := 0; i < len(r.users); i++ {
		o := r.users[i]
		if o.first <= u.last && u.first <= o.last && o.off < off+size && off < o.end {
			off, i = (o.end+device.Align-1)/device.Align*device.Align, -1
		}
	}
	if off+size > r.bytes {
		return 0, false
	}
	u.off, u.end = off, off+size
	r.users = append(r.users, u)
	return off, true
}

// Frame is the part of a block's tensors for a micro-batch arranged as l: factors begin at row held, the other activations at own. g is nil in a
// forward pass.
func (b *Block) Frame(d device.Device, a Acts, g *Grads, own, held int, l Layout, r Ropes) *Frame {
	n := l.B * l.T
	f := &Frame{d: d, layout: l, ropes: r, use: b.Use, soon: b.Soon, everyExpert: b.EveryExpert, acts: make([]tensor.Tensor, len(b.slots))}
	for _, s := range b.own() {
		from := own
		if b.factor[s] {
			from = held
		}
		sl := b.slots[s]
		f.acts[s] = a[s].Slice(sl.rowsOf(from), sl.rowsOf(from+n))
		if b.slots[s].heads {
			f.acts[s] = f.acts[s].View(l.B, b.slots[s].cols, l.T)
		}
	}
	if g == nil {
		return f
	}
	f.grads, f.vecs = make([]tensor.Tensor, len(b.slots)), g.vecs
	for s, t := range g.at {
		sl := b.slots[s]
		switch {
		case t.IsZero():
			f.grads[s] = f.acts[s]
		case g.held[s]:
			f.grads[s] = t.Slice(sl.rowsOf(held), sl.rowsOf(held+n))
		default:
			f.grads[s] = t.Slice(0, sl.rowsOf(n))
		}
	}
	if !g.dout.IsZero() {
		f.dout = g.dout.Slice(0, n)
	}
	return f
}

// Factors is a matrix's gradient over all the rows that were held, of which in is the block's input; it lacks the residual gradient where that is
// its factor.
func (b *Block) Factors(m Matrix, a Acts, g *Grads, in tensor.Tensor) grad.Grad {
	var dy []tensor.Tensor
	for _, y := range m.y {
		switch {
		case m.Residual:
		case g.at[y].IsZero():
			dy = append(dy, a[y])
		default:
			dy = append(dy, g.at[y])
		}
	}
	x := a[m.x]
	if m.x == 0 {
		x = in
	}
	return grad.FromOuter(x, dy...)
}

// Vector is the gradient of a parameter that is no matrix.
func (g *Grads) Vector(p *grad.Param) tensor.Tensor { return g.vecs[p] }
