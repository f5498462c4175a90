package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEditedCheckpoints: whatever is done to a file of a checkpoint, the run that goes on from it ends with the bits of the one left alone, or says no.
// Where an older checkpoint was taken it is said. A file that is changed together with its checksum in the manifest is forged, which no checksum tells.
//
// Each file gets one of the edits, another one in each kind of run; LOMO_EDITS=all makes all of them.
func TestEditedCheckpoints(t *testing.T) {
	tinyRun(t)
	const manifest = "lomo_manifest.json"
	edits := []struct {
		name string
		edit func(dir, name string) error // of the file in checkpoint-4, which has another run's beside it under other/
	}{
		{"flipped", func(dir, name string) error {
			return change(filepath.Join(dir, name), func(b []byte) []byte { b[len(b)*2/3] ^= 0x10; return b })
		}},
		{"cut", func(dir, name string) error {
			return change(filepath.Join(dir, name), func(b []byte) []byte { return b[:len(b)-1] })
		}},
		{"longer", func(dir, name string) error {
			return change(filepath.Join(dir, name), func(b []byte) []byte { return append(b, '\n') })
		}},
		{"removed", func(dir, name string) error { return os.Remove(filepath.Join(dir, name)) }},
		{"renamed", func(dir, name string) error {
			return os.Rename(filepath.Join(dir, name), filepath.Join(dir, "x-"+name))
		}},
		{"of the checkpoint before", func(dir, name string) error {
			return copyOver(filepath.Join(dir, name), filepath.Join(dir, "../checkpoint-2", name))
		}},
		{"of another run", func(dir, name string) error {
			return copyOver(filepath.Join(dir, name), filepath.Join("other/checkpoint-4", name))
		}},
		{"swapped with another", func(dir, name string) error {
			with := "config.json"
			if name == with {
				with = "lomo_state.json"
			}
			a, b := filepath.Join(dir, name), filepath.Join(dir, with)
			return errors.Join(os.Rename(a, a+".x"), os.Rename(b, a), os.Rename(a+".x", b))
		}},
		{"empty", func(dir, name string) error { return os.Truncate(filepath.Join(dir, name), 0) }},
		{"a folder", func(dir, name string) error {
			return errors.Join(os.Remove(filepath.Join(dir, name)), os.Mkdir(filepath.Join(dir, name), 0o755))
		}},
		{"a link to the one before", func(dir, name string) error {
			return errors.Join(os.Remove(filepath.Join(dir, name)), os.Symlink("../checkpoint-2/"+name, filepath.Join(dir, name)))
		}},
	}
	turn := 0
	for _, kind := range []struct {
		name string
		set  []string
	}{
		{"lomo", []string{"optimizer=lomo", "learning_rate=1e-2"}},
		{"adamw", []string{"optimizer=adamw", "learning_rate=1e-3"}},
		{"adalomo on two ranks", []string{"optimizer=adalomo", "learning_rate=1e-3", "devices=2", "sharding=zero3"}},
		{"lomo from disk", []string{"optimizer=lomo", "learning_rate=1e-2", "offload=disk"}},
	} {
		run := func(dir string, more ...string) (int, string) {
			set := []string{"--set", "max_steps=6", "--set", "save_steps=2", "--set", "save_total_limit=0"}
			for _, s := range append(kind.set, more...) {
				set = append(set, "--set", s)
			}
			return trainTiny(context.Background(), &stopAt{}, dir, set...)
		}
		for dir, more := range map[string]string{"whole": "seed=42", "other": "seed=43"} {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if code, talk := run(dir, more); code != 0 {
				t.Fatalf("%s: exit code %d\n%s", kind.name, code, talk)
			}
		}
		files, err := os.ReadDir("whole/checkpoint-4")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			for n := range edits {
				e := edits[(turn+n)%len(edits)]
				if n > 0 && os.Getenv("LOMO_EDITS") == "" {
					break
				}
				t.Run(kind.name+", "+f.Name()+" "+e.name, func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "run")
					if err := os.CopyFS(dir, os.DirFS("whole")); err != nil {
						t.Fatal(err)
					}
					for _, gone := range []string{"finished.json", "model.safetensors", "checkpoint-6"} {
						if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
							t.Fatal(err)
						}
					}
					at := filepath.Join(dir, "checkpoint-4")
					before, err := os.ReadFile(filepath.Join(at, f.Name()))
					if err != nil {
						t.Fatal(err)
					}
					if err := e.edit(at, f.Name()); err != nil {
						t.Fatal(err)
					}
					after, err := os.ReadFile(filepath.Join(at, f.Name()))
					code, talk := run(dir, "seed=42")
					switch {
					case code == 1 && strings.Contains(talk, "lomo: error: "):
						return
					case code != 0:
						t.Fatalf("exit code %d\n%s", code, talk)
					}
					if passed := strings.Contains(talk, "passed over"); !passed && (err != nil || !bytes.Equal(before, after)) && f.Name() != manifest {
						t.Errorf("nothing is said\n%s", talk)
					} else if passed && !strings.Contains(talk, "continuing from "+filepath.Join(dir, "checkpoint-2")) {
						t.Errorf("not from the one before\n%s", talk)
					}
					same(t, "whole/model.safetensors", filepath.Join(dir, "model.safetensors"))
				})
			}
			turn++
		}
	}
}

func change(path string, edit func([]byte) []byte) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, edit(raw), 0o644)
}

func copyOver(to, from string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o644)
}
