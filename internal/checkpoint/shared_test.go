package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lomo/internal/tensor"
)

// saveShared saves checkpoint-step as two ranks do: one begins the files, both write their rows, one ends them.
func saveShared(parent string, step int, v float32) error {
	return SaveDir(parent, fmt.Sprintf("checkpoint-%d", step), func(dir string) error {
		var specs []Spec
		for i := range 3 {
			specs = append(specs, Spec{fmt.Sprintf("t%d", i), tensor.F32, []int{4, 1}})
		}
		half := func(w *Writer, r0 int) error {
			for _, s := range specs {
				two := make([]byte, 8)
				for i := range 2 {
					copy(two[4*i:], float32Bytes(v))
				}
				if err := w.WriteRows(s.Name, r0, two); err != nil {
					return err
				}
			}
			return nil
		}
		first, err := NewWriter(dir, specs, WriterOptions{MaxShardSize: 32, Shared: true})
		if err != nil {
			return err
		}
		defer first.Abort()
		second, err := NewWriter(dir, specs, WriterOptions{MaxShardSize: 32, Join: true})
		if err != nil {
			return err
		}
		defer second.Abort()
		if err := errors.Join(half(second, 2), half(first, 0), second.Close()); err != nil {
			return err
		}
		if all := first.Written() + second.Written(); all != first.Size() {
			return fmt.Errorf("%d bytes of %d", all, first.Size())
		}
		if err := os.WriteFile(filepath.Join(dir, configName), []byte("{}"), 0o644); err != nil {
			return err
		}
		return first.Close()
	})
}

func float32Bytes(v float32) []byte {
	b := make([]byte, 4)
	if err := tensor.PutFloat32s(b, []float32{v}, tensor.F32); err != nil {
		panic(err)
	}
	return b
}

// TestSharedSave: two writers fill the same files. Stopped or failing at every step of it, the checkpoint from before is there.
func TestSharedSave(t *testing.T) {
	withoutFsync(t)
	for _, kind := range []string{"kill", "fail"} {
		for at := 1; ; at++ {
			parent := t.TempDir()
			if err := saveShared(parent, 1, 1); err != nil {
				t.Fatal(err)
			}
			wantLatest(t, parent, 1, 1)
			count := stopAt(t, at, func(string) error {
				if kind == "kill" {
					panic("kill")
				}
				return errors.New("no space")
			})
			killed(func() { _ = saveShared(parent, 2, 2) })
			steps := count()
			failpoint = func(string) error { return nil }
			switch dir, step, err := Latest(parent); {
			case err != nil:
				t.Fatalf("%s at step %d: %v", kind, at, err)
			case step == 2 && modelValue(t, dir, 3) == 2:
			case step == 1 && modelValue(t, dir, 3) == 1 && steps >= at:
			default:
				t.Fatalf("%s at step %d: %s is neither", kind, at, dir)
			}
			if steps < at {
				break
			}
		}
	}
}
