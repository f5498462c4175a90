package report

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// MaxCompared is how many runs one page can tell apart by colour.
const MaxCompared = 8

// Comparison is a page with several runs.
type Comparison struct {
	Title string
	AsOf  time.Time
	Pages []Page
}

// WriteComparison writes one self-contained page, by way of a temporary file beside it.
func WriteComparison(path string, c Comparison) error {
	text, err := rendered("compare", c)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return replaceFile(path, text)
}

// named is a run with its colour.
type named struct{ Name, Class string }

// Runs are the runs' names and colours.
func (c Comparison) Runs() []named {
	var out []named
	for i, p := range c.Pages {
		out = append(out, named{p.Title, colour(i)})
	}
	return out
}

func colour(i int) string { return string(rune('a' + i%MaxCompared)) }

// values is a line of a table with a column for each run.
type values struct {
	Name   string
	Values []string
}

// Result is what a run came to, as numbers.
type Result struct {
	Run        string `json:"run"`
	State      State  `json:"state"`
	Step       int    `json:"step"`
	Steps      int    `json:"total_steps"`
	Loss       Number `json:"loss"`
	EvalLoss   Number `json:"eval_loss"`
	BestEval   Number `json:"best_eval_loss"`
	BestStep   int    `json:"best_eval_step"`
	Seconds    Number `json:"seconds"`
	TokS       Number `json:"tok_s_median"`
	PeakBytes  int64  `json:"peak_bytes"`
	Planned    int64  `json:"planned_bytes"`
	SeenTokens int64  `json:"seen_tokens"`
	Skipped    int    `json:"skipped_steps"`
}

// Result is the run's final figures; a loss that is not known is not a number.
func (p Page) Result() Result {
	c, nan := p.Curves, Number(math.NaN())
	r := Result{Run: p.Title, State: p.State, Step: p.Step(), Steps: p.Total(), Loss: nan, EvalLoss: nan, BestEval: nan,
		Seconds: Number(p.Took().Seconds()), TokS: Number(median(c.speed.kept)), PeakBytes: c.Peak, Planned: p.Run.Planned, SeenTokens: c.Last.SeenTokens, Skipped: c.Skipped}
	if c.Steps > 0 {
		r.Loss = c.Last.Loss
	}
	if c.Evals > 0 {
		r.EvalLoss, r.BestEval, r.BestStep = c.LastEval.Loss, c.BestEval.Loss, c.BestEval.Step
	}
	return r
}

// cells are the figures as a table shows them, names first.
func (r Result) cells() [][2]string {
	known := func(v Number, write func(float64) string) string {
		if !finite(float64(v)) {
			return "–"
		}
		return write(float64(v))
	}
	bytes := func(n int64) string {
		if n == 0 {
			return "–"
		}
		return Bytes(n)
	}
	best := known(r.BestEval, lossFormat.value)
	if best != "–" {
		best += fmt.Sprintf(" (step %d)", r.BestStep)
	}
	return [][2]string{
		{"state", string(r.State)}, {"steps", fmt.Sprintf("%d of %d", r.Step, r.Steps)}, {"training loss", known(r.Loss, lossFormat.value)},
		{"held-out loss", known(r.EvalLoss, lossFormat.value)}, {"best held-out loss", best},
		{"time", Duration(lasting(float64(r.Seconds)))}, {"tokens/s", known(r.TokS, Count)},
		{"peak memory", bytes(r.PeakBytes)}, {"planned memory", bytes(r.Planned)}, {"tokens learned from", Count(float64(r.SeenTokens))},
	}
}

// Results are the final figures side by side.
func (c Comparison) Results() []values {
	var out []values
	for i, p := range c.Pages {
		for j, cell := range p.Result().cells() {
			if i == 0 {
				out = append(out, values{Name: cell[0]})
			}
			out[j].Values = append(out[j].Values, cell[1])
		}
	}
	return out
}

// Table is the final figures for a terminal, a column a run.
func (c Comparison) Table() Table {
	t := Table{Header: []string{""}}
	for _, p := range c.Pages {
		t.Header = append(t.Header, p.Title)
	}
	for _, r := range c.Results() {
		t.Add(append([]string{r.Name}, r.Values...)...)
	}
	return t
}

// Differences are the settings that not all runs share; the folder is another for each.
func (c Comparison) Differences() []values {
	var order []string
	all := make([]map[string]string, len(c.Pages))
	for i, p := range c.Pages {
		all[i] = map[string]string{}
		for _, s := range p.Settings {
			all[i][s.Name] = s.Value
			if !slices.Contains(order, s.Name) {
				order = append(order, s.Name)
			}
		}
	}
	var out []values
	for _, key := range order {
		v := values{Name: key}
		same := true
		for i := range all {
			text, has := all[i][key]
			if !has {
				text = "–"
			}
			v.Values = append(v.Values, text)
			same = same && text == v.Values[0]
		}
		if !same && key != "output_dir" {
			out = append(out, v)
		}
	}
	return out
}

// Charts put the runs' curves into one plot each.
func (c Comparison) Charts() []chart {
	var out []chart
	for i, p := range c.Pages {
		for j, one := range p.Curves.charts(0) {
			if i == 0 {
				out = append(out, chart{ID: one.ID, Title: one.Title, Unit: one.Unit, format: one.format, zero: one.zero, log: one.log})
			}
			out[j].series = append(out[j].series, compared(one, named{p.Title, colour(i)})...)
		}
	}
	return slices.DeleteFunc(out, chart.Empty)
}

// compared are the lines of one run in a chart of several: the smoothed one where there is one, and held-out data.
func compared(one chart, run named) (out []series) {
	for _, s := range one.series {
		switch {
		case s.kind == levelKind, one.ID == "loss" && s.class == "a faint":
			continue
		case s.kind == dotsKind:
			s.name, s.class = run.Name+", held-out data", run.Class+" held"
		default:
			s.name, s.class, s.kind = run.Name, run.Class, lineKind
			if one.ID == "loss" {
				s.name += ", training"
			}
		}
		out = append(out, s)
	}
	return out
}

// told is the answer of a run.
type told struct{ Name, Class, Text string }

type comparedAnswer struct {
	Prompt, Reference string
	Texts             []told
}

// Answers are the last answers of the runs to the prompts that they share.
func (c Comparison) Answers() []comparedAnswer {
	var out []comparedAnswer
	for i, p := range c.Pages {
		for _, a := range p.Answers() {
			if a.After == nil {
				continue
			}
			j := slices.IndexFunc(out, func(o comparedAnswer) bool { return o.Prompt == a.Prompt })
			if j < 0 {
				j = len(out)
				out = append(out, comparedAnswer{Prompt: a.Prompt, Reference: a.Reference})
			}
			out[j].Texts = append(out[j].Texts, told{p.Title, colour(i), a.After.Text})
		}
	}
	return slices.DeleteFunc(out, func(a comparedAnswer) bool { return len(a.Texts) < 2 })
}

// Data is what the script shows under the pointer.
func (c Comparison) Data() any { return dataOf(c.Charts()) }
