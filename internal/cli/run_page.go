package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/job"
	"lomo/internal/report"
	"lomo/internal/tfevents"
)

// pageEvery is how often report.html is written while steps go by.
const pageEvery = 30 * time.Second

// runPage keeps report.html, run.json and samples.jsonl of a run. What it cannot write is a warning, once, and never the end of the run.
type runPage struct {
	dir     string
	note    func(format string, args ...any)
	curves  report.Curves
	run     report.Run
	events  *tfevents.Writer // nil: not wanted
	opened  bool
	written time.Time // when the page was
	warned  bool
}

// open begins a session: what the folder holds of the run is taken over. done steps are finished.
func (p *runPage) open(sum job.Summary, done int, tensorboard bool) {
	p.opened = true
	if done > 0 {
		var err error
		if p.run, err = report.ReadRun(p.dir); err != nil {
			p.warn(err)
		}
		p.warn(p.curves.AddMetrics(p.path(report.MetricsFile)))
	}
	p.run.Model, p.run.Params, p.run.Device, p.run.Steps = sum.Model, sum.Params, sum.Device, sum.Steps
	if p.run.Planned = 0; sum.Memory != nil && len(sum.Memory.Steps) == 0 {
		p.run.Planned = sum.Memory.Peak // on cards the plan is of a card, and what is measured is the process
	}
	now := time.Now()
	b := thisBuild()
	p.run.Begin(report.Session{Started: now, Updated: now, FromStep: done, State: report.Running, Command: report.CommandLine(append([]string{"lomo"}, os.Args[1:]...)),
		Version: b.Version, CPU: fmt.Sprintf("cpu level %s, %d cores, %s/%s", b.CPULevel, runtime.NumCPU(), b.OS, b.Arch)})
	p.write()
	if tensorboard {
		var err error
		p.events, err = tfevents.Open(p.path("runs"), done, time.Now)
		p.warnEvents(err)
	}
}

func (p *runPage) path(name string) string { return filepath.Join(p.dir, name) }

// step takes a step, and writes the page when it is time.
func (p *runPage) step(s report.Step) {
	p.curves.Step(s)
	values := []tfevents.Scalar{{Tag: "train/loss", Value: float64(s.Loss)}, {Tag: "train/learning_rate", Value: float64(s.LR)}, {Tag: "train/epoch", Value: float64(s.Epoch)},
		{Tag: "train/tokens_per_second", Value: float64(s.TokS)}, {Tag: "train/memory_bytes", Value: float64(s.MemBytes)}}
	if s.GradNorm != nil {
		values = append(values, tfevents.Scalar{Tag: "train/grad_norm", Value: float64(*s.GradNorm)})
	}
	p.scalars(s.Step, values)
	if time.Since(p.written) >= pageEvery {
		p.write()
	}
}

// eval takes an evaluation.
func (p *runPage) eval(e report.Eval) {
	p.curves.Eval(e)
	p.scalars(e.Step, []tfevents.Scalar{{Tag: "eval/loss", Value: float64(e.Loss)}, {Tag: "eval/perplexity", Value: float64(e.Perplexity)}})
	p.write()
}

// samples takes what the model answered after a step, and why there is no more of it.
func (p *runPage) samples(step int, samples []job.Sample, note string) {
	p.run.Samples = note
	var lines []report.Sample
	for _, s := range samples {
		lines = append(lines, report.Sample{Step: step, Prompt: s.Prompt, Reference: s.Reference, Text: s.Text, Tokens: s.Tokens, Cut: s.Cut})
	}
	if len(lines) > 0 || step == 0 {
		p.warn(report.WriteSamples(p.dir, step, lines))
	}
	p.write()
}

// end says how the session ended.
func (p *runPage) end(err error) {
	if !p.opened {
		return
	}
	state, problem := report.Finished, ""
	switch code := job.Exit(err); {
	case err == nil:
	case code == 130:
		state = report.Interrupted
	case code == 3:
		state, problem = report.Diverged, err.Error()
	default:
		state, problem = report.Failed, err.Error()
	}
	p.run.Update(state, problem, time.Now())
	p.write()
	p.closeEvents()
}

// write brings run.json and report.html up to date.
func (p *runPage) write() {
	p.written = time.Now()
	if s := p.run.State(); s == report.Running {
		p.run.Update(s, "", p.written)
	}
	settings, err := settingsOf(p.dir)
	p.warn(err)
	samples, err := report.ReadSamples(p.dir)
	p.warn(err)
	p.warn(p.run.Write(p.dir))
	p.warn(report.WriteHTML(p.path(report.PageFile), report.Page{
		Title: p.dir, Run: p.run, State: p.run.State(), AsOf: p.written, Settings: settings, Curves: &p.curves, Samples: samples}))
}

// scalars writes values for TensorBoard.
func (p *runPage) scalars(step int, values []tfevents.Scalar) {
	if p.events != nil {
		p.warnEvents(p.events.Scalars(step, values))
	}
}

// warnEvents says that no more event files are written.
func (p *runPage) warnEvents(err error) {
	if err != nil {
		p.note("lomo: warning: no more events are written for TensorBoard: %v", err)
		p.closeEvents()
	}
}

func (p *runPage) closeEvents() {
	if p.events != nil {
		p.events.Close() //nolint:errcheck // each event was written at once
		p.events = nil
	}
}

// warn says the first thing that could not be written.
func (p *runPage) warn(err error) {
	if err == nil || p.warned {
		return
	}
	p.warned = true
	p.note("lomo: warning: report.html is not up to date: %v", err)
}

// settingsOf reads the settings of a run's folder.
func settingsOf(dir string) ([]report.Setting, error) {
	list, err := config.Saved(filepath.Join(dir, "config.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []report.Setting
	for _, s := range list {
		out = append(out, report.Setting(s))
	}
	return out, err
}

// readPage makes the page of a run from the files in its folder.
func readPage(dir string) (report.Page, error) {
	p := report.Page{Title: runName(dir), Curves: &report.Curves{}}
	if err := hasRun(dir); err != nil {
		return p, err
	}
	var err error
	if p.Run, err = report.ReadRun(dir); err != nil {
		return p, err
	}
	err = p.Curves.AddMetrics(filepath.Join(dir, report.MetricsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if p.Settings, err = settingsOf(dir); err != nil {
		return p, err
	}
	if p.Samples, err = report.ReadSamples(dir); err != nil {
		return p, err
	}
	p.AsOf = time.Now()
	p.State = p.Run.State()
	_, finished := os.Stat(filepath.Join(dir, "finished.json"))
	switch running := checkpoint.InUse(dir); {
	case running:
		p.State = report.Running
	case p.State == report.Running, p.State == "":
		p.State = report.Stopped
		if finished == nil {
			p.State = report.Finished
		}
	}
	if p.State != report.Running {
		p.AsOf = lastNews(dir, p.Run)
	}
	return p, nil
}

// runName is the folder of a run as a page names it.
func runName(dir string) string {
	name := filepath.Clean(dir)
	if base := filepath.Base(name); base == "." || base == ".." {
		if whole, err := filepath.Abs(name); err == nil {
			return filepath.Base(whole)
		}
	}
	return name
}

// hasRun refuses a folder that is not a run's.
func hasRun(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return withHint("give a run's folder: output_dir of its configuration", fmt.Errorf("%s: no such folder", dir))
	case !info.IsDir():
		return withHint("give the folder of the run", fmt.Errorf("%s is a file, and a run is a folder", dir))
	}
	for _, name := range []string{report.MetricsFile, report.RunFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return nil
		}
	}
	return withHint(runNear(dir), fmt.Errorf("%s: no run: it has no %s", dir, report.MetricsFile))
}

func withHint(advice string, err error) error { return &job.HintError{Err: err, Advice: advice} }

// lastNews is when a run that no process trains last changed.
func lastNews(dir string, r report.Run) time.Time {
	if n := len(r.Sessions); n > 0 {
		return r.Sessions[n-1].Updated
	}
	if info, err := os.Stat(filepath.Join(dir, report.MetricsFile)); err == nil {
		return info.ModTime()
	}
	return time.Now()
}

// runNear is the way out of a folder that is no run's: the run that its checkpoint belongs to, or those in the folder.
func runNear(dir string) string {
	is := func(dir string) bool {
		return isRegular(filepath.Join(dir, report.MetricsFile)) || isRegular(filepath.Join(dir, report.RunFile))
	}
	if above := filepath.Dir(filepath.Clean(dir)); strings.HasPrefix(filepath.Base(dir), "checkpoint-") && is(above) {
		return "the run of this checkpoint is " + above
	}
	var in []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if run := filepath.Join(dir, e.Name()); e.IsDir() && is(run) {
			in = append(in, run)
		}
	}
	const most = 4
	switch {
	case len(in) == 0:
		return "give a run's folder, output_dir of its configuration, which has a metrics.jsonl"
	case len(in) > most:
		return fmt.Sprintf("runs in it: %s and %d more", strings.Join(in[:most], ", "), len(in)-most)
	}
	return "runs in it: " + strings.Join(in, ", ")
}
