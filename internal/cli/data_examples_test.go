package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lomo/internal/job"
)

// TestDataExamples: every example of docs/data.md is read, and something of it is learned.
func TestDataExamples(t *testing.T) {
	page, err := os.ReadFile("../../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	t.Chdir(work)
	if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: "model", DType: "bf16", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)^`- \\{path: \"?([^,\"]+)\"?, type: (\\S+)\\}`.*\n\n((?:    .*\n)+)").FindAllStringSubmatch(string(page), -1)
	if len(found) < 8 {
		t.Fatalf("%d examples", len(found))
	}
	for _, m := range found {
		pattern, kind, text := m[1], m[2], regexp.MustCompile(`(?m)^    `).ReplaceAllString(m[3], "")
		file := strings.NewReplacer("**", "2024", "*", "may").Replace(pattern)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args := []string{pattern, "--type", kind, "--model", "model"}
		if kind == "messages" || kind == "sharegpt" {
			args = append(args, "--chat-template", "chatml")
		}
		out, said, err := command(func(s *Streams) *cobra.Command { return newInspectCmd(s, runInspect) }, "", args...)
		if err != nil || !strings.Contains(out, "learned") {
			t.Errorf("%s as %s: %v\n%s%s", pattern, kind, err, said, out)
		}
	}
}
