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

// tinyRun makes a new folder the present one, with a model m and texts d.jsonl.
func tinyRun(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: "m", DType: "bf16", MaxShardSize: "1GB"}); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat(`{"text": "The tower stands in Marl, and old Wren built it."}`+"\n", 8)
	if err := os.WriteFile("d.jsonl", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// trainTiny runs lomo train on them, in steps of two sequences, to exit code and talk, which w has taken.
func trainTiny(ctx context.Context, w *stopAt, dir string, set ...string) (int, string) {
	args := []string{"train", "--set", "model=m", "--set", "output_dir=" + dir, "--set", "datasets=[{path: d.jsonl, type: text}]",
		"--set", "sequence_len=32", "--set", "micro_batch_size=2"}
	code := Run(ctx, &Streams{Out: &bytes.Buffer{}, Err: w}, append(args, set...))
	return code, w.String()
}

// TestInterruptAndResume: an interrupted run exits 130 with a checkpoint, the same command ends it, and its weights and
// metrics are those of a run that was never stopped.
func TestInterruptAndResume(t *testing.T) {
	tinyRun(t)
	run := func(dir, stop string) (int, string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		return trainTiny(ctx, &stopAt{text: stop, cancel: cancel}, dir, "--set", "max_steps=8", "--set", "save_steps=0", "--set", "val_set_size=2")
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
	a, b := steps(t, "whole"), steps(t, "stopped")
	if a != b {
		t.Errorf("losses differ:\n%s\n%s", a, b)
	}
	if strings.Count(b, `{"step":0,"eval_loss":`) != 1 || !strings.HasPrefix(b, `{"step":0,"eval_loss":`) {
		t.Errorf("the evaluation before the first step is not there once:\n%s", b)
	}
}

// TestDamagedCheckpoint: a checkpoint that was edited anywhere is not continued from: the run goes on from the one before it and ends with the bits of
// an untouched run, or is refused where there is none. An edit that keeps the checksums, too, must make sense.
func TestDamagedCheckpoint(t *testing.T) {
	tinyRun(t)
	run := func(dir string, more ...string) (int, string) {
		return trainTiny(context.Background(), &stopAt{}, dir, append([]string{"--set", "max_steps=6", "--set", "save_steps=2", "--set", "save_total_limit=0"}, more...)...)
	}
	if code, talk := run("whole"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, talk)
	}
	at := func(share float64, flip byte) func([]byte) []byte {
		return func(raw []byte) []byte { raw[int(share*float64(len(raw)-1))] ^= flip; return raw }
	}
	put := func(old, new string) func([]byte) []byte {
		return func(raw []byte) []byte { return bytes.Replace(raw, []byte(old), []byte(new), 1) }
	}
	for name, c := range map[string]struct {
		file string
		edit func([]byte) []byte
	}{
		"an exponent's bit of a weight": {"model.safetensors", at(0.5, 0x40)},
		"the last weight":               {"model.safetensors", at(1, 0x01)},
		"the header of the weights":     {"model.safetensors", at(0.001, 0x02)},
		"the optimizer's state":         {"lomo_state.safetensors", at(0.9, 0x01)},
		"the step":                      {"lomo_state.json", put(`"step": 4`, `"step": 5`)},
		"the step, and a longer file":   {"lomo_state.json", put(`"step": 4`, `"step": 44`)},
		"the seed":                      {"lomo_state.json", put(`"seed": 42`, `"seed": 43`)},
		"the place in the data":         {"lomo_state.json", put(`"index": `, `"index":1`)},
		"the model's settings":          {"config.json", put(`"rope_theta": 1`, `"rope_theta": 2`)},
		"the run's settings":            {"config.yaml", at(0.5, 0x01)},
		"the manifest's checksum":       {"lomo_manifest.json", put(`"crc32c": "`, `"crc32c": "0`)},
		"the manifest's version":        {"lomo_manifest.json", put(`"version": 2`, `"version": 1`)},
		"the manifest's list":           {"lomo_manifest.json", put(`"name": "model`, `"name": "muddel`)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(dir, os.DirFS("whole")); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{"finished.json", "model.safetensors", "checkpoint-6"} {
				if err := os.RemoveAll(filepath.Join(dir, f)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "checkpoint-4", c.file)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			edited := c.edit(bytes.Clone(raw))
			if bytes.Equal(raw, edited) {
				t.Fatal("the edit changes nothing")
			}
			if err := os.WriteFile(path, edited, 0o644); err != nil {
				t.Fatal(err)
			}
			if code, talk := run(dir, "--resume", filepath.Join(dir, "checkpoint-4")); code == 0 {
				t.Fatalf("the checkpoint was continued from when it was named\n%s", talk)
			}
			code, talk := run(dir)
			if code != 0 || !strings.Contains(talk, "passed over") || !strings.Contains(talk, "continuing from "+filepath.Join(dir, "checkpoint-2")) {
				t.Fatalf("exit code %d, want 0 from checkpoint-2\n%s", code, talk)
			}
			same(t, "whole/model.safetensors", filepath.Join(dir, "model.safetensors"))
		})
	}
	t.Run("none left", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "run")
		if err := os.CopyFS(dir, os.DirFS("whole")); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"finished.json", "model.safetensors", "checkpoint-6", "checkpoint-2"} {
			if err := os.RemoveAll(filepath.Join(dir, f)); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "checkpoint-4", "lomo_state.json")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, put(`"step": 4`, `"step": 6`)(raw), 0o644); err != nil {
			t.Fatal(err)
		}
		code, talk := run(dir)
		if code != 1 || !strings.Contains(talk, "damaged checkpoint") || !strings.Contains(talk, "lomo_state.json has the checksum") || !strings.Contains(talk, "hint: ") {
			t.Fatalf("exit code %d, want 1\n%s", code, talk)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the damaged checkpoint has gone: %v", err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if code, talk := run(dir); code != 0 || !strings.Contains(talk, "passed over: incomplete checkpoint") {
			t.Errorf("exit code %d, want 0 from the start\n%s", code, talk)
		}
		same(t, "whole/model.safetensors", filepath.Join(dir, "model.safetensors"))
	})
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
