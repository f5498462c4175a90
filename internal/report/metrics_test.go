package report

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLines holds the keys that other programs read (design.md 4) and what happens to numbers JSON cannot hold.
func TestLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	m, err := OpenMetrics(path, 0, 9)
	if err != nil {
		t.Fatal(err)
	}
	norm, mfu, left := Number(0.5), Number(0.25), Number(100)
	s := Step{Step: 1, Epoch: 0.5, Loss: 2.25, LR: 1e-3, Tokens: 10, SeenTokens: 20, TokS: 30.5, StepMS: 40, MemBytes: 50, PeakBytes: 60}
	full := s
	full.GradNorm, full.MFU, full.Loss = &norm, &mfu, Number(math.NaN())
	full.Total, full.ElapsedS, full.RemainingS = 9, 12.5, &left
	for _, err := range []error{m.Step(s), m.Step(full), m.Eval(Eval{Step: 1, Loss: 800, Perplexity: Number(math.Inf(1)), Tokens: 7}), m.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := `{"step":1,"epoch":0.5,"loss":2.25,"lr":0.001,"tokens":10,"seen_tokens":20,"tok_s":30.5,"step_ms":40,"mem_bytes":50,"peak_bytes":60}
{"step":1,"epoch":0.5,"loss":null,"lr":0.001,"grad_norm":0.5,"tokens":10,"seen_tokens":20,"tok_s":30.5,"step_ms":40,"mem_bytes":50,"peak_bytes":60,"mfu":0.25,"total_steps":9,"elapsed_s":12.5,"remaining_s":100}
{"step":1,"eval_loss":800,"perplexity":null,"eval_tokens":7}
`
	got, _ := os.ReadFile(path)
	if string(got) != want {
		t.Errorf("have\n%swant\n%s", got, want)
	}
	h, err := ReadMetrics(path)
	if err != nil || len(h.Steps) != 2 || len(h.Evals) != 1 || h.Steps[0] != s || !math.IsNaN(float64(h.Steps[1].Loss)) {
		t.Errorf("read back %+v, %v", h, err)
	}
}

func TestResumeCutsLaterLines(t *testing.T) {
	const a, b, c = `{"step":1,"loss":3}` + "\n", `{"step":2,"eval_loss":3}` + "\n", `{"step":3,"loss":1}` + "\n"
	for _, x := range []struct {
		name, text string
		done       int // of 6 steps
		want       string
	}{
		{"fresh", a + b, 0, ""},
		{"all kept", a + b, 2, a + b},
		{"later cut", a + b + c, 2, a + b},
		{"torn end", a + b + `{"step":2,"lo`, 5, a + b},
		{"torn middle", a + "{\n" + b, 5, a},
		{"no step", a + "{}\n" + b, 5, a},
		{"no file", "", 3, ""},
		{"evaluation of the last step", a + b + `{"step":6,"loss":1}` + "\n" + `{"step":6,"eval_loss":2}` + "\n", 6, a + b + `{"step":6,"loss":1}` + "\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "metrics.jsonl")
			if x.text != "" {
				if err := os.WriteFile(path, []byte(x.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			m, err := OpenMetrics(path, x.done, 6)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Eval(Eval{Step: 9}); err != nil {
				t.Fatal(err)
			}
			m.Close()
			got, _ := os.ReadFile(path)
			if kept, ok := strings.CutSuffix(string(got), `{"step":9,"eval_loss":0,"perplexity":0,"eval_tokens":0}`+"\n"); !ok || kept != x.want {
				t.Errorf("kept %q, want %q", kept, x.want)
			}
		})
	}
}

func TestReadMetricsNamesTheLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.jsonl")
	if err := os.WriteFile(path, []byte("{\"step\":1}\n{]\n{\"step\":2}\n{\"torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMetrics(path); err == nil || !strings.Contains(err.Error(), "m.jsonl:2: ") {
		t.Errorf("error %v, want line 2", err)
	}
}

// TestElapsedOfOldFiles: lines that do not say how long the run has taken count with the time of their steps.
func TestElapsedOfOldFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []Step
		want  time.Duration
	}{
		{"none", nil, 0},
		{"old", []Step{{StepMS: 1500}, {StepMS: 500}}, 2 * time.Second},
		{"new", []Step{{StepMS: 1500, ElapsedS: 9}, {StepMS: 500, ElapsedS: 11}}, 11 * time.Second},
		{"gone on by a newer version", []Step{{StepMS: 1500}, {StepMS: 500, ElapsedS: 4}}, 4 * time.Second},
	} {
		var d Digest
		for _, s := range c.steps {
			d.step(s)
		}
		if got := d.Elapsed(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
