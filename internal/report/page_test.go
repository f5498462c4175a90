package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// steps gives a run's steps to a page, one after the other.
func steps(c *Curves, n int, change func(i int, s *Step)) {
	for i := 1; i <= n; i++ {
		s := Step{Step: i, Epoch: Number(i) / 10, Loss: 3 - Number(i)/Number(n+1), LR: 1e-3, Tokens: 10, SeenTokens: int64(10 * i), TokS: 500, StepMS: 2000,
			MemBytes: 1 << 30, PeakBytes: 2 << 30}
		if change != nil {
			change(i, &s)
		}
		c.Step(s)
	}
}

func render(t *testing.T, p Page) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := WriteHTML(path, p); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Dir(path) + "/*.tmp"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	return string(raw)
}

func has(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
}

func lacks(t *testing.T, text string, unwanted ...string) {
	t.Helper()
	for _, not := range unwanted {
		if i := strings.Index(text, not); i >= 0 {
			t.Errorf("%q in the page: %s", not, text[max(0, i-80):min(len(text), i+80)])
		}
	}
}

// TestPage: what a page of a running run says.
func TestPage(t *testing.T) {
	c := &Curves{}
	c.Eval(Eval{Step: 0, Loss: 3.5})
	steps(c, 50, nil)
	c.Eval(Eval{Step: 25, Loss: 2.25})
	c.Eval(Eval{Step: 50, Loss: 2.5})
	started := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	r := Run{Model: "models/m", Device: "cpu", Steps: 110, Planned: 3 << 30}
	r.Begin(Session{Started: started, Updated: started.Add(100 * time.Second), State: Running, Command: "lomo train run.yaml", Version: "1.2", CPU: "cpu level avx2"})
	text := render(t, Page{Title: "out/run", Run: r, State: Running, AsOf: started.Add(100 * time.Second), Curves: c,
		Settings: []Setting{{"learning_rate", "0.001", "run.yaml:4", false}, {"seed", "42", "default", true}},
		Samples:  []Sample{{Step: 0, Prompt: "Who?", Reference: "Pell", Text: "nobody"}, {Step: 50, Prompt: "Who?", Reference: "Pell", Text: "Pell", Cut: "cut after 3 tokens"}}})
	has(t, text, "running: step 50 of 110", "about 2m00s left", "2026-03-04 05:07:47 UTC", "started <time", "took 1m40s", "lomo train run.yaml", "lomo 1.2 · cpu level avx2",
		"2.9804 → 2.0196", "3.5000 → 2.5000", "best 2.2500 at step 25", "median 500", "plan, at its peak: 3.00 GiB", "loss (nats a token)", "log scale",
		`<th scope="row">learning_rate</th><td>0.001</td>`, "1 setting at the default value", "<summary>", `content="30"`, "cut after 3 tokens", "After step 50", "<desc", "aria-live")
	lacks(t, text, "http:", "https:", "src=", "href=", "url(", "@import", "NaN", "Infinity", "ZgotmplZ")
	if strings.Index(text, "learning_rate</th>") > strings.Index(text, "seed</th>") {
		t.Error("defaults come before what was set")
	}
	done := render(t, Page{Title: "out/run", Run: r, State: Finished, AsOf: started, Curves: c})
	lacks(t, done, `http-equiv="refresh"`, `id="refresh"`, "data-stale=")
	has(t, done, "finished: 50 steps")
}

// TestPageStates: each way a run stands has its sentence.
func TestPageStates(t *testing.T) {
	for _, c := range []struct {
		state State
		steps int
		want  []string
	}{
		{Running, 0, []string{"running: before the first of 3 steps", "No step has been logged yet"}},
		{Finished, 1, []string{"finished: 1 step<", "training loss"}},
		{Interrupted, 2, []string{"interrupted after step 2 of 3", "the same command continues"}},
		{Diverged, 2, []string{"diverged after step 2 of 3", "loss is nan &lt;b&gt;"}},
		{Failed, 2, []string{"failed after step 2 of 3", "loss is nan &lt;b&gt;"}},
		{Stopped, 2, []string{"stopped after step 2 of 3", "without a word"}},
	} {
		curves := &Curves{}
		steps(curves, c.steps, nil)
		r := Run{Steps: 3}
		r.Begin(Session{State: c.state, Problem: "loss is nan <b>"})
		if c.steps == 1 {
			r.Steps = 1
		}
		text := render(t, Page{Title: "r", Run: r, State: c.state, Curves: curves})
		has(t, text, c.want...)
		lacks(t, text, "NaN", "ZgotmplZ", "Inf")
	}
}

// TestPageOfHostileTexts: no text of a file becomes markup or script, in any place of a page.
func TestPageOfHostileTexts(t *testing.T) {
	for _, evil := range []string{
		"</script><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "<!--<script>", "</title></style>", "]]>&lt;", "javascript:alert(1)", "\u2028</script>", "'; alert(1); '", "\x1b[2Jred\x07", "gpj.\u202eexe\u2066", "a\rb\x9b2J\u009b2J", "\x00\xff\xfe</div>",
	} {
		c := &Curves{}
		steps(c, 20, nil)
		r := Run{Model: evil, Device: evil, Steps: 20, Samples: evil}
		r.Begin(Session{State: Failed, Problem: evil, Command: evil, Version: evil, CPU: evil})
		p := Page{Title: evil, Run: r, State: Failed, Curves: c, Settings: []Setting{{evil, evil, evil, false}, {evil, evil, evil, true}},
			Samples: []Sample{{Prompt: evil, Reference: evil, Text: evil, Cut: evil}, {Step: 20, Prompt: evil, Text: evil}}}
		path := filepath.Join(t.TempDir(), "compare.html")
		if err := WriteComparison(path, Comparison{Title: evil, Pages: []Page{p, p}}); err != nil {
			t.Fatal(err)
		}
		compared, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{render(t, p), string(compared)} {
			if n := strings.Count(text, "<script"); n != 2 {
				t.Errorf("%q: %d scripts in the page, want 2", evil, n)
			}
			if n := strings.Count(text, "</script"); n != 2 {
				t.Errorf("%q: %d ends of scripts, want 2", evil, n)
			}
			if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Bidi_Control) }); i >= 0 {
				t.Errorf("%q: the page has %q", evil, text[i:i+4])
			}
			lacks(t, text, "<img", "<!--", "onerror=alert(1)>")
			from := strings.Index(text, `id="data">`) + len(`id="data">`)
			var data map[string]any
			if err := json.Unmarshal([]byte(text[from:from+strings.Index(text[from:], "</script>")]), &data); err != nil || data["loss"] == nil {
				t.Errorf("%q: the data of the page: %v", evil, err)
			}
		}
	}
}

// TestLongRun: 100,000 steps make a page below 1 MiB that says what its points are, with memory that does not grow with the run.
func TestLongRun(t *testing.T) {
	const n = 100000
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	m, err := OpenMetrics(path, 0, n)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	norm := Number(1)
	for i := 1; i <= n; i++ {
		s := Step{Step: i, Loss: Number(2 + math.Sin(float64(i))/2), LR: Number(1e-3 * float64(n-i) / n), GradNorm: &norm, TokS: Number(300 + i%7), StepMS: 5, MemBytes: 1<<30 + int64(i%1000)<<10, PeakBytes: 1 << 30, SeenTokens: int64(i)}
		if i == 77777 {
			s.Loss = 9.5 // the one outlier must be seen
		}
		s.Skipped = i%1000 == 0
		line, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(append(line, '\n'))
		if i%50 == 0 {
			fmt.Fprintf(&text, `{"step":%d,"eval_loss":%g}`+"\n", i, 2+1/float64(i))
		}
	}
	if _, err := m.f.WriteString(text.String()); err != nil {
		t.Fatal(err)
	}
	m.Close()
	text.Reset()
	start := time.Now()
	c := &Curves{}
	before := held()
	if err := c.AddMetrics(path); err != nil {
		t.Fatal(err)
	}
	if grown := held() - before; grown > 2<<20 {
		t.Errorf("%s held for %d steps", Bytes(grown), n)
	}
	page := render(t, Page{Title: "long", State: Finished, Curves: c, Run: Run{Steps: n, Planned: 1 << 30}})
	if took := time.Since(start); took > 30*time.Second { // measured: 1.5 s
		t.Errorf("it took %v", took)
	}
	if len(page) > 1<<20 {
		t.Errorf("the page has %s", Bytes(int64(len(page))))
	}
	has(t, page, "100000 logged steps: each point is the mean of", "100 steps skipped", "of 2000 evaluations are drawn", ">8<")
	if len(c.buckets) > maxBuckets || len(c.evals.kept) > maxEvals || c.Steps != n || c.Last.Step != n {
		t.Errorf("%d buckets, %d evaluations, %d steps to %d", len(c.buckets), len(c.evals.kept), c.Steps, c.Last.Step)
	}
	total, high := 0, 0.0
	for _, b := range c.buckets {
		total += b.steps
		high = max(high, b.loss.high)
	}
	if total != n || high != 9.5 {
		t.Errorf("buckets of %d steps in all, the greatest loss %v", total, high)
	}
	if m := median(c.speed.kept); m != 303 {
		t.Errorf("median %v, want 303", m)
	}
	if e := c.shownEvals(); e[len(e)-1].Step != n || e[0].Step != 50 {
		t.Errorf("evaluations from %d to %d", e[0].Step, e[len(e)-1].Step)
	}
}

// held is the bytes of the heap in use.
func held() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestCurvesWithGaps: losses that are not finite leave gaps, and only where there is no value.
// TestEveryStepInItsBucket: however long a run is, each of its values is in the curves once, and in the table of values.
func TestEveryStepInItsBucket(t *testing.T) {
	for _, n := range []int{5, maxBuckets, maxBuckets + 1, 2*maxBuckets + 1, 5*maxBuckets + 7} {
		c := &Curves{}
		for i := 1; i <= n; i++ {
			v := Number(i)
			c.Step(Step{Step: i, Total: n, Loss: v, LR: 2 * v, GradNorm: new(3 * v), TokS: 4 * v, MemBytes: int64(5 * i)})
		}
		next := 1
		for _, b := range c.buckets {
			for k, e := range []extent{b.loss, b.rate, b.norm, b.speed, b.memory} {
				low, high := float64((k+1)*b.first), float64((k+1)*b.last)
				if e.n != b.steps || e.low != low || e.high != high || e.sum != (low+high)/2*float64(e.n) {
					t.Fatalf("%d steps: curve %d of steps %d to %d: %+v", n, k, b.first, b.last, e)
				}
			}
			if b.first != next || b.last-b.first+1 != b.steps {
				t.Fatalf("%d steps: a bucket of %d steps from %d to %d, want it from %d on", n, b.steps, b.first, b.last, next)
			}
			next = b.last + 1
		}
		rows := Page{Curves: c}.Rows()
		var first, last int
		for _, r := range rows {
			if k, _ := fmt.Sscanf(r.Step, "%d–%d", &first, &last); k < 2 {
				last = first
			}
			mid := float64(first+last) / 2
			if want := (row{Step: r.Step, Loss: lossFormat.value(mid), Rate: rateFormat.value(2 * mid), Norm: rateFormat.value(3 * mid), Speed: countFormat.value(4 * mid), Memory: bytesFormat.value(5 * mid)}); r != want {
				t.Fatalf("%d steps: %+v, want %+v", n, r, want)
			}
		}
		if next != n+1 || last != n {
			t.Errorf("%d steps: the curves end at %d, the table at %d", n, next-1, last)
		}
	}
}

func TestCurvesWithGaps(t *testing.T) {
	c := &Curves{}
	steps(c, 30, func(i int, s *Step) {
		if i >= 10 && i < 13 || i == 20 {
			s.Loss, s.Skipped = Number(math.NaN()), i == 20
		}
	})
	c.Eval(Eval{Step: 10, Loss: Number(math.NaN())})
	c.Eval(Eval{Step: 30, Loss: 2})
	if c.BestEval.Step != 30 {
		t.Errorf("best evaluation at step %d", c.BestEval.Step)
	}
	text := render(t, Page{Title: "gaps", State: Finished, Curves: c})
	lacks(t, text, "NaN", "Inf")
	has(t, text, "skipped step", "1 step skipped", "not finite → 2.0000")
	all := &Curves{}
	steps(all, 30, func(_ int, s *Step) { s.Loss, s.Skipped = Number(math.Inf(1)), true })
	lacks(t, render(t, Page{Title: "all", State: Diverged, Curves: all}), "NaN", "Inf")
}

func TestTicks(t *testing.T) {
	write := func(s span, f format, n int) string {
		values, text := s.ticks(f, n)
		var out []string
		for _, v := range values {
			out = append(out, text(v))
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		s    span
		f    format
		n    int
		want string
	}{
		{span{0.31, 3.06, false}, lossFormat, 5, "1 2 3"},
		{span{0.0862, 0.0951, false}, lossFormat, 5, "0.088 0.090 0.092 0.094"},
		{span{0, 5.3e-4, false}, rateFormat, 5, "0 2e-4 4e-4"},
		{span{0, 1.06e-3, false}, rateFormat, 5, "0 5e-4 1e-3"},
		{span{0, 480 << 20, false}, bytesFormat, 5, "0 MiB 100 MiB 200 MiB 300 MiB 400 MiB"},
		{span{0, 21 << 30, false}, bytesFormat, 5, "0 GiB 5 GiB 10 GiB 15 GiB 20 GiB"},
		{span{1, 3, false}, wholeFormat, 7, "1 2 3"},
		{span{0.5, 1.5, false}, wholeFormat, 7, "1"},
		{span{0, 100000, false}, wholeFormat, 7, "0 20k 40k 60k 80k 100k"},
		{span{1, 100000, false}, wholeFormat, 7, "20k 40k 60k 80k 100k"},
		{span{0, 8412, false}, countFormat, 5, "0 2000 4000 6000 8000"},
		{span{0.06, 3, true}, lossFormat, 5, "0.1 0.2 0.5 1 2"},
		{span{1e-6, 30, true}, rateFormat, 5, "1e-6 1e-5 1e-4 1e-3 0.01 0.1 1 10"},
		{span{2, 3, true}, lossFormat, 5, "2.0 2.2 2.4 2.6 2.8 3.0"},
	} {
		if got := write(c.s, c.f, c.n); got != c.want {
			t.Errorf("%v: %q, want %q", c.s, got, c.want)
		}
	}
}

// TestComparison: one page and one table with the figures of several runs.
func TestComparison(t *testing.T) {
	var pages []Page
	for i, lr := range []string{"0.001", "0.01", "0.1"} {
		c := &Curves{}
		steps(c, 20+i, nil)
		if i > 0 {
			c.Eval(Eval{Step: 20, Loss: 2.5 - Number(i)})
		}
		pages = append(pages, Page{Title: fmt.Sprintf("run%d", i), Run: Run{Steps: 20 + i}, State: Finished, Curves: c,
			Settings: []Setting{{"learning_rate", lr, "x", false}, {"seed", "1", "x", false}, {"output_dir", lr, "x", false}}})
	}
	c := Comparison{Title: "three", Pages: pages}
	if d := c.Differences(); len(d) != 1 || fmt.Sprint(d[0]) != "{learning_rate [0.001 0.01 0.1]}" {
		t.Errorf("%v differ", d)
	}
	var table strings.Builder
	shown := c.Table()
	if err := shown.Write(&table); err != nil {
		t.Fatal(err)
	}
	has(t, table.String(), "run0", "run2", "20 of 20", "22 of 22", "held-out loss ", "1.5000", "0.5000 (step 20)", "2.00 GiB")
	path := filepath.Join(t.TempDir(), "compare.html")
	if err := WriteComparison(path, c); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	has(t, string(raw), "run0, training", "run2, training", "run1, held-out data", "Settings that differ", "<td>0.001</td><td>0.01</td><td>0.1</td>")
	lacks(t, string(raw), "run0, held-out data", "NaN", "ZgotmplZ")
	line, err := json.Marshal(pages[0].Result())
	if err != nil || !strings.Contains(string(line), `"eval_loss":null`) {
		t.Errorf("%s, %v", line, err)
	}
}

// TestRunFile: sessions, and the state a killed one is left in.
func TestRunFile(t *testing.T) {
	dir := t.TempDir()
	if r, err := ReadRun(dir); err != nil || len(r.Sessions) != 0 || r.State() != "" {
		t.Fatalf("of no run.json: %+v, %v", r, err)
	}
	var r Run
	start := time.Now()
	for i := range maxSessions + 5 {
		r.Begin(Session{Started: start, Updated: start.Add(time.Second), FromStep: i, State: Running})
	}
	r.Update(Diverged, "nan", start.Add(3*time.Second))
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Sessions) != maxSessions || got.Earlier != 5 || got.State() != Diverged || got.Sessions[0].State != Stopped || got.Took() != time.Duration(maxSessions+5+2)*time.Second {
		t.Errorf("%d sessions, %d earlier, %s, %s, %v", len(got.Sessions), got.Earlier, got.State(), got.Sessions[0].State, got.Took())
	}
	if err := os.WriteFile(filepath.Join(dir, RunFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRun(dir); err == nil || !strings.Contains(err.Error(), RunFile) {
		t.Errorf("a torn run.json: %v", err)
	}
}

// TestSamplesFile: what was asked before the run stays when the run goes on, what came after the step does not.
func TestSamplesFile(t *testing.T) {
	dir := t.TempDir()
	write := func(step int, text string) {
		t.Helper()
		if err := WriteSamples(dir, step, []Sample{{Prompt: "p", Text: text}}); err != nil {
			t.Fatal(err)
		}
	}
	write(0, "zero")
	write(10, "ten")
	write(20, "twenty")
	write(10, "ten again")
	got, err := ReadSamples(dir)
	if err != nil || len(got) != 2 || got[0].Text != "zero" || got[1].Text != "ten again" || got[1].Step != 10 {
		t.Errorf("%+v, %v", got, err)
	}
	a := Page{Samples: got}.Answers()
	if len(a) != 1 || a[0].Before.Text != "zero" || a[0].After.Text != "ten again" {
		t.Errorf("%+v", a)
	}
	if err := os.WriteFile(filepath.Join(dir, SamplesFile), []byte("{\"step\":0,\"text\":\"a\"}\n{\"st"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSamples(dir); err != nil || len(got) != 1 {
		t.Errorf("of a torn file: %+v, %v", got, err)
	}
}

// TestHugeTexts: a page stays small with long settings and answers, says what it leaves out, and cuts no character.
func TestHugeTexts(t *testing.T) {
	long := strings.Repeat("城é🚢", 1<<17)
	c := &Curves{}
	steps(c, 3, nil)
	p := Page{Title: "huge", State: Finished, Curves: c, Settings: []Setting{{"chat_template", long, "x", false}}}
	for i := range 40 {
		p.Samples = append(p.Samples, Sample{Prompt: fmt.Sprint(i) + long, Reference: long, Text: long})
	}
	text := render(t, p)
	if len(text) > 1<<20 || !utf8.ValidString(text) || strings.Contains(text, "\uFFFD") {
		t.Errorf("%s, valid %v", Bytes(int64(len(text))), utf8.ValidString(text))
	}
	has(t, text, "1.12 MiB more)")
}

// TestFilesThatAreNone: a pipe does not hang the reader, and no error names a type of the program.
func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	for name, read := range map[string]func() error{
		RunFile: func() error { _, err := ReadRun(dir); return err }, SamplesFile: func() error { _, err := ReadSamples(dir); return err },
		MetricsFile: func() error { return (&Curves{}).AddMetrics(filepath.Join(dir, MetricsFile)) },
	} {
		path := filepath.Join(dir, name)
		if err := os.Symlink("/dev/zero", path); err != nil {
			t.Fatal(err)
		}
		if err := read(); err == nil || !strings.Contains(err.Error(), name+" is not a regular file") {
			t.Errorf("%s, a device: %v", name, err)
		}
		os.Remove(path)
		for _, text := range []string{"[]\n", `{"step":1e30,"total_steps":"x"}` + "\n", "5\n", `{"step":[1],"sessions":{}}` + "\n"} {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			err := read()
			if err == nil || strings.Contains(err.Error(), "Go ") || strings.Contains(err.Error(), "report.") || !strings.Contains(err.Error(), name) {
				t.Errorf("%s with %s: %v", name, text, err)
			}
		}
		os.Remove(path)
	}
}

func TestCommandLine(t *testing.T) {
	got := CommandLine([]string{"lomo", "train", "run.yaml", "--set", "datasets=[{path: it's}]", "", "a b"})
	if want := `lomo train run.yaml --set 'datasets=[{path: it'\''s}]' '' 'a b'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
