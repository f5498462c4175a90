package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestShippedConfigs holds configs/*.yaml to what they promise: each loads without a warning, opens with the command
// that runs it and the memory it takes, and explains its keys.
func TestShippedConfigs(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no configs: %v", err)
	}
	for _, f := range files {
		l, err := Load(Input{File: f, Need: []string{"model", "output_dir", "datasets"}})
		if err != nil {
			t.Error(err)
			continue
		}
		if len(l.Warnings) > 0 {
			t.Errorf("%s: warnings %q", f, l.Warnings)
		}
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if want := "# lomo train --config configs/" + filepath.Base(f) + "\n"; !strings.HasPrefix(string(raw), want) {
			t.Errorf("%s does not open with %q", f, want)
		}
		if head, _, _ := strings.Cut(string(raw), "\nmodel:"); !strings.Contains(head, "\n# Memory: ") {
			t.Errorf("%s: its first lines do not say how much memory it takes", f)
		}
	}
}
