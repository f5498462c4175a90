package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/fault"
	"lomo/internal/hub"
	"lomo/internal/report"
)

// runFacts is what a run's folder holds of the run.
type runFacts struct {
	Kind        string            `json:"kind"`
	Path        string            `json:"path"`
	Finished    bool              `json:"finished"`
	Steps       int               `json:"logged_steps"`
	Last        int               `json:"last_step"`             // of the logged ones
	Total       int               `json:"total_steps,omitempty"` // 0: not known
	FirstLoss   report.Number     `json:"first_loss"`            // of the first logged step
	Loss        report.Number     `json:"loss"`                  // of the last
	FirstEval   *report.Number    `json:"first_eval_loss,omitempty"`
	Eval        *report.Number    `json:"eval_loss,omitempty"`
	Settings    map[string]string `json:"settings,omitempty"` // other than the defaults
	Checkpoints []checkpointFacts `json:"checkpoints"`
	Problems    []string          `json:"problems,omitempty"`
}

type checkpointFacts struct {
	Path    string `json:"path"`
	Problem string `json:"problem,omitempty"` // why it cannot be continued from
}

// isRun tells the folder of a run, finished or not.
func isRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "config.yaml"))
	return err == nil
}

// describeRun reads what a run's folder says of the run. What cannot be read is a problem.
func describeRun(dir string) *runFacts {
	f := &runFacts{Kind: "run", Path: dir}
	_, err := os.Stat(filepath.Join(dir, "finished.json"))
	f.Finished = err == nil
	for _, d := range hub.Glob(dir, "checkpoint-*") {
		c := checkpointFacts{Path: d}
		if err := checkpoint.Intact(d); err != nil {
			c.Problem = err.Error()
			f.Problems = append(f.Problems, c.Problem)
		}
		f.Checkpoints = append(f.Checkpoints, c)
	}
	h, err := report.ReadMetrics(filepath.Join(dir, "metrics.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.Problems = append(f.Problems, err.Error())
	}
	if f.Steps = len(h.Steps); f.Steps > 0 {
		last := h.Steps[f.Steps-1]
		f.FirstLoss, f.Loss, f.Last, f.Total = h.Steps[0].Loss, last.Loss, last.Step, last.Total
	}
	if n := len(h.Evals); n > 0 {
		f.FirstEval, f.Eval = &h.Evals[0].Loss, &h.Evals[n-1].Loss
	}
	f.settings()
	return f
}

// settings are the keys of config.yaml that differ from their defaults, and what is asked first.
func (f *runFacts) settings() {
	l, err := config.Load(config.Input{File: filepath.Join(f.Path, "config.yaml")})
	if err != nil {
		f.Problems = append(f.Problems, err.Error())
		return
	}
	f.Settings = map[string]string{}
	defaults := config.Default()
	for _, k := range config.Keys() {
		v, _ := l.Config.Get(k.Name)
		usual, _ := defaults.Get(k.Name)
		if text := fmt.Sprint(v); text != fmt.Sprint(usual) || k.Name == "optimizer" || k.Name == "learning_rate" {
			f.Settings[k.Name] = strings.ReplaceAll(text, " ", ", ")
		}
	}
	for key, sets := range map[string][]config.Dataset{"datasets": l.Datasets, "eval_datasets": l.EvalDatasets} {
		var list []string
		for _, d := range sets {
			list = append(list, fmt.Sprintf("%s (%s)", d.Path, d.Type))
		}
		if list != nil {
			f.Settings[key] = strings.Join(list, ", ")
		}
	}
}

func (f *runFacts) print(s *Streams) {
	state := "not finished"
	if f.Finished {
		state = "finished"
	}
	of := ""
	if f.Total > 0 {
		of = fmt.Sprintf(" of %d", f.Total)
	}
	switch f.Steps {
	case 0:
		fmt.Fprintf(s.Out, "run: %s, no logged step\n", state)
	default:
		fmt.Fprintf(s.Out, "run: %s, %s, the last of them step %d%s\n", state, fault.Number(f.Steps, "logged step"), f.Last, of)
		fmt.Fprintf(s.Out, "loss: %.4f in the first, %.4f in the last\n", f.FirstLoss, f.Loss)
	}
	if f.Eval != nil && f.Steps == 0 {
		fmt.Fprintf(s.Out, "held-out loss: %.4f before the first step\n", *f.FirstEval)
	} else if f.Eval != nil {
		fmt.Fprintf(s.Out, "held-out loss: %.4f at first, %.4f at last\n", *f.FirstEval, *f.Eval)
	}
	for _, k := range config.Keys() {
		if v, ok := f.Settings[k.Name]; ok {
			fmt.Fprintf(s.Out, "%s: %s\n", k.Name, v)
		}
	}
	for _, c := range f.Checkpoints {
		if c.Problem == "" {
			c.Problem = "complete"
		}
		fmt.Fprintf(s.Out, "%s: %s\n", c.Path, c.Problem)
	}
	for _, p := range f.Problems {
		if !f.told(p) {
			fmt.Fprintln(s.Out, p)
		}
	}
}

// told tells whether a problem is that of a checkpoint.
func (f *runFacts) told(problem string) bool {
	for _, c := range f.Checkpoints {
		if c.Problem == problem {
			return true
		}
	}
	return false
}

// unusable is an error for parts that cannot be used, which were shown.
func unusable(path string, problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	return refuse("what is wrong with them stands above", "%s: %s cannot be used", path, fault.Number(len(problems), "part"))
}

func inspectRun(s *Streams, o *inspectOptions) error {
	f := describeRun(o.Path)
	if o.JSON {
		if err := json.NewEncoder(s.Out).Encode(f); err != nil {
			return err
		}
		return unusable(o.Path, f.Problems)
	}
	fmt.Fprintf(s.Out, "%s: a run without a trained model yet\n", f.Path)
	f.print(s)
	return unusable(o.Path, f.Problems)
}
