package model

import (
	"encoding/binary"
	"fmt"

	"lomo/internal/grad"
)

// Mixture says how the experts of a mixture lie: which names they have, and how many of them a token sees.
type Mixture struct {
	Router         string // the linear layer whose logits choose
	Gate, Up, Down string // of an expert, with %d for its number
	Experts        int
	PerToken       int // k
	Hidden         int // F of an expert
	Renorm         bool
}

// Mixture adds to the residual stream Σ over the k experts e of a token, p_e·down_e(silu(gate_e(from)) ⊙ up_e(from)): p is the softmax of the router
// over all experts in float32, of the k greatest, with Renorm over their sum. It returns the stream after it.
//
// The k copies of a token's row are sorted by expert, so that each expert's rows lie together: its products and its gradients' factors are those of a
// linear layer with as many rows as came to it. An expert without rows is not read.
func (b *Builder) Mixture(m Mixture, from, stream Slot) Slot {
	c, k := b.slots[from].cols, m.PerToken
	rows := func(name string, cols int) Slot { return b.slot(slot{name: name, cols: cols, times: k}) }
	ints := func(name string, s slot) Slot { s.name, s.ints = name, true; return b.slot(s) }

	router := linear{w: b.param(m.Router+".weight", m.Experts, c), to: []Slot{b.slot(slot{name: m.Router, cols: m.Experts, f32: true})}}
	b.slots[from].sum = true
	b.then(project{from: from, stream: b.slots[from].residual, more: true, linear: []linear{router}})
	r := route{experts: m.Experts, k: k, renorm: m.Renorm, logits: router.to[0], weights: b.slot(slot{name: "expert weights", cols: k, f32: true}),
		ids: ints("expert ids", slot{cols: k}), order: ints("token of each row", slot{times: k}), choice: ints("choice of each row", slot{times: k}), place: ints("row of each choice", slot{cols: k})}
	b.then(r)

	var first, last [][]*grad.Param
	for e := range m.Experts {
		expert := func(name string, out, in int) *grad.Param {
			p := b.param(fmt.Sprintf(name, e)+".weight", out, in)
			p.Expert = true
			return p
		}
		gate, up := expert(m.Gate, m.Hidden, c), expert(m.Up, m.Hidden, c)
		first, last = append(first, []*grad.Param{gate, up}), append(last, []*grad.Param{expert(m.Down, c, m.Hidden)})
	}
	x := rows("experts' input", c)
	b.then(spread{from: from, to: x, r: r})
	gate, up := rows("experts' gate", m.Hidden), rows("experts' up", m.Hidden)
	b.slots[x].sum = true
	b.then(experts{from: x, to: []Slot{gate, up}, w: first, r: r})
	hidden, weighed := b.SwiGLU(gate, up), rows("experts' hidden, weighed", m.Hidden)
	b.then(weigh{from: hidden, to: weighed, r: r})
	y := rows("experts' output", c)
	b.then(experts{from: weighed, to: []Slot{y}, w: last, r: r})
	to := b.slot(slot{name: "h", cols: b.slots[stream].cols, residual: true})
	b.then(gather{from: y, stream: stream, to: to, r: r})
	return to
}

// route chooses experts: from a router's logits, which become probabilities, to the weights of the chosen ones, and the order in which the copies of
// rows go to them.
type route struct {
	experts, k      int
	renorm          bool
	logits, weights Slot
	ids             Slot // (N, k): which experts, the likeliest first
	order           Slot // (N·k): of each sorted row the token it is a copy of
	choice          Slot // (N·k): of each sorted row its place in weights
	place           Slot // (N, k): of each choice the sorted row
}

func (l route) forward(f *Frame) {
	f.d.Route(f.acts[l.weights], f.acts[l.ids], f.acts[l.logits], l.renorm)
	ids := l.chosen(f)
	offs := l.count(ids)
	f.keep(l.ids, offs)
	n := len(ids)
	order, choice, place := make([]byte, 4*n), make([]byte, 4*n), make([]byte, 4*n)
	next := append([]int(nil), offs...)
	for c, e := range ids { // stable: an expert's rows are in the order of the tokens
		at := next[e]
		next[e]++
		binary.LittleEndian.PutUint32(order[4*at:], uint32(c/l.k))
		binary.LittleEndian.PutUint32(choice[4*at:], uint32(c))
		binary.LittleEndian.PutUint32(place[4*c:], uint32(at))
	}
	f.d.CopyIn(f.acts[l.order], order)
	f.d.CopyIn(f.acts[l.choice], choice)
	f.d.CopyIn(f.acts[l.place], place)
}

// chosen is the experts of each row. Where they cannot be, as on the counting device, which reads nothing but zeros, the first k experts get all
// rows: more rows an expert cannot have.
func (l route) chosen(f *Frame) []int {
	raw := make([]byte, f.acts[l.ids].Bytes())
	f.d.CopyOut(raw, f.acts[l.ids])
	ids := make([]int, len(raw)/4)
	for c := range ids {
		e := int(int32(binary.LittleEndian.Uint32(raw[4*c:])))
		if e < 0 || e >= l.experts || c%l.k > 0 && e == ids[c-1] {
			for c := range ids {
				ids[c] = c % l.k
			}
			break
		}
		ids[c] = e
	}
	return ids
}

// count is where each expert's rows begin, and where the last one's end.
func (l route) count(ids []int) []int {
	offs := make([]int, l.experts+1)
	for _, e := range ids {
		offs[e+1]++
	}
	for e := range l.experts {
		offs[e+1] += offs[e]
	}
	return offs
}

// parts is count of the frame's rows.
func (l route) parts(f *Frame) []int {
	if f.offs[l.ids] == nil {
		f.keep(l.ids, l.count(l.chosen(f)))
	}
	return f.offs[l.ids]
}

func (f *Frame) keep(ids Slot, offs []int) {
	if f.offs == nil {
		f.offs = map[Slot][]int{}
	}
	f.offs[ids] = offs
}

func (l route) backward(f *Frame) error {
	f.d.RouteBackward(f.grads[l.logits], f.grads[l.weights], f.acts[l.weights], f.acts[l.ids], f.acts[l.logits], l.renorm)
	return nil
}

func (l route) wires() wires {
	return wires{from: []Slot{l.logits}, to: []Slot{l.weights}, reads: []Slot{l.logits, l.weights, l.ids, l.order, l.choice, l.place}, over: true}
}

// spread copies each row to its experts, sorted.
type spread struct {
	from, to Slot
	r        route
}

func (l spread) forward(f *Frame) { f.d.GatherRows(f.acts[l.to], f.acts[l.from], f.acts[l.r.order]) }

func (l spread) backward(f *Frame) error {
	f.d.SumRows(f.grads[l.from], f.grads[l.to], f.acts[l.r.place], false)
	return nil
}

func (l spread) wires() wires {
	return wires{from: []Slot{l.from}, to: []Slot{l.to}, reads: []Slot{l.r.place}}
}

// experts is linear layers of each expert over its rows.
type experts struct {
	from Slot
	to   []Slot
	w    [][]*grad.Param // by expert, one for each of to
	r    route
}

// each calls do with each expert that is to be used and its rows.
func (l experts) each(f *Frame, do func(w []*grad.Param, lo, hi int) error) error {
	offs := l.r.parts(f)
	used := func(e int) bool { return f.everyExpert || offs[e] < offs[e+1] }
	for e, w := range l.w {
		if !used(e) {
			continue
		}
		if f.soon != nil {
			for next := e + 1; next < len(l.w); next++ {
				if used(next) {
					f.soon(l.w[next][0])
					break
				}
			}
		}
		if err := do(w, offs[e], offs[e+1]); err != nil {
			return err
		}
	}
	return nil
}

func (l experts) forward(f *Frame) {
	l.each(f, func(ws []*grad.Param, lo, hi int) error { //nolint:errcheck // nothing fails here
		for i, p := range ws {
			if w := f.w(p); lo < hi {
				f.d.MatMul(f.acts[l.to[i]].Slice(lo, hi), f.acts[l.from].Slice(lo, hi), w, false)
			}
		}
		return nil
	})
}

func (l experts) backward(f *Frame) error {
	return l.each(f, func(ws []*grad.Param, lo, hi int) error {
		x, dx := f.acts[l.from].Slice(lo, hi), f.grads[l.from].Slice(lo, hi)
		for i, p := range ws {
			dy := f.grads[l.to[i]].Slice(lo, hi)
			if w := f.w(p); lo < hi {
				f.d.MatMulBackwardInput(dx, dy, w, i > 0)
			}
			if err := f.emit(p, grad.FromOuter(x, dy)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l experts) wires() wires {
	w := wires{from: []Slot{l.from}, to: l.to, reads: []Slot{l.from, l.r.ids}}
	for _, ps := range l.w {
		for i, p := range ps {
			w.matrices = append(w.matrices, Matrix{Param: p, x: l.from, y: []Slot{l.to[i]}})
		}
	}
	return w
}

// weigh multiplies each sorted row by its expert's weight. It does so before the last linear layer, which needs no rows of its own then in the
// backward pass: they are not computed again.
type weigh struct {
	from, to Slot
	r        route
}

func (l weigh) forward(f *Frame) {
	f.d.ScaleRows(f.acts[l.to], f.acts[l.from], f.acts[l.r.weights], f.acts[l.r.choice])
}

func (l weigh) backward(f *Frame) error {
	f.d.RowDots(f.grads[l.r.weights], f.grads[l.to], f.acts[l.from], f.acts[l.r.choice])
	f.d.ScaleRows(f.grads[l.from], f.grads[l.to], f.acts[l.r.weights], f.acts[l.r.choice])
	return nil
}

func (l weigh) wires() wires {
	return wires{from: []Slot{l.from, l.r.weights}, to: []Slot{l.to}, reads: []Slot{l.from, l.r.weights, l.r.choice}}
}

// gather adds the rows of a token's experts to the residual stream, the likeliest first.
type gather struct {
	from, stream, to Slot
	r                route
}

func (l gather) forward(f *Frame) {
	f.d.Copy(f.acts[l.to], f.acts[l.stream])
	f.d.SumRows(f.acts[l.to], f.acts[l.from], f.acts[l.r.place], true)
}

func (l gather) backward(f *Frame) error {
	f.d.GatherRows(f.grads[l.from], f.residual(), f.acts[l.r.order])
	return nil
}

func (l gather) wires() wires {
	return wires{from: []Slot{l.from, l.stream}, to: []Slot{l.to}, reads: []Slot{l.r.order}}
}

// Active is how many of the model's parameters work on one token: of each mixture the experts that it sees.
func (n *Network) Active() int64 {
	all := n.NumParams()
	if n.Cfg.NumExperts == 0 {
		return all
	}
	var idle int64
	for _, p := range n.params {
		if p.Expert {
			idle += int64(p.Len())
		}
	}
	return all - idle/int64(n.Cfg.NumExperts)*int64(n.Cfg.NumExperts-n.Cfg.ExpertsPerToken)
}
