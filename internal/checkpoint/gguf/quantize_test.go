package gguf

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lomo/internal/checkpoint/safetensors"
	"lomo/internal/tensor"
)

// goldenRows reads a tensor of quantized.safetensors.
func goldenRows(t *testing.T, name string) (raw []byte, rows int) {
	t.Helper()
	f, err := safetensors.Open("testdata/quantized.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, e := range f.Entries {
		if e.Name != name {
			continue
		}
		raw = make([]byte, e.End-e.Begin)
		if err := f.ReadRaw(e, 0, raw); err != nil {
			t.Fatal(err)
		}
		return raw, e.Shape[0]
	}
	t.Fatalf("no tensor %q", name)
	return nil, 0
}

// squaredError is the sum of the squares of what typ loses of x.
func squaredError(t *testing.T, typ Type, x []float32, encoded []byte) (sum float64) {
	t.Helper()
	back := make([]float32, len(x))
	if err := Dequantize(typ, back, encoded); err != nil {
		t.Fatal(err)
	}
	for i, v := range x {
		d := float64(v) - float64(back[i])
		sum += d * d
	}
	return sum
}

// TestQuantizeAsGGML: the types of 32 elements give ggml's bytes; the K types its bytes in nearly all blocks, and errors within 2 % in each row.
func TestQuantizeAsGGML(t *testing.T) {
	raw, rows := goldenRows(t, "x")
	x := make([]float32, len(raw)/4)
	if err := tensor.Float32s(x, raw, tensor.F32); err != nil {
		t.Fatal(err)
	}
	cols := len(x) / rows
	for typ, same := range map[Type]float64{Q4_0: 1, Q5_0: 1, Q8_0: 1, Q4_K: 0.9, Q6_K: 0.93} { // measured: 1, 1, 1, 0.906, 0.938
		t.Run(typ.String(), func(t *testing.T) {
			golden, _ := goldenRows(t, typ.String())
			have := make([]byte, len(golden))
			if err := Quantize(typ, have, x); err != nil {
				t.Fatal(err)
			}
			_, size := typ.Block()
			equal := 0
			for at := 0; at < len(have); at += size {
				if bytes.Equal(have[at:at+size], golden[at:at+size]) {
					equal++
				}
			}
			if part := float64(equal*size) / float64(len(have)); part < same {
				t.Errorf("%.3f of the blocks are ggml's, want %v", part, same)
			}
			rowBytes := len(have) / rows
			for r := range rows {
				row := x[r*cols:][:cols]
				ours, theirs := squaredError(t, typ, row, have[r*rowBytes:][:rowBytes]), squaredError(t, typ, row, golden[r*rowBytes:][:rowBytes])
				if !(math.Sqrt(ours) <= 1.02*math.Sqrt(theirs)) {
					t.Errorf("row %d: error %.6g, ggml's %.6g", r, math.Sqrt(ours), math.Sqrt(theirs))
				}
			}
		})
	}
}

// TestQuantizeBounds: no element is further off than its format's step allows, for rows of many sizes.
func TestQuantizeBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	// The part of the block's largest magnitude that one element may lose: half a step, and a whole one at the end that a type of an even
	// number of steps does not reach.
	for typ, part := range map[Type]float64{Q4_0: 1.0 / 7.9, Q5_0: 1.0 / 15.9, Q8_0: 1.0 / 235, Q4_K: 1.0 / 6, Q6_K: 1.0 / 25} {
		block, size := typ.Block()
		for range 200 {
			x := make([]float32, block)
			scale := math.Exp(rng.NormFloat64() * 2)
			most := 0.0
			for i := range x {
				x[i] = float32(rng.NormFloat64() * scale)
				most = max(most, math.Abs(float64(x[i])))
			}
			raw, back := make([]byte, size), make([]float32, block)
			if err := Quantize(typ, raw, x); err != nil {
				t.Fatal(err)
			}
			if err := Dequantize(typ, back, raw); err != nil {
				t.Fatal(err)
			}
			for i := range x {
				if d := math.Abs(float64(x[i] - back[i])); d > part*most {
					t.Fatalf("%v: %v became %v, largest %v", typ, x[i], back[i], most)
				}
			}
		}
	}
}

// TestQuantizeKeeps: what a type can hold exactly comes back as it was.
func TestQuantizeKeeps(t *testing.T) {
	for typ, value := range map[Type]func(i int) float32{
		F32: func(i int) float32 { return float32(i) / 3 }, F16: func(i int) float32 { return float32(i) / 8 }, BF16: func(i int) float32 { return float32(i % 128) },
		Q4_0: func(i int) float32 { return float32(i%16-8) / 4 }, Q5_0: func(i int) float32 { return float32(i%32-16) / 4 },
		Q8_0: func(i int) float32 { return float32(i*4%255-127) / 2 }, Q6_K: func(i int) float32 { return float32(i*37%64-32) * 0.5 },
	} {
		_, size := typ.Block()
		block, _ := typ.Block()
		x, back := make([]float32, 256), make([]float32, 256)
		for i := range x {
			if x[i] = value(i); typ == Q8_0 && i%32 == 0 {
				x[i] = -63.5
			}
			if typ == Q6_K && i%16 == 0 {
				x[i] = -16
			}
			if typ == Q4_0 && i%32 == 0 {
				x[i] = -2
			}
		}
		raw := make([]byte, 256/block*size)
		if err := Quantize(typ, raw, x); err != nil {
			t.Fatal(err)
		}
		if err := Dequantize(typ, back, raw); err != nil {
			t.Fatal(err)
		}
		for i := range x {
			if x[i] != back[i] {
				t.Errorf("%v: element %d: %v became %v", typ, i, x[i], back[i])
				break
			}
		}
	}
}

// TestQuantizeRefuses: numbers beyond float16, sizes that are no blocks, types that are only read.
func TestQuantizeRefuses(t *testing.T) {
	for typ, want := range map[Type]string{
		F16: "element 300 is too large for F16", BF16: "element 300 is too large for BF16", Q4_0: "elements 288 to 319 are too large for the scale of a Q4_0 block",
		Q8_0: "elements 288 to 319", Q5_0: "elements 288 to 319", Q4_K: "elements 256 to 511", Q6_K: "elements 256 to 511",
	} {
		x := make([]float32, 512)
		x[300] = 3.4e38
		block, size := typ.Block()
		err := Quantize(typ, make([]byte, 512/block*size), x)
		if out := (*RangeError)(nil); !errors.As(err, &out) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", typ, err)
		}
	}
	if err := Quantize(Q8_0, make([]byte, 34), make([]float32, 33)); err == nil {
		t.Error("33 elements were taken")
	}
	if err := Quantize(Q5_K, make([]byte, 176), make([]float32, 256)); err == nil || Q5_K.Writable() {
		t.Error("a type that is only read was written")
	}
}

func BenchmarkQuantize(b *testing.B) {
	x := make([]float32, 1<<16)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for _, typ := range []Type{F16, Q8_0, Q4_0, Q4_K, Q6_K} {
		b.Run(typ.String(), func(b *testing.B) {
			block, size := typ.Block()
			dst := make([]byte, len(x)/block*size)
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				if err := Quantize(typ, dst, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
