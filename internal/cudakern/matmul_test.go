package cudakern

import (
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

func normals(rnd *rand.Rand, n int) []float32 {
	vals := make([]float32, n)
	for i := range vals {
		vals[i] = float32(rnd.NormFloat64())
	}
	return vals
}

// products runs every product on tensors that begin skip elements after a multiple of 256 bytes, and returns all results.
func products(t *testing.T, choice tile, dt, result tensor.DType, n, in, out, skip int, acc bool) [][]float32 {
	d := cardOf(t)
	d.tile = choice
	rnd := rand.New(rand.NewPCG(uint64(n), uint64(in)))
	matrix := func(name string, dt tensor.DType, rows, cols int) tensor.Tensor {
		return put(t, d, name, dt, normals(rnd, skip+rows*cols), skip+rows*cols).Slice(skip, skip+rows*cols).View(rows, cols)
	}
	x, w, dy := matrix("x", dt, n, in), matrix("w", result, out, in), matrix("dy", dt, n, out)
	y, dx, g := matrix("y", result, n, out), matrix("dx", result, n, in), matrix("g", tensor.F32, out, in)
	sum := put(t, d, "sum", tensor.F32, make([]float32, 2), 2)
	sum.DType, sum.Shape = tensor.F64, []int{1}
	d.MatMul(y, x, w, acc)
	d.MatMulBackwardInput(dx, dy, w, acc)
	d.OuterAdd(g, dy, x, acc)
	d.OuterUpdate(w, dy, x, device.Step{LR: 1e-3, Round: device.Stochastic, Seed: 5, Base: 3, SumSq: sum})
	d.OuterSumSq(sum, dy, x)
	sum.DType, sum.Shape = tensor.F32, []int{2} // its bits
	return [][]float32{take(t, d, y), take(t, d, dx), take(t, d, g), take(t, d, w), take(t, d, sum)}
}

// TestTilings: large tiles give the bits of small ones, which the suite holds to the reference: both add an element's terms in one order. The sums of
// squares begin in float, a few at a time, and differ by their rounding (measured: 1e-9 for F32).
func TestTilings(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.BF16, tensor.F32} {
		for i, c := range []struct{ n, in, out, skip int }{{130, 136, 72, 0}, {37, 140, 150, 1}, {200, 24, 40, 8}, {65, 140, 136, 1}} {
			result, acc := []tensor.DType{tensor.F32, tensor.BF16}[i&1], i&2 == 0
			small, large := products(t, smallTile, dt, result, c.n, c.in, c.out, c.skip, acc), products(t, largeTile, dt, result, c.n, c.in, c.out, c.skip, acc)
			for i, name := range []string{"MatMul", "MatMulBackwardInput", "OuterAdd", "OuterUpdate"} {
				for j := range small[i] {
					if math.Float32bits(small[i][j]) != math.Float32bits(large[i][j]) {
						t.Fatalf("%s %v %v: element %d is %g by small tiles, %g by large ones", name, dt, c, j, small[i][j], large[i][j])
					}
				}
			}
			a, b := float64Of(small[4]), float64Of(large[4])
			if !(math.Abs(a-b) <= 5e-9*a) || a == 0 {
				t.Errorf("sums of squares %v %v: %g and %g", dt, c, a, b)
			}
		}
	}
}

func float64Of(words []float32) float64 {
	return math.Float64frombits(uint64(math.Float32bits(words[0])) | uint64(math.Float32bits(words[1]))<<32)
}

// edited is the embedded PTX with every old in the text of kernel made new.
func edited(t *testing.T, file, kernel, old, new string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for _, p := range ptxTexts() {
		if p.file == "ptx/"+file {
			head, rest, found := strings.Cut(p.text, ".entry "+kernel+"(")
			body, tail, more := strings.Cut(rest, ".entry ")
			if more {
				tail = ".entry " + tail
			}
			if !found || !strings.Contains(body, old) {
				t.Fatalf("%s: no %q in %s", file, old, kernel)
			}
			p.text = head + ".entry " + kernel + "(" + strings.ReplaceAll(body, old, new) + tail
		}
		files[p.file] = &fstest.MapFile{Data: []byte(p.text)}
	}
	return files
}

// TestSeededFaults: the checks of rung 1 see what is easily forgotten in kernels like these, barriers and waits for copies.
func TestSeededFaults(t *testing.T) {
	const file = "gemm_bf16.ptx"
	for _, c := range []struct{ kernel, old, new, want string }{
		{"gemm_nt_bf16_small", "bar.sync", "//", "no barrier"},
		{"gemm_nn_bf16_small", "cp.async.wait_group 1", "cp.async.wait_group 2", "cp.async"},
		{"gemm_tn_bf16_small", "cp.async.wait_group 1", "cp.async.wait_group 2", "cp.async"},
	} {
		t.Run(fmt.Sprintf("%s without %s", c.kernel, c.old), func(t *testing.T) {
			ptxSource = swap(t, edited(t, file, c.kernel, c.old, c.new))
			d := cardOf(t)
			const n = 72
			x := put(t, d, "x", tensor.BF16, smallInts(n*n), n, n)
			y := put(t, d, "y", tensor.F32, make([]float32, n*n), n, n)
			switch c.kernel[5:7] {
			case "nt":
				d.MatMul(y, x, x, false)
			case "nn":
				d.MatMulBackwardInput(y, x, x, false)
			case "tn":
				d.OuterAdd(y, x, x, false)
			}
			if err := d.Sync(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Sync: %v, want a fault about %s", err, c.want)
			}
		})
	}
}
