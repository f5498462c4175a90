package train

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// sickly is a device whose sums of squares are not a number while it is sick: the gradient of such a step is not finite, its loss is.
type sickly struct {
	device.Device
	sick bool
}

func (d *sickly) spoil(sum tensor.Tensor) {
	if d.sick {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], math.Float64bits(math.NaN()))
		d.CopyIn(sum, b[:])
	}
}

func (d *sickly) SumSq(sum, g tensor.Tensor) {
	d.Device.SumSq(sum, g)
	d.spoil(sum)
}

func (d *sickly) OuterSumSq(sum, dy, x tensor.Tensor) {
	d.Device.OuterSumSq(sum, dy, x)
	d.spoil(sum)
}

// place is where the weights and the block inputs of a run wait.
type place struct {
	name  string
	ranks int
	set   func(o *Options, dir string)
}

var places = []place{
	{"resident", 1, func(*Options, string) {}},
	{"host", 1, func(o *Options, _ string) { o.Offload = OnHost }},
	{"disk", 1, func(o *Options, dir string) { o.Offload, o.WorkingCopy = OnDisk, filepath.Join(dir, "weights") }},
	{"inputs on host", 1, func(o *Options, _ string) { o.SpillInputs = OnHost }},
	{"inputs on disk", 1, func(o *Options, dir string) { o.SpillInputs, o.SpillFile = OnDisk, filepath.Join(dir, "inputs") }},
	{"all on host", 1, func(o *Options, _ string) { o.Offload, o.SpillInputs = OnHost, OnHost }},
	{"all on disk", 1, func(o *Options, dir string) {
		o.Offload, o.WorkingCopy, o.SpillInputs, o.SpillFile = OnDisk, filepath.Join(dir, "weights"), OnDisk, filepath.Join(dir, "inputs")
	}},
	{"zero3", 2, func(*Options, string) {}},
	{"zero3 by matrix", 3, func(o *Options, _ string) { o.GatherByMatrix = true }},
	{"zero3 on host", 2, func(o *Options, _ string) { o.Offload, o.SpillInputs = OnHost, OnHost }},
	{"zero3 on host by matrix", 2, func(o *Options, _ string) { o.Offload, o.GatherByMatrix = OnHost, true }},
}

// TestSkippedStepsLeaveNothing: steps that are skipped, because of their loss or of their gradient, leave what follows as if they had not been:
// the next step, an evaluation and the saved model have the bits of a run that only made that step, wherever weights and block inputs are.
func TestSkippedStepsLeaveNothing(t *testing.T) { eachFixture(t, 7, testSkippedStepsLeaveNothing) }

func testSkippedStepsLeaveNothing(t *testing.T, f *fixture) {
	for i, p := range places {
		for _, recompute := range []bool{true, false} {
			o := f.options(t.TempDir(), []string{"lomo", "adalomo", "sgd"}[i%3])
			o.ClipLagged, o.SkipBad, o.Recompute = false, true, recompute
			p.set(&o, o.OutputDir)
			t.Run(fmt.Sprintf("%s/recompute=%v", p.name, recompute), func(t *testing.T) {
				want := f.afterSkips(t, p.ranks, o, "")
				got := f.afterSkips(t, p.ranks, o, "loss norm loss")
				sameFiles(t, want, got)
			})
		}
	}
}

// afterSkips makes bad steps of the given kinds and then a good one, evaluates, saves the model and returns its file.
func (f *fixture) afterSkips(t *testing.T, ranks int, o Options, bad string) string {
	t.Helper()
	dir := t.TempDir()
	one := func(r int, c comm.Comm) (err error) {
		host, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, Threads: 1, PoisonReleased: true})
		if err != nil {
			return err
		}
		defer host.Close()
		d := &sickly{Device: host}
		tr, err := NewRank(d, c, o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, tr.Close()) }()
		if err := tr.Load(f.weights); err != nil {
			return err
		}
		tr.Schedule(10)
		step := []data.Batch{tokens(2, 13, 1), tokens(2, 13, 3), tokens(1, 7, 4)}
		gain := tr.net.Norm.W
		kept := slices.Clone(gain.Host)
		used := d.Memory().Used()
		for _, kind := range strings.Fields(bad) {
			if kind == "loss" {
				for i := range gain.Host {
					gain.Host[i] = 0x7f // a number whose squares overflow
				}
			}
			d.sick = kind == "norm" && r == ranks-1
			m, err := tr.Step(step)
			if err != nil || !m.Skipped {
				return fmt.Errorf("a step with a bad %s: %+v, %w", kind, m, err)
			}
			copy(gain.Host, kept)
			d.sick = false
			if d.Memory().Used() != used {
				return fmt.Errorf("a step with a bad %s leaves %d bytes", kind, d.Memory().Used()-used)
			}
		}
		tr.state.Step = 3 // the rate of the step is the same
		if m, err := tr.Step(step); err != nil || m.Skipped || tr.state.Updates != 1 || tr.state.SkippedInRow != 0 {
			return fmt.Errorf("the step after them: %+v, %w", m, err)
		}
		if _, err := tr.sweep.Evaluate(data.Batches(f.data, f.opts)); err != nil {
			return err
		}
		return tr.writeModel(dir, false)
	}
	var err error
	if ranks == 1 {
		err = guarded(func() error { return one(0, comm.Single()) })
	} else {
		group := comm.NewLocal(ranks)
		err = OnRanks(group, func(r int) error { return one(r, group[r]) }, comm.Comm.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "model.safetensors")
}

// sickRun trains while the given steps are bad, and returns what was noted and how it ended.
func (f *fixture) sickRun(ctx context.Context, ranks int, o Options, resume string, bad ...int) (notes []string, err error) {
	done := 0
	if resume != "" {
		st, err := ReadState(resume)
		if err != nil {
			f.t.Fatal(err)
		}
		done = st.Step
	}
	var all []*sickly
	wrap := func(d device.Device) device.Device {
		all = append(all, &sickly{Device: d, sick: slices.Contains(bad, done+1)})
		return all[len(all)-1]
	}
	onStep := o.OnStep
	o.OnStep = func(m StepMetrics) error {
		if m.Skipped != slices.Contains(bad, m.Step) {
			f.t.Errorf("step %d: skipped is %v", m.Step, m.Skipped)
		}
		for _, d := range all[:1] {
			d.sick = slices.Contains(bad, m.Step+1)
		}
		return call(onStep, m)
	}
	o.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	o.ClipLagged, o.SkipBad = false, true
	if ranks == 1 {
		return notes, f.runOn(ctx, wrap, o, resume)
	}
	err = f.runRanksOn(ctx, ranks, o, resume, func(r int, d device.Device, c comm.Comm) (device.Device, comm.Comm) {
		if r == 0 {
			return wrap(d), c
		}
		return d, c
	})
	return notes, err
}

// TestTooManySkips: five bad steps in a row end the run, four do not; nothing is saved meanwhile, and what was saved before stays.
func TestTooManySkips(t *testing.T) { eachFixture(t, 2, testTooManySkips) }

func testTooManySkips(t *testing.T, f *fixture) {
	for _, ranks := range []int{1, 2} {
		for _, c := range []struct {
			name  string
			bad   []int
			limit int
			ends  int    // the step it diverges at, 0: not
			saved []int  // checkpoints at the end
			note  string // part of what is noted
		}{
			{"none", nil, 0, 0, []int{2, 4, 6, 8, 10, 12}, ""},
			{"one", []int{3}, 0, 0, []int{2, 4, 6, 8, 10, 12}, "1 of 12 steps were skipped, because loss or gradient was not finite; the first was step 3"},
			{"the saved one", []int{4}, 0, 0, []int{2, 5, 6, 8, 10, 12}, "no checkpoint after step 4, which was skipped"},
			{"four", []int{5, 6, 7, 8}, 1, 0, []int{12}, "4 of 12 steps were skipped, because loss or gradient was not finite; the first was step 5"},
			{"four twice", []int{1, 2, 3, 4, 6, 7, 8, 9}, 0, 0, []int{5, 10, 12}, "8 of 12 steps"},
			{"five", []int{5, 6, 7, 8, 9}, 1, 9, []int{4}, ""},
			{"from the start", []int{1, 2, 3, 4, 5}, 0, 5, nil, ""},
			{"to the end", []int{9, 10, 11, 12}, 1, 0, []int{8}, "4 of 12 steps"},
		} {
			t.Run(fmt.Sprintf("%s/%d", c.name, ranks), func(t *testing.T) {
				o := f.options(t.TempDir(), "lomo")
				o.NumEpochs, o.MaxSteps, o.SaveSteps, o.SaveLimit = 0, 12, 2, c.limit
				var seen []int
				tokens := int64(0)
				o.OnStep = func(m StepMetrics) error {
					if m.Skipped {
						seen = append(seen, m.Step)
					}
					if tokens += int64(m.Tokens); m.Skipped != (m.Tokens == 0) || m.SeenTokens != tokens {
						t.Errorf("step %d, skipped: %v: %d tokens, %d so far, want %d", m.Step, m.Skipped, m.Tokens, m.SeenTokens, tokens)
					}
					return nil
				}
				f := *f
				f.t = t
				notes, err := f.sickRun(context.Background(), ranks, o, "", c.bad...)
				var div *DivergedError
				if c.ends == 0 && err != nil || c.ends > 0 && (!errors.As(err, &div) || div.Step != c.ends || !strings.Contains(err.Error(), "5 steps in a row")) {
					t.Fatalf("ended with %v", err)
				}
				if c.ends == 0 && !slices.Equal(seen, c.bad) {
					t.Errorf("skipped %v, want %v", seen, c.bad)
				}
				wantSaved(t, o.OutputDir, c.saved...)
				if _, err := os.Stat(filepath.Join(o.OutputDir, "model.safetensors")); (err == nil) != (c.ends == 0) {
					t.Errorf("the trained model: %v", err)
				}
				if all := strings.Join(notes, "\n"); !strings.Contains(all, c.note) || len(c.bad) == 0 && strings.Contains(all, "skipped") {
					t.Errorf("noted %q, want %q", notes, c.note)
				}
			})
		}
	}
}

func wantSaved(t *testing.T, dir string, steps ...int) {
	t.Helper()
	var want, got []string
	for _, s := range steps {
		want = append(want, fmt.Sprintf("checkpoint-%d", s))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "checkpoint-") {
			got = append(got, e.Name())
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("saved are %v, want %v", got, want)
	}
}

// TestEveryStepSkipped: a run that has learned nothing does not end as if it had.
func TestEveryStepSkipped(t *testing.T) { eachFixture(t, 2, testEveryStepSkipped) }

func testEveryStepSkipped(t *testing.T, f *fixture) {
	o := f.options(t.TempDir(), "lomo")
	o.NumEpochs, o.MaxSteps = 0, 3
	_, err := f.sickRun(context.Background(), 1, o, "", 1, 2, 3)
	var div *DivergedError
	if !errors.As(err, &div) || !strings.Contains(err.Error(), "all 3 steps") {
		t.Errorf("ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(o.OutputDir, "model.safetensors")); !os.IsNotExist(err) {
		t.Errorf("a model is there: %v", err)
	}
}

// TestInterruptedWhileSkipping: the checkpoint of the interruption does not push out the one before it, and the continued run goes on counting.
func TestInterruptedWhileSkipping(t *testing.T) { eachFixture(t, 2, testInterruptedWhileSkipping) }

func testInterruptedWhileSkipping(t *testing.T, f *fixture) {
	for _, ranks := range []int{1, 2} {
		o := f.options(t.TempDir(), "adalomo")
		o.NumEpochs, o.MaxSteps, o.SaveSteps, o.SaveLimit = 0, 12, 2, 1
		ctx, cancel := context.WithCancel(context.Background())
		o.OnStep = func(m StepMetrics) error {
			if m.Step == 5 {
				cancel()
			}
			return nil
		}
		if _, err := f.sickRun(ctx, ranks, o, "", 3, 4, 5); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("ended with %v", err)
		}
		wantSaved(t, o.OutputDir, 2, 5)
		from := filepath.Join(o.OutputDir, "checkpoint-5")
		sameFiles(t, filepath.Join(o.OutputDir, "checkpoint-2/model.safetensors"), filepath.Join(from, "model.safetensors"))
		o.OnStep = nil
		var div *DivergedError
		if _, err := f.sickRun(context.Background(), ranks, o, from, 6, 7); !errors.As(err, &div) || div.Step != 7 {
			t.Errorf("ended with %v, want to stop at the fifth in a row, step 7", err)
		}
		o.OutputDir = t.TempDir()
		notes, err := f.sickRun(context.Background(), ranks, o, from, 6)
		if err != nil || !strings.Contains(strings.Join(notes, "\n"), "4 of 12 steps were skipped, because loss or gradient was not finite; the first was step 3") {
			t.Errorf("ended with %v and %q", err, notes)
		}
	}
}

// TestNotFiniteIsNotSaved: a weight that is not a number, however it came about, is not written over a good model.
func TestNotFiniteIsNotSaved(t *testing.T) { eachFixture(t, 2, testNotFiniteIsNotSaved) }

func testNotFiniteIsNotSaved(t *testing.T, f *fixture) {
	d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	o := f.options(t.TempDir(), "lomo")
	o.SaveLimit = 1
	tr, err := New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	in := Inputs{Weights: f.weights, Train: data.NewLoader(f.data, f.opts)}
	if err := tr.start(in, ""); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tr.next(in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tr.save(in); err != nil {
		t.Fatal(err)
	}
	if err := tr.finish(in); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(o.OutputDir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	up := tr.net.Blocks[1].ForwardUses(true)[5] // up_proj
	w := up.W
	copy(w.Host[w.Bytes()/2:], []byte{0xc0, 0x7f}) // a NaN in bf16
	tr.state.Step++
	var div *DivergedError
	if _, err := tr.save(in); !errors.As(err, &div) || !strings.Contains(err.Error(), up.Name) {
		t.Errorf("saved with %v", err)
	}
	if err := tr.finish(in); !errors.As(err, &div) {
		t.Errorf("finished with %v", err)
	}
	wantSaved(t, o.OutputDir, 2)
	if _, err := checkpoint.Open(filepath.Join(o.OutputDir, "checkpoint-2")); err != nil {
		t.Error(err)
	}
	if now, err := os.ReadFile(filepath.Join(o.OutputDir, "model.safetensors")); err != nil || string(now) != string(good) {
		t.Errorf("the model of the folder has changed: %v", err)
	}
}
