package model

import (
	"fmt"

	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// LogitsBytes bounds one chunk of logits where no more memory is free: small beside a model's weights. MaxLogitsBytes is as much as is of
// use: every chunk of rows packs the whole table, which from some 400 rows on no longer counts.
const (
	LogitsBytes    = 32 << 20
	MaxLogitsBytes = 4 * LogitsBytes
)

// Head computes final norm, logits and cross-entropy over the R rows that have a label, chunk by chunk,
// never the whole logits (design.md 2.6, algorithms.md 12).
type Head struct {
	d    device.Device
	net  *Network
	act  tensor.DType
	norm *grad.Param
	w    *grad.Param

	// The run's, not the step's, so that no smaller step takes more memory.
	Most  int   // rows of the largest step to come
	Room  int64 // bytes of a chunk of logits, which Forward and Gradient take
	Block int64 // bytes of the logits of a block of the vocabulary, which Blocks takes

	Targets tensor.Tensor // (R) I32: vocabulary ids
	Normed  tensor.Tensor // (R, C): the rows after the norm
	LSE     tensor.Tensor // (R) F32

	X    tensor.Tensor // (R, C): the rows before the norm
	Rstd tensor.Tensor // (R) F32
	Loss tensor.Tensor // (R) F32: each row's −log p
}

// NewHead takes what Blocks needs for R rows: Targets, Normed and LSE. act is the dtype of activations.
func NewHead(d device.Device, n *Network, rows int, act tensor.DType) (*Head, error) {
	h := &Head{d: d, net: n, act: act, norm: n.Norm, w: n.Head, Most: rows, Room: LogitsBytes, Block: LogitsBytes}
	return h, h.take([]headTensor{{&h.Targets, "targets", tensor.I32, []int{rows}},
		{&h.Normed, "norm", act, []int{rows, n.Cfg.HiddenSize}}, {&h.LSE, "logsumexp", tensor.F32, []int{rows}}})
}

// Open takes what Forward and BackwardNorm need beside: X, Rstd and Loss. They may be released before Blocks.
func (h *Head) Open() error {
	rows := h.Targets.Shape[0]
	return h.take([]headTensor{{&h.X, "hidden", h.act, []int{rows, h.net.Cfg.HiddenSize}},
		{&h.Rstd, "rstd", tensor.F32, []int{rows}}, {&h.Loss, "loss", tensor.F32, []int{rows}}})
}

type headTensor struct {
	t     *tensor.Tensor
	name  string
	dt    tensor.DType
	shape []int
}

func (h *Head) take(list []headTensor) error {
	for _, a := range list {
		var err error
		if *a.t, err = h.d.Scratch("head", "head."+a.name, a.dt, a.shape...); err != nil {
			return fmt.Errorf("head: %w", err)
		}
	}
	return nil
}

// chunk is how many rows' logits, of width others each, fit in room: all of most, or whole panels of every product's kernel. A step with fewer
// rows has chunks of the same size, or one that is smaller.
func (h *Head) chunk(most, width int, room int64) int {
	const panels = 32
	bytes := 4
	if h.act != tensor.F32 {
		bytes += h.act.Size() // their gradient beside them, see gradient
	}
	fit := int(room / int64(bytes*width))
	switch {
	case fit >= most:
		return most
	case fit >= panels:
		return fit / panels * panels
	}
	return max(1, fit)
}

func (h *Head) most() int { return max(h.Most, h.Targets.Shape[0]) }

// logits is a buffer for n logits and, where activations are BF16, one for their gradient in BF16.
type logits struct{ f32, act tensor.Tensor }

func (h *Head) newLogits(n int) (l logits, err error) {
	if l.f32, err = h.d.Scratch("logits", "logits", tensor.F32, n); err == nil && h.act != tensor.F32 {
		l.act, err = h.d.Scratch("logits", "logits gradient", h.act, n)
	}
	return l, err
}

// gradient turns the logits z of a block at v0 into their gradient as products take it: in the dtype of activations, so that both factors are.
func (h *Head) gradient(l logits, z, lse, targets tensor.Tensor, v0 int, scale float32) tensor.Tensor {
	dz := z
	if !l.act.IsZero() {
		dz = l.act.Slice(0, z.Len()).View(z.Shape...)
	}
	h.d.SoftmaxGrad(dz, z, lse, targets, v0, scale, float32(h.net.Cfg.LogitCap))
	return dz
}

// HeadPass says what Forward does beside the loss.
type HeadPass struct {
	Scale   float32       // of the gradient: 1/trained tokens of the step
	DNormed tensor.Tensor // (R, C) F32: receives dX of the logits; zero Tensor: the loss only
	GradW   tensor.Tensor // (V, C) F32: receives the head's gradient (=); zero Tensor: not kept
}

// Forward fills Normed, LSE and Loss from X, and as p asks dX and the head's gradient. It writes no weight.
func (h *Head) Forward(p HeadPass) error {
	d := h.d
	h.net.normed(d, h.Normed, h.Rstd, h.X)
	return h.chunks(func(z, stats tensor.Tensor, buf logits, r, e int) {
		x, t, lse := h.Normed.Slice(r, e), h.Targets.Slice(r, e), h.LSE.Slice(r, e)
		d.SoftmaxStats(stats, z, t, 0, true)
		d.SoftmaxLoss(h.Loss.Slice(r, e), lse, stats)
		if p.DNormed.IsZero() {
			return
		}
		dz := h.gradient(buf, z, lse, t, 0, p.Scale)
		d.MatMulBackwardInput(p.DNormed.Slice(r, e), dz, h.w.W, false)
		if !p.GradW.IsZero() {
			d.OuterAdd(p.GradW, dz, x, r > 0)
		}
	})
}

// Gradient is the head's gradient alone (=), after Forward: g (V, C) F32.
func (h *Head) Gradient(g tensor.Tensor, scale float32) error {
	return h.chunks(func(z, _ tensor.Tensor, buf logits, r, e int) {
		dz := h.gradient(buf, z, h.LSE.Slice(r, e), h.Targets.Slice(r, e), 0, scale)
		h.d.OuterAdd(g, dz, h.Normed.Slice(r, e), r > 0)
	})
}

// chunks calls f with the logits z of the rows [r, e) of Normed, chunk by chunk, and scratch for their statistics.
func (h *Head) chunks(f func(z, stats tensor.Tensor, buf logits, r, e int)) error {
	d, rows, vocab := h.d, h.Normed.Shape[0], h.w.Shape[0]
	mark := d.Memory().Mark()
	defer d.Memory().Release(mark)
	step := min(rows, h.chunk(h.most(), vocab, h.Room))
	buf, err := h.newLogits(step * vocab)
	if err != nil {
		return err
	}
	stats, err := d.Scratch("logits", "softmax", tensor.F32, step, 3)
	if err != nil {
		return err
	}
	for r := 0; r < rows; r += step {
		e := min(r+step, rows)
		z := buf.f32.Slice(0, (e-r)*vocab).View(e-r, vocab)
		h.net.logits(d, z, h.Normed.Slice(r, e), h.w)
		f(z, stats.Slice(0, e-r), buf, r, e)
	}
	return nil
}

// Blocks goes over the vocabulary block by block, after Forward: logits again, and to the sink the gradient of those
// rows of the head, from the old rows. With dnormed (untied) dX is added up on the way; with rows (tied) the rows' own
// gradient as an embedding is added to each block, so that the tensor is updated once with the sum.
func (h *Head) Blocks(sink grad.Sink, scale float32, dnormed tensor.Tensor, rows *device.Rows) error {
	d, n, vocab := h.d, h.Normed.Shape[0], h.w.Shape[0]
	mark := d.Memory().Mark()
	defer d.Memory().Release(mark)
	step := h.chunk(vocab, max(h.most(), h.w.Shape[1]), h.Block) // a tied block also holds its (step, C) gradient
	buf, err := h.newLogits(n * step)
	if err != nil {
		return err
	}
	var acc tensor.Tensor
	if rows != nil {
		if acc, err = d.Scratch("head block", h.w.Name, tensor.F32, step, h.w.Shape[1]); err != nil {
			return err
		}
	}
	for v := 0; v < vocab; v += step {
		e := min(v+step, vocab)
		w, z := h.w.Rows(v, e), buf.f32.Slice(0, n*(e-v)).View(n, e-v)
		h.net.logits(d, z, h.Normed, w)
		dz := h.gradient(buf, z, h.LSE, h.Targets, v, scale)
		if !dnormed.IsZero() {
			d.MatMulBackwardInput(dnormed, dz, w.W, v > 0)
		}
		g := grad.FromOuter(h.Normed, dz)
		if rows != nil {
			block := acc.Slice(0, e-v)
			d.OuterAdd(block, dz, h.Normed, false)
			d.RowsAdd(block, *rows, v)
			g = grad.FromDense(block)
		}
		if err := sink.Consume(w, g); err != nil {
			return err
		}
	}
	return nil
}

// BackwardNorm takes the gradient through the final norm: dx (R, C) F32 = …, dw (C) F32 = ….
func (h *Head) BackwardNorm(dx, dw, dnormed tensor.Tensor) {
	h.net.times(h.d, dnormed, h.net.Cfg.LogitScale)
	h.d.RMSNormBackward(dx, dw, dnormed, h.X, h.norm.W, h.Rstd, h.net.Cfg.Norm(), false, false)
}
