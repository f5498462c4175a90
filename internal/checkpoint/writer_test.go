package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"lomo/internal/tensor"
)

// A file of the reference library, read and written again in another order, has the same bytes.
func TestLoadAndSaveIsIdentity(t *testing.T) {
	const path = "safetensors/testdata/mixed.safetensors"
	src, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	specs := slices.Clone(src.Tensors())
	slices.Reverse(specs)
	dir := t.TempDir()
	w, err := NewWriter(dir, specs, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range specs {
		if err := w.WriteRows(s.Name, 0, readAll(t, src, s.Name, s.DType)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, singleName))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes\n%q\nwant %d\n%q", len(got), got, len(want), want)
	}
}

// Tensors are spread over files as huggingface_hub does.
func TestSplitAsReference(t *testing.T) {
	var golden struct {
		Limit int64
		Cases []struct {
			Sizes []int
			Files map[string][]string
			Total int64 `json:"total_size"`
		}
	}
	raw, err := os.ReadFile("testdata/split.json")
	if err != nil {
		t.Fatal(err)
	}
	unmarshal(t, raw, &golden)
	for _, c := range golden.Cases {
		var specs []Spec
		for i, n := range c.Sizes {
			specs = append(specs, Spec{fmt.Sprintf("t%d", i), tensor.U8, []int{n}})
		}
		parts, err := split(specs, golden.Limit)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		for i, part := range parts {
			for _, s := range part {
				got[shardName(i, len(parts))] = append(got[shardName(i, len(parts))], s.Name)
			}
		}
		if !reflect.DeepEqual(got, c.Files) {
			t.Errorf("sizes %v: %v, want %v", c.Sizes, got, c.Files)
		}
		var index struct{ Metadata map[string]int64 }
		unmarshal(t, indexJSON(parts), &index)
		if index.Metadata["total_size"] != c.Total {
			t.Errorf("sizes %v: total_size %d, want %d", c.Sizes, index.Metadata["total_size"], c.Total)
		}
	}
}

func TestShardedRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if err := model(dir, 5, 1.5, 32); err != nil {
		t.Fatal(err)
	}
	want := []string{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors", indexName}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if v := modelValue(t, dir, 5); v != 1.5 {
		t.Errorf("value %v, want 1.5", v)
	}
	raw, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil {
		t.Fatal(err)
	}
	const head = "{\n  \"metadata\": {\n    \"total_parameters\": 20,\n    \"total_size\": 80\n  },\n  \"weight_map\": {\n    \"t0\": \"model-00001-of-00003.safetensors\",\n"
	if !bytes.HasPrefix(raw, []byte(head)) || !json.Valid(raw) {
		t.Errorf("index\n%s\nwant it to begin\n%s", raw, head)
	}
}

// A model saved over one with another number of files is the one that is read, and no old file stays.
func TestSaveOverAnother(t *testing.T) {
	withoutFsync(t)
	sizes := []int64{1000, 32, 16}
	for _, before := range sizes {
		for _, after := range sizes {
			dir := t.TempDir()
			writeFiles(t, dir, map[string]string{"model-notes.safetensors": "mine"})
			if err := model(dir, 5, 1, before); err != nil {
				t.Fatal(err)
			}
			writeFiles(t, dir, map[string]string{"model-00001-of-00009.safetensors.tmp": "of a killed save"})
			if err := model(dir, 5, 2, after); err != nil {
				t.Fatal(err)
			}
			files := 1 + 1 // weights and the file that is not ours
			if after != 1000 {
				files = (5*16+int(after)-1)/int(after) + 2
			}
			if got := names(t, dir); len(got) != files {
				t.Errorf("%d over %d: files %v", after, before, got)
			}
			if v := modelValue(t, dir, 5); v != 2 {
				t.Errorf("%d over %d: value %v", after, before, v)
			}
		}
	}
}

// Killed at any step of saving over a model, a reader gets the old model, the new one, or an error: never a mixture.
func TestSaveOverKilled(t *testing.T) {
	withoutFsync(t)
	for _, shard := range []int64{1000, 32} {
		for step := 1; ; step++ {
			dir := t.TempDir()
			if err := model(dir, 5, 1, shard); err != nil {
				t.Fatal(err)
			}
			count := stopAt(t, step, func(string) error { panic("kill") })
			killed(func() { _ = model(dir, 5, 2, shard) })
			steps := count()
			failpoint = func(string) error { return nil }
			writeFiles(t, dir, map[string]string{configName: "{}"})
			src, err := Open(dir)
			if err != nil {
				wantError(t, err, "cut short", indexName) // between the removal of the old index and the new one
				continue
			}
			src.Close()
			if v := modelValue(t, dir, 5); v != 1 && v != 2 {
				t.Errorf("step %d: value %v", step, v)
			}
			if steps < step {
				break
			}
		}
	}
}

// A disk that fills up at any step is a clear error, and nothing of the save stays behind.
func TestDiskFull(t *testing.T) {
	withoutFsync(t)
	for step := 1; ; step++ {
		dir := t.TempDir()
		count := stopAt(t, step, func(string) error { return &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC} })
		err := model(dir, 5, 1, 32)
		if count() < step {
			break
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("step %d: error %v", step, err)
		}
		if left := names(t, dir); len(left) > 0 {
			t.Errorf("step %d: %v is left", step, left)
		}
	}
}

func TestDiskFullMessage(t *testing.T) {
	stopAt(t, 1, func(string) error { return syscall.ENOSPC })
	wantError(t, model(t.TempDir(), 1, 1, 0), "model.safetensors", "the disk is full", "B wanted")
}

// A model of 2⁵⁰ bytes is refused before anything is written.
func TestDiskTooSmall(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells the free space beforehand")
	}
	dir := t.TempDir()
	_, err := NewWriter(dir, []Spec{{"t", tensor.F32, []int{1 << 24, 1 << 24}}}, WriterOptions{})
	wantError(t, err, "the disk is full", "1024 TiB wanted", "free")
	if !errors.Is(err, syscall.ENOSPC) || len(names(t, dir)) > 0 {
		t.Errorf("error %v, files %v", err, names(t, dir))
	}
}

func TestWriterErrors(t *testing.T) {
	spec := []Spec{{"t", tensor.F32, []int{3, 2}}}
	for name, c := range map[string]struct {
		tensor string
		row, n int
		want   string
	}{
		"unknown":     {"u", 0, 8, "no such tensor"},
		"half a row":  {"t", 0, 12, "whole rows of 8 bytes"},
		"beyond":      {"t", 2, 16, "within 3 rows"},
		"negative":    {"t", -1, 8, "at row -1"},
		"far outside": {"t", 1 << 62, 8, "within 3 rows"},
	} {
		w, err := NewWriter(t.TempDir(), spec, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { wantError(t, w.WriteRows(c.tensor, c.row, make([]byte, c.n)), c.want, c.tensor) })
		w.Abort()
	}
	for name, specs := range map[string][]Spec{
		"twice":    {spec[0], spec[0]},
		"negative": {{"t", tensor.F32, []int{-1}}},
		"no dtype": {{"t", tensor.Invalid, []int{1}}},
	} {
		dir := t.TempDir()
		if _, err := NewWriter(dir, specs, WriterOptions{MaxShardSize: 24}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left := names(t, dir); len(left) > 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
	if _, err := NewWriter(t.TempDir(), spec, WriterOptions{MaxShardSize: -1}); err == nil {
		t.Error("a negative shard size is accepted")
	}
	if _, err := NewWriter(filepath.Join(t.TempDir(), "no"), spec, WriterOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
}

// A tensor that was not written whole is not saved: the file would hold zeros for it.
func TestCloseWantsEveryRow(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(dir, []Spec{{"t", tensor.F32, []int{3, 2}}}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []int{2, 0} {
		if err := w.WriteRows("t", r, make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
	}
	wantError(t, w.Close(), `"t"`, "{[0, 1) [2, 3)} of 3")
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	if err := model(dir, 2, 1, 0); err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(dir, []Spec{{"t", tensor.F32, []int{2}}}, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if err := w.Close(); err != nil {
		t.Errorf("Close after Abort: %v", err)
	}
	wantError(t, w.WriteRows("t", 0, make([]byte, 8)), "closed")
	if got := names(t, dir); !slices.Equal(got, []string{singleName}) {
		t.Errorf("files %v", got)
	}
	if v := modelValue(t, dir, 2); v != 1 {
		t.Errorf("the old model has value %v", v)
	}
}

func TestNewFileWriter(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lomo_state.safetensors")
	w, err := NewFileWriter(path, nil, WriterOptions{}) // an optimizer without state
	if err != nil {
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
	if len(src.Tensors()) != 0 || src.Config() != nil || src.AuxFiles() != nil {
		t.Errorf("tensors %v, config %q, files %v", src.Tensors(), src.Config(), src.AuxFiles())
	}
	if got := names(t, dir); !slices.Equal(got, []string{"lomo_state.safetensors"}) {
		t.Errorf("files %v", got)
	}
}

// spans against a plain list of rows.
func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		const n = 24
		var s spans
		var rows [n]bool
		for range r.IntN(12) {
			a := r.IntN(n + 1)
			b := a + r.IntN(n+1-a)
			s.add(a, b)
			for i := a; i < b; i++ {
				rows[i] = true
			}
		}
		var want [][2]int
		for i := 0; i < n; i++ {
			if rows[i] && (i == 0 || !rows[i-1]) {
				want = append(want, [2]int{i, i})
			}
			if rows[i] {
				want[len(want)-1][1] = i + 1
			}
		}
		if !slices.Equal(s.ranges, want) {
			t.Fatalf("ranges %v, want %v", s.ranges, want)
		}
		if s.covers(n) != !slices.Contains(rows[:], false) {
			t.Fatalf("covers is %v of %v", s.covers(n), s.ranges)
		}
	}
}
