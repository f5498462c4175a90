package cpukern

import (
	"math"
	"testing"

	"lomo/internal/tensor"
)

// TestLargestHead: the workspace holds the tiles of the largest head there may be, and a larger one is refused.
func TestLargestHead(t *testing.T) {
	const n = 140 // more than a block of queries and of keys
	for _, level := range Levels() {
		d := openTest(t, Options{Level: level, Threads: 1})
		q, lse, start := tensor.NewHost("q", tensor.F32, 1, n, maxHeadDim), tensor.NewHost("lse", tensor.F32, 1, 1, n), tensor.NewHost("start", tensor.I32, 1, n)
		for i := range q.F32s() {
			q.F32s()[i] = float32(i%13) / 13
		}
		o, g := tensor.NewHost("o", tensor.F32, 1, n, maxHeadDim), tensor.NewHost("g", tensor.F32, 1, n, maxHeadDim)
		d.Attention(o, lse, q, q, q, start, maxHeadDim)
		d.AttentionBackward(g, g, g, o, o, lse, q, q, q, start, maxHeadDim)
		if v := o.F32s()[n*maxHeadDim-1]; math.IsNaN(float64(v)) || v == 0 {
			t.Errorf("%s: the last output is %g", level, v)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: a head of %d is not refused", level, 2*maxHeadDim)
				}
			}()
			wide := q.View(1, n/2, 2*maxHeadDim)
			d.Attention(wide, lse, wide, wide, wide, start, 2*maxHeadDim)
		}()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
