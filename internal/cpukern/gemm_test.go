package cpukern

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// TestPack compares panels, and looks that a kernel reads nothing beyond the operand and writes no further than its slack.
func TestPack(t *testing.T) {
	s := newSource()
	for _, k := range levels()[1:] {
		for _, width := range []int{k.mr, k.nr} {
			for _, c := range []struct{ rows, depth int }{{1, 1}, {width, 8}, {width, 7}, {2*width + 1, 19}, {3 * width, 33}, {width - 1, 64}} {
				for mode := range 4 {
					half, along := mode&1 == 1, mode&2 == 2
					o := operand{ld: c.rows + 5, along: along}
					if along {
						o.ld = c.depth + 5
					}
					size := (max(c.rows, c.depth) + 3) * o.ld
					if half {
						o.v = floats{h: s.halves(size, 1), half: true}
					} else {
						o.v = floats{f: s.floats(size, 1, false)}
					}
					n := roundUp(c.rows, width) * c.depth
					got, want := make([]float32, n+64), make([]float32, n)
					got[n+8] = 42
					k.pack(got, &o, width, 2, 2+c.rows, 1, 1+c.depth)
					packGeneric(want, &o, width, 2, 2+c.rows, 1, 1+c.depth)
					same(t, fmt.Sprintf("%s pack width %d %+v half %v along %v", k.level, width, c, half, along), got[:n], want)
					if got[n+8] != 42 {
						t.Fatal("pack writes beyond its slack")
					}
				}
			}
		}
	}
}

// TestMicro compares the tile kernels with sums in float64.
func TestMicro(t *testing.T) {
	s := newSource()
	for _, k := range levels() {
		for _, depth := range []int{1, 2, 3, 4, 5, 8, 11, 256} {
			for _, acc := range []bool{false, true} {
				a, b := s.floats(depth*k.mr, 0, false), s.floats(depth*k.nr, 0, false)
				ld := k.nr + 3
				c := s.floats(k.mr*ld, 1, false)
				old := slices.Clone(c)
				k.micro(depth, &a[0], &b[0], &c[0], ld, acc)
				for i := range k.mr {
					for j := range ld {
						want := float64(old[i*ld+j])
						if j < k.nr {
							if !acc {
								want = 0
							}
							for p := range depth {
								want += float64(a[p*k.mr+i]) * float64(b[p*k.nr+j])
							}
						}
						if math.Abs(float64(c[i*ld+j])-want) > 3e-6*float64(10+depth) {
							t.Fatalf("%s depth %d acc %v: c[%d, %d] = %g, want %g", k.level, depth, acc, i, j, c[i*ld+j], want)
						}
					}
				}
			}
		}
	}
}
