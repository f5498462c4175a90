package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	withoutFsync(t)
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"no manifest": {func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) }, manifestName},
		"not JSON":    {func(dir string) error { return os.WriteFile(filepath.Join(dir, manifestName), []byte("{"), 0o644) }, "JSON"},
		"version": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"version":2}`), 0o644)
		}, "version 2, want 1"},
		"path": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"version":1,"files":[{"name":"../x"}]}`), 0o644)
		}, "leads out"},
		"missing file": {func(dir string) error { return os.Remove(filepath.Join(dir, "sub", "state.json")) }, "state.json"},
		"cut shard": {func(dir string) error {
			return os.Truncate(filepath.Join(dir, "model-00002-of-00002.safetensors"), 9)
		}, "model-00002-of-00002.safetensors has 9 bytes, want"},
		"no folder": {os.RemoveAll, manifestName},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			for step, v := range []float32{1, 2} {
				if err := saveModel(parent, step, v); err != nil {
					t.Fatal(err)
				}
			}
			dir := filepath.Join(parent, "checkpoint-1")
			writeFiles(t, dir, map[string]string{"notes.txt": "added by hand"})
			if err := Complete(dir); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			err := Complete(dir)
			if !errors.Is(err, ErrIncomplete) {
				t.Errorf("error %v does not wrap ErrIncomplete", err)
			}
			wantError(t, err, c.want, dir)
			wantLatest(t, parent, 0, 1)
		})
	}
}

// A checkpoint that stood aside counts until its successor has the name.
func TestLatestAside(t *testing.T) {
	parent := t.TempDir()
	if err := saveModel(parent, 4, 1); err != nil {
		t.Fatal(err)
	}
	final := filepath.Join(parent, "checkpoint-4")
	if err := os.Rename(final, filepath.Join(parent, replacedPrefix+"checkpoint-4")); err != nil {
		t.Fatal(err)
	}
	wantLatest(t, parent, 4, 1)
	if err := saveModel(parent, 4, 2); err != nil {
		t.Fatal(err)
	}
	wantLatest(t, parent, 4, 2)
}

func TestLatestNone(t *testing.T) {
	parent := t.TempDir()
	_, _, err := Latest(parent)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty folder: %v", err)
	}
	_, _, err = Latest(filepath.Join(parent, "no"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if err := os.Mkdir(filepath.Join(parent, "checkpoint-7"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, _, err = Latest(parent)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "checkpoint-7") {
		t.Errorf("only an incomplete one: %v", err)
	}
}

// Only the names that a run writes are checkpoints.
func TestStepOf(t *testing.T) {
	for name, want := range map[string]int{
		"checkpoint-0": 0, "checkpoint-12": 12, "checkpoint-": -1, "checkpoint-01": -1, "checkpoint--1": -1,
		"checkpoint-+1": -1, "checkpoint-1x": -1, "Checkpoint-1": -1, "checkpoint-99999999999999999999": -1, "12": -1,
	} {
		step, ok := stepOf(name)
		if ok != (want >= 0) || ok && step != want {
			t.Errorf("%s is %d, %v, want %d", name, step, ok, want)
		}
	}
}

func TestPrune(t *testing.T) {
	withoutFsync(t)
	parent := t.TempDir()
	for step := 8; step <= 11; step++ { // text order differs from that of the numbers
		if err := saveModel(parent, step, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"checkpoint-5", "checkpoint-best", ".tmp-checkpoint-3", ".tmp-mine", ".replaced-checkpoint-9"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		keep int
		want []string
	}{
		{0, []string{".tmp-mine", "checkpoint-10", "checkpoint-11", "checkpoint-5", "checkpoint-8", "checkpoint-9", "checkpoint-best"}},
		{9, []string{".tmp-mine", "checkpoint-10", "checkpoint-11", "checkpoint-5", "checkpoint-8", "checkpoint-9", "checkpoint-best"}},
		{2, []string{".tmp-mine", "checkpoint-10", "checkpoint-11", "checkpoint-5", "checkpoint-best"}},
		{1, []string{".tmp-mine", "checkpoint-11", "checkpoint-5", "checkpoint-best"}},
	} {
		if err := Prune(parent, c.keep); err != nil {
			t.Fatal(err)
		}
		if got := names(t, parent); !slices.Equal(got, c.want) {
			t.Errorf("keep %d: %v, want %v", c.keep, got, c.want)
		}
	}
}

// A kill in the middle of a removal leaves no checkpoint with files missing.
func TestPruneKilled(t *testing.T) {
	withoutFsync(t)
	for at := 1; at <= 2; at++ {
		parent := t.TempDir()
		for step, v := range []float32{1, 2} {
			if err := saveModel(parent, step, v); err != nil {
				t.Fatal(err)
			}
		}
		stopAt(t, at, func(string) error { panic("kill") })
		killed(func() { _ = Prune(parent, 1) })
		failpoint = func(string) error { return nil }
		all, err := list(parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if err := Complete(c.dir); err != nil {
				t.Error(err)
			}
		}
		wantLatest(t, parent, 1, 2)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"files":[{"name":"a/b","size":3}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseManifest(raw)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if p := filepath.Join("dir", filepath.FromSlash(file.Name)); p != "dir" && !strings.HasPrefix(p, "dir"+string(filepath.Separator)) {
				t.Errorf("%q leads to %q", file.Name, p)
			}
		}
	})
}
