package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestProfileCPU(t *testing.T) {
	failed := errors.New("failed")
	path := filepath.Join(t.TempDir(), "cpu.prof")
	for _, want := range []error{nil, failed} {
		if err := profileCPU(path, func() error { return want }); err != want {
			t.Errorf("got %v, want %v", err, want)
		}
		if raw, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) { // profiles are gzip files
			t.Errorf("no profile: %d bytes, %v", len(raw), err)
		}
	}
	if err := profileCPU("", func() error { return failed }); err != failed {
		t.Errorf("without a profile: %v", err)
	}
	ran := false
	if err := profileCPU(filepath.Join(path, "x"), func() error { ran = true; return nil }); err == nil || ran {
		t.Errorf("a path that cannot be: %v, ran %v", err, ran)
	}
}
