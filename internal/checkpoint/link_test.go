package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lomo/internal/tensor"
)

// linkable writes a model of three tensors, whose bytes are all b, in files of so many bytes.
func linkable(t *testing.T, dir string, b byte, shard int64, index bool) {
	t.Helper()
	var specs []Spec
	for _, name := range []string{"a", "b", "c"} {
		specs = append(specs, Spec{Name: name, DType: tensor.F32, Shape: []int{4, 4}})
	}
	w, err := NewWriter(dir, specs, WriterOptions{MaxShardSize: shard, Index: index})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range specs {
		if err := w.WriteRows(s.Name, 0, slices.Repeat([]byte{b}, 64)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{"config.json": "{}"})
}

func fileNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestLinkModel: a linked model is the same files, replaces one of another number of files, and nothing is left beside it; linking it once more changes nothing.
func TestLinkModel(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, now int64 // size of a file; 0: there is no old model
		want     []string
	}{
		{"into an empty folder", 0, 1 << 20, []string{"config.json", "model.safetensors"}},
		{"one file over one", 1 << 20, 1 << 20, []string{"config.json", "model.safetensors"}},
		{"one file over three", 64, 1 << 20, []string{"config.json", "model.safetensors"}},
		{"three over one", 1 << 20, 64, []string{"config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors", indexName}},
		{"three over two", 128, 64, []string{"config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors", indexName}},
	} {
		from, to := t.TempDir(), t.TempDir()
		linkable(t, from, 2, c.now, true)
		writeFiles(t, to, map[string]string{"config.json": "{}"})
		if c.old > 0 {
			linkable(t, to, 1, c.old, false)
		}
		for range 2 {
			if ok, err := LinkModel(from, to); !ok || err != nil {
				t.Fatalf("%s: %v, %v", c.name, ok, err)
			}
			if got := fileNames(t, to); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
		for _, name := range c.want[1:] {
			a, err := os.Stat(filepath.Join(from, name))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.Stat(filepath.Join(to, name)); err != nil || name != indexName && !os.SameFile(a, b) {
				t.Errorf("%s: %s is not the same file: %v", c.name, name, err)
			}
		}
	}
}

// TestLinkModelWithout: where there are no hard links nothing has changed, also when they end in the middle.
func TestLinkModelWithout(t *testing.T) {
	defer func() { link = os.Link }()
	for works := range 3 {
		from, to := t.TempDir(), t.TempDir()
		linkable(t, from, 2, 64, true)
		linkable(t, to, 1, 1<<20, false)
		before, n := fileNames(t, to), 0
		link = func(a, b string) error {
			if n++; n > works {
				return errors.New("not permitted")
			}
			return os.Link(a, b)
		}
		if ok, err := LinkModel(from, to); ok || err != nil {
			t.Errorf("%d links: %v, %v", works, ok, err)
		}
		if got := fileNames(t, to); !slices.Equal(got, before) {
			t.Errorf("%d links: %v, was %v", works, got, before)
		}
	}
}

// TestLinkModelKilled: stopped at any step, what can be read is the old model or the new one, or the folder says that a save was cut short.
func TestLinkModelKilled(t *testing.T) {
	withoutFsync(t)
	kill := errors.New("killed")
	for _, sizes := range [][2]int64{{1 << 20, 1 << 20}, {64, 64}, {64, 1 << 20}, {1 << 20, 64}} {
		for step := 1; ; step++ {
			from, to := t.TempDir(), t.TempDir()
			linkable(t, from, 2, sizes[1], true)
			linkable(t, to, 1, sizes[0], false)
			count := stopAt(t, step, func(string) error { panic(kill) })
			func() {
				defer func() { _ = recover() }()
				_, _ = LinkModel(from, to)
			}()
			done := count() < step
			failpoint = func(string) error { return nil }
			if f, err := openFolder(to); err == nil {
				var got [3]byte
				for i, name := range []string{"a", "b", "c"} {
					raw := make([]byte, 64)
					if err := f.ReadRows(name, 0, 4, raw, tensor.F32); err != nil {
						t.Fatal(err)
					}
					got[i] = raw[0]
				}
				f.Close()
				if got[0] != got[1] || got[1] != got[2] {
					t.Errorf("files of %v bytes, stopped at step %d: tensors of two models: %v", sizes, step, got)
				}
			}
			if ok, err := LinkModel(from, to); !ok || err != nil {
				t.Fatalf("files of %v bytes, again after step %d: %v, %v", sizes, step, ok, err)
			}
			f, err := openFolder(to)
			if err != nil {
				t.Fatalf("files of %v bytes, after step %d: %v", sizes, step, err)
			}
			f.Close()
			if done {
				break
			}
		}
	}
}
