package bench

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"lomo/internal/device"
	"lomo/internal/memdev"
	"lomo/internal/model"
	"lomo/internal/tensor"
)

// Forecast predicts how long a device takes for work that the counting device has counted. Each operation runs for a moment on the device, at the shapes it
// is asked for most; its amounts are then taken at that speed.
type Forecast struct {
	Device  device.Device
	Model   *model.Config
	DType   tensor.DType         // of weights and activations
	Start   []int32              // of one sequence of the run (data.Batch), for attention's documents; nil: one document
	Moment  time.Duration        // for each operation, about
	Clock   func() time.Duration // nil: the wall's
	speeds  map[string]float64
	largest map[string]memdev.Call
}

// otherWork stands for operations that are too small to be tried.
const otherWork = "Copy"

// Seconds is the time of each of some lists of calls. What is measured for one is taken for the others too.
func (f *Forecast) Seconds(lists ...map[memdev.Call]float64) ([]float64, error) {
	f.speeds, f.largest = map[string]float64{}, map[string]memdev.Call{}
	f.pick(lists)
	out := make([]float64, len(lists))
	for i, calls := range lists {
		for _, c := range slices.SortedFunc(maps.Keys(calls), compareCalls) {
			speed, err := f.speed(c)
			if err != nil {
				return nil, err
			}
			out[i] += calls[c] / speed
		}
	}
	return out, nil
}

func compareCalls(a, b memdev.Call) int {
	return cmp.Or(cmp.Compare(a.Op, b.Op), cmp.Compare(a.N, b.N), cmp.Compare(a.In, b.In), cmp.Compare(a.Out, b.Out))
}

// kind is what calls of one speed have in common: products of the same matrix, or any other operation. Products that are large in every way run alike.
func kind(c memdev.Call) string {
	if _, product := products[c.Op]; product {
		return c.Op + dims(c.In, c.Out)
	}
	if _, tried := others[c.Op]; tried {
		return c.Op
	}
	return otherWork
}

// pick finds the shape at which most of each kind is asked.
func (f *Forecast) pick(lists []map[memdev.Call]float64) {
	most := map[string]float64{}
	for _, calls := range lists {
		for _, c := range slices.SortedFunc(maps.Keys(calls), compareCalls) {
			if k := kind(c); calls[c] > most[k] {
				most[k], f.largest[k] = calls[c], c
			}
		}
	}
}

// speed is how much of a call's amount the device does in a second.
func (f *Forecast) speed(c memdev.Call) (float64, error) {
	k := kind(c)
	if f.speeds[k] > 0 {
		return f.speeds[k], nil
	}
	at := f.largest[k]
	try, product := products[at.Op]
	if !product {
		if try = others[at.Op]; try == nil {
			at.Op, try = otherWork, others[otherWork]
		}
	}
	small := f.shrink(at, firstWork)
	took, amount, err := f.time(small, try)
	if err != nil {
		return 0, err
	}
	// The first call was short: it also says how large one that takes the moment may be.
	if took < f.Moment.Seconds() {
		if larger := f.shrink(at, workOf(small)*f.Moment.Seconds()/took/4); larger != small {
			small = larger
			if took, amount, err = f.time(small, try); err != nil {
				return 0, err
			}
		}
	}
	f.speeds[k] = amount / took
	return f.speeds[k], nil
}

func (f *Forecast) now() time.Duration {
	if f.Clock != nil {
		return f.Clock()
	}
	return time.Since(epoch)
}

var epoch = time.Now()

// leastCalls is how often an operation is tried at least: one of them is not disturbed by other programs.
const leastCalls = 5

// longMoments is how much longer than the moment that may take.
const longMoments = 10

// firstWork is what a call is shrunk to while nothing is known of the machine: some milliseconds even without assembly.
const firstWork = 2e7

// workOf is about what a call costs: multiply-adds of a product, pairs of attention, elements of all else.
func workOf(c memdev.Call) float64 {
	if c.Out == 0 {
		return 8 * float64(c.N) * float64(c.In)
	}
	return float64(c.N) * float64(c.In) * float64(c.Out)
}

// shrink makes a call smaller where its work is above most.
func (f *Forecast) shrink(c memdev.Call, most float64) memdev.Call {
	switch c.Op {
	case "OuterSumSq": // pairs of tokens may be less work than the product: that hangs on how the sides compare
		for workOf(c) > most && c.N > 16 && c.In > 16 && c.Out > 16 {
			c.N, c.In, c.Out = c.N/2, c.In/2, c.Out/2
		}
	case "Attention", "AttentionBackward": // one sequence, then a part of it
		c.N = min(c.N, c.In)
		for workOf(c) > most && c.In > 64 {
			c.In = max(64, c.In/2)
			c.N = c.In
		}
	default:
		for workOf(c) > most && c.N > 512 {
			c.N = max(512, c.N/2)
		}
		for workOf(c) > most && c.Out > 256 {
			c.Out = max(256, c.Out/2)
		}
		for workOf(c) > most && c.N > 64 {
			c.N = max(64, c.N/2)
		}
	}
	return c
}

// time is the seconds of a call on the device, and its amount as the counting device counts it.
func (f *Forecast) time(c memdev.Call, try attempt) (seconds, amount float64, err error) {
	counter := memdev.Open(0)
	call := try(f.bed(counter), c)
	counter.TakeCalls()
	call()
	for _, n := range counter.TakeCalls() {
		amount += n
	}
	if c.Op == "Attention" || c.Op == "AttentionBackward" {
		seen, all := Seen(f.sequence(c.In), c.In)
		amount *= seen / all
	}
	defer f.Device.Memory().Release(f.Device.Memory().Mark())
	b := f.bed(f.Device)
	if call = try(b, c); b.err != nil {
		return 0, 0, b.err
	}
	call()                   // pages and caches
	best := time.Duration(0) // the fastest: the others were disturbed
	for began, n := f.now(), 0; n < leastCalls || f.now()-began < f.Moment; n++ {
		t := f.now()
		call()
		if err := f.Device.Sync(); err != nil {
			return 0, 0, err
		}
		took := max(f.now()-t, 1)
		if best == 0 || took < best {
			best = took
		}
		if f.now()-began > longMoments*f.Moment {
			break // a slow machine: this will do
		}
	}
	return best.Seconds(), amount, nil
}

func (f *Forecast) bed(d device.Device) *bed {
	return &bed{d: d, o: Options{Model: f.Model}, dt: f.DType, step: still, first: f.sequence}
}

// attempt makes the tensors of a call and returns it. It may run any number of times.
type attempt func(b *bed, c memdev.Call) func()

// products are the operations of which every matrix has a speed of its own.
var products = map[string]attempt{
	"MatMul": func(b *bed, c memdev.Call) func() {
		y, x, w := b.of(c.N, c.Out), b.of(c.N, c.In), b.of(c.Out, c.In)
		return func() { b.d.MatMul(y, x, w, false) }
	},
	"MatMulBackwardInput": func(b *bed, c memdev.Call) func() {
		dx, dy, w := b.of(c.N, c.In), b.of(c.N, c.Out), b.of(c.Out, c.In)
		return func() { b.d.MatMulBackwardInput(dx, dy, w, false) }
	},
	"OuterAdd": func(b *bed, c memdev.Call) func() {
		g, dy, x := b.f32(c.Out, c.In), b.of(c.N, c.Out), b.of(c.N, c.In)
		return func() { b.d.OuterAdd(g, dy, x, false) }
	},
	"OuterSumSq": func(b *bed, c memdev.Call) func() {
		sum, dy, x := b.full(tensor.F64, 0, 1), b.of(c.N, c.Out), b.of(c.N, c.In)
		return func() { b.d.OuterSumSq(sum, dy, x) }
	},
	"OuterUpdate": func(b *bed, c memdev.Call) func() {
		w, dy, x := b.of(c.Out, c.In), b.of(c.N, c.Out), b.of(c.N, c.In)
		return func() { b.d.OuterUpdate(w, dy, x, b.step) }
	},
}

// others are those that have one speed at all shapes.
var others = map[string]attempt{
	"Attention": func(b *bed, c memdev.Call) func() {
		s := b.sequence(c)
		return func() { b.d.Attention(s.o, s.lse, s.q, s.k, s.v, s.start, b.o.Model.Heads()) }
	},
	"AttentionBackward": func(b *bed, c memdev.Call) func() {
		s := b.sequence(c)
		dq, dk, dv, do := b.of(s.q.Shape...), b.of(s.k.Shape...), b.of(s.k.Shape...), b.of(s.q.Shape...)
		return func() {
			b.d.AttentionBackward(dq, dk, dv, do, s.o, s.lse, s.q, s.k, s.v, s.start, b.o.Model.Heads())
		}
	},
	"RMSNorm": func(b *bed, c memdev.Call) func() {
		y, rstd, x, w := b.of(c.N, c.In), b.f32(c.N), b.of(c.N, c.In), b.of(c.In)
		return func() { b.d.RMSNorm(y, rstd, x, w, b.o.Model.Norm()) }
	},
	"RMSNormBackward": func(b *bed, c memdev.Call) func() {
		dx, dw, dy, x := b.of(c.N, c.In), b.f32(c.In), b.of(c.N, c.In), b.of(c.N, c.In)
		w, rstd := b.of(c.In), b.f32(c.N)
		return func() { b.d.RMSNormBackward(dx, dw, dy, x, w, rstd, b.o.Model.Norm(), true, false) }
	},
	"RoPE": func(b *bed, c memdev.Call) func() {
		half := b.o.Model.HeadDim / 2
		x, pos := b.of(c.N, c.In), b.indices(c.N, 0)
		cos, sin := b.full(tensor.F32, 1, 1, half), b.full(tensor.F32, 0, 1, half) // turning again and again must not grow
		return func() { b.d.RoPE(x, pos, cos, sin, b.o.Model.HeadDim, false) }
	},
	"SwiGLU": func(b *bed, c memdev.Call) func() {
		act, gate, up := b.of(c.N, c.In), b.of(c.N, c.In), b.of(c.N, c.In)
		return func() { b.d.SwiGLU(act, gate, up) }
	},
	"SwiGLUBackward": func(b *bed, c memdev.Call) func() {
		dgate, dup, act, gate, up := b.of(c.N, c.In), b.of(c.N, c.In), b.of(c.N, c.In), b.of(c.N, c.In), b.of(c.N, c.In)
		return func() { b.d.SwiGLUBackward(dgate, dup, act, gate, up) }
	},
	"GeGLU": func(b *bed, c memdev.Call) func() {
		act, gate, up := b.of(c.N, c.In), b.of(c.N, c.In), b.of(c.N, c.In)
		return func() { b.d.GeGLU(act, gate, up) }
	},
	"GeGLUBackward": func(b *bed, c memdev.Call) func() {
		dgate, dup, act, gate, up := b.of(c.N, c.In), b.of(c.N, c.In), b.of(c.N, c.In), b.of(c.N, c.In), b.of(c.N, c.In)
		return func() { b.d.GeGLUBackward(dgate, dup, act, gate, up) }
	},
	"SoftCap": func(b *bed, c memdev.Call) func() {
		z := b.f32(c.N, c.In)
		return func() { b.d.SoftCap(z, 30) }
	},
	"SoftmaxStats": func(b *bed, c memdev.Call) func() {
		stats, z, targets := b.f32(c.N, 3), b.f32(c.N, c.In), b.indices(c.N, 0)
		return func() { b.d.SoftmaxStats(stats, z, targets, 0, true) }
	},
	"SoftmaxGrad": func(b *bed, c memdev.Call) func() {
		z, lse, targets := b.f32(c.N, c.In), b.full(tensor.F32, 4, c.N), b.indices(c.N, 0) // exp(z−4) of its own result stays small
		return func() { b.d.SoftmaxGrad(z, z, lse, targets, 0, 1, float32(b.o.Model.LogitCap)) }
	},
	"Copy": func(b *bed, c memdev.Call) func() {
		dst, src := b.f32(c.N, c.In), b.of(c.N, c.In)
		return func() { b.d.Copy(dst, src) }
	},
	"Update": func(b *bed, c memdev.Call) func() {
		w, g := b.of(c.N, c.In), b.f32(c.N, c.In)
		return func() { b.d.Update(w, g, b.step) }
	},
	"SumSq": func(b *bed, c memdev.Call) func() {
		sum, g := b.full(tensor.F64, 0, 1), b.f32(c.N, c.In)
		return func() { b.d.SumSq(sum, g) }
	},
	"FactorSums": func(b *bed, c memdev.Call) func() {
		w, g, rows, cols, stats := b.factored(c)
		return func() { b.d.FactorSums(rows, cols, stats, w, g, 1e-30, b.step) }
	},
	"FactorNorm": func(b *bed, c memdev.Call) func() {
		_, g, rows, cols, stats := b.factored(c)
		return func() { b.d.FactorNorm(stats, g, rows, cols, b.step) }
	},
	"FactorUpdate": func(b *bed, c memdev.Call) func() {
		w, g, rows, cols, stats := b.factored(c)
		return func() { b.d.FactorUpdate(w, g, rows, cols, stats, 1e-3, 1, b.step) }
	},
	"AdamW": func(b *bed, c memdev.Call) func() {
		w, m, v, g := b.of(c.N, c.In), b.f32(c.N, c.In), b.f32(c.N, c.In), b.f32(c.N, c.In)
		var master tensor.Tensor
		if b.dt != tensor.F32 {
			master = b.f32(c.N, c.In)
		}
		return func() {
			b.d.AdamW(w, m, v, master, g, device.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, T: 1}, b.step)
		}
	},
	"SGD": func(b *bed, c memdev.Call) func() {
		w, m, g := b.of(c.N, c.In), b.f32(c.N, c.In), b.f32(c.N, c.In)
		return func() { b.d.SGD(w, m, g, device.Momentum{Momentum: 0.9}, b.step) }
	},
}

// factored is a matrix with its gradient and factors.
func (b *bed) factored(c memdev.Call) (w, g, rows, cols, stats tensor.Tensor) {
	return b.of(c.N, c.In), b.f32(c.N, c.In), b.f32(c.N), b.f32(c.In), b.varied(tensor.F64, 4)
}

// sequence is the tensors of attention over one sequence of c.In tokens.
type sequence struct{ q, k, v, o, lse, start tensor.Tensor }

func (b *bed) sequence(c memdev.Call) sequence {
	m, t := b.o.Model, c.In
	kv := m.NumKeyValueHeads * m.HeadDim
	start := b.take(tensor.I32, 1, t)
	if b.err == nil {
		b.d.CopyIn(start, littleEndian(b.first(t)))
	}
	return sequence{b.of(1, t, c.Out), b.of(1, t, kv), b.of(1, t, kv), b.of(1, t, c.Out), b.f32(1, m.NumAttentionHeads, t), start}
}

// sequence is where the documents of t tokens of the run begin.
func (f *Forecast) sequence(t int) []int32 {
	first := make([]int32, t)
	copy(first, f.Start)
	return first
}

// keyTile is about how many keys are made at once, whether all of them are seen or not.
const keyTile = 64

// Seen is how many pairs of a query and a key attention makes over sequences of t tokens with these starts, and how many it makes where each is one document.
func Seen(start []int32, t int) (pairs, all float64) {
	for i, s := range start {
		at := i % t
		all += float64(at + 1)
		pairs += float64(min(at+1, at+1-int(s)+keyTile/2))
	}
	return pairs, all
}
