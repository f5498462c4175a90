package gguf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// splitModel writes a model of three parts, each with one tensor of four numbers that are all the part's.
func splitModel(t *testing.T, change func(no int, b *builder) *builder) string {
	t.Helper()
	dir := t.TempDir()
	for no := range 3 {
		keys := uint64(3)
		if no == 0 {
			keys = 4
		}
		b := start(1, keys)
		if no == 0 {
			b.put("general.architecture", uint32(kvString), "llama")
		}
		b.put(splitNumber, uint32(kvUint16), uint16(no), splitCount, uint32(kvUint16), uint16(3), splitTensors, uint32(kvInt32), int32(3))
		b.info(fmt.Sprintf("t%d", no), F32, 0, 4).pad(0).put([]float32{float32(no), float32(no), float32(no), float32(no)})
		if change != nil {
			b = change(no, b)
		}
		if b == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", no+1)), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSplit: any part opens the whole, with the metadata of the first.
func TestSplit(t *testing.T) {
	dir := splitModel(t, nil)
	for _, part := range []int{1, 2, 3} {
		f, err := Open(filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", part)))
		if err != nil {
			t.Fatal(err)
		}
		if arch, _ := f.String("general.architecture"); arch != "llama" || len(f.Tensors) != 3 {
			t.Errorf("part %d: architecture %q, %d tensors", part, arch, len(f.Tensors))
		}
		for i := range 3 {
			w, _ := f.Tensor(fmt.Sprintf("t%d", i))
			for _, x := range values(t, f, w) {
				if x != float32(i) {
					t.Errorf("t%d holds %v", i, x)
				}
			}
			if w.Handle() == nil {
				t.Error("no handle")
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSplitRefuses: parts that are missing, renamed, or of another model.
func TestSplitRefuses(t *testing.T) {
	first := func(dir string) string { return filepath.Join(dir, "m-00001-of-00003.gguf") }
	for name, c := range map[string]struct {
		change func(no int, b *builder) *builder
		want   string
	}{
		"one missing": {func(no int, b *builder) *builder { return map[bool]*builder{false: b}[no == 1] }, "1 of 3 parts of the split model are missing, first"},
		"two missing": {func(no int, b *builder) *builder { return map[bool]*builder{false: b}[no > 0] }, "2 of 3 parts of the split model are missing, first"},
		"same part twice": {func(no int, b *builder) *builder {
			if no == 2 {
				return start(0, 2).put(splitNumber, uint32(kvUint16), uint16(1), splitCount, uint32(kvUint16), uint16(3)).pad(0)
			}
			return b
		}, "it says to be part 2 of 3, its name says 3 of 3"},
		"no part": {func(no int, b *builder) *builder {
			if no == 1 {
				return start(0, 0).pad(0)
			}
			return b
		}, "its name says 2 of 3"},
		"same tensor": {func(no int, b *builder) *builder {
			if no == 2 {
				return start(1, 2).put(splitNumber, uint32(kvUint16), uint16(2), splitCount, uint32(kvUint16), uint16(3)).info("t0", F32, 0, 4).pad(16)
			}
			return b
		}, `tensor "t0" is in an earlier part too`},
		"a tensor less": {func(no int, b *builder) *builder {
			if no == 2 {
				return start(0, 2).put(splitNumber, uint32(kvUint16), uint16(2), splitCount, uint32(kvUint16), uint16(3)).pad(0)
			}
			return b
		}, "the 3 parts hold 2 tensors, split.tensors.count says 3"},
		"another count": {func(no int, b *builder) *builder {
			if no == 2 {
				return start(1, 3).put(splitNumber, uint32(kvUint16), uint16(2), splitCount, uint32(kvUint16), uint16(3), splitTensors, uint32(kvInt32), int32(4)).info("t2", F32, 0, 4).pad(16)
			}
			return b
		}, "it is a part of another model: split.tensors.count is 4, the first part's is 3"},
		"another architecture": {func(no int, b *builder) *builder {
			if no == 1 {
				return start(1, 3).put(splitNumber, uint32(kvUint16), uint16(1), splitCount, uint32(kvUint16), uint16(3), "general.architecture", uint32(kvString), "qwen3").info("t1", F32, 0, 4).pad(16)
			}
			return b
		}, "it is a part of another model: general.architecture is qwen3, the first part's is llama"},
		"cut part": {func(no int, b *builder) *builder {
			if no == 2 {
				b.Truncate(b.Len() - 1)
			}
			return b
		}, "part 3 of 3: "},
	} {
		if _, err := Open(first(splitModel(t, c.change))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	dir := splitModel(t, nil)
	other := filepath.Join(dir, "model.gguf")
	if err := os.Rename(first(dir), other); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other); err == nil || !strings.Contains(err.Error(), "part 1 of 3 of a split model, which its name does not say") {
		t.Error(err)
	}
}
