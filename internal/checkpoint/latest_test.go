package checkpoint

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lomo/internal/fault"
)

// TestClosed: of a checkpoint that may not be read nothing is known. It is no missing one, beside which an older one would be continued or the run begun
// afresh, and no damaged one.
func TestClosed(t *testing.T) {
	withoutFsync(t)
	parent := t.TempDir()
	for step := range 3 {
		if err := saveModel(parent, step, float32(step)); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { readManifest, openPart = fault.Read, fault.Open }()
	for _, name := range []string{manifestName, "config.json", "sub/state.json", singleName, "model-00001-of-00002.safetensors"} {
		denied := filepath.Join(parent, "checkpoint-2", filepath.FromSlash(name))
		readManifest = func(path string, limit int64) ([]byte, error) {
			if path == denied {
				return nil, &os.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
			}
			return fault.Read(path, limit)
		}
		openPart = func(path string) (*os.File, int64, error) {
			if path == denied {
				return nil, 0, &os.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
			}
			return fault.Open(path)
		}
		if _, err := os.Stat(denied); name != manifestName && err != nil {
			continue // saved under another name
		}
		dir, passed, err := LatestIntact(parent)
		wantError(t, err, "checkpoint-2", "this user may not read "+name)
		if dir != "" || passed != nil || !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: %q, %v, %v", name, dir, passed, err)
		}
		if name == manifestName {
			_, _, err := Latest(parent)
			wantError(t, err, "checkpoint-2", "this user may not read "+name)
			if errors.Is(err, os.ErrNotExist) {
				t.Error("it counts as missing")
			}
		}
	}
}

func TestComplete(t *testing.T) {
	withoutFsync(t)
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"no manifest": {func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) }, manifestName},
		"not JSON":    {func(dir string) error { return os.WriteFile(filepath.Join(dir, manifestName), []byte("{"), 0o644) }, "JSON"},
		"version": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"version":3}`), 0o644)
		}, "version 3, want at most 2"},
		"checksum lost": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"version":2,"files":[{"name":"config.json","size":2}]}`), 0o644)
		}, `the checksum of "config.json" is ""`},
		"older version with checksums": {func(dir string) error {
			raw, err := os.ReadFile(filepath.Join(dir, manifestName))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, manifestName), bytes.Replace(raw, []byte(`"version": 2`), []byte(`"version": 1`), 1), 0o644)
		}, "version 1, and the checksum"},
		"a file twice": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"version":1,"files":[{"name":"config.json","size":2},{"name":"config.json","size":2}]}`), 0o644)
		}, "stands twice"},
		"path": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte(`{"version":1,"files":[{"name":"../x"}]}`), 0o644)
		}, "leads out"},
		"missing file": {func(dir string) error { return os.Remove(filepath.Join(dir, "sub", "state.json")) }, "state.json"},
		"cut shard": {func(dir string) error {
			return os.Truncate(filepath.Join(dir, "model-00002-of-00002.safetensors"), 9)
		}, "model-00002-of-00002.safetensors has 9 bytes, want"},
		"longer file": {func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, "config.json"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("\n")
			return errors.Join(err, f.Close())
		}, "config.json has "},
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

// Every byte of every file: with one of them changed the checkpoint is refused, or the change is one of spaces in the manifest.
func TestIntactBytes(t *testing.T) {
	withoutFsync(t)
	parent := t.TempDir()
	if err := saveModel(parent, 7, 1); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "checkpoint-7")
	writeFiles(t, dir, map[string]string{"notes.txt": "added by hand"})
	if err := Intact(dir); err != nil {
		t.Fatal(err)
	}
	saved, err := complete(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(saved.Files, manifestFile{Name: manifestName}) {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			changed := bytes.Clone(raw)
			changed[i] ^= []byte{0x01, 0x40}[i%2]
			if err := os.WriteFile(path, changed, 0o644); err != nil {
				t.Fatal(err)
			}
			err := Intact(dir)
			if err == nil {
				if now, err := complete(dir); err != nil || !reflect.DeepEqual(now, saved) {
					t.Errorf("%s: byte %d may be %q", f.Name, i, changed[i])
				}
			} else if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrIncomplete) {
				t.Errorf("%s, byte %d: %v wraps neither error", f.Name, i, err)
			}
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Weights that were added to a checkpoint might be read in place of its own.
func TestIntactAddedWeights(t *testing.T) {
	for _, name := range []string{"model.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth", "x.gguf"} {
		parent := t.TempDir()
		if err := saveModel(parent, 7, 1); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(parent, "checkpoint-7")
		writeFiles(t, dir, map[string]string{name: "x"})
		if err := Intact(dir); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name+" was not saved with it") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// A checkpoint of a version that kept no checksums passes when its files have their sizes.
func TestIntactOlder(t *testing.T) {
	parent := t.TempDir()
	if err := saveModel(parent, 7, 1); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "checkpoint-7")
	m, err := complete(dir)
	if err != nil {
		t.Fatal(err)
	}
	m.Version = 1
	for i := range m.Files {
		m.Files[i].Sum = ""
	}
	if err := m.write(dir); err != nil {
		t.Fatal(err)
	}
	if err := Intact(dir); err != nil {
		t.Error(err)
	}
}

// The newest checkpoint whose bytes are right is taken; those passed over are named, and lose no file when they are set aside.
func TestLatestIntact(t *testing.T) {
	parent := t.TempDir()
	for step := range 4 {
		if err := saveModel(parent, step, 1); err != nil {
			t.Fatal(err)
		}
	}
	three, two := filepath.Join(parent, "checkpoint-3"), filepath.Join(parent, "checkpoint-2")
	writeFiles(t, three, map[string]string{"config.json": "[]"})
	if err := os.Remove(filepath.Join(two, "config.json")); err != nil {
		t.Fatal(err)
	}
	dir, passed, err := LatestIntact(parent)
	if err != nil || filepath.Base(dir) != "checkpoint-1" || len(passed) != 2 || !errors.Is(passed[0].Err, ErrDamaged) || !errors.Is(passed[1].Err, ErrIncomplete) {
		t.Fatalf("%s, passed over %v, error %v", dir, passed, err)
	}
	to, err := SetAside(three)
	if err != nil || filepath.Base(to) != "checkpoint-3.damaged" {
		t.Fatalf("set aside as %s, error %v", to, err)
	}
	if err := saveModel(parent, 3, 2); err != nil {
		t.Fatal(err)
	}
	if to, err = SetAside(three); err != nil || filepath.Base(to) != "checkpoint-3.damaged-2" {
		t.Fatalf("set aside as %s, error %v", to, err)
	}
	if err := Prune(parent, 1); err != nil {
		t.Fatal(err)
	}
	if got := names(t, parent); !slices.Equal(got, []string{"checkpoint-1", "checkpoint-2", "checkpoint-3.damaged", "checkpoint-3.damaged-2"}) {
		t.Errorf("folders %v", got)
	}
	writeFiles(t, filepath.Join(parent, "checkpoint-1"), map[string]string{"config.json": "[]"})
	if dir, passed, err := LatestIntact(parent); dir != "" || len(passed) != 2 || err != nil {
		t.Errorf("%q, passed over %v, error %v", dir, passed, err)
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

// A checkpoint that stands aside is removed when its successor is whole, and only then: a folder of that name that misses a file is none.
func TestPruneKeepsAside(t *testing.T) {
	withoutFsync(t)
	for name, c := range map[string]struct {
		successor func(parent, final string) error
		stays     bool
	}{
		"no successor": {func(string, string) error { return nil }, true},
		"a successor without its manifest": {func(parent, final string) error {
			return errors.Join(saveModel(parent, 4, 2), os.Remove(filepath.Join(final, manifestName)))
		}, true},
		"a successor that misses a file": {func(parent, final string) error {
			return errors.Join(saveModel(parent, 4, 2), os.Remove(filepath.Join(final, "config.json")))
		}, true},
		"an empty folder of the name": {func(_, final string) error { return os.Mkdir(final, 0o755) }, true},
		"a whole successor":           {func(parent, final string) error { return saveModel(parent, 4, 2) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			if err := errors.Join(saveModel(parent, 3, 1), saveModel(parent, 4, 1)); err != nil {
				t.Fatal(err)
			}
			final, aside := filepath.Join(parent, "checkpoint-4"), filepath.Join(parent, replacedPrefix+"checkpoint-4")
			if err := errors.Join(os.Rename(final, aside), c.successor(parent, final)); err != nil {
				t.Fatal(err)
			}
			for _, keep := range []int{0, 2} {
				if err := Prune(parent, keep); err != nil {
					t.Fatal(err)
				}
			}
			if all := names(t, parent); slices.Contains(all, filepath.Base(aside)) != c.stays {
				t.Errorf("the folder that stood aside stays: %v, of %v", c.stays, all)
			}
			if c.stays && Complete(aside) != nil {
				t.Errorf("it is not whole any more: %v", Complete(aside))
			}
		})
	}
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
		step, ok := StepOf(name)
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
