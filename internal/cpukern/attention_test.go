package cpukern

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// TestLargestHead: the workspace holds the tiles of the largest head there may be, and a larger one is refused.
func TestLargestHead(t *testing.T) {
	const n = 280 // more than a block of queries and of keys
	for _, level := range Levels() {
		d := openTest(t, Options{Level: level, Threads: 1})
		for _, hd := range []int{128, 256, maxHeadDim} { // the largest of each size of tile
			q, lse, start := tensor.NewHost("q", tensor.F32, 1, n, hd), tensor.NewHost("lse", tensor.F32, 1, 1, n), tensor.NewHost("start", tensor.I32, 1, n)
			for i := range q.F32s() {
				q.F32s()[i] = float32(i%13) / 13
			}
			o, g := tensor.NewHost("o", tensor.F32, 1, n, hd), tensor.NewHost("g", tensor.F32, 1, n, hd)
			heads := device.Heads{Dim: hd, Cap: 50} // with which it takes the most
			d.Attention(o, lse, q, q, q, start, heads)
			d.AttentionBackward(g, g, g, o, o, lse, q, q, q, start, heads)
			if v := o.F32s()[n*hd-1]; math.IsNaN(float64(v)) || v == 0 {
				t.Errorf("%s: the last output is %g", level, v)
			}
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: a head of %d is not refused", level, 2*maxHeadDim)
				}
			}()
			wide := tensor.NewHost("q", tensor.F32, 1, 1, 2*maxHeadDim)
			one := tensor.NewHost("lse", tensor.F32, 1)
			d.Attention(wide, one, wide, wide, wide, tensor.NewHost("start", tensor.I32, 1, 1), device.Heads{Dim: 2 * maxHeadDim})
		}()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAttentionBackwardWays: by key heads at once or in two passes over the tiles, the bits are the same, so that the choice may look
// at the number of threads.
func TestAttentionBackwardWays(t *testing.T) {
	const b, n, hq, hkv, hd = 2, 410, 4, 2, 16 // three blocks, the last one short
	rnd := newSource()
	for _, level := range Levels() {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			t.Run(fmt.Sprintf("%s/%v", level, dt), func(t *testing.T) {
				d := openTest(t, Options{Level: level, Threads: 2})
				defer d.Close() //nolint:errcheck // a device of a test
				fill := func(name string, heads int) tensor.Tensor {
					x := tensor.NewHost(name, dt, b, n, heads*hd)
					f := tensor.NewHost(name, tensor.F32, b, n, heads*hd)
					copy(f.F32s(), rnd.floats(f.Len(), 0, false))
					d.Copy(x, f)
					return x
				}
				q, k, v, do, o := fill("q", hq), fill("k", hkv), fill("v", hkv), fill("do", hq), fill("o", hq)
				lse, start := tensor.NewHost("lse", tensor.F32, b, hq, n), tensor.NewHost("start", tensor.I32, b, n)
				for i := range start.I32s() {
					start.I32s()[i] = int32(i % n / 150 * 150) // documents
				}
				heads := device.Heads{Dim: hd, Cap: 2}
				d.Attention(o, lse, q, k, v, start, heads)
				var got [2][]tensor.Tensor
				for way := range got {
					dq, dk, dv := tensor.NewHost("dq", dt, b, n, hq*hd), tensor.NewHost("dk", dt, b, n, hkv*hd), tensor.NewHost("dv", dt, b, n, hkv*hd)
					g := &gradients{heads: d.heads("test", o, lse, q, k, v, start, heads), block: blockOf(hd),
						do: floatsOf("test", do), dq: floatsOf("test", dq), dk: floatsOf("test", dk), dv: floatsOf("test", dv)}
					d.backward(g, way == 0)
					got[way] = []tensor.Tensor{dq, dk, dv}
				}
				for i, a := range got[0] {
					if !bytes.Equal(a.Host, got[1][i].Host) {
						t.Errorf("%s differs", a.Name)
					}
				}
			})
		}
	}
}

// eachTiles runs f with the kernels of each level beside the generic ones.
func eachTiles(t *testing.T, f func(t *testing.T, k *tileKernels)) {
	for _, k := range levels() {
		for name, tiles := range map[string]*tileKernels{"float32": k.floatTiles, "rounded": k.roundedTiles, "pairs": k.pairTiles} {
			if tiles != nil {
				t.Run(k.level+"/"+name, func(t *testing.T) { f(t, tiles) })
			}
		}
	}
}

// positions is what n positions in slots stand for, as float32.
func (t *tileKernels) positions(slots []float32, n int) []float32 {
	out := make([]float32, n)
	if v := t.factor(slots, n); v.half {
		widenGeneric(out, v.h)
	} else {
		copy(out, v.f)
	}
	return out
}

// slotsOf is the inverse, rounding where slots are pairs.
func (t *tileKernels) slotsOf(x []float32) []float32 {
	slots := make([]float32, ceilDiv(len(x), t.unit))
	if v := t.factor(slots, len(x)); v.half {
		narrowGeneric(v.h, x)
	} else {
		copy(v.f, x)
	}
	return slots
}

// TestDirect: the product of rows that are not packed with two panels, of every depth, rows of every alignment, with guards around the result.
// The bound is for the order of sums (measured 3e-7 of Σ|a·b|).
func TestDirect(t *testing.T) {
	rnd := newSource()
	eachTiles(t, func(t *testing.T, k *tileKernels) {
		for _, depth := range []int{1, 2, 3, 4, 5, 7, 8, 33} {
			for pad := range 3 {
				n, width := depth*k.unit, depth*k.unit+pad*k.unit
				a, b := k.slotsOf(rnd.floats(k.mr*width, 0, false)), rnd.floats(2*n*k.nr, 0, false)
				right := k.slotsOf(b) // two panels, position by position, row by row, but that pairs lie together
				if k.unit == 2 {
					pairs := k.factor(right, len(b)).h
					for at := range 2 * n {
						for j := range k.nr {
							narrowGeneric(pairs[(at/2*k.nr+j)*2+at%2:][:1], b[at*k.nr+j:][:1])
						}
					}
				}
				rows := k.positions(a, k.mr*width)
				for _, acc := range []bool{false, true} {
					ldc := 2*k.nr + 8
					c := rnd.floats(k.mr*ldc+16, 0, false)
					before := append([]float32(nil), c...)
					k.multiplyRow(depth, left{&a[0], 4 * width / k.unit}, right, depth*k.nr, c[8:], ldc, 2*k.nr, acc)
					for i := range k.mr {
						for j := range ldc {
							at := 8 + i*ldc + j
							if j >= 2*k.nr {
								if c[at] != before[at] {
									t.Fatalf("depth %d: element (%d, %d) beside the tile was written", depth, i, j)
								}
								continue
							}
							var want, size float64
							if acc {
								want = float64(before[at])
							}
							for p := range n {
								y := b[(j/k.nr*n+p)*k.nr+j%k.nr]
								if k.unit == 2 {
									y = tensor.BF16ToF32(tensor.F32ToBF16(y))
								}
								want += float64(rows[i*width+p]) * float64(y)
								size += math.Abs(float64(rows[i*width+p]) * float64(y))
							}
							if math.Abs(float64(c[at])-want) > 1e-6*(size+1) {
								t.Fatalf("depth %d, acc %v: element (%d, %d) is %g, want %g", depth, acc, i, j, c[at], want)
							}
						}
					}
					for i := range 8 {
						if c[i] != before[i] || c[len(c)-1-i] != before[len(c)-1-i] {
							t.Fatal("written around the tile")
						}
					}
				}
			}
		}
	})
}

// TestAttentionRows: the powers of a row and their gradients against float64, with hidden scores, large and infinite ones, and guards.
func TestAttentionRows(t *testing.T) {
	rnd := newSource()
	eachTiles(t, func(t *testing.T, k *tileKernels) {
		rounds := strings.HasSuffix(t.Name(), "/pairs") || strings.HasSuffix(t.Name(), "/rounded")
		for _, n := range []int{32, 64, 96, 256} {
			x, lse := rnd.floats(n, 1, false), rnd.floats(n, 2, false)
			dp, delta := rnd.floats(n, 3, false), rnd.floats(n, 1, false)
			for i := 0; i < n; i += 5 {
				x[i] = unseen
			}
			lse[1], x[2], x[3] = float32(math.Inf(1)), -130, -300
			for i := range lse {
				lse[i] += 8
			}
			const scale = 0.7
			p, ds := make([]float32, n+2), make([]float32, n+2)
			p[n/k.unit], ds[n/k.unit] = 77, 77
			top, sum := k.softmaxRow(&p[0], &x[0], n, scale, -3)
			wantTop := math.Max(-3, float64(maximumGeneric(x)*scale))
			if math.Abs(float64(top)-wantTop) > 1e-6 {
				t.Fatalf("top %g, want %g", top, wantTop)
			}
			check := func(name string, i int, got float32, want float64) {
				t.Helper()
				tol := 5e-7 + 2e-7*math.Abs(float64(x[i])) // ulps of the exponent, which the power feels in proportion (measured half of it)
				if rounds {
					tol += 1.0 / 256
				}
				if math.Abs(float64(got)-want) > tol*math.Abs(want)+1e-38 {
					t.Fatalf("%s[%d] = %g, want %g", name, i, got, want)
				}
			}
			var total float64
			for i, got := range k.positions(p, n) {
				want := math.Exp2(float64(x[i])*scale - float64(top))
				total += want
				check("softmax", i, got, want)
			}
			if math.Abs(float64(sum)-total) > 2e-6*total {
				t.Fatalf("sum %g, want %g", sum, total)
			}
			k.gradRow(&p[0], &ds[0], &x[0], &dp[0], &lse[0], &delta[0], n, scale)
			grads := k.positions(ds, n)
			for i, got := range k.positions(p, n) {
				want := math.Exp2(float64(x[i])*scale - float64(lse[i]))
				check("p", i, got, want)
				check("ds", i, grads[i], want*float64(dp[i]-delta[i]))
			}
			if p[n/k.unit] != 77 || ds[n/k.unit] != 77 {
				t.Fatal("written beyond the row")
			}
		}
		x := make([]float32, 32)
		x[5] = float32(math.NaN())
		p := make([]float32, 32)
		if _, sum := k.softmaxRow(&p[0], &x[0], 32, 1, negInf); sum == sum {
			t.Error("a NaN is lost")
		}
	})
}

// TestRoundedRows: rows of BF16 tiles are those of float32 rounded, to the bit but for subnormal numbers, which the instruction for pairs
// takes for zero; the sums are those of float32.
func TestRoundedRows(t *testing.T) {
	const n, scale = 96, 0.7
	rnd := newSource()
	x, lse, dp, delta := rnd.floats(n, 1, false), rnd.floats(n, 2, false), rnd.floats(n, 3, false), rnd.floats(n, 1, false)
	x[3], x[4], dp[7], dp[8] = unseen, -170, float32(math.NaN()), float32(math.Inf(1))
	dp[9] = math.Float32frombits(0xffffffff) // rounding it as a number would end at zero
	for _, k := range levels() {
		rows := func(t *tileKernels) (sum float32, all [3][]float32) {
			for i := range all {
				all[i] = make([]float32, n)
			}
			_, sum = t.softmaxRow(&all[0][0], &x[0], n, scale, -3)
			t.gradRow(&all[1][0], &all[2][0], &x[0], &dp[0], &lse[0], &delta[0], n, scale)
			for i := range all {
				all[i] = t.positions(all[i], n)
			}
			return sum, all
		}
		wantSum, want := rows(k.floatTiles)
		for name, tiles := range map[string]*tileKernels{"rounded": k.roundedTiles, "pairs": k.pairTiles} {
			if tiles == nil {
				continue
			}
			sum, got := rows(tiles)
			if sum != wantSum {
				t.Errorf("%s/%s: the sum is %g, want %g", k.level, name, sum, wantSum)
			}
			for row := range got {
				for i, v := range got[row] {
					w := tensor.BF16ToF32(tensor.F32ToBF16(want[row][i]))
					if name == "pairs" && math.Abs(float64(w)) < 0x1p-126 {
						w = 0
					}
					if v != w && (v == v || w == w) {
						t.Errorf("%s/%s: row %d, element %d is %g, want %g", k.level, name, row, i, v, w)
					}
				}
			}
		}
	}
}

// TestExp2 holds exp2f to 2 ulp (measured 1.15) where its result is normal, and its ends.
func TestExp2(t *testing.T) {
	worst := 0.0
	for x := -125.9; x < 127.9; x += 0.00137 {
		want := math.Exp2(float64(float32(x)))
		ulp := math.Ldexp(1, int(math.Floor(math.Log2(want)))-23)
		worst = max(worst, math.Abs(float64(exp2f(float32(x)))-want)/ulp)
	}
	if worst > 2 {
		t.Errorf("exp2f is off by %.2f ulp", worst)
	}
	for _, c := range []struct{ x, want float32 }{{0, 1}, {-1000, 0}, {unseen, 0}, {negInf, 0}, {1, 2}, {200, float32(math.Inf(1))}} {
		if got := exp2f(c.x); got != c.want {
			t.Errorf("exp2f(%g) = %g, want %g", c.x, got, c.want)
		}
	}
}

// TestLeftRows: rows that do not fill whole panels are copied and filled up with zeros, others are read where they lie.
func TestLeftRows(t *testing.T) {
	eachTiles(t, func(t *testing.T, k *tileKernels) {
		const hd, ld = 6, 10
		of := genericKernels()
		x := make([]float32, 70*ld)
		for i := range x {
			x[i] = float32(i)
		}
		in := k.slotsOf(x)
		o := operand{k.factor(in, len(x)), ld, true}
		for _, n := range []int{k.mr, k.mr - 1, k.mr + 1} {
			buf := make([]float32, 3*k.mr*hd)
			for i := range buf {
				buf[i] = float32(math.NaN())
			}
			rows, lda := of.leftRows(k, &o, 2, 2+n, hd, buf)
			if inPlace := rows != (*float32)(unsafe.Pointer(&buf[0])); inPlace != (n == k.mr) {
				t.Fatalf("%d rows: in place %v", n, inPlace)
			}
			for i := range roundUp(n, k.mr) {
				got := k.positions(floatsAt(skipRows(rows, lda, i), hd/k.unit), hd)
				for j, v := range got {
					want := x[(2+i)*ld+j]
					if i >= n {
						want = 0
					}
					if v != want && (k.unit == 1 || v != tensor.BF16ToF32(tensor.F32ToBF16(want))) {
						t.Fatalf("%d rows: element (%d, %d) is %g, want %g", n, i, j, v, want)
					}
				}
			}
		}
	})
}

// TestLog2 holds log2 to 1e-12 (measured 6.5e-13), at the ends of its range and on both sides of where the exponent changes.
func TestLog2(t *testing.T) {
	worst := 0.0
	try := func(x float32) { worst = max(worst, math.Abs(log2(x)-math.Log2(float64(x)))) }
	for _, x := range []float32{1, 2, 0.70710677, 0.7071068, 0.70710686, 1.4142135, 1.4142137, 1.17549435e-38, 3.4028235e38} {
		try(x)
	}
	for x := float32(0.4); x < 5000; x *= 1.00037 {
		try(x)
	}
	if worst > 1e-12 {
		t.Errorf("log2 is off by %g", worst)
	}
	if got := log2(float32(math.NaN())); got == got {
		t.Errorf("log2(NaN) = %g", got)
	}
}
