package gguf

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestLayoutAsReference: the header of blocks.gguf, which the gguf Python package wrote, made again from what is read of it.
func TestLayoutAsReference(t *testing.T) {
	path := filepath.Join("testdata", "blocks.gguf")
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kv []KV
	for _, key := range keysIn(raw, f) {
		kv = append(kv, KV{key, f.KV[key]})
	}
	tensors := make([]Tensor, len(f.Tensors))
	for i, w := range f.Tensors {
		tensors[i] = Tensor{Name: w.Name, Type: w.Type, Shape: w.Shape}
	}
	header, size, err := Layout(kv, tensors)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(header, raw[:len(header)]) {
		t.Error("the header differs from the reference's")
	}
	if size != int64(len(raw)) {
		t.Errorf("size %d, the file has %d", size, len(raw))
	}
	for i, w := range f.Tensors {
		if tensors[i].Offset != w.Offset {
			t.Errorf("%s: offset %d, want %d", w.Name, tensors[i].Offset, w.Offset)
		}
	}
}

// keysIn is the metadata's keys in the order of the file.
func keysIn(raw []byte, f *File) (keys []string) {
	at := map[string]int{}
	for key := range f.KV {
		at[key] = bytes.Index(raw, appendString(nil, key))
		keys = append(keys, key)
	}
	for i := range keys {
		for j := i; j > 0 && at[keys[j]] < at[keys[j-1]]; j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
	return keys
}

// TestLayoutReadAgain: metadata of every type and shapes of one to four dimensions come back as they were.
func TestLayoutReadAgain(t *testing.T) {
	kv := []KV{
		{"u8", uint8(200)}, {"i8", int8(-3)}, {"u16", uint16(60000)}, {"i16", int16(-5)}, {"u32", uint32(1 << 31)}, {"i32", int32(-9)}, {"f32", float32(1e-5)},
		{"yes", true}, {"no", false}, {"text", "a\nb ▁é"}, {"empty", ""}, {"u64", uint64(1 << 63)}, {"i64", int64(-1 << 62)}, {"f64", 1e-300},
		{"texts", []string{"", "x", "Ġthe"}}, {"floats", []float32{1, -2}}, {"ints", []int32{1, 2, 3}}, {"bytes", []uint8{1, 2}}, {"bools", []bool{true, false}},
		{"i8s", []int8{-1}}, {"u16s", []uint16{1}}, {"i16s", []int16{-1}}, {"u32s", []uint32{7}}, {"u64s", []uint64{8}}, {"i64s", []int64{-8}}, {"f64s", []float64{.5}},
	}
	tensors := []Tensor{{Name: "a", Type: F32, Shape: []int{3}}, {Name: "b", Type: Q8_0, Shape: []int{2, 32}}, {Name: "c", Type: F16, Shape: []int{1, 2, 3}}, {Name: "d", Type: BF16, Shape: []int{2, 1, 1, 5}}}
	header, size, err := Layout(kv, tensors)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(bytes.NewReader(append(header, make([]byte, size-int64(len(header)))...)), size)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.KV) != len(kv) {
		t.Errorf("%d keys, want %d", len(f.KV), len(kv))
	}
	for _, e := range kv {
		if !reflect.DeepEqual(f.KV[e.Key], e.Value) {
			t.Errorf("%s: %v, want %v", e.Key, f.KV[e.Key], e.Value)
		}
	}
	for i, w := range f.Tensors {
		if w.Name != tensors[i].Name || w.Type != tensors[i].Type || !reflect.DeepEqual(w.Shape, tensors[i].Shape) || w.Offset != tensors[i].Offset {
			t.Errorf("%+v, want %+v", w, tensors[i])
		}
	}
}

func TestLayoutRefuses(t *testing.T) {
	for want, c := range map[string]struct {
		kv      []KV
		tensors []Tensor
	}{
		`metadata key "a" cannot be stored, or twice`: {kv: []KV{{"a", true}, {"a", false}}},
		"of a kind that cannot be stored":             {kv: []KV{{"a", 3}}},
		`tensor name "x" cannot be stored`:            {tensors: []Tensor{{Name: "x", Shape: []int{1}}, {Name: "x", Shape: []int{1}}}},
		"64 bytes, at most 63":                        {tensors: []Tensor{{Name: strings.Repeat("n", 64), Shape: []int{1}}}},
		"rows must be a multiple of 256":              {tensors: []Tensor{{Name: "x", Type: Q4_K, Shape: []int{2, 128}}}},
		"shape [] cannot be stored":                   {tensors: []Tensor{{Name: "x"}}},
		"shape [0] cannot be stored":                  {tensors: []Tensor{{Name: "x", Shape: []int{0}}}},
		"bytes of metadata and names":                 {kv: []KV{{"a", strings.Repeat("x", maxHeader)}}},
	} {
		if _, _, err := Layout(c.kv, c.tensors); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
