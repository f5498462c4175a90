package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// saveModel saves checkpoint-step with two shards of value v and a state file, as a run does.
func saveModel(parent string, step int, v float32) error {
	return SaveDir(parent, fmt.Sprintf("checkpoint-%d", step), func(dir string) error {
		if err := model(dir, 3, v, 32); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, configName), []byte("{}"), 0o644); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "sub", "state.json"), fmt.Appendf(nil, "%d", step), 0o644)
	})
}

// wantLatest checks that the newest complete checkpoint is that step, and that its model loads with value v.
func wantLatest(t *testing.T, parent string, step int, v float32) {
	t.Helper()
	dir, got, err := Latest(parent)
	if err != nil {
		t.Fatal(err)
	}
	if got != step {
		t.Errorf("latest is step %d, want %d", got, step)
	}
	if value := modelValue(t, dir, 3); value != v {
		t.Errorf("%s has value %v, want %v", dir, value, v)
	}
}

// withoutExchange makes SaveDir take the way of file systems that cannot exchange two names.
func withoutExchange(t *testing.T) {
	t.Helper()
	exchangeDirs = func(string, string) (bool, error) { return false, nil }
	t.Cleanup(func() { exchangeDirs = exchange })
}

func TestSaveDir(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T){"exchange": func(*testing.T) {}, "aside": withoutExchange} {
		t.Run(name, func(t *testing.T) {
			prepare(t)
			parent := filepath.Join(t.TempDir(), "out", "run") // made when it is not there
			for _, s := range []struct {
				step int
				v    float32
			}{{2, 1}, {10, 2}, {10, 3}} {
				if err := saveModel(parent, s.step, s.v); err != nil {
					t.Fatal(err)
				}
				wantLatest(t, parent, s.step, s.v)
			}
			if got := names(t, parent); !slices.Equal(got, []string{"checkpoint-10", "checkpoint-2"}) {
				t.Errorf("folders %v", got)
			}
		})
	}
}

// Killed at every step of a save, whether the checkpoint is new or replaces one of the same step: the newest
// complete checkpoint is the one from before or the new one, it loads, and the next save succeeds.
func TestSaveDirKilled(t *testing.T) {
	withoutFsync(t)
	for name, prepare := range map[string]func(*testing.T){"exchange": func(*testing.T) {}, "aside": withoutExchange} {
		for _, newStep := range []int{2, 1} {
			t.Run(fmt.Sprintf("%s/step %d over 1", name, newStep), func(t *testing.T) {
				prepare(t)
				for at := 1; ; at++ {
					parent := t.TempDir()
					if err := saveModel(parent, 1, 1); err != nil {
						t.Fatal(err)
					}
					count := stopAt(t, at, func(string) error { panic("kill") })
					killed(func() { _ = saveModel(parent, newStep, 2) })
					steps := count()
					failpoint = func(string) error { return nil }
					switch dir, step, err := Latest(parent); {
					case err != nil:
						t.Fatalf("killed at step %d of the save: %v", at, err)
					case step == newStep && modelValue(t, dir, 3) == 2: // the new one
					case step == 1 && modelValue(t, dir, 3) == 1 && steps >= at: // the old one
					default:
						t.Fatalf("killed at step %d: %s is neither", at, dir)
					}
					if err := saveModel(parent, 3, 3); err != nil {
						t.Fatalf("save after a kill at step %d: %v", at, err)
					}
					if err := Prune(parent, 1); err != nil {
						t.Fatal(err)
					}
					wantLatest(t, parent, 3, 3)
					if got := names(t, parent); !slices.Equal(got, []string{"checkpoint-3"}) {
						t.Errorf("killed at step %d: folders %v after the next save and prune", at, got)
					}
					if steps < at {
						return
					}
				}
			})
		}
	}
}

// An error at every step, as of a full disk, is returned and leaves the old checkpoint and nothing else.
func TestSaveDirDiskFull(t *testing.T) {
	withoutFsync(t)
	for at := 1; ; at++ {
		parent := t.TempDir()
		if err := saveModel(parent, 1, 1); err != nil {
			t.Fatal(err)
		}
		var step string
		count := stopAt(t, at, func(name string) error { step = name; return syscall.ENOSPC })
		err := saveModel(parent, 2, 2)
		steps := count()
		failpoint = func(string) error { return nil }
		if steps < at {
			wantLatest(t, parent, 2, 2)
			return
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("step %d (%s): error %v", at, step, err)
		}
		if at == steps && slices.Contains(names(t, parent), "checkpoint-2") {
			wantLatest(t, parent, 2, 2) // the very last step, after the rename: complete, though perhaps not durable
			continue
		}
		wantLatest(t, parent, 1, 1)
		if got := names(t, parent); !slices.Equal(got, []string{"checkpoint-1"}) {
			t.Errorf("step %d (%s): folders %v", at, step, got)
		}
	}
}

func TestSaveDirFillFails(t *testing.T) {
	parent := t.TempDir()
	boom := errors.New("boom")
	err := SaveDir(parent, "checkpoint-1", func(dir string) error {
		writeFiles(t, dir, map[string]string{"half": "x"})
		return boom
	})
	if !errors.Is(err, boom) || len(names(t, parent)) > 0 {
		t.Errorf("error %v, folders %v", err, names(t, parent))
	}
	for _, name := range []string{"", ".", "..", "a/b", "../x", "/x"} {
		if err := SaveDir(parent, name, func(string) error { return nil }); err == nil {
			t.Errorf("the name %q is accepted", name)
		}
	}
	err = SaveDir(parent, "checkpoint-1", func(dir string) error { return os.Symlink("/nowhere", filepath.Join(dir, "link")) })
	if err == nil || len(names(t, parent)) > 0 {
		t.Errorf("a link in a checkpoint: error %v, folders %v", err, names(t, parent))
	}
}

// Everything is made durable before the name is given: each file and folder, then the manifest, then the parent.
func TestSaveDirSyncs(t *testing.T) {
	parent := t.TempDir()
	var order []string
	fsync = func(f *os.File) error {
		rel, err := filepath.Rel(parent, f.Name())
		order = append(order, rel)
		return err
	}
	t.Cleanup(func() { fsync = (*os.File).Sync })
	err := SaveDir(parent, "checkpoint-1", func(dir string) error {
		writeFiles(t, dir, map[string]string{"a": "1", "b": "2"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	const temp = ".tmp-checkpoint-1"
	want := []string{temp, temp + "/a", temp + "/b", temp + "/" + manifestName + tempSuffix, temp, "."}
	if !slices.Equal(order, want) {
		t.Errorf("synced %q, want %q", order, want)
	}
}
