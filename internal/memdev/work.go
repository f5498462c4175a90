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

// Call is an operation at a shape: a method of device.Device, the rows of its activations, and the columns that go in and out. Of attention In is
// the length of a sequence. Operations that go element by element have the shape of their first tensor in N and In.
type Call struct {
	Op         string
	N, In, Out int
}

// call adds to what an operation was asked: floating-point operations of products and attention, of all others bytes.
func (d *Device) call(op string, n, in, out int, amount float64) {
	if d.calls == nil {
		d.calls = map[Call]float64{}
	}
	d.calls[Call{op, n, in, out}] += amount
}

// TakeCalls returns the operations so far with what they were asked, and starts anew.
func (d *Device) TakeCalls() map[Call]float64 {
	c := d.calls
	d.calls = nil
	return c
}

// forward and backward count a product of n rows with a matrix: a multiplication and an addition an element.
func (d *Device) forward(op string, n int, w tensor.Tensor) {
	d.Now().Forward += d.product(op, n, w)
}

func (d *Device) backward(op string, n int, w tensor.Tensor) {
	d.Now().Backward += d.product(op, n, w)
}

func (d *Device) product(op string, n int, w tensor.Tensor) float64 {
	flops := 2 * float64(n) * float64(w.Len())
	d.call(op, n, w.Cols(), w.Len()/max(1, w.Cols()), flops)
	return flops
}

// pairs is the floating-point operations of one product over the queries and keys of causal attention: q (B, Tq, Hq·Hd),
// k (B, Tk, Hkv·Hd). Documents packed into a sequence see fewer keys, which is not known here.
func pairs(q, k tensor.Tensor) float64 {
	b, tq, c, tk := float64(q.Shape[0]), float64(q.Shape[1]), float64(q.Shape[2]), float64(k.Shape[1])
	return 2 * b * c * tq * (tk - (tq-1)/2)
}

// elements and updates count bytes of tensors that an operation passes over once each.
func (d *Device) elements(op string, ts ...tensor.Tensor) { d.Now().Elements += d.bytesOf(op, ts) }
func (d *Device) updates(op string, ts ...tensor.Tensor)  { d.Now().Updates += d.bytesOf(op, ts) }

func (d *Device) bytesOf(op string, ts []tensor.Tensor) (n int64) {
	for _, t := range ts {
		n += t.Bytes() // 0 for the zero Tensor
	}
	if c := ts[0].Cols(); c > 0 {
		d.call(op, ts[0].Len()/c, c, 0, float64(n))
	}
	return n
}
