package memdev

import "lomo/internal/tensor"

// Work is what one phase of a step asks of the hardware, for predicting its time.
type Work struct {
	Phase    string
	Forward  float64 // floating-point operations of products and attention, of the forward pass and of computing it again
	Backward float64 // and of gradients
	Elements int64   // bytes read and written by operations that go element by element
	Updates  int64   // bytes read and written by optimizers: weights, state, gradients that were kept
	In, Out  int64   // bytes copied from and to host memory beside the computation
	Gathered int64   // bytes sent to other ranks to gather weights
	Reduced  int64   // bytes sent to other ranks to sum gradients
}

// packEdge is the most that a side of a factor grows by when it is packed into whole panels and steps.
const packEdge = 64

// packs notes the size of an operation's factors, which a device packs before it works on them.
func (d *Device) packs(factors ...tensor.Tensor) {
	sum := int64(0)
	for _, t := range factors {
		c := max(1, t.Cols())
		sum += 4 * int64(t.Len()/c+packEdge) * int64(c+packEdge)
	}
	d.factors = max(d.factors, sum)
}

// Factors is the most bytes, in float32 and whole panels, that the factors of one operation took so far.
func (d *Device) Factors() int64 { return d.factors }

// Now is the work of the present phase, to add to.
func (d *Device) Now() *Work {
	phase := d.arena.Phase()
	for i := len(d.work) - 1; i >= 0; i-- {
		if d.work[i].Phase == phase {
			return d.work[i]
		}
	}
	d.work = append(d.work, &Work{Phase: phase})
	return d.work[len(d.work)-1]
}

// TakeWork returns the work so far, a phase each in the order they began, and starts anew.
func (d *Device) TakeWork() []*Work {
	w := d.work
	d.work = nil
	return w
}

// forward and backward count a product of n rows with a matrix: a multiplication and an addition an element.
func (d *Device) forward(n int, w tensor.Tensor) {
	d.Now().Forward += 2 * float64(n) * float64(w.Len())
}
func (d *Device) backward(n int, w tensor.Tensor) {
	d.Now().Backward += 2 * float64(n) * float64(w.Len())
}

// pairs is the floating-point operations of one product over the queries and keys of causal attention: q (B, Tq, Hq·Hd),
// k (B, Tk, Hkv·Hd). Documents packed into a sequence see fewer keys, which is not known here.
func pairs(q, k tensor.Tensor) float64 {
	b, tq, c, tk := float64(q.Shape[0]), float64(q.Shape[1]), float64(q.Shape[2]), float64(k.Shape[1])
	return 2 * b * c * tq * (tk - (tq-1)/2)
}

// elements and updates count bytes of tensors that an operation passes over once each.
func (d *Device) elements(ts ...tensor.Tensor) { d.Now().Elements += bytesOf(ts) }
func (d *Device) updates(ts ...tensor.Tensor)  { d.Now().Updates += bytesOf(ts) }

func bytesOf(ts []tensor.Tensor) (n int64) {
	for _, t := range ts {
		n += t.Bytes() // 0 for the zero Tensor
	}
	return n
}
