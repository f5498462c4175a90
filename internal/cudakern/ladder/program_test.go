//go:build cuda && linux

package ladder

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lomo/internal/checkpoint"
	"lomo/internal/cudakern/sim"
	"lomo/internal/cudakern/simserver"
	"lomo/internal/preset"
	"lomo/internal/tensor"
)

// program is the binary that users run, built with the tag cuda.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(shared, "lomo")
	out, err := exec.Command("go", "build", "-tags", "cuda", "-o", path, "lomo/cmd/lomo").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// machine is the cards that a run finds.
type machine struct {
	sim.Options
	prepare func(*sim.Machine)
}

// done is what a command came to.
type done struct {
	out, talk string
	code      int
	took      time.Duration
	report    simserver.Report
}

// lomo runs the program on a machine.
func (m machine) lomo(t *testing.T, args ...string) done {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &simserver.Server{Machine: m.Options, Prepare: m.prepare}
	env, stop, err := s.Start(shared)
	if err != nil {
		t.Fatal(err)
	}
	var out, talk bytes.Buffer
	c := exec.Command(path, args...)
	c.Stdout, c.Stderr, c.Env = &out, &talk, append(os.Environ(), env...)
	start := time.Now()
	err = c.Run()
	d := done{out: out.String(), talk: talk.String(), took: time.Since(start)}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		d.code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if r := s.Reports(); len(r) == 1 { // none where the run did not ask for cards
		d.report = r[0]
	}
	return d
}

// bed is a model of 16 thousand parameters with grouped heads, and data for it.
type bed struct {
	model, data string
	set         []string
}

func newBed(t *testing.T, dtype string, tied bool, set ...string) bed {
	t.Helper()
	dt, err := tensor.ParseDType(dtype)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b := bed{filepath.Join(dir, "model"), filepath.Join(dir, "data.jsonl"), append([]string{"dtype=" + dtype}, set...)}
	if err := os.Mkdir(b.model, 0o755); err != nil {
		t.Fatal(err)
	}
	extra := map[string]any{"vocab_size": 83, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
		"tie_word_embeddings": tied, "initializer_range": 0.05}
	if _, err := preset.Create(b.model, "tiny", preset.Options{DType: dt, Seed: 3, Extra: extra}); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for i := range 40 {
		var ids []string
		for j := range 9 + i%5 {
			ids = append(ids, fmt.Sprint((i%3*7+j*j*5)%11))
		}
		fmt.Fprintf(&text, "{\"input_ids\": [%s]}\n", strings.Join(ids, ","))
	}
	if err := os.WriteFile(b.data, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

// args is the command line of a run into out.
func (b bed) args(out string, set ...string) []string {
	args := []string{"train"}
	for _, s := range append(append([]string{"model=" + b.model, "output_dir=" + out, "datasets=[{path: '" + b.data + "', type: tokenized}]",
		"sequence_len=16", "micro_batch_size=1", "max_steps=5", "rounding=nearest", "lr_scheduler=constant", "warmup_ratio=0", "device=cuda"}, b.set...), set...) {
		args = append(args, "--set", s)
	}
	return args
}

// trained is a finished run.
type trained struct {
	done
	dir    string
	losses []float64
}

func (b bed) train(t *testing.T, m machine, set ...string) trained {
	t.Helper()
	r := trained{dir: filepath.Join(t.TempDir(), "out")}
	if r.done = m.lomo(t, b.args(r.dir, set...)...); r.code != 0 {
		t.Fatalf("%v: exit code %d\n%s", set, r.code, r.talk)
	}
	r.losses = losses(t, r.dir)
	return r
}

// losses reads metrics.jsonl.
func losses(t *testing.T, dir string) []float64 {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []float64
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct {
			Loss *float64 `json:"loss"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Loss != nil {
			all = append(all, *line.Loss)
		}
	}
	return all
}

// weights reads a model's tensors.
func weights(t *testing.T, dir string) map[string][]float32 {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	all := map[string][]float32{}
	for _, info := range src.Tensors() {
		n := 1
		for _, s := range info.Shape {
			n *= s
		}
		raw, vals := make([]byte, 4*n), make([]float32, n)
		if err := errors.Join(src.ReadRows(info.Name, 0, info.Shape[0], raw, tensor.F32), tensor.Float32s(vals, raw, tensor.F32)); err != nil {
			t.Fatal(err)
		}
		all[info.Name] = vals
	}
	return all
}

// apart is how far two runs from one model are: the losses, and the movement of the tensor that differs most,
// ‖(a−w) − (b−w)‖/‖b−w‖.
func apart(t *testing.T, b bed, got, want trained) (loss, movement float64, tensor string) {
	t.Helper()
	if len(got.losses) != len(want.losses) || len(got.losses) == 0 {
		t.Fatalf("losses %v and %v", got.losses, want.losses)
	}
	for i, l := range want.losses {
		loss = max(loss, math.Abs(got.losses[i]-l))
	}
	moved := false
	from, x, y := weights(t, b.model), weights(t, got.dir), weights(t, want.dir)
	for name, w := range from {
		var diff, size float64
		for i := range w {
			d, m := float64(x[name][i])-float64(y[name][i]), float64(y[name][i])-float64(w[i])
			diff, size = diff+d*d, size+m*m
		}
		if diff == 0 && size == 0 { // what has moved on neither is not apart
			continue
		}
		moved = true
		if r := math.Sqrt(diff / size); !(r <= movement) {
			movement, tensor = r, name
		}
	}
	if !moved {
		t.Fatal("nothing has moved")
	}
	return loss, movement, tensor
}

// near wants two runs within the bounds of the ladder: losses 2e-3, movements so much. A wide bound is wide for losses too.
func near(t *testing.T, b bed, got, want trained, bound float64) {
	t.Helper()
	loss, movement, name := apart(t, b, got, want)
	t.Logf("losses apart by %.2g, movements by %.2g of them (%s)", loss, movement, name)
	if !(loss <= 2e-3) || !(movement <= bound) {
		t.Errorf("losses %v and %v; %s moved otherwise by %g, bound %g", got.losses, want.losses, name, movement, bound)
	}
}

// same wants two runs with the same bits.
func same(t *testing.T, b bed, got, want trained) {
	t.Helper()
	if loss, movement, name := apart(t, b, got, want); loss != 0 || movement != 0 {
		t.Errorf("losses %v and %v; %s moved otherwise by %g", got.losses, want.losses, name, movement)
	}
}

func decode(t *testing.T, line string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), v); err != nil {
		t.Fatalf("%v: %q", err, line)
	}
}
