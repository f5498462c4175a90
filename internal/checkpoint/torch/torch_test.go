package torch

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"
)

const golden = "../testdata/torch/pytorch_model.bin" // scripts/golden/torch_files.py; its values are checked in package checkpoint

func TestOpen(t *testing.T) {
	f, err := Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []string
	for _, x := range f.Tensors {
		list = append(list, x.Name)
	}
	if got := strings.Join(list, " "); got != "f32 transposed rows columns permuted bf16 f16 f64 i64 scalar empty parameter" {
		t.Errorf("tensors %s", got)
	}
	if err := f.ReadRaw(&f.Tensors[0], 100, make([]byte, 24)); err == nil {
		t.Error("bytes beyond the end were read")
	}
}

// text makes a pickle of a dictionary whose one value is what code leaves.
func text(code string) []byte { return []byte("\x80\x02}X\x01\x00\x00\x00a" + code + "s.") }

// TestPicklesAreNotRun: what could run a program, or is no dictionary of tensors, is refused by name.
func TestPicklesAreNotRun(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"system":        {text("cos\nsystem\nX\x02\x00\x00\x00ls\x85R"), `"system" of module "os"`},
		"builtins":      {text("c__builtin__\neval\n)R"), `"eval"`},
		"newobj":        {text("ccollections\nOrderedDict\n)\x81"), "opcode 0x81"},
		"stack global":  {text("X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93"), "opcode 0x93"},
		"protocol":      {[]byte("\x80\x05."), "protocol 5"},
		"build":         {text("K\x01}b"), "sets attributes"},
		"call of text":  {text("X\x01\x00\x00\x00a)R"), "it calls"},
		"call of tuple": {text("))R"), "it calls"},
		"dict args":     {text("ccollections\nOrderedDict\n)\x85R"), "1 arguments"},
		"number":        {text("K\x01"), `entry "a"`},
		"bad storage":   {text("K\x01Q"), "not a storage"},
		"no name":       {text("cos"), "name without an end"},
		"short":         {[]byte("\x80\x02}"), "too early"},
		"empty":         {[]byte("."), "stack is empty"},
		"nothing":       {[]byte("\x80\x02N."), "None"},
		"memo":          {text("h\x07"), "remembered as 7"},
		"long text":     {text("X\xff\xff\xff\x7f"), "text of"},
		"long integer":  {text("\x8a\x09123456789"), "integer of 9"},
		"no mark":       {text("t"), "no mark"},
	} {
		if _, err := unpickle(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestBombs: short pickles that say much are refused before it is held, in a message that fits a line.
func TestBombs(t *testing.T) {
	// One value, in two tuples, in two tuples … 2^60 of them, of which a message must not print one by one.
	doubled := "K\x01q\x00" + strings.Repeat("h\x00h\x00\x86q\x00", 60)
	ordered := "ccollections\nOrderedDict\nq\x01)q\x02"
	ones := strings.Repeat("K\x01", 1000)
	for name, c := range map[string]struct {
		code, want string
	}{
		"key":          {doubled + "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nh\x00X\x03\x00\x00\x00cpuK\x06tQ", "whose key is a tuple"},
		"elements":     {doubled + "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuh\x00tQ", "whose elements are a tuple"},
		"offset":       {doubled + "ctorch._utils\n_rebuild_tensor_v2\n(K\x01h\x00))K\x01K\x01tR", "whose offset is a tuple"},
		"shape":        {doubled + "ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x01h\x00\x85)K\x01K\x01tR", "a tensor of the number 1"},
		"entry":        {doubled, "it fills a tuple"},
		"a long text":  {"X\xff\xff\x00\x00" + strings.Repeat("\x1b[31m", 13107), `entry "a" is the text "`},
		"list":         {"]" + strings.Repeat("("+ones+"e", 1100), "more than 2097152 values"},
		"dictionary":   {"}" + strings.Repeat("("+ones+"u", 1100), "more than 2097152 values"},
		"tuples":       {strings.Repeat("("+ones+"t", 1100), "more than 2097152 values"},
		"stack":        {strings.Repeat("N", 2200000), "more than 2097152 values"},
		"empty lists":  {strings.Repeat("]", 110000), "more than 2097152 values"},
		"empty dicts":  {strings.Repeat("}", 110000), "more than 2097152 values"},
		"ordered":      {ordered + strings.Repeat("h\x01h\x02R", 110000), "more than 2097152 values"},
		"memo":         {"N" + memos(600000), "more than 2097152 values"},
		"list of self": {"]q\x00" + strings.Repeat("h\x00a", 1100000), "more than 2097152 values"},
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err := unpickle(text(c.code))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 250 || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if held := int64(after.Sys) - int64(before.Sys); held > 200<<20 { // measured at most 75 MiB
			t.Errorf("%s: takes %d MiB", name, held>>20)
		}
	}
}

// memos remembers the top of the stack under n numbers.
func memos(n int) string {
	var out []byte
	for i := range n {
		out = append(out, 'r', byte(i), byte(i>>8), byte(i>>16), byte(i>>24))
	}
	return string(out)
}

func TestWithin(t *testing.T) {
	const huge = 1 << 62
	for _, c := range []struct {
		shape, stride []int
		offset        int
		ok            bool
	}{
		{[]int{2, 3}, []int{3, 1}, 0, true},
		{[]int{3, 2}, []int{1, 3}, 0, true},
		{[]int{2, 3}, []int{3, 1}, 1, false},
		{[]int{2, 3}, []int{4, 1}, 0, false},
		{[]int{0, 3}, []int{9, 1}, 6, true},
		{nil, nil, 5, true},
		{nil, nil, 6, false},
		{[]int{2}, []int{huge}, 0, false},
		{[]int{huge}, []int{0}, 0, false},
		{[]int{4, 4}, []int{0, 1}, 0, false},
		{[]int{2}, []int{1, 1}, 0, false},
	} {
		x := Tensor{Shape: c.shape, Stride: c.stride, Offset: c.offset}
		if err := x.within(6); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// FuzzNew: whatever the bytes, a file opens with every tensor readable, or an error is returned.
func FuzzNew(f *testing.F) {
	for _, path := range []string{golden, "../testdata/torch_old.bin", "../testdata/meta2/consolidated.00.pth"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, err := New(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			return
		}
		for i := range file.Tensors {
			x := &file.Tensors[i]
			n := x.DType.Size()
			for _, d := range x.Shape {
				n *= d
			}
			if n > len(raw) {
				t.Fatalf("%s: %d bytes of a file of %d", x.Name, n, len(raw))
			}
			if err := file.ReadRaw(x, 0, make([]byte, n)); err != nil {
				t.Fatalf("%s: %v", x.Name, err)
			}
		}
	})
}

// FuzzUnpickle: no pickle takes the machine out of its bounds.
func FuzzUnpickle(f *testing.F) {
	f.Add(text("ccollections\nOrderedDict\n)R"))
	f.Add(text("((K\x01K\x02tK\x03t\x8a\x02\x01\x02N\x88\x89"))
	f.Add(text("ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR"))
	f.Fuzz(func(t *testing.T, raw []byte) { unpickle(raw) })
}
