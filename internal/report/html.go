package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"time"
	"unicode/utf8"

	"lomo/internal/fault"
)

//go:embed report.html.tmpl
var pageText string

//go:embed report.css
var pageStyle string

//go:embed report.js
var pageScript string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"counted": fault.Number, "style": func() template.CSS { return template.CSS(pageStyle) }, "script": func() template.JS { return template.JS(pageScript) },
	"stamp": func(t time.Time) string { return t.Format("2006-01-02 15:04:05 MST") }, "rfc": func(t time.Time) string { return t.Format(time.RFC3339) },
}).Parse(pageText))

// Page is what report.html shows of a run.
type Page struct {
	Title    string // the run's folder
	Run      Run
	State    State
	AsOf     time.Time
	Settings []Setting // in the order of the documentation
	Curves   *Curves
	Samples  []Sample
}

// Setting is a key of the configuration.
type Setting struct {
	Name, Value, Origin string
	Default             bool // it has the value it has when nobody gives one
}

// WriteHTML writes one self-contained page, by way of a temporary file beside it.
func WriteHTML(path string, p Page) error {
	text, err := p.render()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return replaceFile(path, text)
}

func (p Page) render() ([]byte, error) { return rendered("run", p) }

// rendered is a page without control characters and marks of direction, which would show names and paths as others than they are.
func rendered(name string, data any) ([]byte, error) {
	var buf bytes.Buffer
	err := page.ExecuteTemplate(&buf, name, data)
	return []byte(fault.Visible(buf.String())), err
}

// Live tells whether the page will change.
func (p Page) Live() bool { return p.State == Running }

// Step is the last step that is known to be done, Total that of the whole run.
func (p Page) Step() int  { return p.Curves.Last.Step }
func (p Page) Total() int { return max(p.Run.Steps, p.Curves.Last.Step) }

// Percent is how much of the run is done.
func (p Page) Percent() int {
	if p.Total() <= 0 {
		return 0
	}
	return min(max(int(100*float64(p.Step())/float64(p.Total())), 0), 100)
}

// Headline says how the run stands.
func (p Page) Headline() string {
	at := fmt.Sprintf("step %d of %d", p.Step(), p.Total())
	if p.Step() == 0 {
		at = fmt.Sprintf("before the first of %s", fault.Number(p.Total(), "step"))
	}
	switch p.State {
	case Running:
		return "running: " + at
	case Finished:
		return "finished: " + fault.Number(p.Step(), "step")
	case Interrupted:
		return "interrupted after " + at
	case Diverged:
		return "diverged after " + at
	case Failed:
		return "failed after " + at
	case Stopped:
		return "stopped after " + at
	}
	return at
}

// Detail is a sentence more on the state.
func (p Page) Detail() string {
	switch last := p.Run.last(); p.State {
	case Running:
		if left, known := p.Left(); known {
			return "about " + Duration(left) + " left"
		}
	case Interrupted:
		return "a checkpoint was saved; the same command continues the run"
	case Stopped:
		return "its process ended without a word (killed, or the machine stopped); the same command continues from the newest checkpoint"
	case Diverged, Failed:
		if last != nil {
			return last.Problem
		}
	}
	return ""
}

// Left is the time that the rest takes: as the run itself has said, else at the mean pace so far.
func (p Page) Left() (time.Duration, bool) {
	c := p.Curves
	if left := c.Last.RemainingS; left != nil {
		return lasting(float64(*left)), finite(float64(*left))
	}
	if c.Steps < 2 || p.Total() <= p.Step() {
		return 0, false
	}
	return lasting(c.TookMS / 1000 / float64(c.Steps) * float64(p.Total()-p.Step())), true
}

// lasting is a time as a Duration, however long it is.
func lasting(s float64) time.Duration {
	return time.Duration(math.Min(math.Max(s, 0), 1e9) * float64(time.Second))
}

// Stale is after how many seconds without news a page that says running should be doubted.
func (p Page) Stale() int {
	slow := 0.0
	if p.Curves.Steps > 0 {
		slow = p.Curves.TookMS / float64(p.Curves.Steps) / 1000
	}
	return int(math.Min(math.Max(300, 5*slow), 1e6))
}

// Took is the time of the run: of its processes where it is known, else of its logged steps.
func (p Page) Took() time.Duration {
	if d := p.Run.Took(); d > 0 {
		return d
	}
	if s := float64(p.Curves.Last.ElapsedS); s > 0 {
		return lasting(s)
	}
	return lasting(p.Curves.TookMS / 1000)
}

// TookText is Took in words.
func (p Page) TookText() string { return Duration(p.Took()) }

// Session is the process that trained last, nil where that is not known.
func (p Page) Session() *Session { return p.Run.last() }

// Sessions tells how often the run was started.
func (p Page) Sessions() int { return len(p.Run.Sessions) + p.Run.Earlier }

// fact is a number at the head of the page.
type fact struct{ Name, Value, Note string }

// Facts are the numbers at the head of the page.
func (p Page) Facts() []fact {
	c := p.Curves
	var out []fact
	if c.Steps > 0 {
		note := ""
		if c.Skipped > 0 {
			note = fault.Number(c.Skipped, "step") + " skipped"
		}
		out = append(out, fact{"training loss", arrow(c.First.Loss, c.Last.Loss, c.Steps), note})
	}
	if c.Evals > 0 {
		note := ""
		if c.Evals > 2 && finite(float64(c.BestEval.Loss)) {
			note = fmt.Sprintf("best %s at step %d", lossText(c.BestEval.Loss), c.BestEval.Step)
		}
		out = append(out, fact{"held-out loss", arrow(c.FirstEval.Loss, c.LastEval.Loss, c.Evals), note})
	}
	if d := p.Took(); d > 0 {
		note := ""
		if n := p.Sessions(); n > 1 {
			note = fmt.Sprintf("in %d starts", n)
		}
		out = append(out, fact{"time", Duration(d), note})
	}
	if c.Steps > 0 {
		out = append(out, fact{"tokens/s, median", plain(Count, median(c.speed.kept)), ""},
			fact{"tokens learned from", Count(float64(c.Last.SeenTokens)), plain(func(v float64) string { return fmt.Sprintf("epoch %.4g", v) }, float64(c.Last.Epoch))})
	}
	if c.Peak > 0 {
		note := ""
		if p.Run.Planned > 0 {
			note = Bytes(p.Run.Planned) + " planned"
		}
		out = append(out, fact{"peak memory", Bytes(c.Peak), note})
	}
	return out
}

func arrow(first, last Number, n int) string {
	if n == 1 {
		return lossText(last)
	}
	return lossText(first) + " → " + lossText(last)
}

func lossText(v Number) string {
	return plain(func(v float64) string { return fmt.Sprintf("%.4f", v) }, float64(v))
}

// plain writes what is not a number as such.
func plain(write func(float64) string, v float64) string {
	if !finite(v) {
		return "not finite"
	}
	return write(v)
}

// Mine are the settings that differ from the defaults, Defaults the others.
func (p Page) Mine() []Setting     { return p.settings(false) }
func (p Page) Defaults() []Setting { return p.settings(true) }

func (p Page) settings(defaults bool) (out []Setting) {
	for _, s := range p.Settings {
		if s.Default == defaults {
			s.Value = brief(s.Value, 3000)
			out = append(out, s)
		}
	}
	return out
}

// brief is the beginning of a long text, and how much is left out: a page stays small whatever a file holds.
func brief(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s … (%s more)", s[:cut], Bytes(int64(len(s)-cut)))
}

// Charts are the plots that have something to show.
func (p Page) Charts() []chart {
	var out []chart
	for _, c := range p.Curves.charts(p.Run.Planned) {
		if !c.Empty() {
			out = append(out, c)
		}
	}
	return out
}

func (c *Curves) charts(planned int64) []chart {
	raw := c.line(func(b *bucket) *extent { return &b.loss })
	loss := chart{ID: "loss", Title: "Loss", Unit: "loss (nats a token)", format: lossFormat, log: true, marks: c.skips, marked: "skipped step", Note: c.thinning()}
	if half := c.window(); half > 0 {
		loss.series = []series{{"training, as logged", "a faint", raw, bandKind}, {c.windowName(half), "a bold", smoothed(raw, half), lineKind}}
	} else {
		loss.series = []series{{"training", "a bold", raw, bandKind}}
	}
	if c.Skipped > len(c.skips) {
		loss.Note = fmt.Sprintf("The first %d of %d skipped steps are marked. ", len(c.skips), c.Skipped) + loss.Note
	}
	var held []point
	for _, e := range c.shownEvals() {
		held = append(held, dot(float64(e.Step), float64(e.Loss)))
	}
	if len(held) > 0 {
		loss.series = append(loss.series, series{"held-out data", "b", held, dotsKind})
		if n := c.Evals; n > len(held) {
			loss.Note += fmt.Sprintf(" %d of %d evaluations are drawn.", len(held), n)
		}
	}
	speed := chart{ID: "speed", Title: "Speed", Unit: "tokens/s", format: countFormat, zero: true, series: []series{
		{"tokens/s, all tokens of a step", "c", c.line(func(b *bucket) *extent { return &b.speed }), bandKind}}}
	if m := median(c.speed.kept); finite(m) {
		speed.series = append(speed.series, series{"median " + Count(m), "ink", []point{dot(0, m)}, levelKind})
	}
	memory := chart{ID: "memory", Title: "Memory of the process", Unit: "resident memory", format: bytesFormat, zero: true}
	if c.Peak > 0 {
		memory.series = []series{{"resident", "d", c.line(func(b *bucket) *extent { return &b.memory }), bandKind}}
		if planned > 0 {
			memory.series = append(memory.series, series{"plan, at its peak: " + Bytes(planned), "ink", []point{dot(0, float64(planned))}, levelKind})
		}
	}
	return []chart{loss,
		{ID: "rate", Title: "Learning rate", Unit: "learning rate", format: rateFormat, zero: true, series: []series{
			{"learning rate", "e", c.line(func(b *bucket) *extent { return &b.rate }), lineKind}}},
		speed, memory,
		{ID: "norm", Title: "Gradient norm", Unit: "norm", format: rateFormat, log: true, series: []series{
			{"norm of the step's gradient", "f", c.line(func(b *bucket) *extent { return &b.norm }), bandKind}}},
	}
}

// window is the half width of the smoothing in buckets, 0 where there are too few to smooth.
func (c *Curves) window() int {
	if len(c.buckets) < 12 {
		return 0
	}
	return max(2, len(c.buckets)/20)
}

func (c *Curves) windowName(half int) string {
	span := c.buckets[len(c.buckets)-1].last - c.buckets[0].first + 1
	return fmt.Sprintf("training, smoothed over %d steps", max(1, int(math.Round(float64(span)*float64(2*half+1)/float64(len(c.buckets))))))
}

// thinning says what a point stands for.
func (c *Curves) thinning() string {
	if c.width <= 1 {
		return ""
	}
	return fmt.Sprintf("%d logged steps: each point is the mean of %d neighbours, the shaded area goes from their least to their greatest value.", c.Steps, c.width)
}

// maxRows bounds the table of values.
const maxRows = 200

// row is a line of the table of values.
type row struct{ Step, Loss, Held, Rate, Norm, Speed, Memory string }

// Rows is the table of values: means of neighbouring steps where there are many.
func (p Page) Rows() []row {
	c := p.Curves
	held := map[int]string{}
	for _, e := range c.shownEvals() {
		held[e.Step] = lossText(e.Loss)
	}
	group := (len(c.buckets) + maxRows - 1) / maxRows
	var out []row
	if v := held[0]; v != "" && len(c.buckets) > 0 && c.buckets[0].first > 0 {
		out = append(out, row{Step: "0", Held: v})
	}
	for i := 0; i < len(c.buckets); i += max(1, group) {
		var b bucket
		for j, x := range c.buckets[i:min(len(c.buckets), i+max(1, group))] {
			if j == 0 {
				b = x
				continue
			}
			b.last, b.steps = x.last, b.steps+x.steps
			b.loss.merge(x.loss)
			b.rate.merge(x.rate)
			b.norm.merge(x.norm)
			b.speed.merge(x.speed)
			b.memory.merge(x.memory)
		}
		r := row{Step: fmt.Sprint(b.last), Loss: cell(lossFormat, b.loss), Rate: cell(rateFormat, b.rate), Norm: cell(rateFormat, b.norm),
			Speed: cell(countFormat, b.speed), Memory: cell(bytesFormat, b.memory)}
		if b.first != b.last {
			r.Step = fmt.Sprintf("%d–%d", b.first, b.last)
		}
		for s := b.last; s >= b.first && r.Held == ""; s-- {
			r.Held = held[s]
		}
		out = append(out, r)
	}
	return out
}

func cell(f format, e extent) string {
	if e.n == 0 {
		return "–"
	}
	return f.value(e.mean())
}

// Answers are the samples, each prompt with its first and its last answer.
func (p Page) Answers() []answer {
	var out []answer
	for _, s := range p.Samples {
		s.Prompt, s.Reference, s.Text = brief(s.Prompt, 6000), brief(s.Reference, 3000), brief(s.Text, 3000)
		i := 0
		for i < len(out) && out[i].Prompt != s.Prompt {
			i++
		}
		if i == len(out) && i == maxAnswers {
			continue
		}
		if i == len(out) {
			out = append(out, answer{Prompt: s.Prompt, Reference: s.Reference})
		}
		if s.Step == 0 {
			out[i].Before = &s
		} else {
			out[i].After = &s
		}
	}
	return out
}

// maxAnswers is the most prompts that sample_prompts asks for.
const maxAnswers = 100

type answer struct {
	Prompt, Reference string
	Before, After     *Sample
}

// Data is what the script shows under the pointer.
func (p Page) Data() any { return dataOf(p.Charts()) }

func dataOf(charts []chart) map[string]any {
	out := map[string]any{}
	for _, c := range charts {
		var lines []map[string]any
		for _, s := range c.series {
			if s.kind == levelKind {
				continue
			}
			var xs []float64
			var ys []any
			for _, q := range s.points {
				if finite(q.y) {
					xs, ys = append(xs, math.Round(q.x*2)/2), append(ys, digits(q.y))
				}
			}
			lines = append(lines, map[string]any{"name": s.name, "class": s.class, "x": xs, "y": ys})
		}
		out[c.ID] = map[string]any{"title": c.Title, "format": c.format.name, "lines": lines}
	}
	return out
}

// digits keeps six digits of a number, to keep the page small.
func digits(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
	if !finite(scale) || scale == 0 {
		return v
	}
	return math.Round(v*scale) / scale
}
