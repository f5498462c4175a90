package optim

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"lomo/internal/cpukern"
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// layer is y = x·Wᵀ + b with the loss ½Σy², small enough to follow by hand. Its trajectories below were produced by
// lomo_optim 0.1.1 in float32 on a CPU; scripts/golden/vectors.py makes them again.
type layer struct {
	t    *testing.T
	d    device.Device
	w, b *grad.Param
	clip *Clip
}

var batches = [2][2][3]float32{{{1, 2, -1}, {.5, -1, 3}}, {{-2, 1, .5}, {}}}

func newLayer(t *testing.T) *layer {
	t.Helper()
	d, err := cpukern.Open(cpukern.Options{Capacity: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	l := &layer{t: t, d: d, w: &grad.Param{Name: "w", Shape: []int{2, 3}}, b: &grad.Param{Name: "b", ID: 1, Shape: []int{2}}}
	l.w.W = l.put("w", []float32{.5, -.25, 1, .125, .75, -.5}, 2, 3)
	l.b.W = l.put("b", []float32{.5, -1.5}, 2)
	return l
}

func (l *layer) put(name string, v []float32, shape ...int) tensor.Tensor {
	l.t.Helper()
	x, err := l.d.Alloc("test", name, tensor.F32, shape...)
	if err != nil {
		l.t.Fatal(err)
	}
	raw := make([]byte, 4*len(v))
	for i, f := range v {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(f))
	}
	l.d.CopyIn(x, raw)
	return x
}

func (l *layer) get(x tensor.Tensor) []float32 {
	raw := make([]byte, x.Bytes())
	l.d.CopyOut(raw, x)
	out := make([]float32, x.Len())
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

// backward hands both gradients of batch n to sink and returns the loss.
func (l *layer) backward(n int, sink grad.Sink) float64 {
	l.t.Helper()
	w, b := l.get(l.w.W), l.get(l.b.W)
	rows := 2 - n
	var dy, x, db []float32
	db = make([]float32, 2)
	loss := 0.0
	for r := 0; r < rows; r++ {
		x = append(x, batches[n][r][:]...)
		for o := 0; o < 2; o++ {
			y := b[o]
			for i, v := range batches[n][r] {
				y += v * w[3*o+i]
			}
			loss += 0.5 * float64(y) * float64(y)
			dy = append(dy, y)
			db[o] += y
		}
	}
	for p, g := range map[*grad.Param]grad.Grad{
		l.b: grad.FromDense(l.put("db", db, 2)),
		l.w: grad.FromOuter(l.put("x", x, rows, 3), l.put("dy", dy, rows, 2)),
	} {
		if err := sink.Consume(p, g); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := l.d.Sync(); err != nil {
		l.t.Fatal(err)
	}
	return loss
}

func (l *layer) close(what string, got, want []float32) {
	l.t.Helper()
	for i, w := range want {
		// Measured: 6e-8, the last digits of the recorded values.
		if d := math.Abs(float64(got[i] - w)); d > 3e-7*math.Max(1, math.Abs(float64(w))) {
			l.t.Errorf("%s[%d] = %.9g, want %.9g", what, i, got[i], w)
		}
	}
}

func (l *layer) optimizer(c Config) Optimizer {
	l.t.Helper()
	o, err := New(l.d, c, []*grad.Param{l.w, l.b})
	if err != nil {
		l.t.Fatal(err)
	}
	return o
}

func TestAdaLomoVectors(t *testing.T) {
	l := newLayer(t)
	o := l.optimizer(Config{Name: "adalomo", AdaLomo: DefaultAdaLomo()}).(*AdaLomo)
	o.Begin(1, 0.1)
	if loss := l.backward(0, o); math.Abs(loss-15.119140625) > 1e-6 {
		t.Errorf("loss of step 1: %v", loss)
	}
	l.close("r", l.get(o.state["w"].r), []float32{61.166668, 54.153973})
	l.close("c", l.get(o.state["w"].c), []float32{1.8676758, 24.689453, 146.42383})
	l.close("v(b)", l.get(o.state["b"].v), []float32{12.25, 9.3789062})
	l.close("w", l.get(l.w.W), []float32{.43634740, -.19164340, .94009268, .17996445, .68875515, -.44047031})
	l.close("b", l.get(l.b.W), []float32{.38819659, -1.3881966})
	o.Begin(2, 0.1)
	if loss := l.backward(1, o); math.Abs(loss-.83993274) > 1e-6 {
		t.Errorf("loss of step 2: %v", loss)
	}
	l.close("r after 2", l.get(o.state["w"].r), []float32{26.078335, 24.696444})
	l.close("w after 2", l.get(l.w.W), []float32{.42280865, -.18827306, .94079971, .09358520, .71025848, -.43595952})
	l.close("b after 2", l.get(l.b.W), []float32{.39737451, -1.3294713})
}

func TestAdaLomoWeightDecayVectors(t *testing.T) {
	l := newLayer(t)
	o := l.optimizer(Config{Name: "adalomo", AdaLomo: DefaultAdaLomo(), Common: Common{WeightDecay: 0.1}})
	o.Begin(1, 0.1)
	l.backward(0, o)
	l.close("w", l.get(l.w.W), []float32{.43336087, -.19015014, .93411964, .17921782, .68427539, -.43748379})
	l.close("b", l.get(l.b.W), []float32{.38260642, -1.3714261})
}

func TestLomoWeightDecayVectors(t *testing.T) {
	l := newLayer(t)
	o := l.optimizer(Config{Name: "lomo", Common: Common{WeightDecay: 0.01}})
	o.Begin(1, 0.1)
	l.backward(0, o)
	l.close("w", l.get(l.w.W), []float32{.3495, .25025, -.251, .24675, .2555, .66925})
	l.close("b", l.get(l.b.W), []float32{.1495, -1.19225})
	o.Begin(2, 0.1)
	if loss := l.backward(1, o); math.Abs(loss-.69040340) > 1e-6 {
		t.Errorf("loss of step 2: %v", loss)
	}
	l.close("b after 2", l.get(l.b.W), []float32{.19182549, -1.0814953})
}

func TestLomoNormClipVectors(t *testing.T) {
	l := newLayer(t)
	clip, err := NewClip(l.d, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	o := l.optimizer(Config{Name: "lomo", Common: Common{Clip: clip}})
	for step, want := range []float32{.052157599, .31526905} {
		clip.Reset(l.d)
		l.backward(step, &NormPass{D: l.d, Sum: clip.SumSq})
		clip.Fix(l.d)
		l.close(fmt.Sprintf("κ of step %d", step+1), l.get(clip.Coef), []float32{want})
		if norm := clip.Norm(l.d); step == 0 && math.Abs(norm-math.Hypot(4.6506886, 18.600052)) > 1e-5 {
			t.Errorf("norm of step 1: %v", norm)
		}
		o.Begin(step+1, 0.1)
		l.backward(step, o)
		if step == 0 {
			l.close("w", l.get(l.w.W)[:3], []float32{.49217635, -.22392119, .93480301})
		}
	}
}

func TestLomoValueClipVectors(t *testing.T) {
	l := newLayer(t)
	o := l.optimizer(Config{Name: "lomo", Common: Common{ClipValue: 0.5}})
	o.Begin(1, 0.1)
	l.backward(0, o)
	l.close("w", l.get(l.w.W)[:3], []float32{.45, -.2, .95})
}

// TestLaggedClip: the first step knows no norm and does not clip; the second uses the first one's.
func TestLaggedClip(t *testing.T) {
	l := newLayer(t)
	clip, err := NewClip(l.d, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	o := l.optimizer(Config{Name: "lomo", Common: Common{Clip: clip}})
	last := -1.0
	for step, want := range []float64{1, 1 / (math.Hypot(4.6506886, 18.600052) + 1e-6)} {
		clip.Reset(l.d)
		clip.Set(l.d, last)
		l.close("κ", l.get(clip.Coef), []float32{float32(want)})
		o.Begin(step+1, 0)
		l.backward(0, o)
		last = clip.Norm(l.d)
	}
}

// TestSGDVectors: three steps of torch.optim.SGD 2.x, lr 0.01, over batches 0, 1 and 0. Dampening leaves the first step alone, whose gradient begins the buffer.
func TestSGDVectors(t *testing.T) {
	for _, c := range []struct {
		sgd   SGDConfig
		decay float64
		loss  float64 // before the third step
		w, b  []float32
	}{
		{SGDConfig{Momentum: .9}, 0, 8.9710159, []float32{.43528122, -.07496338, .56873703, .1223395, .60508066, -.0829641}, []float32{.38076326, -1.36805987}},
		{SGDConfig{Momentum: .9, Dampening: .5}, 0, 8.9769211, []float32{.44732061, -.09472835, .61500019, .14020696, .61065263, -.13308556}, []float32{.39296332, -1.39250219}},
		{SGDConfig{Momentum: .9, Nesterov: true}, 0, 6.8626447, []float32{.40751123, -.01751814, .41758627, .12122019, .55953598, .0637401}, []float32{.33576965, -1.31743586}},
		{SGDConfig{Momentum: .5, Dampening: .25}, .1, 10.0712357, []float32{.45538715, -.13048601, .7035954, .12666535, .64667171, -.21627131}, []float32{.4171057, -1.40729237}},
	} {
		l := newLayer(t)
		o := l.optimizer(Config{Name: "sgd", SGD: c.sgd, Common: Common{WeightDecay: c.decay}})
		for step, batch := range []int{0, 1, 0} {
			o.Begin(step+1, .01)
			if loss := l.backward(batch, o); step == 2 && math.Abs(loss-c.loss) > 3e-6 {
				t.Errorf("%+v: loss of step 3: %v, want %v", c.sgd, loss, c.loss)
			}
		}
		l.close(fmt.Sprintf("w with %+v", c.sgd), l.get(l.w.W), c.w)
		l.close(fmt.Sprintf("b with %+v", c.sgd), l.get(l.b.W), c.b)
	}
}
