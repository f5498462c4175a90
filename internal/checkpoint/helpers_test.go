package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint/safetensors"
	"lomo/internal/tensor"
)

// madeBy checks that a golden file is the work of a script as it is now.
func madeBy(t *testing.T, path, script string) {
	t.Helper()
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.Sum256(text)
	if got, want := f.Metadata["sha256"], hex.EncodeToString(sum[:]); got != want {
		t.Errorf("%s was made by a script with hash %s, %s has %s: run it again", path, got, script, want)
	}
}

// stopAt makes the step-th call of failpoint (from 1) behave as kind says, for the duration of the test; the returned
// function tells how many steps there were.
func stopAt(t *testing.T, step int, act func(name string) error) (count func() int) {
	t.Helper()
	n := 0
	failpoint = func(name string) error {
		if n++; n == step {
			return act(name)
		}
		return nil
	}
	t.Cleanup(func() { failpoint = func(string) error { return nil } })
	return func() int { return n }
}

// withoutFsync makes saves fast: a test that stops them looks at the order of the steps, not at the disk.
func withoutFsync(t *testing.T) {
	t.Helper()
	fsync = func(*os.File) error { return nil }
	t.Cleanup(func() { fsync = (*os.File).Sync })
}

// writeFiles fills dir with files of the given text.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// names lists a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// wantError checks that err contains every part.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", err, p)
		}
	}
}

// readAll reads a whole tensor as dt.
func readAll(t *testing.T, src Source, name string, dt tensor.DType) []byte {
	t.Helper()
	for _, info := range src.Tensors() {
		if info.Name != name {
			continue
		}
		rows, cols := dims(info.Shape)
		b := make([]byte, rows*cols*dt.Size())
		if err := src.ReadRows(name, 0, rows, b, dt); err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Fatalf("no tensor %q", name)
	return nil
}

// floats is values as little-endian bytes of dt.
func floats(t *testing.T, dt tensor.DType, values ...float32) []byte {
	t.Helper()
	b := make([]byte, len(values)*dt.Size())
	if err := tensor.PutFloat32s(b, values, dt); err != nil {
		t.Fatal(err)
	}
	return b
}

// model writes a model of n tensors t0, t1, … of 4 float32 each, all of value v, into dir.
func model(dir string, n int, v float32, shard int64) error {
	var specs []Spec
	for i := range n {
		specs = append(specs, Spec{fmt.Sprintf("t%d", i), tensor.F32, []int{2, 2}})
	}
	w, err := NewWriter(dir, specs, WriterOptions{MaxShardSize: shard})
	if err != nil {
		return err
	}
	data := make([]byte, 16)
	if err := tensor.PutFloat32s(data, []float32{v, v, v, v}, tensor.F32); err != nil {
		return err
	}
	for _, s := range specs {
		if err := w.WriteRows(s.Name, 0, data); err != nil {
			w.Abort()
			return err
		}
	}
	return w.Close()
}

// modelValue opens the model that model wrote and returns its one value.
func modelValue(t *testing.T, dir string, n int) float32 {
	t.Helper()
	writeFiles(t, dir, map[string]string{configName: "{}"})
	src, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if len(src.Tensors()) != n {
		t.Fatalf("%d tensors, want %d", len(src.Tensors()), n)
	}
	var first []byte
	for _, info := range src.Tensors() {
		data := readAll(t, src, info.Name, tensor.F32)
		if first == nil {
			first = data
		}
		if !bytes.Equal(data, first) || !bytes.Equal(data, bytes.Repeat(data[:4], 4)) {
			t.Fatalf("tensor %s is % x, the first one % x", info.Name, data, first)
		}
	}
	var v [1]float32
	if err := tensor.Float32s(v[:], first[:4], tensor.F32); err != nil {
		t.Fatal(err)
	}
	return v[0]
}

// killed runs f and swallows the panic by which a failpoint stops it as a kill would.
func killed(f func()) {
	defer func() { _ = recover() }()
	f()
}

func unmarshal(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}
