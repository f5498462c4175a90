package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"time"
)

//go:embed report.html.tmpl
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"fixed": func(n Number) string { return fmt.Sprintf("%.4f", n) },
}).Parse(pageText))

// Page is what report.html shows of a run.
type Page struct {
	Title   string // the run's folder
	Model   string
	Config  string // YAML
	Version string // of lomo, and the machine
	History History
}

// WriteHTML writes one self-contained page, by way of a temporary file beside it.
func WriteHTML(path string, p Page) error {
	var buf bytes.Buffer
	if err := page.Execute(&buf, p); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, buf.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return nil
}

// Charts are the plots that have something to show.
func (p Page) Charts() []chart {
	series := func(f func(Step) float64) []point {
		var out []point
		for _, s := range p.History.Steps {
			out = append(out, point{float64(s.Step), f(s)})
		}
		return out
	}
	loss := chart{Title: "Loss (dots: held-out data)", format: short, line: series(func(s Step) float64 { return float64(s.Loss) })}
	for _, e := range p.History.Evals {
		loss.dots = append(loss.dots, point{float64(e.Step), float64(e.Loss)})
	}
	norm := chart{Title: "Gradient norm", format: short}
	for _, s := range p.History.Steps {
		if s.GradNorm != nil {
			norm.line = append(norm.line, point{float64(s.Step), float64(*s.GradNorm)})
		}
	}
	all := []chart{loss, norm,
		{Title: "Learning rate", format: short, line: series(func(s Step) float64 { return float64(s.LR) })},
		{Title: "Tokens a second", format: Count, line: series(func(s Step) float64 { return float64(s.TokS) })},
		{Title: "Resident memory", format: func(v float64) string { return Bytes(int64(v)) },
			line: series(func(s Step) float64 { return float64(s.MemBytes) })},
	}
	var out []chart
	for _, c := range all {
		if !c.Empty() {
			out = append(out, c)
		}
	}
	return out
}

func short(v float64) string { return fmt.Sprintf("%.4g", v) }

// Facts are the numbers at the head of the page, names and values in turn.
func (p Page) Facts() [][2]string {
	facts := [][2]string{{"model", p.Model}}
	h := p.History
	if n := len(h.Steps); n > 0 {
		last, took, peak := h.Steps[n-1], 0.0, int64(0)
		for _, s := range h.Steps {
			took += float64(s.StepMS)
			peak = max(peak, s.PeakBytes)
		}
		facts = append(facts, [2]string{"steps", fmt.Sprint(last.Step)},
			[2]string{"loss, first and last", fmt.Sprintf("%.4f → %.4f", h.Steps[0].Loss, last.Loss)},
			[2]string{"tokens trained on", Count(float64(last.SeenTokens))},
			[2]string{"time in logged steps", Duration(time.Duration(took * float64(time.Millisecond)))},
			[2]string{"peak memory", Bytes(peak)})
	}
	if n := len(h.Evals); n > 0 {
		facts = append(facts, [2]string{"held-out loss, first and last", fmt.Sprintf("%.4f → %.4f", h.Evals[0].Loss, h.Evals[n-1].Loss)})
	}
	return append(facts, [2]string{"made by", p.Version})
}
