package job

import (
	"errors"
	"fmt"
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

// TestPassedOver: a damaged checkpoint that a run passes over loses its name, so that it pushes out no good one; one with files missing stays as it is.
func TestPassedOver(t *testing.T) {
	dir := begun(t, "max_steps=9")
	for step := range 4 {
		name := fmt.Sprintf("checkpoint-%d", step+1)
		if err := checkpoint.SaveDir(dir, name, func(tmp string) error { return os.WriteFile(filepath.Join(tmp, "a"), []byte("bytes"), 0o644) }); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(at("checkpoint-3/a"), []byte("Bytes"), 0o644), os.Remove(at("checkpoint-4/a"))); err != nil {
		t.Fatal(err)
	}
	c := loaded(t, dir, "max_steps=9")
	o, err := openOutput(&c.Config, always(9))
	if err != nil {
		t.Fatal(err)
	}
	defer o.unlock()
	var said []string
	if err := o.sayPassed(func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }); err != nil {
		t.Fatal(err)
	}
	if o.resume != at("checkpoint-2") || len(said) != 2 || !strings.Contains(said[0], "checkpoint-4: a is missing") || !strings.Contains(said[1], "kept as "+at("checkpoint-3.damaged")) {
		t.Errorf("goes on from %s; said %q", o.resume, said)
	}
	if err := checkpoint.Prune(dir, 2); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"checkpoint-1": true, "checkpoint-2": true, "checkpoint-3": false, "checkpoint-3.damaged/a": true, "checkpoint-4": true} {
		if isThere(at(name)) != want {
			t.Errorf("%s is there: %v", name, !want)
		}
	}
}

// begun is a folder in which a run with these settings was started.
func begun(t *testing.T, set ...string) string {
	t.Helper()
	dir := t.TempDir()
	c := loaded(t, dir, set...)
	o, err := openOutput(&c.Config, always(c.MaxSteps))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.begin(c); err != nil {
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
		return os.WriteFile(filepath.Join(tmp, "lomo_state.json"), []byte(`{"step": `+strings.TrimPrefix(name, "checkpoint-")+`}`), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// always is a run of so many steps, whatever it continues.
func always(steps int) lengthOf {
	return func(string, *config.Config) (int, error) { return steps, nil }
}

func openAt(c *config.Loaded) (*output, error) { return openOutput(&c.Config, always(c.MaxSteps)) }

func open(t *testing.T, dir string, set ...string) (*output, error) {
	t.Helper()
	o, err := openAt(loaded(t, dir, set...))
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
	if _, err := openAt(loaded(t, dir)); err == nil {
		t.Error("two runs share a folder")
	}
}

// TestFailedStartFreesTheFolder: a start that fails, at whatever, keeps no lock: the next one, by the same process, begins at once.
func TestFailedStartFreesTheFolder(t *testing.T) {
	dir := begun(t, "max_steps=4")
	saveCheckpoint(t, dir, "checkpoint-2")
	refused := errors.New("refused")
	for name, start := range map[string]func() (*output, error){
		"resume: none": func() (*output, error) { return openAt(loaded(t, dir, "max_steps=4", "resume=none")) },
		"another run":  func() (*output, error) { return openAt(loaded(t, dir, "max_steps=4", "learning_rate=0.003")) },
		"no such checkpoint": func() (*output, error) {
			return openAt(loaded(t, dir, "max_steps=4", "resume="+filepath.Join(dir, "checkpoint-9")))
		},
		"its steps": func() (*output, error) {
			return openOutput(&loaded(t, dir, "max_steps=4").Config, func(string, *config.Config) (int, error) { return 0, refused })
		},
	} {
		if _, err := start(); err == nil {
			t.Errorf("%s: it starts", name)
		}
		o, err := openAt(loaded(t, dir, "max_steps=4"))
		if err != nil {
			t.Fatalf("after %s: %v", name, err)
		}
		if err := o.unlock(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOutputFinished(t *testing.T) {
	finish := func(dir string) {
		t.Helper()
		if err := (&output{dir: dir}).end(10, 0); err != nil {
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

// TestOutputEndCleans: what a killed save left is gone when the run is finished.
func TestOutputEndCleans(t *testing.T) {
	dir := begun(t)
	saveCheckpoint(t, dir, "checkpoint-9")
	left := filepath.Join(dir, ".tmp-checkpoint-10")
	if err := os.Mkdir(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (&output{dir: dir}).end(10, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", left, err)
	}
	if err := checkpoint.Complete(filepath.Join(dir, "checkpoint-9")); err != nil {
		t.Error(err)
	}
}

// TestOutputFinishedEpochs: more epochs are more steps, as more max_steps are.
func TestOutputFinishedEpochs(t *testing.T) {
	dir := begun(t, "num_epochs=1")
	if err := (&output{dir: dir}).end(10, 0); err != nil {
		t.Fatal(err)
	}
	saveCheckpoint(t, dir, "checkpoint-10")
	for steps, finished := range map[int]bool{10: true, 20: false} {
		o, err := openOutput(&loaded(t, dir, "num_epochs=2").Config, always(steps))
		if err != nil || o.finished != finished {
			t.Errorf("%d steps: %+v, %v", steps, o, err)
		}
		if err := o.unlock(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOutputChosenCheckpoint: a checkpoint named by the user may be continued with other settings, but not with another
// optimizer, into another run's folder, or leaving newer checkpoints of the old settings behind.
func TestOutputChosenCheckpoint(t *testing.T) {
	dir := begun(t)
	save := func(name string) string {
		t.Helper()
		saveCheckpoint(t, dir, name)
		text, err := os.ReadFile(filepath.Join(dir, configFile))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(to, configFile), text, 0o644); err != nil {
			t.Fatal(err)
		}
		return to
	}
	four := save("checkpoint-4")
	try := func(at string, set ...string) (*output, error) {
		o, err := openAt(loaded(t, at, append(set, "resume="+four)...))
		if err == nil {
			o.unlock()
		}
		return o, err
	}
	if o, err := try(dir); err != nil || o.resume != four || len(o.changed) != 0 {
		t.Errorf("unchanged: %+v, %v", o, err)
	}
	if o, err := try(dir, "learning_rate=0.001"); err != nil || len(o.changed) != 1 || !strings.HasPrefix(o.changed[0], "learning_rate: 0.001, was ") {
		t.Errorf("another rate: %+v, %v", o, err)
	}
	if o, err := try(t.TempDir(), "learning_rate=0.001"); err != nil || o.resume != four {
		t.Errorf("into a new folder: %+v, %v", o, err)
	}
	for _, c := range []struct{ where, set, want string }{
		{dir, "optimizer=lomo", "optimizer: lomo, was adalomo"},
		{begun(t, "seed=7"), "learning_rate=0.001", "holds another run"},
	} {
		if _, err := try(c.where, c.set); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.set, err, c.want)
		}
	}
	save("checkpoint-8")
	if _, err := try(dir); err != nil {
		t.Errorf("unchanged, with a newer checkpoint, which it makes again: %v", err)
	}
	if _, err := try(dir, "learning_rate=0.001"); err == nil || !strings.Contains(err.Error(), "checkpoint-8") {
		t.Errorf("a newer checkpoint stays behind: %v", err)
	}
}

// TestOutputUndo: a run that fails before its first step leaves no folder, one that has begun or found a folder does.
func TestOutputUndo(t *testing.T) {
	for name, c := range map[string]struct {
		before, metrics, gone bool
	}{"new": {gone: true}, "was there": {before: true}, "has begun": {metrics: true}} {
		dir := filepath.Join(t.TempDir(), "out")
		if c.before {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, ".lock"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l := loaded(t, dir)
		o, err := open(t, dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.begin(l); err != nil {
			t.Fatal(err)
		}
		if c.metrics {
			if err := os.WriteFile(filepath.Join(dir, metricsFile), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		o.undo()
		if _, err := os.Stat(dir); os.IsNotExist(err) != c.gone {
			t.Errorf("%s: %v", name, err)
		}
	}
}
