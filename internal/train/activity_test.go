package train

import (
	"context"
	"errors"
	"os"
	"testing"
)

// activities runs f on the models that tests share.
func activities(t *testing.T, f func(*fixture)) {
	eachFixture(t, 7, func(_ *testing.T, one *fixture) { f(one) })
}

// TestActivities: a run tells each of its tasks, how much of it is done never falls, and does not exceed what it is in all.
func TestActivities(t *testing.T) {
	activities(t, func(f *fixture) {
		o := f.options(f.t.TempDir(), "adalomo")
		o.EvalOnStart, o.MaxSteps = true, 4
		seen := map[Task]int64{}
		var last Activity
		o.OnDoing = func(a Activity) {
			if a.Task == last.Task && a.Step == last.Step && a.Done < last.Done || a.Of > 0 && a.Done > a.Of || a.Step < last.Step {
				f.t.Errorf("%+v after %+v", a, last)
			}
			seen[a.Task] = max(seen[a.Task], a.Done)
			if a.Task == Stepping && a.Of > 0 && a.Done > a.Of {
				f.t.Errorf("%+v", a)
			}
			last = a
		}
		if err := f.run(context.Background(), o, ""); err != nil {
			f.t.Fatal(err)
		}
		for task := Loading; task <= Writing; task++ {
			if task != Answering && seen[task] == 0 {
				f.t.Errorf("task %d is not told: %v", task, seen)
			}
		}
	})
}

// TestStopBeforeTheFirstStep: what is stopped while weights are read, or in the evaluation before the first step, ends at once, and reports no
// evaluation of a part of the data.
func TestStopBeforeTheFirstStep(t *testing.T) {
	activities(t, func(f *fixture) {
		for _, at := range []Task{Loading, Evaluating} {
			dir := f.t.TempDir()
			ctx, cancel := context.WithCancel(context.Background())
			o := f.options(dir, "lomo")
			o.EvalOnStart = true
			o.OnDoing = func(a Activity) {
				if a.Task == at {
					cancel()
				}
			}
			o.OnEval = func(m EvalMetrics) error { f.t.Errorf("task %d: reported %+v", at, m); return nil }
			o.OnStep = func(m StepMetrics) error { f.t.Errorf("task %d: a step", at); return nil }
			if err := f.run(ctx, o, ""); !errors.Is(err, ErrInterrupted) {
				f.t.Errorf("task %d: %v", at, err)
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
				f.t.Errorf("task %d: %v, %v", at, files, err)
			}
			cancel()
		}
	})
}
