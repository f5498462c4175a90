package train

import (
	"fmt"
	"testing"

	"lomo/internal/data"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// TestAfterNormPass: the sweep after a norm pass, which takes what the head has found from it, hands over the same gradients to the bit as
// one without.
func TestAfterNormPass(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, tied := range []bool{true, false} {
			for _, whole := range []bool{true, false} {
				for _, recompute := range []bool{true, false} {
					t.Run(fmt.Sprintf("%v/tied=%v/whole=%v/recompute=%v", dt, tied, whole, recompute), func(t *testing.T) {
						m := newTiny(t, tinyOptions{tied: tied, dtype: dt, recompute: recompute})
						step := []data.Batch{tokens(2, 13, 1), tokens(2, 13, 2)}
						wantLoss, want := m.gradients(t, whole, step...)
						p, err := m.sweep.Load(step)
						if err != nil {
							t.Fatal(err)
						}
						if err := p.Forward(true); err != nil {
							t.Fatal(err)
						}
						sum, err := m.d.Alloc("test", "sum", tensor.F64, 1)
						if err != nil {
							t.Fatal(err)
						}
						if _, err := p.Backward(&optim.NormPass{D: m.d, Sum: sum}, true); err != nil {
							t.Fatal(err)
						}
						if p.kept == nil {
							t.Fatal("the norm pass has kept nothing")
						}
						sink := &collect{d: m.d, whole: whole, got: map[string][]float32{}}
						loss, err := p.Backward(sink, false)
						if err != nil {
							t.Fatal(err)
						}
						if got := loss / float64(p.Trained()); got != wantLoss {
							t.Errorf("loss %v, without a norm pass %v", got, wantLoss)
						}
						if len(sink.got) != len(want) {
							t.Errorf("gradients of %d parameters, want %d", len(sink.got), len(want))
						}
						sameBits(t, "after a norm pass", want, sink.got)
					})
				}
			}
		}
	}
}
