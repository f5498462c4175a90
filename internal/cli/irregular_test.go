//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lomo/internal/job"
)

// TestIrregularFiles: what is no regular file in the place of any file of a model, of data or of a run is an error or left out, soon: nothing waits for a
// pipe, and nothing reads a device.
func TestIrregularFiles(t *testing.T) {
	root := t.TempDir()
	model := filepath.Join(root, "model")
	if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: model, DType: "bf16", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]func(path string) error{
		"pipe":     func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device":   func(path string) error { return os.Symlink("/dev/zero", path) },
		"loop":     func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"dangling": func(path string) error { return os.Symlink("nowhere", path) },
		"folder":   func(path string) error { return os.Mkdir(path, 0o755) },
	}
	soon := func(name string, args ...string) string {
		said := make(chan string, 1)
		go func() {
			var out, err strings.Builder
			code := Run(t.Context(), &Streams{In: strings.NewReader(""), Out: &out, Err: &err, Env: []string{"HOME=" + root}}, args)
			if code != 0 && code != 1 && code != 2 {
				t.Errorf("%s: exit code %d", name, code)
			}
			if code != 0 && !strings.Contains(err.String(), "lomo: error: ") {
				t.Errorf("%s: exit code %d, %s", name, code, err.String())
			}
			if code == 0 {
				err.WriteString("done")
			}
			said <- err.String()
		}()
		select {
		case s := <-said:
			return s
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: waits", name)
			return ""
		}
	}
	must := []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja",
		"special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "tekken.json", "chat_template.json", "additional_chat_templates/tool_use.jinja"}
	for kind, put := range kinds {
		dir := filepath.Join(root, kind)
		for _, file := range must {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(dir, os.DirFS(model)); err != nil {
				t.Fatal(err)
			}
			at := filepath.Join(dir, file)
			if err := os.RemoveAll(at); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := put(at); err != nil {
				t.Skip(err)
			}
			name := file + " is a " + kind
			said := soon(name, "inspect", dir)
			if strings.HasSuffix(said, "done") || !strings.Contains(said, file) {
				t.Errorf("%s: nothing is said: %s", name, said)
			}
		}
		if kind == "pipe" {
			continue // of data and configurations a pipe may get its writer later: package fault's own test has short waits
		}
		for _, ext := range []string{"jsonl", "txt", "csv", "parquet", "json", "yaml"} {
			at := filepath.Join(root, kind+"."+ext)
			if err := put(at); err != nil {
				t.Skip(err)
			}
			args := []string{"inspect", at, "--type", "text", "--model", model}
			if ext == "yaml" {
				if said := soon(at, "config", "import", at); strings.HasSuffix(said, "done") {
					t.Errorf("import %s: %s", at, said)
				}
				args = []string{"train", "--config", at}
			}
			if said := soon(at, args...); strings.HasSuffix(said, "done") {
				t.Errorf("%s: %s", at, said)
			}
			if said := soon(at, "generate", "--model", model, "--prompt-file", at); strings.HasSuffix(said, "done") {
				t.Errorf("prompt %s: %s", at, said)
			}
		}
	}
}

// TestInspectChecksums: a checkpoint of a run with another byte than was saved is a broken part.
func TestInspectChecksums(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	at := filepath.Join(dir, "checkpoint-2")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	// CRC-32C of "abc" is 364b3fb7.
	for name, text := range map[string]string{"lomo_manifest.json": `{"version":2,"files":[{"name":"w.bin","size":3,"crc32c":"364b3fb7"}]}`, "w.bin": "abc"} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	problems := func() string { return strings.Join(describeRun(dir).Problems, "\n") }
	if p := problems(); strings.Contains(p, "checkpoint-2") {
		t.Error(p)
	}
	if err := os.WriteFile(filepath.Join(at, "w.bin"), []byte("abd"), 0o644); err != nil {
		t.Fatal(err)
	}
	if p := problems(); !strings.Contains(p, "checkpoint-2") || !strings.Contains(p, "checksum") {
		t.Errorf("not seen: %s", p)
	}
}
