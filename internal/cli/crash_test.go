//go:build unix

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lab is a folder with this program, a tiny model and a data set.
type lab struct {
	t   *testing.T
	dir string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t, t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(l.dir, "lomo")); err != nil { // TestMain runs the program under this name
		t.Fatal(err)
	}
	var text strings.Builder
	for i := 0; i < 400; i++ {
		fmt.Fprintf(&text, "line %d of a text that is not worth reading, %d times over\n", i, i*i%97)
	}
	l.write("text.txt", text.String())
	l.write("run.yaml", "model: tiny\noutput_dir: out\ndatasets: [{path: text.txt, type: text}]\noptimizer: adalomo\nlearning_rate: 1.0e-3\n"+
		"sequence_len: 64\nmicro_batch_size: 2\ngradient_accumulation_steps: 2\nmax_steps: 40\nsave_steps: 2\nsave_total_limit: 3\nmax_grad_norm: 1\nclip_policy: lagged\n")
	l.run("new", "tiny", "tiny")
	return l
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(l.dir, "lomo"), args...)
	c.Dir = l.dir
	return c
}

func (l *lab) run(args ...string) string {
	l.t.Helper()
	out, err := l.command(args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("lomo %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (l *lab) read(name string) []byte {
	l.t.Helper()
	raw, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		l.t.Fatal(err)
	}
	return raw
}

// TestKilledRunsContinueBitForBit kills a run at arbitrary instants, continues it until it is done, and wants the bytes of a
// run that was left alone. After each kill every complete checkpoint must load.
func TestKilledRunsContinueBitForBit(t *testing.T) {
	if testing.Short() {
		t.Skip("kills runs for some seconds")
	}
	killAndContinue(t, newLab(t), 8)
}

// TestKilledRanksContinueBitForBit: the same where several ranks write each checkpoint together.
func TestKilledRanksContinueBitForBit(t *testing.T) {
	if testing.Short() {
		t.Skip("kills runs for some seconds")
	}
	l := newLab(t)
	l.write("run.yaml", strings.Replace(string(l.read("run.yaml")), "gradient_accumulation_steps: 2", "devices: 2\nsharding: zero3\nmax_shard_size: 100KB", 1))
	killAndContinue(t, l, 4)
}

// killAndContinue kills a run so many times, each at an arbitrary instant, and compares what it makes with a run left alone.
func killAndContinue(t *testing.T, l *lab, most int) {
	t.Helper()
	l.run("train", "--config", "run.yaml", "--set", "output_dir=whole")
	rng := rand.New(rand.NewPCG(1, 2))
	kills := 0
	for try := 0; ; try++ {
		if try == 20 {
			t.Fatal("the run does not come to its end")
		}
		steps := 1 + rng.IntN(7) // of this process, and then anywhere in the next step or save
		if kills == most {
			steps = 1000
		}
		killed, err := l.trainAndKill(steps, time.Duration(rng.IntN(12))*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if !killed {
			break
		}
		kills++
		l.checkpointsLoad()
	}
	if kills < most/2 {
		t.Errorf("only %d runs were killed", kills)
	}
	t.Logf("%d kills", kills)
	want := l.files("whole")
	if got := l.files("out"); !maps.Equal(got, want) {
		t.Error("the weights differ from those of the run that was left alone")
	}
	if strip(l.read("whole/metrics.jsonl")) != strip(l.read("out/metrics.jsonl")) {
		t.Error("the losses differ from those of the run that was left alone")
	}
}

// files is the content of the trained model's files of weights.
func (l *lab) files(dir string) map[string]string {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.dir, dir, "model*.safetensors"))
	if err != nil || len(found) == 0 {
		l.t.Fatalf("%s: %d files of weights, %v", dir, len(found), err)
	}
	out := map[string]string{}
	for _, path := range found {
		out[filepath.Base(path)] = string(l.read(filepath.Join(dir, filepath.Base(path))))
	}
	return out
}

// trainAndKill starts or continues the run and kills it a moment after it has reported a number of steps. It reports
// whether it came to that.
func (l *lab) trainAndKill(steps int, moment time.Duration) (bool, error) {
	c := l.command("train", "--config", "run.yaml")
	stderr, err := c.StderrPipe()
	if err != nil {
		return false, err
	}
	if err := c.Start(); err != nil {
		return false, err
	}
	var talk []string
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		talk = append(talk, lines.Text())
		if !strings.HasPrefix(lines.Text(), "step ") {
			continue
		}
		if steps--; steps == 0 {
			time.Sleep(moment)
			_ = c.Process.Kill()
		}
	}
	err = c.Wait()
	if err == nil {
		return false, nil
	}
	if status, ok := errors.AsType[*exec.ExitError](err); ok && status.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true, nil
	}
	return false, fmt.Errorf("%w\n%s", err, strings.Join(talk, "\n"))
}

// checkpointsLoad opens every checkpoint that bears its final name.
func (l *lab) checkpointsLoad() {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.dir, "out", "checkpoint-*"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, dir := range found {
		l.run("inspect", dir)
	}
}

// strip leaves step and loss of each line.
func strip(metrics []byte) string {
	var out strings.Builder
	for line := range strings.Lines(string(metrics)) {
		head, _, _ := strings.Cut(line, `"lr"`)
		out.WriteString(head + "\n")
	}
	return out.String()
}
