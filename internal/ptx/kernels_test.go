package ptx

import (
	"math"
	"testing"

	"lomo/internal/rng"
)

// TestKernels runs whole kernels (testdata/kernels.cu), as two compilers translate them, against Go.
func TestKernels(t *testing.T) {
	for _, file := range []string{"kernels.ptx", "kernels_clang.ptx"} {
		m := parseFile(t, file)
		for name, test := range map[string]func(*testing.T, *Module){
			"product": testProduct, "softmax": testSoftmax, "draws": testDraws, "counts": testCounts,
			"choices": testChoices, "descents": testDescents, "library": testLibrary,
		} {
			t.Run(file+"/"+name, func(t *testing.T) { test(t, m) })
		}
	}
}

// integers are n bfloat16 with small whole values, whose products and sums are exact.
func integers(n, step, span int) (bits []uint16, values []float32) {
	bits, values = make([]uint16, n), make([]float32, n)
	for i := range bits {
		values[i] = float32(i*step%span - span/2)
		bits[i] = uint16(math.Float32bits(values[i]) >> 16)
	}
	return bits, values
}

func testProduct(t *testing.T, m *Module) {
	for _, c := range []struct{ M, N, K int }{{70, 75, 64}, {1, 3, 32}, {64, 64, 96}} {
		a, fa := integers(c.M*c.K, 7, 13)
		b, fb := integers(c.N*c.K, 5, 11)
		h := &heap{}
		y, pa, pb := upload(h, make([]float32, c.M*c.N)), upload(h, a), upload(h, b)
		_, err := m.Kernel("product").Run(h, Launch{Grid: [3]int{(c.N + 63) / 64, (c.M + 63) / 64, 1}, Block: [3]int{128, 1, 1},
			Args: []uint64{y, pa, pb, uint64(c.M), uint64(c.N), uint64(c.K)}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range read[float32](h, y, c.M*c.N) {
			var want float32
			for k := range c.K {
				want += fa[i/c.N*c.K+k] * fb[i%c.N*c.K+k]
			}
			if got != want {
				t.Fatalf("%v: element %d is %v, want %v", c, i, got, want)
			}
		}
	}
}

func testSoftmax(t *testing.T, m *Module) {
	const rows, n, scale = 3, 100, 0.5
	x := make([]float32, rows*n)
	for i := range x {
		x[i] = float32(i*i%37) - 9
	}
	h := &heap{}
	y, px := upload(h, make([]float32, rows*n)), upload(h, x)
	run(t, m, "softmax", h, rows, 64, 4*n, y, px, n, fbits(scale))
	got := read[float32](h, y, rows*n)
	for r := range rows {
		sum := 0.0
		for _, v := range x[r*n : (r+1)*n] {
			sum += math.Exp(scale * float64(v))
		}
		for i, v := range x[r*n : (r+1)*n] {
			want := math.Exp(scale*float64(v)) / sum
			if e := math.Abs(float64(got[r*n+i])/want - 1); e > 4e-7 { // measured: 8.7e-8 with both compilers
				t.Fatalf("row %d element %d: %g, want %g (error %g)", r, i, got[r*n+i], want, e)
			}
		}
	}
}

func testDraws(t *testing.T, m *Module) {
	const n, key = 100, 5 | 7<<32
	h := &heap{}
	y := upload(h, make([]uint32, 4*n))
	run(t, m, "draws", h, 2, 32, 0, y, key, n)
	for i, got := range read[[4]uint32](h, y, n) {
		if want := rng.Philox4x32(key, [4]uint32{uint32(i), 0, 0, 7}); got != want {
			t.Fatalf("draw %d: %x, want %x", i, got, want)
		}
	}
}

func testCounts(t *testing.T, m *Module) {
	const n = 200
	x := make([]int32, n)
	var want [72]int32
	want[65] = math.MaxInt32
	for i := range x {
		x[i] = int32(i*i*i%1000 - 300)
		want[x[i]&63]++
		want[64], want[65] = max(want[64], x[i]), min(want[65], x[i])
		want[69] |= 1 << (x[i] & 7)
	}
	want[66], want[67], want[68], want[71] = n, 5, 77, 2*n
	start := make([]int32, 72)
	start[65] = math.MaxInt32
	h := &heap{}
	out, px := upload(h, start), upload(h, x)
	run(t, m, "counts", h, 4, 64, 0, out, px, n)
	if got := [72]int32(read[int32](h, out, 72)); got != want {
		t.Fatalf("%v, want %v", got, want)
	}
}

func testChoices(t *testing.T, m *Module) {
	const n, threads = 37, 96
	h := &heap{}
	y := upload(h, make([]int64, threads))
	run(t, m, "choices", h, 1, threads, 0, y, n)
	for i, got := range read[int64](h, y, threads) {
		s := 0
		for j := range n {
			s += (j*7 + i) % 16 * i
		}
		v := int64(s/(n+1) + i*n%(i+3) - s/n)
		switch i % 7 {
		case 0:
			v += 3
		case 1:
			v *= 5
		case 2:
			v ^= 9
		case 3:
			v = -v
		case 4:
			v |= 1
		case 5:
			v *= v
		default:
			v <<= 4
		}
		if got != v {
			t.Fatalf("thread %d: %d, want %d", i, got, v)
		}
	}
}

func testDescents(t *testing.T, m *Module) {
	weights := [4]float32{0.5, 1, 2, 4}
	calls := 0
	var descend func(x float32, n, thread int) float32
	descend = func(x float32, n, thread int) float32 {
		if calls++; n < 2 {
			return x
		}
		deeper := descend(x*0.5, n-1-thread&1, thread)
		return float32(math.FMA(float64(weights[n&3]), float64(x), float64(deeper)))
	}
	fresh := m.Clone()
	h := &heap{}
	y, total := upload(h, make([]float32, 64)), upload(h, make([]int32, 1))
	run(t, fresh, "descents", h, 1, 64, 0, y, total, 7)
	for i, got := range read[float32](h, y, 64) {
		if want := descend(float32(i), 7, i); got != want {
			t.Fatalf("thread %d: %v, want %v", i, got, want)
		}
	}
	if got := read[int32](h, total, 1)[0]; int(got) != calls {
		t.Fatalf("%d calls, want %d", got, calls)
	}
	run(t, m.Clone(), "descents", h, 1, 64, 0, y, total, 7)
	if got := read[int32](h, total, 1)[0]; int(got) != calls {
		t.Fatalf("a second instance of the module goes on with the variables of the first: %d calls, want %d", got, calls)
	}
}

func testLibrary(t *testing.T, m *Module) {
	x := make([]float32, 32)
	for i := range x {
		x[i] = float32(i+1) * 0.37
	}
	h := &heap{}
	y, px := upload(h, make([]float32, 320)), upload(h, x)
	run(t, m, "library", h, 1, 32, 0, y, px)
	for i, got := range read[[10]float32](h, y, 32) {
		v := float64(x[i])
		for j, want := range []float64{math.Exp(v), math.Log(v), math.Sin(v), math.Cos(v), math.Tanh(v), math.Sqrt(v), 1 / math.Sqrt(v),
			math.Pow(v, 1.5), math.Exp2(v), 1 / v} {
			// measured: at most 1.7e-7, relative, of numbers below 0.05 by that
			if e := math.Abs(float64(got[j])-want) / max(math.Abs(want), 0.05); e > 5e-7 {
				t.Errorf("function %d of %g: %g, want %g (error %.2g)", j, v, got[j], want, e)
			}
		}
	}
}
