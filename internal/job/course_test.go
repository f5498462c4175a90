package job

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/train"
)

// planned is the summary of a run of so many samples of 10 tokens.
func planned(t *testing.T, samples int, set ...string) (*Summary, *config.Loaded) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.jsonl")
	if err := os.WriteFile(path, []byte(strings.Repeat(`{"input_ids": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}`+"\n", samples)), 0o644); err != nil {
		t.Fatal(err)
	}
	c := loaded(t, t.TempDir(), append([]string{"sequence_len=100", "datasets=[{path: '" + path + "', type: tokenized}]"}, set...)...)
	ds := &dataset{opts: data.Options{SequenceLen: c.SequenceLen, Packing: c.Packing, Shuffle: true, MicroBatch: c.MicroBatchSize, Seed: 1}}
	var err error
	if ds.train, err = data.Load(sources(c.Datasets), nil, ds.opts); err != nil {
		t.Fatal(err)
	}
	s := &Summary{Train: ds.train.Stats(), Steps: c.MaxSteps}
	l := data.NewLoader(ds.train, ds.opts)
	s.Rows, s.Course.batches = l.PackedSequences(), l.BatchesIn(0)
	if s.Steps == 0 {
		if s.Steps, err = train.TotalSteps(l, c.NumEpochs, c.GradientAccumulationSteps*c.Devices); err != nil {
			t.Fatal(err)
		}
	}
	s.course(&train.Options{MicroBatch: c.MicroBatchSize, Accumulation: c.GradientAccumulationSteps, LearningRate: c.LearningRate, Scheduler: c.LRScheduler,
		WarmupRatio: c.WarmupRatio, WarmupSteps: c.WarmupSteps}, &c.Config, ds)
	return s, c
}

// said collects what a run says.
type said struct {
	Reporter
	lines []string
}

func (s *said) Note(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// TestRatesOfZero: a run of which no step changes a weight is refused with figures that work, any other is not.
func TestRatesOfZero(t *testing.T) {
	for _, c := range []struct {
		samples int
		set     string
		refused string
	}{
		{40, "warmup_ratio=0.03", "warmup_ratio: 0.03 makes its rate 0"},
		{40, "warmup_steps=1", "warmup_steps: 1 makes its rate 0"},
		{40, "warmup_steps=500 lr_scheduler=cosine", "warmup_steps: 500 makes its rate 0"},
		{40, "warmup_steps=1 lr_scheduler=wsd", "makes its rate 0"},
		{40, "warmup_steps=1 lr_scheduler=inverse_sqrt", "makes its rate 0"},
		{40, "warmup_steps=1 lr_scheduler=polynomial", "makes its rate 0"},
		{1, "warmup_ratio=1 packing=false", "1 step (1 sample, a step takes up to 4)"},
		{400, "max_steps=1 warmup_ratio=0.5", "makes its rate 0"},
		{400, "warmup_ratio=0.1 gradient_accumulation_steps=10", "40 sequences"},
		{400, "learning_rate=0", "learning_rate: 0: every step"},
		{400, "learning_rate=1e-60", "learning_rate: 1e-60: every step"},
		{400, "warmup_steps=40 learning_rate=1e-45", "makes the rate of each 0"},
		{40, "", ""},
		{40, "warmup_steps=1 lr_scheduler=lomo_linear", ""},
		{80, "warmup_steps=1", ""},
		{80, "warmup_ratio=1", ""},
		{80, "warmup_steps=50", ""},
	} {
		s, l := planned(t, c.samples, strings.Fields(c.set)...)
		err := s.checkRates(l, 0, &said{})
		if (err != nil) != (c.refused != "") {
			t.Errorf("%d samples, %s: %v", c.samples, c.set, err)
			continue
		}
		if err == nil {
			continue
		}
		if Exit(err) != 2 || !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%d samples, %s: exit %d, %v; want %q", c.samples, c.set, Exit(err), err, c.refused)
		}
	}
}

// TestWaysHold: each setting that is advised makes the steps that it is said to make.
func TestWaysHold(t *testing.T) {
	for _, c := range []struct {
		samples int
		set     string
	}{{40, ""}, {95, ""}, {333, "micro_batch_size=16"}, {333, "gradient_accumulation_steps=4"}, {60, "gradient_accumulation_steps=9 packing=false"}, {7, "packing=false"},
		{500, "max_steps=3"}, {30, "num_epochs=0.5"}, {333, "devices=2 sharding=zero3"}, {333, "devices=4 sharding=zero3 micro_batch_size=16 gradient_accumulation_steps=2"}} {
		s, _ := planned(t, c.samples, strings.Fields(c.set)...)
		if s.Steps >= fewSteps {
			t.Fatalf("%d samples, %s: %d steps are not few", c.samples, c.set, s.Steps)
		}
		ways := s.ways(&loaded(t, t.TempDir(), strings.Fields(c.set)...).Config)
		if len(ways) == 0 {
			t.Errorf("%d samples, %s: no way out", c.samples, c.set)
		}
		for _, way := range ways {
			keys, made, counts := strings.Cut(way, " makes ")
			keys = strings.TrimSuffix(keys, " in place of max_steps")
			set := strings.Fields(c.set)
			for _, k := range strings.Split(keys, " with ") {
				name, value, _ := strings.Cut(k, ": ")
				for i := len(set) - 1; i >= 0; i-- {
					if strings.HasPrefix(set[i], name+"=") || name == "num_epochs" && strings.HasPrefix(set[i], "max_steps=") {
						set = append(set[:i], set[i+1:]...)
					}
				}
				set = append(set, name+"="+value)
			}
			with, _ := planned(t, c.samples, set...)
			if counts && fmt.Sprint(with.Steps) != made || with.Steps <= s.Steps {
				t.Errorf("%d samples, %s: %q, but it makes %d", c.samples, c.set, way, with.Steps)
			}
		}
	}
}

// TestPlanLines: how many epochs a run is, and which of its steps have rate 0.
func TestPlanLines(t *testing.T) {
	for _, c := range []struct {
		samples    int
		set, lines string
	}{
		{400, "", "1 epoch of 10 steps: 400 samples packed into 40 sequences, a step takes up to 4"},
		{40, "num_epochs=3 packing=false", "3 epochs of 10 steps: 40 samples, a step takes up to 4"},
		{400, "max_steps=4", "0.4 of an epoch of 10 steps: 400 samples packed into 40 sequences, a step takes up to 4"},
		{400, "max_steps=25 gradient_accumulation_steps=2", "5 epochs of 5 steps: 400 samples packed into 40 sequences, a step takes up to 8"},
		{400, "warmup_steps=3", "1 epoch of 10 steps: 400 samples packed into 40 sequences, a step takes up to 4|step 1 has rate 0: warm-up starts there, and step 4 is the first at learning_rate"},
		{400, "warmup_steps=30", "1 epoch of 10 steps: 400 samples packed into 40 sequences, a step takes up to 4|step 1 has rate 0: warm-up starts there"},
		{400, "lr_scheduler=lomo_linear warmup_steps=3", "1 epoch of 10 steps: 400 samples packed into 40 sequences, a step takes up to 4|step 10, the last, has rate 0: lr_scheduler: lomo_linear ends there"},
	} {
		s, _ := planned(t, c.samples, strings.Fields(c.set)...)
		if got := strings.Join(s.Lines(), "|"); got != c.lines {
			t.Errorf("%d samples, %s:\n%s\nwant\n%s", c.samples, c.set, got, c.lines)
		}
	}
}

// TestRestOfZero: what is left of a run may have rate 0. Where nobody changed its length that is said, else refused.
func TestRestOfZero(t *testing.T) {
	for _, c := range []struct {
		from, total int
		said, exit  int
	}{{9, 10, 1, 0}, {8, 10, 0, 0}, {9, 7, 0, 2}, {10, 10, 0, 0}} {
		s, l := planned(t, 400, "lr_scheduler=lomo_linear")
		s.Course.From = c.from
		rep := &said{}
		if err := s.checkRates(l, c.total, rep); Exit(err) != c.exit || len(rep.lines) != c.said {
			t.Errorf("from %d, begun with %d steps: %v, %q", c.from, c.total, err, rep.lines)
		}
	}
}
