package checkpoint

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lomo/internal/tensor"
)

// wide is longer than two conversion chunks and ends inside one.
const wide = 2*chunkElements + 1234

// writeOne makes a file with one tensor "t" of the given dtype and returns it open, with the values.
func writeOne(t *testing.T, dt tensor.DType, shape ...int) (Source, []float32) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "one.safetensors")
	spec := Spec{"t", dt, shape}
	w, err := NewFileWriter(path, []Spec{spec}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rows, cols := dims(shape)
	values := make([]float32, rows*cols)
	r := rand.New(rand.NewPCG(7, 7))
	for i := range values {
		values[i] = float32(r.IntN(256)-128) / 64 // exact in every dtype
	}
	if err := w.WriteRows("t", 0, floats(t, dt, values...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	src, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src, values
}

// Any row range in any dtype, also across the chunks of a conversion; the bytes around the buffer stay.
func TestReadRowsConverts(t *testing.T) {
	for _, from := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
		for _, shape := range [][]int{{5, 3}, {7}, {}, {3, wide}, {wide}, {2, 3, 4}, {0, 4}} {
			src, values := writeOne(t, from, shape...)
			rows, cols := dims(shape)
			for _, to := range []tensor.DType{tensor.F32, tensor.BF16} {
				for _, r := range [][2]int{{0, rows}, {0, rows / 2}, {rows / 2, rows}, {rows, rows}} {
					want := floats(t, to, values[r[0]*cols:r[1]*cols]...)
					buf := bytes.Repeat([]byte{0xa5}, len(want)+16)
					if err := src.ReadRows("t", r[0], r[1], buf[8:8+len(want)], to); err != nil {
						t.Fatal(err)
					}
					guard := bytes.Repeat([]byte{0xa5}, 8)
					if !bytes.Equal(buf[8:8+len(want)], want) || !bytes.HasPrefix(buf, guard) || !bytes.HasSuffix(buf, guard) {
						t.Errorf("%v %v rows %v as %v: wrong bytes", from, shape, r, to)
					}
				}
			}
		}
	}
}

func TestReadRowsErrors(t *testing.T) {
	src, _ := writeOne(t, tensor.F32, 4, 2)
	for _, c := range []struct {
		name   string
		r0, r1 int
		bytes  int
		dt     tensor.DType
		want   string
	}{
		{"t", -1, 1, 16, tensor.F32, "rows [-1, 1) of 4"},
		{"t", 3, 5, 16, tensor.F32, "rows [3, 5) of 4"},
		{"t", 2, 1, 0, tensor.F32, "rows [2, 1) of 4"},
		{"t", 0, 2, 15, tensor.F32, "buffer of 15 bytes for 2 rows of 8"},
		{"t", 0, 2, 8, tensor.I32, "buffer of 8 bytes"},
		{"t", 0, 2, 16, tensor.I32, "cannot store float32"},
		{"u", 0, 1, 8, tensor.F32, `no tensor "u"`},
	} {
		err := src.ReadRows(c.name, c.r0, c.r1, make([]byte, c.bytes), c.dt)
		wantError(t, err, c.want, c.name, src.Path())
	}
}

// Integers are copied in their own dtype and are not taken for weights.
func TestReadRowsIntegers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.safetensors")
	w, err := NewFileWriter(path, []Spec{{"n", tensor.I64, []int{1}}, {"b", tensor.I32, []int{1}}}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	counter, allOnes := []byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte{255, 255, 255, 255} // a NaN if it were a float
	for name, data := range map[string][]byte{"n": counter, "b": allOnes} {
		if err := w.WriteRows(name, 0, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	src, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if got := readAll(t, src, "n", tensor.I64); !bytes.Equal(got, counter) {
		t.Errorf("I64 reads as %v", got)
	}
	if got := readAll(t, src, "b", tensor.I32); !bytes.Equal(got, allOnes) {
		t.Errorf("I32 reads as %v", got)
	}
	wantError(t, src.ReadRows("n", 0, 1, make([]byte, 4), tensor.F32), `tensor "n"`, "not a float type")
}

func TestReadRowsNonFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		for _, from := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16} {
			path := filepath.Join(t.TempDir(), "s.safetensors")
			w, err := NewFileWriter(path, []Spec{{"t", from, []int{4, 3}}}, WriterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			damaged := floats(t, from, 0, 1, 2, 3, 4, 5, 6, 7, bad, 9, 10, 11)
			wantError(t, w.WriteRows("t", 0, damaged), `write "t"`, "row 2, column 2", "not a finite") // nothing that cannot be read is written
			if err := w.WriteRows("t", 0, make([]byte, len(damaged))); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(raw[len(raw)-len(damaged):], damaged)
			if err := os.WriteFile(path, raw, 0o644); err != nil {
				t.Fatal(err)
			}
			src, err := OpenFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range []tensor.DType{tensor.F32, tensor.BF16} {
				wantError(t, src.ReadRows("t", 1, 4, make([]byte, 9*to.Size()), to), path, `tensor "t"`, "row 2, column 2", "not a finite")
				if err := src.ReadRows("t", 0, 2, make([]byte, 6*to.Size()), to); err != nil {
					t.Errorf("rows without %v: %v", bad, err)
				}
			}
			src.Close()
		}
	}
}

// A float32 that bf16 cannot hold is found in the result, though the file has a finite number.
func TestReadRowsOverflow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.safetensors")
	w, err := NewFileWriter(path, []Spec{{"t", tensor.F32, []int{1}}}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteRows("t", 0, floats(t, tensor.F32, math.MaxFloat32)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	src, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	wantError(t, src.ReadRows("t", 0, 1, make([]byte, 2), tensor.BF16), "not a finite number as BF16")
}

// firstNonFinite against the definition, at every place of buffers around its word length.
func TestFirstNonFinite(t *testing.T) {
	patterns := map[tensor.DType]struct{ good, bad [][]byte }{
		tensor.BF16: {[][]byte{{0x7f, 0x7f}, {0x7f, 0xff}, {0x80, 0x00}}, [][]byte{{0x80, 0x7f}, {0x80, 0xff}, {0xff, 0xff}}},
		tensor.F16:  {[][]byte{{0xff, 0x7b}, {0x00, 0x04}}, [][]byte{{0x00, 0x7c}, {0x01, 0xfc}, {0xff, 0xff}}},
		tensor.F32:  {[][]byte{{255, 255, 0x7f, 0x7f}, {255, 255, 0x7f, 0xff}}, [][]byte{{0, 0, 0x80, 0x7f}, {1, 0, 0x80, 0xff}}},
		tensor.F64:  {[][]byte{{255, 255, 255, 255, 255, 255, 0xef, 0x7f}}, [][]byte{{0, 0, 0, 0, 0, 0, 0xf0, 0x7f}, {1, 0, 0, 0, 0, 0, 0xf0, 0xff}}},
	}
	for dt, p := range patterns {
		for n := range 20 {
			for _, good := range p.good {
				b := bytes.Repeat(good, n)
				if got := firstNonFinite(b, dt); got != -1 {
					t.Errorf("%v % x: element %d of %d is called not finite", dt, good, got, n)
				}
				for at := range n {
					for _, bad := range p.bad {
						c := bytes.Clone(b)
						copy(c[at*dt.Size():], bad)
						if got := firstNonFinite(c, dt); got != at {
							t.Errorf("%v % x at %d of %d: found at %d", dt, bad, at, n, got)
						}
					}
				}
			}
		}
	}
}

// Rows may be read from several goroutines at once, as a store's prefetch does.
func TestReadRowsConcurrently(t *testing.T) {
	src, values := writeOne(t, tensor.BF16, 64, 100)
	want := floats(t, tensor.F32, values...)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for g := range errs {
		wg.Go(func() {
			for r := g; r < 64; r += len(errs) {
				got := make([]byte, 400)
				if err := src.ReadRows("t", r, r+1, got, tensor.F32); err != nil {
					errs[g] = err
				} else if !bytes.Equal(got, want[400*r:400*(r+1)]) {
					errs[g] = fmt.Errorf("row %d differs", r)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}
