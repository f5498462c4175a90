package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/data"
	"lomo/internal/optim"
	"lomo/internal/tensor"
)

// newPadded is the fixture of a golden model with a padding row, and of its batches, in which that id is an ordinary token.
func newPadded(t *testing.T, name string) *fixture {
	t.Helper()
	g := openGolden(t, name)
	ids, n := g.I32("ids"), g.Shape("ids")[2]
	var text strings.Builder
	for at := 0; at < len(ids); at += n {
		fmt.Fprintf(&text, "{\"input_ids\": %s}\n", strings.ReplaceAll(fmt.Sprint(ids[at:at+n]), " ", ","))
	}
	path := filepath.Join(t.TempDir(), "data.jsonl")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, weights: g.src, cfg: g.cfg, opts: data.Options{SequenceLen: n, MicroBatch: 1, Seed: 5, VocabSize: g.cfg.VocabSize}}
	var err error
	if f.data, err = data.Load([]data.Source{{Path: path, Type: "tokenized", Weight: 1}}, nil, f.opts); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestPaddingEverywhere: the row is left out alike with one batch or accumulated ones, on several ranks, with the weights in host
// memory or on disk, with every optimizer and way of clipping; and it matters that it is.
func TestPaddingEverywhere(t *testing.T) {
	for _, name := range []string{"pad_tied", "pad_untied"} {
		for _, optimizer := range []string{"lomo", "adalomo", "sgd", "adamw"} {
			for _, lagged := range []bool{true, false} {
				if lagged && optimizer != "lomo" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/lagged=%v", name, optimizer, lagged), func(t *testing.T) { paddedRuns(t, name, optimizer, lagged) })
			}
		}
	}
}

func paddedRuns(t *testing.T, name, optimizer string, lagged bool) {
	f := newPadded(t, name)
	base := f.options("", optimizer)
	base.DType, base.ClipLagged, base.MicroBatch, base.Accumulation, base.SequenceLen = tensor.F32, lagged, 4, 1, f.opts.SequenceLen
	base.NumEpochs, base.MaxSteps, base.SaveSteps = 0, 4, 0
	run := func(micro, devices int, change func(o *Options)) map[string][]float32 {
		t.Helper()
		o := base
		f.opts.MicroBatch, o.MicroBatch, o.Accumulation, o.OutputDir = micro, micro, 4/micro/devices, t.TempDir()
		change(&o)
		var err error
		if devices > 1 {
			err = f.runRanks(context.Background(), devices, o, "")
		} else {
			err = f.run(context.Background(), o, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		return weightsOf(t, o.OutputDir)
	}
	whole := run(4, 1, func(*Options) {})
	for what, got := range map[string]map[string][]float32{
		"accumulated": run(1, 1, func(*Options) {}),
		"two ranks":   run(1, 2, func(*Options) {}),
		"four ranks":  run(1, 4, func(*Options) {}),
		"kept":        run(2, 1, func(o *Options) { o.Recompute = false }),
	} {
		d, at := worst(got, whole)
		t.Logf("%s: weights differ by %.1e at %s", what, d, at)
		if d > 8e-7 { // measured 1.7e-7
			t.Errorf("%s: weights differ by %.1e at %s", what, d, at)
		}
	}
	if optimizer != "adamw" { // it keeps its master weights where the others do not
		host := run(4, 1, func(o *Options) { o.Offload, o.SpillInputs = OnHost, OnHost })
		disk := run(4, 1, func(o *Options) {
			o.Offload, o.WorkingCopy = OnDisk, filepath.Join(t.TempDir(), "weights")
		})
		for n, w := range whole {
			if !slices.Equal(host[n], w) || !slices.Equal(disk[n], w) {
				t.Errorf("%s: other bits from host memory or disk", n)
			}
		}
	}
	padding := f.cfg.PaddingRow
	learned := *f.cfg
	learned.PaddingRow = -1
	f.cfg = &learned
	base.Model = f.cfg
	if d, _ := worst(run(4, 1, func(*Options) {}), whole); d < 1e-4 {
		t.Errorf("with row %d learned the weights differ by %.1e only", padding, d)
	}
}

// TestPaddingAlone: a batch of nothing but padding has no gradient of the table, and a step on it changes only what it passed.
func TestPaddingAlone(t *testing.T) {
	g := openGolden(t, "pad_untied")
	tr := g.trainer(Options{Optimizer: optim.Config{Name: "lomo"}, LearningRate: 0.1, Scheduler: "constant"})
	pad := int32(g.cfg.PaddingRow)
	before := slices.Clone(values(tr.d, tr.net.Embed.W))
	ids := []int32{pad, pad, pad, pad}
	b := labelled(1, 4, ids, []int32{pad, 3, 5, 7}, nil, nil)
	if _, err := tr.Step([]data.Batch{b}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, values(tr.d, tr.net.Embed.W)) {
		t.Error("the embedding has moved")
	}
}

// TestGroupByID: rows in order by id; those of the padding id last, under an entry of none.
func TestGroupByID(t *testing.T) {
	for _, c := range []struct {
		ids               []int32
		padding           int32
		uniq, offs, index []int32
	}{
		{[]int32{5, 3, 5, 9}, -1, []int32{3, 5, 9}, []int32{0, 1, 3, 4}, []int32{1, 0, 2, 3}},
		{[]int32{5, 3, 5, 9}, 4, []int32{3, 5, 9}, []int32{0, 1, 3, 4}, []int32{1, 0, 2, 3}},
		{[]int32{5, 3, 5, 9}, 5, []int32{3, 5, 9}, []int32{0, 1, 1, 2}, []int32{1, 3, 0, 2}},
		{[]int32{5, 3, 5, 9}, 3, []int32{3, 5, 9}, []int32{0, 0, 2, 3}, []int32{0, 2, 3, 1}},
		{[]int32{5, 3, 5, 9}, 9, []int32{3, 5, 9}, []int32{0, 1, 3, 3}, []int32{1, 0, 2, 3}},
		{[]int32{2, 2}, 2, []int32{2}, []int32{0, 0}, []int32{0, 1}},
	} {
		uniq, offs, index := groupByID(c.ids, c.padding)
		if !slices.Equal(uniq, c.uniq) || !slices.Equal(offs, c.offs) || !slices.Equal(index, c.index) {
			t.Errorf("%v, padding %d: %v %v %v", c.ids, c.padding, uniq, offs, index)
		}
	}
}
