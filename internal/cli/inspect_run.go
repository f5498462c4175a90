package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lomo/internal/checkpoint"
	"lomo/internal/hub"
	"lomo/internal/report"
)

// runFacts is a run's folder that holds no trained model yet.
type runFacts struct {
	Kind        string            `json:"kind"`
	Path        string            `json:"path"`
	Checkpoints []checkpointFacts `json:"checkpoints"`
	Steps       int               `json:"logged_steps"`
	Loss        report.Number     `json:"loss"` // of the last logged step
}

type checkpointFacts struct {
	Path    string `json:"path"`
	Problem string `json:"problem,omitempty"` // why it cannot be continued from
}

func inspectRun(s *Streams, o *inspectOptions) error {
	f := runFacts{Kind: "run", Path: o.Path}
	for _, d := range hub.Glob(o.Path, "checkpoint-*") {
		c := checkpointFacts{Path: d}
		if err := checkpoint.Complete(d); err != nil {
			c.Problem = err.Error()
		}
		f.Checkpoints = append(f.Checkpoints, c)
	}
	h, err := report.ReadMetrics(filepath.Join(o.Path, "metrics.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if f.Steps = len(h.Steps); f.Steps > 0 {
		f.Loss = h.Steps[f.Steps-1].Loss
	}
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(f)
	}
	fmt.Fprintf(s.Out, "%s: a run without a trained model yet, %d logged steps\n", f.Path, f.Steps)
	if f.Steps > 0 {
		fmt.Fprintf(s.Out, "last loss %.4f\n", f.Loss)
	}
	for _, c := range f.Checkpoints {
		if c.Problem == "" {
			c.Problem = "complete"
		}
		fmt.Fprintf(s.Out, "%s: %s\n", c.Path, c.Problem)
	}
	return nil
}
