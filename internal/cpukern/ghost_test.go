package cpukern

import (
	"fmt"
	"math"
	"testing"

	"lomo/internal/tensor"
)

// TestGhostNorm: from pairs of tokens comes the norm that the product has (measured 2.6e-7 apart at most), with the same bits at any
// number of threads; a number that is not finite is not lost; and the way is taken where it is less work.
func TestGhostNorm(t *testing.T) {
	rnd := newSource()
	for _, level := range Levels()[max(0, len(Levels())-2):] {
		var devices []*Device
		for threads := 1; threads <= 3; threads++ {
			d := openTest(t, Options{Level: level, Threads: threads})
			defer d.Close() //nolint:errcheck // a device of a test
			devices = append(devices, d)
		}
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			for _, n := range []int{1, 3, 191, 192, 193, 500, 1000} {
				fill := func(name string, cols int) tensor.Tensor {
					x, f := tensor.NewHost(name, dt, n, cols), tensor.NewHost(name, tensor.F32, n, cols)
					copy(f.F32s(), rnd.floats(f.Len(), 0, false))
					devices[0].Copy(x, f)
					return x
				}
				dy, x := fill("dy", 70), fill("x", 45)
				p := outer("test", dy, x)
				want, got := devices[0].outerSumSq(p), devices[0].ghostSumSq(&p)
				if math.Abs(got-want) > 1.2e-6*want {
					t.Errorf("%s %v, %d tokens: %v, the product's %v", level, dt, n, got, want)
				}
				for _, d := range devices[1:] {
					if again := d.ghostSumSq(&p); again != got {
						t.Errorf("%s %v, %d tokens: %v with one thread, %v with %d", level, dt, n, got, again, d.Threads())
					}
				}
				if n == 193 && dt == tensor.F32 {
					for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
						x.F32s()[100] = bad
						if got := devices[0].ghostSumSq(&p); !math.IsNaN(got) && !math.IsInf(got, 0) {
							t.Errorf("%g gives %v", bad, got)
						}
					}
				}
			}
		}
	}
	for _, c := range []struct {
		tokens, in, out int
		pays            bool
	}{{512, 4096, 4096, true}, {2048, 4096, 11008, true}, {2049, 4096, 11008, false}, {256, 576, 576, true}, {1024, 576, 1536, false}, {4096, 576, 576, false}, {0, 4, 4, false}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			p := product{m: c.out, n: c.in, k: c.tokens}
			if got := ghostPays(&p); got != c.pays {
				t.Errorf("pays %v, want %v", got, c.pays)
			}
			if rows := ghostRows(max(1, c.tokens)); c.tokens <= ghostTokens && rows*c.tokens*4 > ghostBytes {
				t.Errorf("a strip of %d tokens does not fit", rows)
			}
		})
	}
}
