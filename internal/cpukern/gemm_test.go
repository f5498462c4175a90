package cpukern

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"lomo/internal/tensor"
)

// TestPack compares panels, and looks that a kernel writes nothing beyond them: another thread packs there.
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
					got[n] = 42
					k.pack(got, &o, width, 2, 2+c.rows, 1, 1+c.depth)
					packGeneric(want, &o, width, 2, 2+c.rows, 1, 1+c.depth)
					same(t, fmt.Sprintf("%s pack width %d %+v half %v along %v", k.level, width, c, half, along), got[:n], want)
					if got[n] != 42 {
						t.Fatal("pack writes beyond its panels")
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

// pairValue is the value of position k, row i in panels of pairs.
func pairValue(panel []float32, width, k, i int) float32 {
	bits := math.Float32bits(panel[k/2*width+i])
	return tensor.BF16ToF32(uint16(bits >> (k % 2 * 16)))
}

// TestPackPairs compares panels of pairs with panels of float32.
func TestPackPairs(t *testing.T) {
	s, tested := newSource(), false
	for _, k := range levels() {
		if k.pairs == nil {
			continue
		}
		tested = true
		for _, width := range []int{k.mr, k.nr} {
			for _, c := range []struct{ rows, depth int }{{1, 1}, {width, 16}, {width, 15}, {2*width + 1, 38}, {3 * width, 33}, {width - 1, 64}, {width, 2}} {
				for mode := range 4 {
					o := operand{along: mode&1 == 1, v: floats{half: true}}
					o.ld = max(c.rows, c.depth) + 5 + mode/2 // odd and even
					o.v.h = s.halves((max(c.rows, c.depth)+3)*o.ld, 1)
					got, want := make([]float32, roundUp(c.rows, width)*c.depth+64), make([]float32, roundUp(c.rows, width)*c.depth)
					k.pairs.pack(got, &o, width, 2, 2+c.rows, 1, 1+c.depth)
					packGeneric(want, &o, width, 2, 2+c.rows, 1, 1+c.depth)
					for p := 0; p < roundUp(c.rows, width); p += width {
						for d := range roundUp(c.depth, 2) {
							for i := range width {
								var w float32
								if d < c.depth {
									w = want[p*c.depth+d*width+i]
								}
								same(t, fmt.Sprintf("%+v mode %d: row %d, position %d", c, mode, p+i, d), []float32{pairValue(got[p*ceilDiv(c.depth, 2):], width, d, i)}, []float32{w})
							}
						}
					}
				}
			}
		}
	}
	if !tested {
		t.Skip("no level of this machine multiplies pairs of BF16")
	}
}

// TestMicroPairs compares the tile kernel of pairs with sums in float64.
func TestMicroPairs(t *testing.T) {
	s, tested := newSource(), false
	for _, k := range levels() {
		if k.pairs == nil {
			continue
		}
		tested = true
		for _, pairs := range []int{1, 3, 4, 7, 128} {
			for _, acc := range []bool{false, true} {
				random := func(n int) []float32 {
					x := make([]float32, n)
					for i := range x {
						low, high := tensor.F32ToBF16(float32(s.NormFloat64())), tensor.F32ToBF16(float32(s.NormFloat64()))
						x[i] = math.Float32frombits(uint32(low) | uint32(high)<<16)
					}
					return x
				}
				a, b, ld := random(pairs*k.mr), random(pairs*k.nr), k.nr+3
				c := s.floats(k.mr*ld, 1, false)
				old := slices.Clone(c)
				k.pairs.micro(pairs, &a[0], &b[0], &c[0], ld, acc)
				for i := range k.mr {
					for j := range k.nr {
						want := 0.0
						if acc {
							want = float64(old[i*ld+j])
						}
						for p := range 2 * pairs {
							want += float64(pairValue(a, k.mr, p, i)) * float64(pairValue(b, k.nr, p, j))
						}
						if math.Abs(float64(c[i*ld+j])-want) > 3e-7*float64(10+pairs) {
							t.Fatalf("%d pairs acc %v: c[%d, %d] = %g, want %g", pairs, acc, i, j, c[i*ld+j], want)
						}
					}
				}
			}
		}
	}
	if !tested {
		t.Skip("no level of this machine multiplies pairs of BF16")
	}
}

// TestSlabs: products whose factors do not fit are made slab by slab and chunk by chunk of the sum, with the same bits.
func TestSlabs(t *testing.T) {
	s := newSource()
	for _, k := range levels() {
		whole, parts := openTest(t, Options{Level: k.level, Threads: 2}), openTest(t, Options{Level: k.level, Threads: 3})
		parts.packRoom = 800 << 10
		slabs, chunks := 0, 0
		for _, c := range []benchShape{{50, 190, 1200}, {1200, 190, 50}, {100, 1500, 130}} {
			for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
				if dt == tensor.BF16 {
					c.in *= 2
				}
				x, w := tensor.NewHost("x", dt, c.n, c.in), tensor.NewHost("w", dt, c.out, c.in)
				for _, f := range []tensor.Tensor{x, w} {
					v := s.floats(f.Len(), 0, false)
					k.store(floatsOf("", f), 0, v)
				}
				var got [2]tensor.Tensor
				for i, d := range []*Device{whole, parts} {
					got[i] = tensor.NewHost("y", tensor.F32, c.n, c.out)
					d.MatMul(got[i], x, w, false)
				}
				same(t, fmt.Sprintf("%s %+v %v", k.level, c, dt), got[1].F32s(), got[0].F32s())
				p := product{m: c.n, n: c.out, k: c.in, a: operand{floatsOf("", x), c.in, true}, b: operand{floatsOf("", w), c.in, true}}
				if l := parts.shared(&p); l.chunk < l.depth {
					chunks++
				} else if l.rows < c.n || l.cols < c.out {
					slabs++
				}
			}
		}
		if slabs == 0 || chunks == 0 {
			t.Errorf("%s: %d products by slabs and %d by chunks: the test shows nothing", k.level, slabs, chunks)
		}
		_, _ = whole.Close(), parts.Close()
	}
}

// TestRowsInPlace: a left factor whose rows are read where they lie gives the bits of the same one packed, whatever rows are left over at its
// end, and nothing beside it is read: what lies there is NaN.
func TestRowsInPlace(t *testing.T) {
	s := newSource()
	nan := float32(math.NaN())
	for _, k := range levels() {
		d := openTest(t, Options{Level: k.level, Threads: 2})
		for _, c := range []benchShape{{1, 64, 40}, {97, 64, 70}, {200, 256, 33}, {385, 1024, 300}} {
			for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
				const beside = 32
				ld := c.in + beside
				rows, turned := make([]float32, c.n*ld), make([]float32, c.in*c.n)
				for i := range c.n {
					row := rows[i*ld:][:ld]
					copy(row, s.floats(c.in, 0, false))
					for j := range row {
						if j >= c.in {
							row[j] = nan
						} else {
							turned[j*c.n+i] = row[j]
						}
					}
				}
				of := func(name string, vals []float32) floats {
					v := floatsOf(name, tensor.NewHost(name, dt, len(vals)))
					k.store(v, 0, vals)
					return v
				}
				b := operand{of("w", s.floats(c.out*c.in, 0, false)), c.in, true}
				var got [2][]float32
				for i, a := range []operand{{of("rows", rows), ld, true}, {of("turned", turned), c.n, false}} {
					got[i] = make([]float32, c.n*c.out)
					p := product{m: c.n, n: c.out, k: c.in, a: a, b: b}
					l := d.shared(&p)
					if reads := dt == tensor.F32 || l.unit == 2; (l.lda > 0) != (reads && i == 0) {
						t.Errorf("%s %+v %v: rows %d bytes apart are read in place: %v", k.level, c, dt, l.lda, l.lda > 0)
					}
					d.multiply(p, d.storeTile(floats{f: got[i]}, c.out, false))
				}
				same(t, fmt.Sprintf("%s %+v %v", k.level, c, dt), got[0], got[1])
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
