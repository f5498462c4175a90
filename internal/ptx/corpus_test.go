package ptx

import (
	"os"
	"path/filepath"
	"testing"
)

// TestKernelsParse decodes every committed kernel: what is unknown is named.
func TestKernelsParse(t *testing.T) {
	files, err := filepath.Glob("../cudakern/ptx/*.ptx")
	if err != nil || len(files) == 0 {
		t.Fatal("no PTX", err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(string(src))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(m.Kernels()) == 0 {
			t.Errorf("%s: no kernel", name)
		}
	}
}
