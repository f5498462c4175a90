package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/data"
)

// loaderOf deals out n samples, in micro-batches of one.
func loaderOf(t *testing.T, n int) *data.Loader {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.jsonl")
	if err := os.WriteFile(path, []byte(strings.Repeat(`{"input_ids":[1,2,3]}`+"\n", n)), 0o644); err != nil {
		t.Fatal(err)
	}
	o := data.Options{SequenceLen: 8, MicroBatch: 1, VocabSize: 9}
	d, err := data.Load([]data.Source{{Path: path, Type: "tokenized"}}, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return data.NewLoader(d, o)
}

// TestTotalSteps: an epoch has a step more where its micro-batches do not fill the last one, and a part of an epoch is rounded up to whole steps.
func TestTotalSteps(t *testing.T) {
	l := loaderOf(t, 10)
	for _, c := range []struct {
		epochs       float64
		accumulation int
		want         int // 0: refused
	}{
		{1, 1, 10}, {2, 1, 20}, {1, 3, 4}, {2, 3, 8}, {1, 5, 2}, {1, 10, 1}, {1, 16, 1}, {3, 16, 3},
		{0.5, 1, 5}, {0.25, 1, 3}, {0.01, 1, 1}, {1.5, 1, 15}, {2.05, 1, 21},
		{0.5, 3, 2}, {0.3, 3, 2}, {1.5, 3, 6}, {2.25, 3, 9}, {1.26, 3, 6}, {0.1, 16, 1}, {1.1, 16, 2},
		{0, 1, 0},
	} {
		got, err := TotalSteps(l, c.epochs, c.accumulation)
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%v epochs, %d micro-batches a step: %d steps, %v; want %d", c.epochs, c.accumulation, got, err, c.want)
		}
	}
}

// TestStepsEndWithTheEpoch: a step takes what the epoch still has, and the next one begins the next epoch.
func TestStepsEndWithTheEpoch(t *testing.T) {
	for accumulation, want := range map[int][]int{1: {1, 1, 1, 1, 1, 1, 1}, 2: {2, 2, 1, 2, 2, 1}, 3: {3, 2, 3, 2}, 5: {5, 5}, 8: {5, 5}} {
		l := loaderOf(t, 5)
		tr := &Trainer{o: Options{Accumulation: accumulation}, sweep: &Sweep{Comm: comm.Single()}}
		for step, n := range want {
			epoch := l.State().Epoch
			b, err := tr.take(l)
			if err != nil || len(b) != n {
				t.Fatalf("%d micro-batches a step, step %d: %d of them, %v; want %d", accumulation, step+1, len(b), err, n)
			}
			if s := l.State(); s.Epoch > epoch+1 || s.Epoch > epoch && s.Index != 0 {
				t.Fatalf("%d micro-batches a step, step %d: from epoch %d to %+v", accumulation, step+1, epoch, s)
			}
		}
	}
}
