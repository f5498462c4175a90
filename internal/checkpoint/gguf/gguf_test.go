package gguf

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lomo/internal/checkpoint/safetensors"
	"lomo/internal/tensor"
)

const blocksFile = "testdata/blocks.gguf"

// values decodes a whole tensor.
func values(t *testing.T, f *File, info Tensor) []float32 {
	t.Helper()
	raw := make([]byte, info.Bytes())
	if err := f.ReadRaw(info, 0, raw); err != nil {
		t.Fatal(err)
	}
	out := make([]float32, info.Rows()*info.Cols())
	if err := Dequantize(info.Type, out, raw); err != nil {
		t.Fatal(err)
	}
	return out
}

// Every encoding decodes bit for bit as gguf.quants.dequantize does: random blocks whose scales have every size.
func TestDequantizeAsReference(t *testing.T) {
	f, err := Open(blocksFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	golden, err := safetensors.Open("testdata/blocks.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	if len(golden.Entries) != len(formats) {
		t.Fatalf("golden file has %d tensors, there are %d encodings", len(golden.Entries), len(formats))
	}
	for _, e := range golden.Entries {
		t.Run(e.Name, func(t *testing.T) {
			info, ok := f.Tensor(e.Name)
			if !ok || !reflect.DeepEqual(info.Shape, e.Shape) || info.Type.String() != e.Name {
				t.Fatalf("tensor %+v, want %q with shape %v", info, e.Name, e.Shape)
			}
			raw := make([]byte, e.End-e.Begin)
			if err := golden.ReadRaw(e, 0, raw); err != nil {
				t.Fatal(err)
			}
			want := make([]float32, len(raw)/4)
			if err := tensor.Float32s(want, raw, tensor.F32); err != nil {
				t.Fatal(err)
			}
			for i, got := range values(t, f, info) {
				if math.Float32bits(got) != math.Float32bits(want[i]) {
					t.Fatalf("element %d is %v, want %v", i, got, want[i])
				}
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	f, err := Open(blocksFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for key, want := range map[string]any{
		"general.architecture": "test",
		"t.u8":                 uint8(200), "t.i8": int8(-100), "t.u16": uint16(60000), "t.i16": int16(-30000),
		"t.u32": uint32(4000000000), "t.i32": int32(-2000000000), "t.f32": float32(1e-5), "t.bool": true,
		"t.string": "größer ▁", "t.u64": uint64(1 << 63), "t.i64": int64(-(1 << 62)), "t.f64": 0.1,
		"t.strings": []string{"a b", "", "▁c"}, "t.ints": []int32{1, -2, 3}, "t.floats": []float32{0.5, -1.25},
	} {
		if got := f.KV[key]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %T %v, want %T %v", key, got, got, want, want)
		}
	}
	if n, ok := f.Int("t.i16"); n != -30000 || !ok {
		t.Errorf("Int(t.i16) = %d, %v", n, ok)
	}
	if _, ok := f.Int("t.u64"); ok {
		t.Error("Int(t.u64) fits 2⁶³ in an int")
	}
	if _, ok := f.Int("t.f32"); ok {
		t.Error("Int(t.f32) takes a float")
	}
	if x, ok := f.Float("t.f64"); x != 0.1 || !ok {
		t.Errorf("Float(t.f64) = %v, %v", x, ok)
	}
	if s := f.Strings("t.strings"); len(s) != 3 {
		t.Errorf("Strings(t.strings) = %q", s)
	}
}

// TestLongArrays: an array that is read in pieces holds every number in its place.
func TestLongArrays(t *testing.T) {
	for _, n := range []int{piece - 1, piece, piece + 1, 2*piece + 3} {
		scores, types, table := make([]float32, n), make([]int32, n), make([]uint8, n)
		for i := range n {
			scores[i], types[i], table[i] = -float32(i), int32(i), uint8(i%251)
		}
		b := start(0, 3).put("scores", uint32(kvArray), uint32(kvFloat32), uint64(n), scores).put("types", uint32(kvArray), uint32(kvInt32), uint64(n), types)
		b.put("table", uint32(kvArray), uint32(kvUint8), uint64(n), table).pad(0)
		f, err := Parse(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatalf("%d numbers: %v", n, err)
		}
		if !reflect.DeepEqual(f.KV["scores"], scores) || !reflect.DeepEqual(f.KV["types"], types) || !reflect.DeepEqual(f.KV["table"], table) {
			t.Errorf("arrays of %d numbers are read as others", n)
		}
	}
}

func TestVersion2(t *testing.T) {
	b := new(builder).put(uint32(magic), uint32(2), uint64(1), uint64(0)).info("w", F32, 0, 3, 2).pad(24)
	f, err := Parse(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if w, _ := f.Tensor("w"); f.Version != 2 || w.Rows() != 2 || w.Cols() != 3 || w.Bytes() != 24 {
		t.Errorf("version %d, tensor %+v", f.Version, w)
	}
}

func TestReject(t *testing.T) {
	const big = math.MaxUint64
	for _, c := range []struct {
		name, want string
		b          *builder
	}{
		{"empty", "the file is empty", new(builder)},
		{"magic", "it starts with", new(builder).put("GGML file")},
		{"version 1", "version 1", new(builder).put(uint32(magic), uint32(1), uint64(0), uint64(0))},
		{"version 9", "version 9 is not supported", new(builder).put(uint32(magic), uint32(9), uint64(0), uint64(0))},
		{"GGJT", "a GGJT file", new(builder).put(uint32(0x67676a74), uint32(3))},
		{"GGML", "a GGML file", new(builder).put(uint32(0x67676d6c), uint32(3))},
		{"pointer", "a Git LFS pointer to a file of 17 bytes", &builder{*bytes.NewBufferString("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 17\n")}},
		{"safetensors", "a safetensors file", new(builder).put(uint64(2)).put([]byte("{}"))},
		{"big-endian", "big-endian", new(builder).put(uint32(magic), uint32(0x03000000), uint64(0), uint64(0))},
		{"no counts", "the file ends at byte 12, within its header", new(builder).put(uint32(magic), uint32(3), uint32(0))},
		{"endless keys", "metadata keys", start(0, big)},
		{"many keys", "metadata keys", start(0, 3).pad(0)},
		{"endless key", "string of", start(0, 1).put(uint64(big)).pad(8)},
		{"endless string", "string of", start(0, 1).put("k", uint32(kvString), uint64(1<<40)).pad(0)},
		{"endless strings", "array of", start(0, 1).put("k", uint32(kvArray), uint32(kvString), uint64(big)).pad(0)},
		{"endless numbers", "array of", start(0, 1).put("k", uint32(kvArray), uint32(kvFloat64), uint64(1<<61)).pad(0)},
		{"nested arrays", "arrays of arrays", start(0, 1).put("k", uint32(kvArray), uint32(kvArray), uint64(1)).pad(8)},
		{"value type", "unknown value type 13", start(0, 1).put("k", uint32(13)).pad(8)},
		{"same key", "twice", start(0, 2).put("k", uint32(kvUint8), uint8(1), "k", uint32(kvUint8), uint8(1)).pad(9)},
		{"alignment 3", "power of two", start(0, 1).put("general.alignment", uint32(kvUint32), uint32(3)).pad(0)},
		{"alignment 0", "power of two", start(0, 1).put("general.alignment", uint32(kvUint32), uint32(0)).pad(0)},
		{"endless tensors", "tensors", start(big, 0).pad(64)},
		{"no dimension", "0 dimensions", start(1, 0).info("w", F32, 0).pad(64)},
		{"five dimensions", "5 dimensions", start(1, 0).info("w", F32, 0, 1, 1, 1, 1, 1).pad(64)},
		{"zero dimension", "out of range", start(1, 0).info("w", F32, 0, 0).pad(64)},
		{"overflow", "out of range", start(1, 0).info("w", F32, 0, 1<<30, 1<<30, 1<<30).pad(64)},
		{"half a block", "multiple of 32", start(1, 0).info("w", Q4_0, 0, 48, 1).pad(64)},
		{"quantised vector", "multiple of 32", start(1, 0).info("w", Q4_0, 0, 32).pad(64)},
		{"truncated", "damaged: the file ends at byte 159, its header says 160", start(1, 0).info("w", F32, 0, 4, 4).pad(63)},
		{"far offset", "out of range", start(1, 0).info("w", F32, big-31, 4).pad(64)},
		{"offset", "multiple of 32", start(1, 0).info("w", F32, 8, 4).pad(64)},
		{"overlap", "overlap", start(2, 0).info("w", F32, 0, 16).info("v", F32, 32, 4).pad(128)},
		{"same tensor", "twice", start(2, 0).info("w", F32, 0, 8).info("w", F32, 32, 8).pad(128)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(bytes.NewReader(c.b.Bytes()), int64(c.b.Len()))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestTypesByName: every encoding that is not read has its name, and the tensors that have it are counted. The metadata can
// be read all the same.
func TestTypesByName(t *testing.T) {
	for typ, name := range map[Type]string{4: "Q4_2", 9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
		21: "IQ3_S", 22: "IQ2_S", 24: "I8", 28: "F64", 29: "IQ1_M", 33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0", 999: "number 999"} {
		b := start(3, 0).info("a", F32, 0, 4).info("w", typ, 32, 256, 1).info("v", typ, 32, 256, 1).pad(256)
		f, err := Parse(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Readable(); err == nil || err.Error() != `2 tensors, first "w": the encoding `+name+` is not supported` {
			t.Errorf("%d: %v", typ, err)
		}
	}
}

// A file cut anywhere in its header, or short of its last byte of data, is refused.
func TestTruncated(t *testing.T) {
	whole, err := os.ReadFile(blocksFile)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for _, info := range f.Tensors {
		end = max(end, info.Offset+info.Bytes())
	}
	for n := range end {
		if _, err := Parse(bytes.NewReader(whole[:n]), n); err == nil {
			t.Fatalf("a file cut to %d of %d bytes is accepted", n, end)
		}
	}
}

func TestReadRawBounds(t *testing.T) {
	f, err := Open(blocksFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, _ := f.Tensor("Q4_0")
	for _, off := range []int64{-1, w.Bytes() - 3} {
		if f.ReadRaw(w, off, make([]byte, 4)) == nil {
			t.Errorf("4 bytes at %d of %d are read", off, w.Bytes())
		}
	}
	if Dequantize(Q4_0, make([]float32, 33), make([]byte, 18)) == nil || Dequantize(Q4_0, make([]float32, 32), make([]byte, 17)) == nil {
		t.Error("half a block is decoded")
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "no.gguf")); !os.IsNotExist(err) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder is opened")
	}
}

func FuzzParse(f *testing.F) {
	whole, err := os.ReadFile(blocksFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(start(2, 0).info("w", Q8_0, 0, 32, 2).info("v", F32, 96, 4).pad(128).Bytes())
	f.Add(start(0, 1).put("k", uint32(kvArray), uint32(kvString), uint64(2), "a", "b").Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		if g.Readable() != nil {
			return
		}
		for _, info := range g.Tensors { // whatever is accepted can be read to its last element
			values(t, g, info)
		}
	})
}
