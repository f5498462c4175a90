package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint/gguf"
)

// ggufTensors are some small tensors and their bytes.
func ggufTensors() (list []gguf.Tensor, data map[string][]byte) {
	data = map[string][]byte{}
	for i, t := range []gguf.Tensor{{Name: "token_embd.weight", Type: gguf.Q8_0, Shape: []int{6, 64}}, {Name: "blk.0.attn_norm.weight", Type: gguf.F32, Shape: []int{64}},
		{Name: "output.weight", Type: gguf.F16, Shape: []int{5, 3}}} {
		data[t.Name] = bytes.Repeat([]byte{byte(i + 1)}, int(t.Bytes()))
		list = append(list, t)
	}
	return list, data
}

// writeGGUF writes them, matrices row by row from the last on.
func writeGGUF(path string, limit int64) error {
	list, data := ggufTensors()
	w, err := NewGGUFWriter(path, []gguf.KV{{Key: "general.architecture", Value: "llama"}}, list, limit)
	if err != nil {
		return err
	}
	for _, t := range list {
		n := int(t.RowBytes())
		if len(t.Shape) == 1 {
			n = int(t.Bytes())
		}
		for r := len(data[t.Name])/n - 1; r >= 0; r-- {
			if err := w.WriteRows(t.Name, r, data[t.Name][r*n:][:n]); err != nil {
				w.Abort()
				return err
			}
		}
	}
	return w.Close()
}

// TestGGUFWriter: what is written is read again, from one file and from parts.
func TestGGUFWriter(t *testing.T) {
	for limit, files := range map[int64]int{0: 1, 1 << 20: 1, 450: 2, 1: 3} {
		dir := t.TempDir()
		path := filepath.Join(dir, "m.gguf")
		if err := writeGGUF(path, limit); err != nil {
			t.Fatal(err)
		}
		list, data := ggufTensors()
		paths := GGUFParts(path, list, limit)
		if there, _ := os.ReadDir(dir); len(there) != files || len(paths) != files {
			t.Errorf("limit %d: %v, %v", limit, there, paths)
		}
		f, err := gguf.Open(paths[len(paths)-1])
		if err != nil {
			t.Fatal(err)
		}
		if arch, _ := f.String("general.architecture"); arch != "llama" || len(f.Tensors) != len(list) {
			t.Errorf("limit %d: architecture %q, %d tensors", limit, arch, len(f.Tensors))
		}
		for _, w := range list {
			got, _ := f.Tensor(w.Name)
			raw := make([]byte, got.Bytes())
			if err := f.ReadRaw(got, 0, raw); err != nil || !bytes.Equal(raw, data[w.Name]) || got.Type != w.Type {
				t.Errorf("limit %d: %s differs (%v)", limit, w.Name, err)
			}
		}
		f.Close()
	}
}

// TestGGUFWriterFails: a failure at any step leaves no part of the file, and one that was there before as it was.
func TestGGUFWriterFails(t *testing.T) {
	broken := errors.New("broken")
	defer func() { failpoint = func(string) error { return nil } }()
	for _, limit := range []int64{0, 1} {
		for fail := 0; ; fail++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "m.gguf")
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			n := 0
			failpoint = func(step string) error {
				if n++; n > fail {
					return fmt.Errorf("%s: %w", step, broken)
				}
				return nil
			}
			err := writeGGUF(path, limit)
			if err == nil {
				if fail < 10 {
					t.Errorf("only %d steps can fail", fail)
				}
				break
			}
			if !errors.Is(err, broken) {
				t.Fatal(err)
			}
			raw, _ := os.ReadFile(path)
			there, _ := os.ReadDir(dir)
			renamed := fail > 10 && !strings.Contains(err.Error(), "rename") && strings.Contains(err.Error(), "sync: broken") && len(there) == max(1, int(limit)*4) // the names are there, if not durable
			if !renamed && (string(raw) != "old" || len(there) != 1) {
				t.Errorf("limit %d, step %d (%v): left behind %v", limit, fail, err, there)
			}
		}
	}
}

// TestGGUFWriterRefuses: tensors that were not declared, parts of rows, rows that are missing.
func TestGGUFWriterRefuses(t *testing.T) {
	list, data := ggufTensors()
	w, err := NewGGUFWriter(filepath.Join(t.TempDir(), "m.gguf"), nil, list, 0)
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		`write "x": no such tensor was declared`: w.WriteRows("x", 0, nil),
		"want whole rows of 68 bytes":            w.WriteRows("token_embd.weight", 0, make([]byte, 67)),
		"within 6 rows":                          w.WriteRows("token_embd.weight", 5, make([]byte, 2*68)),
		"want whole rows of 256 bytes":           w.WriteRows("blk.0.attn_norm.weight", 0, make([]byte, 4)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := w.WriteRows("token_embd.weight", 0, data["token_embd.weight"]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "were written") {
		t.Error(err)
	}
}
