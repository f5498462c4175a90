package cli

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"lomo/internal/fault"
	"lomo/internal/job"
	"lomo/internal/report"
	"lomo/internal/train"
)

// interrupted ends a run that was asked to stop. It says what is saved and what continues it.
type interrupted struct{ text string }

func (e *interrupted) Error() string { return e.text }
func (e *interrupted) Unwrap() error { return train.ErrInterrupted }

// ended says after the last line that moves what became of the run: what is saved, and what goes on from it.
func (r *runReport) ended(err error) error {
	r.progress.Close()
	diverged := (*train.DivergedError)(nil)
	switch {
	case errors.Is(err, train.ErrInterrupted):
		return &interrupted{r.interruption()}
	case err == nil || !r.stepped:
	case r.saved == "" && errors.As(err, &diverged):
		r.Note("no checkpoint had been saved")
		diverged.Hint = strings.Replace(diverged.Hint, "go on from an earlier checkpoint with a lower learning_rate (--resume OUTPUT_DIR/checkpoint-N)",
			"begin anew with a lower learning_rate, in another output_dir", 1)
	case r.saved == "":
		r.Note("no checkpoint had been saved")
	case errors.As(err, &diverged):
		r.Note("the newest checkpoint is %s, of step %d; older ones are beside it", r.saved, r.savedStep)
	default:
		r.Note("the newest checkpoint is %s, of step %d; to continue from it: %s", r.saved, r.savedStep, r.again())
	}
	return err
}

// interruption is the last line of an interrupted run.
func (r *runReport) interruption() string {
	_, step := r.progress.State()
	switch {
	case r.stepped && r.saved != "" && r.savedStep == step:
		return fmt.Sprintf("interrupted after step %d of %d, saved in %s; to continue: %s", step, r.total, r.saved, r.again())
	case r.saved != "":
		return fmt.Sprintf("interrupted before a new step was done; %s is as it was; to continue: %s", r.saved, r.again())
	}
	return "interrupted before the first step, nothing was saved; to begin anew: " + r.again()
}

// again is the command line that continues the run.
func (r *runReport) again() string {
	words := r.s.Command
	if r.o.Config.Resume != "auto" {
		words = append(withoutFlag(words, "--resume"), "--set", "resume=auto")
	}
	return report.CommandLine(words)
}

// withoutFlag is a command line without a flag that has a value: a key is not taken from it and --set.
func withoutFlag(words []string, flag string) (out []string) {
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == flag:
			i++
		case !strings.HasPrefix(words[i], flag+"="):
			out = append(out, words[i])
		}
	}
	return out
}

// stopAsked is what is said at the first Ctrl-C. now says that nothing is lost when the process ends at once.
func (r *runReport) stopAsked() (text string, now bool) {
	if !r.began.Load() {
		return "stopped before the run began; nothing was written", true
	}
	return r.progress.Stopping(), false
}

// stopForced is what is said at the second one.
func (r *runReport) stopForced() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	doing := "stopped at once"
	if task, step := r.progress.State(); task == report.Saving {
		doing = fmt.Sprintf("stopped while checkpoint-%d was being saved, which is not used", step)
	} else if task == report.Writing {
		doing = "stopped while the trained model was being written"
	}
	if r.saved == "" {
		return doing + "; no checkpoint had been saved, the same command begins anew"
	}
	return fmt.Sprintf("%s; %s, of step %d, is safe; to continue from it: %s", doing, r.saved, r.savedStep, r.again())
}

// summary prints a finished run in a few lines.
func (r *runReport) summary(d job.Done) error {
	g, err := report.ReadDigest(r.path("metrics.jsonl"))
	if err != nil {
		return err
	}
	for _, line := range summaryLines(g, d, r.plannedPeak, r.times()) {
		r.Note("%s", line)
	}
	if d.Model != "" {
		r.Note("trained model: %s", d.Model)
	}
	r.Note("report: %s", r.path("report.html"))
	r.Note("log: %s", r.path("train.log"))
	if d.Model != "" {
		r.Note("try it: %s", tryIt(r.s.Command[0], d))
	}
	return nil
}

// times is how long this process and the whole run took.
func (r *runReport) times() (t [2]time.Duration) {
	t[0], t[1] = r.progress.Elapsed()
	return t
}

// summaryLines are the numbers of a finished run. planned is the plan's peak of the process, 0 when the memory that counts is elsewhere.
func summaryLines(g *report.Digest, d job.Done, planned int64, times [2]time.Duration) (lines []string) {
	line := fmt.Sprintf("finished %s in %s", fault.Number(d.Steps, "step"), report.Clock(times[1]))
	if times[1]-times[0] >= time.Second {
		line += fmt.Sprintf(", %s of it in this process", report.Clock(times[0]))
	}
	if s := g.TokS(); s > 0 {
		line += fmt.Sprintf(", %s tok/s on average", report.Count(round3(s)))
	}
	lines = append(lines, line)
	if loss, over := g.Last(); over > 0 {
		line := fmt.Sprintf("loss %.4f in step %d", g.First.Loss, g.First.Step)
		switch {
		case g.Logged > 1 && over > 1:
			line += fmt.Sprintf(" to %.4f, the mean of the last %d logged steps", loss, over)
		case g.Logged > 1:
			line += fmt.Sprintf(" to %.4f in the last step", loss)
		}
		lines = append(lines, line)
	}
	if a, b := g.FirstEval, g.LastEval; b.Tokens > 0 {
		line := "held-out loss "
		switch {
		case a.Step == b.Step:
		case a.Step == 0:
			line += fmt.Sprintf("%.4f before the first step to ", a.Loss)
		default:
			line += fmt.Sprintf("%.4f after step %d to ", a.Loss, a.Step)
		}
		lines = append(lines, line+fmt.Sprintf("%.4f after step %d", b.Loss, b.Step))
	}
	if g.Skipped > 0 {
		lines = append(lines, fmt.Sprintf("skipped as not finite: %s", fault.Number(g.Skipped, "logged step")))
	}
	if g.Peak > 0 {
		line := "peak memory " + report.Bytes(g.Peak)
		if planned > 0 {
			line += ", planned " + report.Bytes(planned)
		}
		lines = append(lines, line)
	}
	return lines
}

// tryIt is the command line that shows what the model has learned.
func tryIt(program string, d job.Done) string {
	if d.Chat {
		return report.CommandLine([]string{program, "chat", d.Model})
	}
	return report.CommandLine([]string{program, "generate", "--model", d.Model, "--prompt", "Once upon a time"})
}

// round3 leaves no more of a mean than can be measured.
func round3(v float64) float64 {
	if v < 100 {
		return v
	}
	return math.Round(v)
}

// heading is the first line of a run, or of what is appended to it, in train.log.
func (r *runReport) heading() string {
	what := "a run begins"
	if r.done > 0 {
		what = fmt.Sprintf("the run goes on after step %d", r.done)
	}
	b := thisBuild()
	return fmt.Sprintf("%s: lomo %s, cpu %s, %s/%s: %s", what, b.Version, b.CPULevel, b.OS, b.Arch, strings.TrimSpace(report.CommandLine(r.s.Command)))
}
