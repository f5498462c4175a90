package job

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
)

func loaded(t *testing.T, dir string, set ...string) *config.Loaded {
	t.Helper()
	l, err := config.Load(config.Input{Set: append([]string{"model=m", "output_dir=" + dir, "datasets=[{path: a.txt, type: text}]"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// begun is a folder in which a run with these settings was started.
func begun(t *testing.T, set ...string) string {
	t.Helper()
	dir := t.TempDir()
	c := loaded(t, dir, set...)
	o, err := openOutput(&c.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.begin(c); err != nil {
		t.Fatal(err)
	}
	if err := o.unlock(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// saveCheckpoint puts a complete checkpoint of nothing into dir.
func saveCheckpoint(t *testing.T, dir, name string) {
	t.Helper()
	err := checkpoint.SaveDir(dir, name, func(tmp string) error {
		return os.WriteFile(filepath.Join(tmp, "lomo_state.json"), []byte(`{"step": 4}`), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string, set ...string) (*output, error) {
	t.Helper()
	o, err := openOutput(&loaded(t, dir, set...).Config)
	if err == nil {
		t.Cleanup(func() { o.unlock() })
	}
	return o, err
}

func TestOutputFresh(t *testing.T) {
	o, err := open(t, filepath.Join(t.TempDir(), "a", "b"))
	if err != nil || o.resume != "" || o.finished {
		t.Errorf("a new folder: %+v, %v", o, err)
	}
}

func TestOutputRefusesForeignFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.doc"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir); err == nil || !strings.Contains(err.Error(), "thesis.doc") {
		t.Errorf("got %v", err)
	}
}

func TestOutputRefusesItsModel(t *testing.T) {
	dir := t.TempDir()
	_, err := open(t, dir, "model="+dir)
	var usage *UsageError
	if !errors.As(err, &usage) {
		t.Errorf("got %v", err)
	}
}

func TestOutputContinues(t *testing.T) {
	dir := begun(t)
	if o, err := open(t, dir); err != nil || o.resume != "" {
		t.Errorf("without a checkpoint a run starts afresh: %+v, %v", o, err)
	}
	dir = begun(t)
	saveCheckpoint(t, dir, "checkpoint-4")
	o, err := open(t, dir, "max_steps=100", "threads=1", "save_steps=7", "logging_steps=2")
	if err != nil || o.resume != filepath.Join(dir, "checkpoint-4") {
		t.Fatalf("%+v, %v", o, err)
	}
	if step, err := o.resumedStep(); err != nil || step != 4 {
		t.Errorf("step %d, %v", step, err)
	}
}

func TestOutputRefusesAnotherRun(t *testing.T) {
	for _, set := range []string{"learning_rate=0.123", "seed=1", "optimizer=lomo", "sequence_len=77"} {
		dir := begun(t)
		_, err := open(t, dir, set)
		key, _, _ := strings.Cut(set, "=")
		if err == nil || !strings.Contains(err.Error(), "another run") || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", set, err)
		}
	}
	dir := begun(t)
	if _, err := open(t, dir, "resume=none"); err == nil {
		t.Error("resume: none writes over a run")
	}
}

func TestOutputIsLocked(t *testing.T) {
	dir := begun(t)
	if _, err := open(t, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := openOutput(&loaded(t, dir).Config); err == nil {
		t.Error("two runs share a folder")
	}
}

func TestOutputFinished(t *testing.T) {
	finish := func(dir string) {
		t.Helper()
		if err := (&output{dir: dir}).end(10); err != nil {
			t.Fatal(err)
		}
	}
	dir := begun(t, "max_steps=10")
	finish(dir)
	if o, err := open(t, dir, "max_steps=10"); err != nil || !o.finished {
		t.Errorf("a finished run: %+v, %v", o, err)
	}
	dir = begun(t, "max_steps=10")
	finish(dir)
	if _, err := open(t, dir, "max_steps=20"); err == nil || !strings.Contains(err.Error(), "no checkpoint") {
		t.Errorf("going on without a checkpoint: %v", err)
	}
	dir = begun(t, "max_steps=10")
	finish(dir)
	saveCheckpoint(t, dir, "checkpoint-10")
	if o, err := open(t, dir, "max_steps=20"); err != nil || o.finished || o.resume == "" {
		t.Errorf("going on from a checkpoint: %+v, %v", o, err)
	}
}
