package job

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/doctor"
	"lomo/internal/model"
)

// smallRun is the configuration of a run of eight steps on a tiny model.
func smallRun(t *testing.T, set ...string) *config.Loaded {
	t.Helper()
	dir := t.TempDir()
	if _, err := New(NewOptions{Preset: "tiny", Dir: filepath.Join(dir, "m"), DType: "bf16", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	line := `{"input_ids": [3, 8, 13, 18, 23, 28, 33, 38]}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "d.jsonl"), []byte(strings.Repeat(line, 16)), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(config.Input{Set: append([]string{"device=cpu", "model=" + filepath.Join(dir, "m"), "output_dir=" + filepath.Join(dir, "out"), "packing=false",
		"datasets=[{path: " + filepath.Join(dir, "d.jsonl") + ", type: tokenized}]", "micro_batch_size=2", "save_steps=2", "save_total_limit=2"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestDiskTooSmallForRun: a run, and its dry run, is refused before the first step where its disk has no room, with what is written and what would fit.
func TestDiskTooSmallForRun(t *testing.T) {
	was := freeDisk
	defer func() { freeDisk = was }()
	for _, c := range []struct {
		free int64
		set  string
		want string // "": it fits
		hint string
	}{
		{1 << 40, "seed=1", "", ""},
		{-1, "seed=1", "", ""}, // the system does not say
		{sideBytes, "seed=1", "3 checkpoints of ", "save_steps: 0"},
		{sideBytes, "offload=disk", "the weights while it runs (offload: disk)", ""},
		{sideBytes, "activation_offload=disk", "block inputs (activation_offload: disk)", ""},
		{sideBytes, "save_total_limit=1", "2 checkpoints of ", ""},
		{sideBytes, "save_total_limit=0", "4 checkpoints of ", ""},
		{sideBytes, "save_steps=0", "the trained model ", ""},
	} {
		freeDisk = func(string) int64 { return c.free }
		for _, dry := range []bool{true, false} {
			l := smallRun(t, c.set, "save_total_limit=2")
			if strings.HasPrefix(c.set, "save_total_limit") {
				l = smallRun(t, c.set)
			}
			err := Train(context.Background(), l, &losses{}, TrainOptions{DryRun: dry})
			if c.want == "" {
				if err != nil {
					t.Errorf("%+v, dry %v: %v", c, dry, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "16.0 MiB are free on that disk") {
				t.Errorf("%+v, dry %v: %v", c, dry, err)
			}
			if _, err := os.Stat(l.OutputDir); err == nil {
				t.Errorf("%+v, dry %v: the folder is there", c, dry)
			}
		}
	}
}

// TestWrites: what a run has on its disk at most, in bytes of its model.
func TestWrites(t *testing.T) {
	for _, c := range []struct {
		set         string
		from, found int
		want        []int64 // bytes of the weights, of the inputs of blocks
	}{
		{"save_steps=2 save_total_limit=2", 0, 0, []int64{3, 0}},
		{"save_steps=2 save_total_limit=2", 0, 2, []int64{1, 0}},
		{"save_steps=2 save_total_limit=2", 0, 4, []int64{1, 0}}, // it is there before the others go
		{"save_steps=2 save_total_limit=2", 14, 2, []int64{1, 0}},
		{"save_steps=2 save_total_limit=0", 0, 0, []int64{8, 0}},
		{"save_steps=2 save_total_limit=0", 6, 3, []int64{5, 0}}, // all are kept
		{"save_steps=3 save_total_limit=0", 0, 0, []int64{6, 0}}, // one after the last step
		{"save_steps=3 save_total_limit=0", 15, 5, []int64{1, 0}},
		{"save_steps=3 save_total_limit=0", 16, 6, []int64{1, 0}}, // nothing to do but the trained model
		{"save_steps=500", 0, 0, []int64{1, 0}},
		{"save_steps=500 save_final=false", 0, 0, []int64{1, 0}},
		{"save_steps=0", 0, 0, []int64{1, 0}},
		{"save_steps=0 save_final=false", 0, 0, []int64{0, 0}},
		{"save_steps=0 offload=disk", 0, 0, []int64{1 + 1, 0}},
		{"save_steps=0 offload=disk save_final=false", 0, 0, []int64{1, 0}},
		{"save_steps=16 activation_offload=disk gradient_accumulation_steps=3", 0, 0, []int64{1, 3}},
	} {
		conf, o := hostRun(t, append(strings.Fields(c.set), "dtype=f32", "sequence_len=128")...)
		weights := 4 * model.NewNetwork(o.Model).NumParams()
		inputs := int64(4 * 128 * conf.MicroBatchSize * o.Model.HiddenSize * o.Model.NumHiddenLayers)
		list, each, _ := writes(conf, o, &Summary{Steps: 16, Course: Course{From: c.from}}, c.found)
		sum := int64(0)
		for _, w := range list {
			sum += w.bytes
		}
		if want := c.want[0]*weights + c.want[1]*inputs; sum != want || each != weights {
			t.Errorf("%s from step %d, %d there: %d bytes, want %d; a checkpoint has %d, want %d", c.set, c.from, c.found, sum, want, each, weights)
		}
	}
}

// TestRoomBesideOldCheckpoints: whole checkpoints make room for those that follow them; what a run never removes does not.
func TestRoomBesideOldCheckpoints(t *testing.T) {
	was := freeDisk
	defer func() { freeDisk = was }()
	freeDisk = func(string) int64 { return sideBytes }
	c, o := hostRun(t, "save_steps=2", "save_total_limit=2")
	sum := Summary{Steps: 16, Course: Course{From: 6}}
	for _, x := range []struct{ there, want string }{
		{"", "3 checkpoints of "},
		{"checkpoint-4 checkpoint-6", "1 checkpoint of "},
		{"checkpoint-6", "2 checkpoints of "},
		{"checkpoint-6 checkpoint-8.damaged", "2 checkpoints of "}, // set aside
		{"checkpoint-6 checkpoint-8.damaged-2 checkpoint-8.damaged checkpoint-old", "2 checkpoints of "},
		{"checkpoint-6 -checkpoint-8", "2 checkpoints of "}, // a file of it is missing
	} {
		c.OutputDir = t.TempDir()
		for _, name := range strings.Fields(x.there) {
			dir, broken := strings.CutPrefix(name, "-")
			err := checkpoint.SaveDir(c.OutputDir, dir, func(tmp string) error { return os.WriteFile(filepath.Join(tmp, "a"), []byte("a"), 0o644) })
			if err == nil && broken {
				err = os.Remove(filepath.Join(c.OutputDir, dir, "a"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := checkSpace(c, o, &sum); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("beside %q: %v, want %q", x.there, err, x.want)
		}
	}
}

// TestRoomier: the fewest checkpoints less that make a run fit.
func TestRoomier(t *testing.T) {
	c := config.Default()
	c.SaveSteps, c.SaveTotalLimit = 10, 4
	s := Summary{Steps: 1000}
	for _, x := range []struct {
		free int64
		want string
	}{{5*100 + 50 - 100, "save_total_limit: 3"}, {5*100 + 50 - 300, "save_total_limit: 1"}, {60 + 90, "save_steps: 0"}, {60, "free some space"}, {40, "free some space"}} {
		if got := roomier(&c, &s, 5*100+50, x.free, 100, 90, 0); !strings.Contains(got, x.want) {
			t.Errorf("%+v: %s", x, got)
		}
	}
}

// TestMemoryOfMachine: a plan above what the machine has is warned of with figures and what would fit; one above memory_limit is refused likewise.
func TestMemoryOfMachine(t *testing.T) {
	was := hostMemory
	defer func() { hostMemory = was }()
	for _, c := range []struct {
		m    doctor.Memory
		want string
	}{
		{doctor.Memory{Total: 64 << 30, Available: 60 << 30, Limit: -1}, ""},
		{doctor.Memory{Total: 0}, ""},
		{doctor.Memory{Total: 64 << 30, Available: 300 << 20, Limit: -1}, "this machine has free 300 MiB"},
		{doctor.Memory{Total: 300 << 20, Available: 200 << 20, Limit: -1}, "this machine has 300 MiB"},
		{doctor.Memory{Total: 64 << 30, Available: 60 << 30, Limit: 300 << 20}, "this container may take 300 MiB"},
	} {
		hostMemory = func() doctor.Memory { return c.m }
		conf, o := hostRun(t, "micro_batch_size=4", "sequence_len=1024")
		p, err := planHost(o, conf, 0)
		if err != nil {
			t.Fatal(err)
		}
		var said string
		warnMemory(o, conf, p, 0, func(format string, args ...any) { said += fmt.Sprintf(format, args...) })
		if c.want == "" && said != "" || !strings.Contains(said, c.want) {
			t.Errorf("%+v: %q", c.m, said)
		}
	}
}
