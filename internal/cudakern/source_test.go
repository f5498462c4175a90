package cudakern

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"
)

// LOMO_PTX_DIR holds a folder ptx with the PTX of another compiler (scripts/cuda/ptx.py --compiler clang): then all tests of this
// package run that.
func init() {
	if dir := os.Getenv("LOMO_PTX_DIR"); dir != "" {
		ptxSource = os.DirFS(dir)
		fmt.Println("cudakern: PTX of", dir)
	}
}

// TestKernelsOfSource: another compiler's PTX has all the kernels of the embedded one.
func TestKernelsOfSource(t *testing.T) {
	got := Kernels()
	ptxSource = swap(t, ptxFiles)
	if want := Kernels(); !slices.Equal(got, want) {
		t.Errorf("kernels %v, embedded are %v", got, want)
	}
}

// swap makes the PTX come from source until the test ends.
func swap(t *testing.T, source fs.FS) fs.FS {
	old := ptxSource
	t.Cleanup(func() { ptxSource = old })
	return source
}
