package report

import (
	"fmt"
	"sync"
	"time"
)

// Task is what a run is busy with.
type Task uint8

const (
	Waiting    Task = iota // nothing that takes long
	Opening                // the model
	Encoding               // data, in samples
	Planning               // steps and memory
	Loading                // weights, in bytes
	Stepping               // a step, in parts of its work
	Evaluating             // held-out data, in batches
	Answering              // prompts, counted
	Saving                 // a checkpoint, in bytes
	Writing                // the trained model, in bytes
)

// Progress shows what a run does, on a console: on a terminal one line that moves, else a line a step and one for whatever else takes long. It keeps
// the time of each task, and so knows how much is left. Its methods may be called from several goroutines.
type Progress struct {
	c     *Console
	begun time.Time // of the process
	now   func() time.Time
	end   chan struct{} // closed: no more ticks

	mu     sync.Mutex
	plan   Plan
	before time.Duration // of the run's processes before this one
	first  int           // steps before this process
	step   int           // steps that are finished
	last   *Step         // the newest that was reported
	task   Task
	since  time.Time // when the task began
	done   int64     // of the task
	of     int64     // 0: not known
	said   bool      // of the task in work, in lines
	stop   bool      // the run was asked to
	drawn  time.Time
	beat   int // of the spinner
	kept   int // the step of the last line that stays on a terminal
	pace   pace
}

// NewProgress shows a run on c whose process began at begun.
func NewProgress(c *Console, begun time.Time) *Progress {
	p := &Progress{c: c, begun: begun, now: time.Now, end: make(chan struct{})}
	p.since = begun
	c.SetLine(p.line)
	go p.tick()
	return p
}

const (
	beat     = 250 * time.Millisecond // of the spinner: one sees at once that something moves
	busiest  = 100 * time.Millisecond // no more than ten lines a second are drawn, however fast steps are
	patience = 10 * time.Second       // until a task is told that no line moves for
	waiting  = 2 * time.Second        // the same of the first step, which may take minutes
)

// tick draws the line again and again, or in lines tells once of each task that takes long.
func (p *Progress) tick() {
	var resized <-chan struct{}
	if p.c.Moves() {
		resized = p.c.resized(p.end)
	}
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-p.end:
			return
		case <-resized:
			p.c.Draw()
		case <-t.C:
			if p.c.Moves() {
				p.mu.Lock()
				p.beat++
				p.mu.Unlock()
				p.c.Draw()
			} else if text := p.long(); text != "" {
				p.c.Say("%s", text)
			}
		}
	}
}

// Begin takes what the run will do: done of its steps are finished, and the processes before this one took before.
func (p *Progress) Begin(plan Plan, done int, before time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.step, p.first, p.kept, p.before = plan, done, done, done, before
}

// Doing hears what the run is busy with.
func (p *Progress) Doing(task Task, step int, done, of int64) {
	now := p.now()
	p.mu.Lock()
	if task != p.task || step != p.step && step > 0 {
		p.finished(now)
		p.task, p.since, p.said = task, now, false
	}
	if step > p.step {
		p.step = step
	}
	p.done, p.of = done, of
	say := ""
	if task == Stepping && !p.c.Moves() && !p.said && p.pace.count == 0 && p.plan.Predicted >= waiting {
		p.said, say = true, p.firstStep()
	}
	draw := p.c.Moves() && now.Sub(p.drawn) >= busiest
	if draw {
		p.drawn = now
	}
	p.mu.Unlock()
	if say != "" {
		p.c.Say("%s", say)
	}
	if draw {
		p.c.Draw()
	}
}

// finished takes the time of the task that ends.
func (p *Progress) finished(now time.Time) {
	took := now.Sub(p.since)
	switch p.task {
	case Stepping:
		p.pace.step(took)
	case Evaluating:
		p.pace.evals.add(took)
	case Saving, Writing:
		p.pace.saves.add(took)
	}
}

// Times fills in how long the run has taken at the end of s, and what is left.
func (p *Progress) Times(s *Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	process := p.now().Sub(p.begun)
	s.ProcessS, s.ElapsedS = inSeconds(process), inSeconds(p.before+process)
	if left, known := p.pace.left(p.plan, s.Step); known {
		n := inSeconds(left)
		s.RemainingS = &n
	}
}

// inSeconds is a time to the millisecond.
func inSeconds(d time.Duration) Number {
	return Number(float64(d.Round(time.Millisecond)/time.Millisecond) / 1000)
}

// Step shows a finished step: as a line, or in the one that moves. Of a long run about twenty lines stay on a terminal.
func (p *Progress) Step(s Step) {
	line := s.Line()
	p.mu.Lock()
	p.step, p.last = s.Step, &s
	keep := !p.c.Moves() || s.Skipped || s.Step == s.Total || s.Step == p.first+1 || s.Step-p.kept >= max(s.Total/20, 1)
	if keep {
		p.kept = s.Step
	}
	if p.c.Moves() {
		line = Fit(append(append([]Field{s.count()}, s.fields()...), s.times()...), p.c.columns())
	}
	p.mu.Unlock()
	if keep {
		p.c.Record(s.Line(), line)
	} else {
		p.c.Record(s.Line(), "")
	}
}

// Eval shows an evaluation.
func (p *Progress) Eval(e Eval) {
	line := e.Line()
	if p.c.Moves() {
		line = Fit(e.fields(), p.c.columns())
	}
	p.c.Record(e.Line(), line)
}

// Elapsed is the time of this process, and that of the whole run.
func (p *Progress) Elapsed() (process, run time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	process = p.now().Sub(p.begun)
	return process, p.before + process
}

// Close ends the line that moves.
func (p *Progress) Close() {
	select {
	case <-p.end:
	default:
		close(p.end)
		p.c.SetLine(nil)
	}
}

// line is what moves on a terminal.
func (p *Progress) line(width int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.composed(p.now(), width)
}

// composed is the line at now: a spinner, so that one sees that the program lives, and what fits beside it.
func (p *Progress) composed(now time.Time, width int) string {
	if width < 12 {
		return Fit(p.fields(now), width)
	}
	return string(`|/-\`[p.beat%4]) + " " + Fit(p.fields(now), width-2)
}

// fields are the line's: which step, what is done, how far, and the clock.
func (p *Progress) fields(now time.Time) []Field {
	elapsed := Field{Text: "elapsed " + Clock(now.Sub(p.begun)), Rank: 5}
	if p.plan.Steps == 0 || p.task == Loading {
		f := []Field{p.doing()}
		if p.of > 0 {
			f = append(f, barField(p.share(), 6))
		}
		return append(f, elapsed)
	}
	f := []Field{{Text: fmt.Sprintf("step %d/%d", p.step, p.plan.Steps), Short: fmt.Sprintf("%d/%d", p.step, p.plan.Steps), ShortRank: 3}}
	f = append(f, barField(p.whole(), 6))
	if what := p.doing(); what.Text != "" {
		f = append(f, what)
	}
	if p.last != nil {
		f = append(f, p.last.fields()...)
	}
	f = append(f, elapsed)
	if left, known := p.pace.left(p.plan, p.step); known {
		left -= min(now.Sub(p.since), p.usual()) // of the task in work
		f = append(f, Field{Text: "left " + Clock(left), Rank: 1})
	}
	return f
}

// usual is how long the task in work mostly takes.
func (p *Progress) usual() time.Duration {
	switch p.task {
	case Stepping:
		return p.pace.mean()
	case Evaluating:
		return p.pace.evals.value()
	case Saving, Writing:
		return p.pace.saves.value()
	}
	return 0
}

// share is how much of the task in work is done.
func (p *Progress) share() float64 {
	if p.of <= 0 {
		return 0
	}
	return float64(p.done) / float64(p.of)
}

// whole is how much of the run is done.
func (p *Progress) whole() float64 {
	part := float64(p.step)
	if p.task == Stepping {
		part += p.share()
	}
	return part / float64(max(p.plan.Steps, 1))
}

// doing says what the run is busy with, where it is more than the next step.
func (p *Progress) doing() Field {
	percent := ""
	if p.of > 0 {
		percent = fmt.Sprintf(" %.0f%%", min(100*p.share(), 99)) // all of it is done when the next thing is shown
	}
	switch p.task {
	case Opening, Waiting:
		if p.plan.Steps > 0 {
			return Field{}
		}
		return Field{Text: "opening the model", Short: "opening", Rank: 2, ShortRank: 4}
	case Encoding:
		samples := "samples"
		if p.done == 1 {
			samples = "sample"
		}
		return Field{Text: fmt.Sprintf("encoding data: %s %s", Count(float64(p.done)), samples), Short: fmt.Sprintf("encoding %s", Count(float64(p.done))), Rank: 2, ShortRank: 4}
	case Planning:
		return Field{Text: "planning steps and memory", Short: "planning", Rank: 2, ShortRank: 4}
	case Loading:
		return Field{Text: fmt.Sprintf("loading weights: %s of %s", Bytes(p.done), Bytes(p.of)), Short: "loading" + percent, Rank: 2, ShortRank: 4}
	case Stepping:
		if p.pace.count > 0 {
			if p.stop {
				return Field{Text: "finishing this step, then saving", Short: "finishing", Rank: 2, ShortRank: 4}
			}
			return Field{}
		}
		name := "first step"
		if p.first > 0 {
			name = fmt.Sprintf("step %d, the first since the run goes on", p.first+1)
		}
		if p.plan.Predicted > 0 {
			percent += " of about " + Clock(p.plan.Predicted)
		}
		return Field{Text: name + percent, Short: "first step", Rank: 2, ShortRank: 4}
	case Evaluating:
		return Field{Text: "evaluating" + percent, Short: "eval" + percent, Rank: 2, ShortRank: 4}
	case Answering:
		return Field{Text: fmt.Sprintf("answering prompt %d of %d", p.done+1, p.of), Short: "answering", Rank: 2, ShortRank: 4}
	case Saving:
		return Field{Text: fmt.Sprintf("saving checkpoint-%d%s", p.step, percent), Short: "saving" + percent, Rank: 2, ShortRank: 4}
	case Writing:
		return Field{Text: "writing the trained model" + percent, Short: "writing" + percent, Rank: 2, ShortRank: 4}
	}
	return Field{}
}

// long is a line on a task that takes long, "" when there is none to tell or it was told.
func (p *Progress) long() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	after := patience
	if p.task == Stepping {
		after = waiting
	}
	if p.said || p.now().Sub(p.since) < after || p.task == Waiting {
		return ""
	}
	if p.task == Stepping {
		if p.pace.count > 0 {
			return "" // each step has its line
		}
		p.said = true
		return p.firstStep()
	}
	p.said = true
	return p.doing().Text + fmt.Sprintf(", after %s", Clock(p.now().Sub(p.since)))
}

// firstStep announces the one that nothing has been measured before.
func (p *Progress) firstStep() string {
	text := fmt.Sprintf("first step, %d of %d", p.step+1, p.plan.Steps)
	if p.plan.Predicted > 0 {
		return text + ", predicted " + Clock(p.plan.Predicted)
	}
	if share := p.share(); share > 0.05 {
		took := p.now().Sub(p.since)
		return text + fmt.Sprintf(", about %s", Clock(time.Duration(float64(took)/share)))
	}
	return text + "; how long one takes is known after it"
}

// Stopping is what is said when the run is asked to stop: how long it still takes.
func (p *Progress) Stopping() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop = true
	took := p.now().Sub(p.since)
	const again = "; Ctrl-C again stops at once"
	about := func(whole time.Duration) string {
		if whole <= 0 {
			return ""
		}
		return ", about " + Clock(max(whole-took, time.Second))
	}
	atLast := p.step >= p.plan.Steps
	switch {
	case p.task == Stepping:
		whole := p.pace.mean()
		if share := p.share(); whole == 0 && share > 0.05 || share > 0.2 { // this step tells more than those before it
			whole = max(whole, time.Duration(float64(took)/share))
		}
		text := fmt.Sprintf("finishing step %d", p.step+1) + about(whole)
		if whole == 0 {
			text += fmt.Sprintf(", the first one: %s so far", Clock(took))
			if p.plan.Predicted > 0 {
				text += " of about " + Clock(p.plan.Predicted)
			}
		}
		return text + ", then saving" + again
	case p.task == Evaluating && p.step > 0 && !atLast:
		return "finishing the evaluation" + about(p.projected(took, p.pace.evals.value())) + ", then saving" + again
	case p.task == Saving:
		return fmt.Sprintf("saving checkpoint-%d", p.step) + about(p.projected(took, p.pace.saves.value())) + ", then stopping" + again
	case atLast && p.plan.Steps > 0:
		return "all steps are done: the run ends by itself" + about(p.projected(took, 0)) + again
	case p.step > p.first:
		return fmt.Sprintf("stopping after step %d, then saving", p.step) + again
	}
	return "stopping before the first step" + again
}

// projected is how long the task in work takes in all, from its share or from those before.
func (p *Progress) projected(took, before time.Duration) time.Duration {
	if share := p.share(); share > 0.05 {
		return time.Duration(float64(took) / share)
	}
	return before
}

// State is the task in work and the steps that are finished.
func (p *Progress) State() (task Task, step int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.task, p.step
}
