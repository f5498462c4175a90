package eval

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/data"
	"lomo/internal/golden"
	"lomo/internal/model/families"
	"lomo/internal/train"
)

// goldenSweep opens a golden model on the host.
func goldenSweep(t *testing.T, name string) *train.Sweep {
	t.Helper()
	src, err := checkpoint.Open(filepath.Join(golden.Root(t), "testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	cfg, err := families.Parse(src.Config())
	if err != nil {
		t.Fatal(err)
	}
	s := hostSweep(t, cfg, 256)
	if err := s.Store.Load(src); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWindowsOfTransformers: the perplexity of a text that is longer than a sequence is that of transformers' guide, whatever the
// window and the stride.
func TestWindowsOfTransformers(t *testing.T) {
	var file struct {
		IDs   []int32
		Cases []struct {
			Length, Stride, Tokens int
			Sum                    float64
		}
	}
	golden.LoadJSON(t, "testdata/golden/windows.json", &file)
	path := filepath.Join(t.TempDir(), "ids.jsonl")
	line := fmt.Sprintf("{\"input_ids\": %s}\n", strings.ReplaceAll(fmt.Sprint(file.IDs), " ", ","))
	if err := os.WriteFile(path, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	s := goldenSweep(t, "gqa_untied")
	worst := 0.0
	for _, c := range file.Cases {
		o := data.Options{SequenceLen: c.Length, Stride: c.Stride, MicroBatch: 3, VocabSize: 72}
		d, err := data.Load([]data.Source{{Path: path, Type: "tokenized"}}, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.Evaluate(data.Batches(d, o))
		if err != nil {
			t.Fatal(err)
		}
		want := c.Sum / float64(c.Tokens)
		worst = max(worst, math.Abs(m.Loss-want))
		if m.Tokens != c.Tokens || math.Abs(m.Loss-want) > 8e-7 { // measured 1.6e-7
			t.Errorf("%d by %d: %d tokens, loss %.7f, want %d and %.7f", c.Length, c.Stride, m.Tokens, m.Loss, c.Tokens, want)
		}
	}
	t.Logf("losses apart by at most %.1e", worst)
}
