package safetensors

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/tensor"
)

const mixedFile = "testdata/mixed.safetensors"

// The reference library's file has a header that Layout makes again, byte for byte, from shuffled tensors.
func TestLayoutAsReference(t *testing.T) {
	want, err := os.ReadFile(mixedFile)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(mixedFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Entries) != 14 {
		t.Fatalf("%d tensors, want 14", len(f.Entries))
	}
	entries := append([]Entry(nil), f.Entries...)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	for i := range entries {
		entries[i].Begin, entries[i].End = -1, -1
	}
	got, err := Layout(entries, f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want[:f.start]) {
		t.Errorf("header\n%q\nwant\n%q", got, want[:f.start])
	}
	for i, e := range entries {
		if w := f.Entries[i]; e.Name != w.Name && w.End != w.Begin || e.End-e.Begin != w.End-w.Begin {
			t.Errorf("tensor %d is %q [%d, %d), want %q [%d, %d)", i, e.Name, e.Begin, e.End, w.Name, w.Begin, w.End)
		}
	}
}

func TestReadRaw(t *testing.T) {
	f, err := Open(mixedFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, e := range f.Entries {
		if e.Name != "i32" {
			continue
		}
		b := make([]byte, 8)
		if err := f.ReadRaw(e, 4, b); err != nil {
			t.Fatal(err)
		}
		if binary.LittleEndian.Uint32(b) != 1 || binary.LittleEndian.Uint32(b[4:]) != 2 {
			t.Errorf("elements 1 and 2 of 0, 1, 2 are %v", b)
		}
		for _, off := range []int64{-1, 8} {
			if f.ReadRaw(e, off, b) == nil {
				t.Errorf("8 bytes at %d of 12 are read", off)
			}
		}
		return
	}
	t.Fatal("no tensor i32")
}

func TestParseHeaderRejects(t *testing.T) {
	const one = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		name, header string
		data         int64
		want         string
	}{
		{"empty", ``, 0, "not a JSON object"},
		{"array", `[]`, 0, "not a JSON object"},
		{"space before", ` {}`, 0, "not a JSON object"},
		{"not UTF-8", "{\"\xff\":{}}", 0, "not a JSON object"},
		{"cut", `{` + one, 8, "header"},
		{"text after", `{` + one + `}x`, 8, "header"},
		{"two objects", `{` + one + `} {}`, 8, "its header, at byte 63: '{' behind the end"},
		{"same name", `{` + one + `,` + one + `}`, 8, `its header, at byte 62: "a" stands twice`},
		{"same name, escaped", `{` + one + `,"\u0061":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`, 8, "twice"},
		{"metadata twice", `{"__metadata__":{},"__metadata__":{}}`, 0, "twice"},
		{"metadata number", `{"__metadata__":{"a":1}}`, 0, "__metadata__"},
		{"dtype", `{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}`, 2, `tensor "a": dtype "F8_E4M3" (8-bit floats, quantised) is not supported`},
		{"packed", `{"a":{"dtype":"U32","shape":[2],"data_offsets":[0,8]}}`, 8, `(packed integers, quantised)`},
		{"dtype spelling", `{"a":{"dtype":"float32","shape":[2],"data_offsets":[0,8]}}`, 8, "not supported"},
		{"no shape", `{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4, "lacks its shape"},
		{"no offsets", `{"a":{"dtype":"F32","shape":[]}}`, 4, "data_offsets"},
		{"three offsets", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 4, "data_offsets"},
		{"negative dimension", `{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4, "negative"},
		{"overflow", `{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "overflows"},
		{"float dimension", `{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4, "tensor \"a\""},
		{"wrong length", `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8, "takes 12 bytes"},
		{"backwards", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8, "data_offsets [8, 0]"},
		{"before the data", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 8, "data_offsets [-8, 0]"},
		{"overlap", `{` + one + `,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, `"b" begins at byte 4 and overlaps`},
		{"hole", `{` + one + `,"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}}`, 20, "hole"},
		{"hole in front", `{"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, "hole"},
		{"truncated", `{` + one + `}`, 7, "damaged: the file ends at byte 69, its header says 70"},
		{"more data", `{` + one + `}`, 9, "follow the last tensor"},
		{"long name", `{"` + strings.Repeat("n", 600) + `":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, "a name of 600 bytes, at most 512"},
		{"many dimensions", `{"a":{"dtype":"F32","shape":[` + strings.Repeat("1,", 4000) + `1],"data_offsets":[0,4]}}`, 4, `tensor "a": damaged: its entry in the header has 8048 bytes`},
		{"long dtype", `{"a":{"dtype":"` + strings.Repeat("F", 100) + `","shape":[1],"data_offsets":[0,4]}}`, 4, "its dtype has 100 letters"},
		{"many tensors", `{` + repeated(maxTensors+1, `"%d":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}`) + `}`, 0, "more than 131072 tensors"},
		{"much metadata", `{"__metadata__":{` + repeated(maxMetadata+1, `"%d":""`) + `}}`, 0, "more than 65536 entries"},
		{"deep metadata", `{"__metadata__":` + strings.Repeat(`{"a":`, 10000), 0, "within each other"},
		{"null", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,null]}}`, 8, `tensor "a"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := ParseHeader([]byte(c.header), c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// repeated is a list of n members with other names.
func repeated(n int, member string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(member, i)
	}
	return strings.Join(all, ",")
}

func TestOpenRejects(t *testing.T) {
	length := func(n uint64, rest string) []byte { return append(binary.LittleEndian.AppendUint64(nil, n), rest...) }
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"short":         {[]byte("1234567"), "too few"},
		"endless":       {length(math.MaxUint64, "{}"), "are possible"},
		"above 100 MB":  {length(MaxHeader+1, "{}"), "are possible"},
		"beyond file":   {length(3, "{}"), "damaged: the file ends at byte 10, its header says 11"},
		"git-lfs text":  {[]byte("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer"},
		"empty header":  {length(0, ""), "not a JSON object"},
		"trailing data": {length(2, "{}x"), "1 bytes follow"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.safetensors")
			if err := os.WriteFile(path, c.data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %q and the path in it", err, c.want)
			}
		})
	}
}

func TestLayoutRejects(t *testing.T) {
	ok := Entry{Name: "a", DType: tensor.F32, Shape: []int{1}}
	for name, bad := range map[string]Entry{
		"same name, other dtype": {Name: "a", DType: tensor.I64, Shape: []int{1}},
		"no dtype":               {Name: "b", Shape: []int{1}},
		"negative":               {Name: "b", DType: tensor.F32, Shape: []int{-1}},
		"metadata":               {Name: "__metadata__", DType: tensor.F32},
		"not UTF-8":              {Name: "\xff", DType: tensor.F32},
	} {
		if _, err := Layout([]Entry{ok, bad}, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzParseHeader: a table that is accepted is one that Layout can write and that reads back the same.
func FuzzParseHeader(f *testing.F) {
	f.Add([]byte(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}  `), int64(8))
	f.Add([]byte(`{"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]},"b\n":{"dtype":"F16","shape":[0],"data_offsets":[1,1]}}`), int64(1))
	f.Fuzz(func(t *testing.T, header []byte, size int64) {
		entries, meta, err := ParseHeader(header, size)
		if err != nil {
			return
		}
		written, err := Layout(entries, meta)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := ParseHeader(written[8:], size)
		if err != nil || len(again) != len(entries) || len(written)%8 != 0 {
			t.Fatalf("%q reads back as %d tensors of %d: %v", written, len(again), len(entries), err)
		}
	})
}
