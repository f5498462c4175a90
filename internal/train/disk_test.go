package train

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestDiskEqualsResident: with the weights and the block inputs in files a run writes the bytes it writes with them in memory,
// clipped exactly, accumulated, tied and with every optimizer that takes no copy of the weights; and nothing is left behind.
func TestDiskEqualsResident(t *testing.T) { eachFixture(t, 7, testDiskEqualsResident) }

func testDiskEqualsResident(t *testing.T, f *fixture) {
	for _, name := range []string{"lomo", "adalomo", "sgd"} {
		for _, lagged := range []bool{true, false} {
			memory, disk := f.options(t.TempDir(), name), f.options(t.TempDir(), name)
			memory.ClipLagged, disk.ClipLagged = lagged, lagged
			if err := f.run(context.Background(), memory, ""); err != nil {
				t.Fatal(err)
			}
			disk.Offload, disk.WorkingCopy = OnDisk, filepath.Join(disk.OutputDir, "weights.tmp")
			disk.SpillInputs, disk.SpillFile = OnDisk, filepath.Join(disk.OutputDir, "inputs.tmp")
			var in, out int64
			disk.OnDone = func(a, b int64) { in, out = a, b }
			if err := f.run(context.Background(), disk, ""); err != nil {
				t.Fatal(err)
			}
			if in == 0 || out == 0 {
				t.Errorf("%s: %d bytes read and %d written", name, in, out)
			}
			for _, file := range []string{"model.safetensors", "checkpoint-3/model.safetensors", "checkpoint-3/lomo_state.safetensors"} {
				sameFiles(t, filepath.Join(memory.OutputDir, file), filepath.Join(disk.OutputDir, file))
			}
			for _, file := range []string{disk.WorkingCopy, disk.SpillFile} {
				if _, err := os.Stat(file); !os.IsNotExist(err) {
					t.Errorf("%s is left behind: %v", file, err)
				}
			}
		}
	}
}
