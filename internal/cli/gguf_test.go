package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// succeeds runs one command line and wants exit code 0; it returns what went to stdout.
func succeeds(t *testing.T, args ...string) string {
	t.Helper()
	var out, talk bytes.Buffer
	if code := Run(context.Background(), &Streams{In: strings.NewReader(""), Out: &out, Err: &talk}, args); code != 0 {
		t.Fatalf("lomo %s: exit code %d\n%s", strings.Join(args, " "), code, talk.String())
	}
	return out.String()
}

// TestGGUF takes a GGUF file (made by the gguf package, see internal/checkpoint) through the commands that read models.
// What is trained is a Hugging Face folder with its tokenizer.
func TestGGUF(t *testing.T) {
	file, err := filepath.Abs("../checkpoint/testdata/llama.gguf")
	if err != nil {
		t.Fatal(err)
	}
	if got := succeeds(t, "inspect", file); !strings.Contains(got, ": model of 19.4k weights\n") || !strings.Contains(got, "tokenizer: 24 tokens") {
		t.Errorf("inspect: %s", got)
	}
	dir := t.TempDir()
	samples, run := filepath.Join(dir, "data.jsonl"), filepath.Join(dir, "run")
	if err := os.WriteFile(samples, []byte("{\"input_ids\": [3, 4, 5, 6, 7]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	succeeds(t, "train", "--set", "model="+file, "--set", "output_dir="+run, "--set", "max_steps=2", "--set", "save_steps=1",
		"--set", "datasets=[{path: "+samples+", type: tokenized}]")
	for _, folder := range []string{run, filepath.Join(run, "checkpoint-1")} {
		if _, err := os.Stat(filepath.Join(folder, "tokenizer.json")); err != nil {
			t.Error(err)
		}
		if got := succeeds(t, "eval", "--model", folder, "--data", samples, "--type", "tokenized", "--json"); !strings.HasPrefix(got, `{"loss":`) {
			t.Errorf("eval: %s", got)
		}
	}
	if entries, err := filepath.Glob(filepath.Join(run, ".tokenizer")); len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestMeta takes a folder as Meta publishes them through inspect and a training of two ranks, each of which reads its rows.
func TestMeta(t *testing.T) {
	folder, err := filepath.Abs("../checkpoint/testdata/meta3")
	if err != nil {
		t.Fatal(err)
	}
	if got := succeeds(t, "inspect", folder); !strings.Contains(got, ": model of 4.37k weights\n") {
		t.Errorf("inspect: %s", got)
	}
	dir := t.TempDir()
	samples, run := filepath.Join(dir, "data.jsonl"), filepath.Join(dir, "run")
	if err := os.WriteFile(samples, []byte("{\"input_ids\": [3, 4, 5, 6, 7]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, talk bytes.Buffer
	code := Run(context.Background(), &Streams{In: strings.NewReader(""), Out: &out, Err: &talk}, []string{"train", "--set", "model=" + folder,
		"--set", "output_dir=" + run, "--set", "max_steps=2", "--set", "devices=2", "--set", "sharding=zero3", "--set", "datasets=[{path: " + samples + ", type: tokenized}]"})
	if code != 0 || !strings.Contains(talk.String(), "\nrank 1: read 4.34 KiB") {
		t.Fatalf("exit code %d\n%s", code, talk.String())
	}
	if got := succeeds(t, "inspect", run); !strings.Contains(got, ": model of 4.37k weights\n") {
		t.Errorf("inspect: %s", got)
	}
}
