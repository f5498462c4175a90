package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/job"
)

// stopAt cancels a run when a text has been written.
type stopAt struct {
	bytes.Buffer
	text   string
	cancel func()
}

func (w *stopAt) Write(p []byte) (int, error) {
	if w.text != "" && strings.Contains(string(p), w.text) {
		w.cancel()
	}
	return w.Buffer.Write(p)
}

// TestInterruptAndResume: an interrupted run exits 130 with a checkpoint, the same command ends it, and its weights and
// metrics are those of a run that was never stopped.
func TestInterruptAndResume(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: "m", DType: "bf16", MaxShardSize: "1GB"}); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat(`{"text": "The tower stands in Marl, and old Wren built it."}`+"\n", 8)
	if err := os.WriteFile("d.jsonl", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(dir, stop string) (int, string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		talk := &stopAt{text: stop, cancel: cancel}
		code := Run(ctx, &Streams{Out: &bytes.Buffer{}, Err: talk}, []string{"train", "--set", "model=m", "--set", "output_dir=" + dir,
			"--set", "datasets=[{path: d.jsonl, type: text}]", "--set", "max_steps=8", "--set", "sequence_len=32", "--set", "micro_batch_size=2", "--set", "save_steps=0"})
		return code, talk.String()
	}
	if code, talk := run("whole", ""); code != 0 {
		t.Fatalf("exit code %d\n%s", code, talk)
	}
	code, talk := run("stopped", "step 3/8")
	if code != 130 || !strings.Contains(talk, "saved stopped") {
		t.Fatalf("exit code %d, want 130 after a checkpoint\n%s", code, talk)
	}
	if _, err := os.Stat("stopped/model.safetensors"); err == nil {
		t.Error("an interrupted run has written a trained model")
	}
	if code, talk = run("stopped", ""); code != 0 || !strings.Contains(talk, "continuing from stopped") || strings.Contains(talk, "step 1/8") {
		t.Fatalf("exit code %d, want 0 after resuming\n%s", code, talk)
	}
	same(t, "whole/model.safetensors", "stopped/model.safetensors")
	if a, b := steps(t, "whole"), steps(t, "stopped"); a != b {
		t.Errorf("losses differ:\n%s\n%s", a, b)
	}
}

func same(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("%s and %s differ", a, b)
	}
}

// steps is what of a run's metrics must not depend on having been interrupted.
func steps(t *testing.T, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		before, _, _ := strings.Cut(line, `,"tok_s"`)
		out.WriteString(before + "\n")
	}
	return out.String()
}
