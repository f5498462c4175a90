package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLogitsWithinReach: a window that a llama has not is no wrong number of later tokens.
func TestLogitsWithinReach(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const golden = "../../testdata/golden/mha_tied/"
	config, err := os.ReadFile(golden + "config.json")
	if err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(golden + "model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	write("config.json", strings.Replace(string(config), "{", `{"sliding_window": 3,`, 1))
	write("model.safetensors", string(weights))
	out := filepath.Join(dir, "logits")
	if err := Logits(dir, write("short.json", "[1, 2, 3]"), out, ""); err != nil {
		t.Error(err)
	}
	if err := Logits(dir, write("long.json", "[1, 2, 3, 4]"), out, ""); err == nil || !strings.Contains(err.Error(), "4 token ids: this build computes the model exactly up to 3 (sliding_window)") {
		t.Error(err)
	}
}
