package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lomo/internal/checkpoint"
	"lomo/internal/data"
	"lomo/internal/job"
	"lomo/internal/report"
	"lomo/internal/train"
)

func runTrain(ctx context.Context, s *Streams, o *trainOptions) error {
	r := &runReport{s: s, o: o, dir: o.Config.OutputDir, progress: report.NewProgress(s.talk(), begun)}
	defer r.close()
	if o.Stop != nil {
		o.Stop.asked, o.Stop.forced = r.stopAsked, r.stopForced
	}
	err := job.Train(ctx, o.Config, r, job.TrainOptions{DryRun: o.DryRun, Cards: o.Cards})
	r.page.end(err)
	return r.ended(err)
}

// runReport shows a run on stderr and keeps metrics.jsonl, train.log and report.html. The files are opened late: until the output
// folder is known to be this run's, nothing is written.
type runReport struct {
	s        *Streams
	o        *trainOptions
	dir      string
	total    int // steps
	done     int // steps before this process
	plan     job.Summary
	page     runPage
	metrics  *report.Metrics
	progress *report.Progress

	course      report.Plan
	plannedPeak int64       // of the process; 0: the plan is for cards
	began       atomic.Bool // the folder is this run's
	stepped     bool        // a step was done

	mu        sync.Mutex // of what is asked when the run is stopped
	saved     string     // the newest checkpoint, "" for none
	savedStep int
}

var _ job.Reporter = (*runReport)(nil)

// Note writes a line of talk.
func (r *runReport) Note(format string, args ...any) {
	r.s.Talk.Say(format, args...)
}

// Doing shows what the run is busy with.
func (r *runReport) Doing(a train.Activity) {
	r.progress.Doing(taskNames[a.Task], a.Step, a.Done, a.Of)
}

// taskNames are the names that the display has for what a run does.
var taskNames = map[train.Task]report.Task{
	train.Waiting: report.Waiting, train.Opening: report.Opening, train.Encoding: report.Encoding, train.Planning: report.Planning,
	train.Loading: report.Loading, train.Stepping: report.Stepping, train.Evaluating: report.Evaluating, train.Answering: report.Answering, train.Saving: report.Saving, train.Writing: report.Writing,
}

// Began opens the log: the folder is this run's.
func (r *runReport) Began(string) {
	r.began.Store(true)
	if r.metrics == nil {
		r.progress.Begin(r.course, 0, 0)
	}
	r.s.Talk.OpenLog(r.path("train.log"), r.heading())
}

// Planned prints what the run will be: to stdout when that is all the user asked for.
func (r *runReport) Planned(p job.Summary) {
	r.plan, r.total = p, p.Steps
	w := r.s.Err
	if r.o.DryRun {
		r.progress.Close()
		w = r.s.Out
	}
	c := &r.o.Config.Config
	r.course = report.Plan{Steps: p.Steps, EvalEvery: c.EvalSteps, Evaluates: p.Val.Samples > 0, SaveEvery: c.SaveSteps, Writes: c.SaveFinal}
	if p.Time != nil {
		r.course.Predicted = time.Duration(p.Time.StepSeconds * float64(time.Second))
	}
	if p.Memory != nil && c.Device != "cuda" {
		r.plannedPeak = p.Memory.Peak
	}
	fmt.Fprintf(w, "%s: %s in %s on %s, %s at %v\n", p.Model, weights(p.Params, p.Active), c.DType, p.Device, c.Optimizer, c.LearningRate)
	if p.Train.Samples > 0 {
		fmt.Fprintf(w, "training data: %s\n", statsLine(p.Train))
	}
	if p.Val.Samples > 0 {
		fmt.Fprintf(w, "held-out data: %s\n", statsLine(p.Val))
	}
	steps := "steps"
	if p.Steps == 1 {
		steps = "1 step"
	} else if p.Steps > 0 {
		steps = fmt.Sprintf("%d steps", p.Steps)
	}
	if c.Devices > 1 {
		steps += fmt.Sprintf(" of %d devices", c.Devices)
	}
	accumulation := c.GradientAccumulationSteps
	if p.Accumulation > 0 {
		accumulation = p.Accumulation
	}
	fmt.Fprintf(w, "%s of %d x %d sequences of at most %d tokens\n", steps, accumulation, c.MicroBatchSize, c.SequenceLen)
	for _, line := range p.Lines() {
		fmt.Fprintln(w, line)
	}
	if p.Memory == nil {
		return
	}
	if len(p.Memory.Steps) > 0 {
		r.plannedCards(w, p)
		return
	}
	fmt.Fprintf(w, "planned peak memory: %s, in %s\n", report.Bytes(p.Memory.Peak), p.Memory.At)
	if r.o.DryRun {
		_ = owners(p.Memory).Write(w)
	}
	if p.Time != nil {
		fmt.Fprintln(w, timeLine(p.Time))
	}
}

// timeLine is how long a run is predicted to take.
func timeLine(t *job.Forecast) string {
	line := fmt.Sprintf("predicted time: about %s a step (%s tok/s)", seconds(t.StepSeconds), report.Count(t.TokS))
	if t.EvalSeconds > 0 {
		line += fmt.Sprintf(", %s an evaluation", seconds(t.EvalSeconds))
	}
	if t.TotalSeconds > 0 {
		line += fmt.Sprintf("; about %s for the run", seconds(t.TotalSeconds))
	}
	return line
}

func seconds(s float64) string { return report.Duration(time.Duration(s * float64(time.Second))) }

// plannedCards prints the memory of a run on cards, and all of the plan when that is what the user asked for.
func (r *runReport) plannedCards(w io.Writer, p job.Summary) {
	if r.o.DryRun {
		_ = printCards(w, p.Memory, &r.o.Config.Config, p.Cards)
		return
	}
	fmt.Fprintf(w, "planned memory of each card: %s, in %s\n", checkpoint.FormatSize(p.Memory.Peak), p.Memory.At)
}

func statsLine(d data.Stats) string {
	line := fmt.Sprintf("%s, %s tokens, %s of them learned, the longest sample %d", samples(d.Samples), report.Count(float64(d.Tokens)),
		report.Count(float64(d.Trained)), d.MaxLen)
	if d.Skipped > 0 {
		line += fmt.Sprintf("; %d skipped, which have no token to learn", d.Skipped)
	}
	if d.Truncated > 0 {
		line += fmt.Sprintf("; %d cut to sequence_len", d.Truncated)
	}
	return line
}

// Resumed says where the run continues.
func (r *runReport) Resumed(dir string, step, of int) error {
	r.done, r.total, r.course.Steps = step, of, of
	r.keep(dir, step)
	r.Note("continuing from %s", dir)
	return r.open()
}

// open takes metrics.jsonl and the progress display.
func (r *runReport) open() error {
	if r.metrics != nil {
		return nil
	}
	var err error
	if r.metrics, err = report.OpenMetrics(r.path("metrics.jsonl"), r.done, r.total); err != nil {
		return err
	}
	r.page.dir, r.page.note = r.dir, r.Note
	r.plan.Steps = r.total
	r.page.open(r.plan, r.done, slices.Contains(r.o.Config.ReportTo, "tensorboard"))
	if r.done > 0 {
		h, err := report.ReadDigest(r.path("metrics.jsonl"))
		if err != nil {
			return err
		}
		r.progress.Begin(r.course, r.done, h.Elapsed())
	}
	return nil
}

// keep notes the newest checkpoint.
func (r *runReport) keep(dir string, step int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved, r.savedStep = dir, step
}

func (r *runReport) path(name string) string { return filepath.Join(r.dir, name) }

// Step shows and logs a step.
func (r *runReport) Step(m train.StepMetrics) error {
	if err := r.open(); err != nil {
		return err
	}
	r.stepped = true
	mem := report.ReadMemory()
	step := report.Step{
		Step: m.Step, Total: m.Total, Epoch: report.Number(m.Epoch), Loss: report.Number(m.Loss), LR: report.Number(m.LR),
		GradNorm: (*report.Number)(m.GradNorm), Tokens: m.Tokens, SeenTokens: m.SeenTokens, TokS: report.Number(m.TokS),
		StepMS: report.Number(m.StepMS), MemBytes: mem.Resident, PeakBytes: mem.Peak, MFU: (*report.Number)(m.MFU), Skipped: m.Skipped,
	}
	r.progress.Times(&step)
	r.progress.Step(step)
	r.page.step(step)
	return r.metrics.Step(step)
}

// Eval shows and logs an evaluation.
func (r *runReport) Eval(m train.EvalMetrics) error {
	if err := r.open(); err != nil {
		return err
	}
	e := report.Eval{Step: m.Step, Loss: report.Number(m.Loss), Perplexity: report.Number(m.Perplexity), Tokens: m.Tokens}
	r.progress.Eval(e)
	r.page.eval(e)
	return r.metrics.Eval(e)
}

// Sampled keeps what the model answered.
func (r *runReport) Sampled(step int, samples []job.Sample, note string) error {
	if err := r.open(); err != nil {
		return err
	}
	r.page.samples(step, samples, note)
	return nil
}

// Saved brings report.html up to date with a new checkpoint.
func (r *runReport) Saved(dir string, step int) {
	r.keep(dir, step)
	r.Note("saved %s", dir)
	r.page.write()
}

// Finished writes the last report.html and says where the model is.
func (r *runReport) Finished(dir string, d job.Done) error {
	if d.Already {
		r.Note("%s: the run had finished at step %d before (a higher num_epochs or max_steps goes on with it); nothing to do", dir, d.Steps)
		return nil
	}
	r.progress.Close()
	return r.summary(d)
}

func (r *runReport) close() {
	r.progress.Close()
	if r.metrics != nil {
		r.metrics.Close()
	}
}
