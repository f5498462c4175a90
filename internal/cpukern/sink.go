package cpukern

import (
	"fmt"
	"math"

	"lomo/internal/tensor"
)

// Sink lets a logit of each head join the softmax of Attention's result.
func (d *Device) Sink(o, lse, sinks tensor.Tensor) {
	s := newSink("Sink", o, lse, sinks)
	if !d.ready() {
		return
	}
	ov, sv := floatsOf("Sink", o), floatsOf("Sink", sinks)
	d.pool.blocks(s.n, rowBlock, func(ws *workspace, _, lo, hi int) {
		logits, buf, l := d.k.load(sv, 0, s.heads, ws.floats(s.heads)), ws.floats(s.hd), lse.F32s()
		for i := lo; i < hi; i++ {
			for h := range s.heads {
				kept, sum := joined(l[s.at(i, h)], logits[h])
				l[s.at(i, h)] = sum
				off := (i*s.heads + h) * s.hd
				row := d.k.copyOf(ov, off, s.hd, buf)
				d.k.scale(row, kept)
				d.k.store(ov, off, row)
			}
		}
	})
}

// SinkBackward is dsinks = −Σ over tokens of exp(sink − lse)·Σ do·o.
func (d *Device) SinkBackward(dsinks, do, o, lse, sinks tensor.Tensor, acc bool) {
	s := newSink("SinkBackward", o, lse, sinks)
	wantLen("SinkBackward", do, o.Len())
	wantLen("SinkBackward", dsinks, s.heads)
	if !d.ready() {
		return
	}
	gv, ov, sv := floatsOf("SinkBackward", do), floatsOf("SinkBackward", o), floatsOf("SinkBackward", sinks)
	d.sumRows(dsinks.F32s(), s.n, acc, func(ws *workspace, part []float32, lo, hi int) {
		logits, a, b, l := d.k.load(sv, 0, s.heads, ws.floats(s.heads)), ws.floats(s.hd), ws.floats(s.hd), lse.F32s()
		for i := lo; i < hi; i++ {
			for h := range s.heads {
				off := (i*s.heads + h) * s.hd
				delta := d.k.dot(d.k.load(gv, off, s.hd, a), d.k.load(ov, off, s.hd, b))
				part[h] -= float32(exp32(logits[h]-l[s.at(i, h)]) * delta)
			}
		}
	})
}

// joined is what is left of probabilities when a logit joins a softmax of log-sum lse, and the log-sum then. With lse +Inf, of a token that saw nothing, they
// are 1 and +Inf.
func joined(lse, logit float32) (kept, sum float32) {
	d := float64(lse) - float64(logit)
	return float32(1 / (1 + math.Exp(-d))), float32(max(float64(lse), float64(logit)) + math.Log1p(math.Exp(-math.Abs(d))))
}

// sink is the shapes: n rows of heads of hd numbers, and log-sums as (B, heads, t).
type sink struct{ n, heads, hd, t int }

func newSink(op string, o, lse, sinks tensor.Tensor) sink {
	n, c := rowsCols(o)
	s := sink{n: n, heads: sinks.Len(), t: lse.Cols()}
	if s.heads == 0 || c%s.heads != 0 || lse.DType != tensor.F32 || lse.Len() != n*s.heads || s.t > 0 && n%s.t != 0 {
		panic(fmt.Sprintf("%s: o %v, lse %v and sinks %v do not fit", op, o, lse, sinks))
	}
	s.hd = c / s.heads
	return s
}

// at is the place of row i's log-sum for head h.
func (s sink) at(i, h int) int { return (i/s.t*s.heads+h)*s.t + i%s.t }
