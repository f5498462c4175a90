//go:build cuda && linux

package ladder

import (
	"encoding/binary"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/cudakern"
	"lomo/internal/tensor"
)

// TestCublas: a cuBLAS that is found is asked for the right products; one that computes something else is refused, and so is none. The library is one of
// our own that computes on the host (testdata/fakeblas.c): the real one needs a card.
func TestCublas(t *testing.T) {
	lib := filepath.Join(t.TempDir(), "libfakeblas.so")
	if out, err := exec.Command("cc", "-O2", "-Wall", "-fPIC", "-shared", "-o", lib, "testdata/fakeblas.c", "-ldl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct{ path, fake, name, refused string }{
		{lib, "", "cublas 12.1.3", ""},
		{lib, "wrong", "", "cublas 12.1.3 nt in BF16: element (0, 0)"},
		{lib + ".absent", "", "", "libfakeblas.so.absent"},
		{"off", "", "", ""},
	} {
		t.Setenv("LOMO_CUBLAS", c.path)
		t.Setenv("FAKE_CUBLAS", c.fake)
		d, err := cudakern.Open(installed(t), 0, cudakern.Options{Capacity: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		name, refused := d.Library()
		if name != c.name || (refused == nil) != (c.refused == "") || refused != nil && !strings.Contains(refused.Error(), c.refused) {
			t.Errorf("LOMO_CUBLAS=%s FAKE_CUBLAS=%s: %q, %v; want %q and %q", c.path, c.fake, name, refused, c.name, c.refused)
		}
		products(t, d)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// products looks at one product of each kind, with exact sums.
func products(t *testing.T, d *cudakern.Device) {
	t.Helper()
	take := func(rows, cols int, f func(i int) float32) (tensor.Tensor, []float32) {
		x, err := d.Alloc("test", "x", tensor.F32, rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		vals, raw := make([]float32, rows*cols), []byte(nil)
		for i := range vals {
			vals[i] = f(i)
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(vals[i]))
		}
		d.CopyIn(x, raw)
		return x, vals
	}
	const n, in, out = 12, 8, 20
	x, xs := take(n, in, func(i int) float32 { return float32(i%7 - 3) })
	w, ws := take(out, in, func(i int) float32 { return float32(i%5 - 2) })
	dy, dys := take(n, out, func(i int) float32 { return float32(i%11 - 5) })
	y, _ := take(n, out, func(int) float32 { return 0 })
	dx, _ := take(n, in, func(int) float32 { return 0 })
	g, _ := take(out, in, func(int) float32 { return 100 })
	d.MatMul(y, x, w, false)
	d.MatMulBackwardInput(dx, dy, w, false)
	d.OuterAdd(g, dy, x, true)
	for _, c := range []struct {
		what  string
		t     tensor.Tensor
		depth int
		term  func(i, j, k int) float32
		old   float32
	}{
		{"MatMul", y, in, func(i, j, k int) float32 { return xs[i*in+k] * ws[j*in+k] }, 0},
		{"MatMulBackwardInput", dx, out, func(i, j, k int) float32 { return dys[i*out+k] * ws[k*in+j] }, 0},
		{"OuterAdd", g, n, func(i, j, k int) float32 { return dys[k*out+i] * xs[k*in+j] }, 100},
	} {
		raw := make([]byte, c.t.Bytes())
		d.CopyOut(raw, c.t)
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		for e := range c.t.Len() {
			want := c.old
			for k := range c.depth {
				want += c.term(e/c.t.Cols(), e%c.t.Cols(), k)
			}
			if got := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*e:])); got != want {
				t.Fatalf("%s: element %d is %g, want %g", c.what, e, got, want)
			}
		}
	}
}
