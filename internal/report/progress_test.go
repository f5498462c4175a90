package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rivo/uniseg"
)

// screen is a terminal of some width that keeps what is written to it.
type screen struct {
	mu    sync.Mutex
	text  strings.Builder
	width int
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) terminal() *Terminal { return &Terminal{Width: func() int { return s.width }} }

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

var controls = regexp.MustCompile("\x1b\\[[A-Z]")

// TestFitEveryWidth: a line of every state of a run is at most as wide as the terminal, and what matters most stays to the last.
func TestFitEveryWidth(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	norm, mfu, left := Number(12345.678), Number(0.314), Number(98765)
	last := Step{Step: 123456, Total: 999999, Loss: 123456.789, GradNorm: &norm, LR: 1.234e-5, TokS: 123456, MemBytes: 1000 << 30, MFU: &mfu, ProcessS: 86400 * 3, RemainingS: &left}
	var states []*Progress
	for task := Waiting; task <= Writing; task++ {
		for _, of := range []int64{0, 1 << 40} {
			for _, steps := range []int{0, 3, 999999} {
				p := &Progress{begun: now.Add(-100 * time.Hour), since: now.Add(-time.Hour), task: task, done: 1 << 39, of: of, plan: Plan{Steps: steps, Predicted: time.Hour}}
				if steps > 3 {
					p.step, p.first, p.last = 123456, 123000, &last
					p.pace.step(time.Second)
					p.pace.step(3 * time.Second)
				}
				states = append(states, p)
			}
		}
	}
	for width := 1; width <= 200; width++ {
		for i, p := range states {
			line := p.composed(now, width)
			if w := uniseg.StringWidth(line); w > width {
				t.Fatalf("state %d at %d columns: %q is %d wide", i, width, line, w)
			}
			if strings.ContainsAny(line, "\r\n\x1b") || width >= 12 && len(line) < 3 {
				t.Fatalf("state %d at %d columns: %q", i, width, line)
			}
		}
		for _, fields := range [][]Field{append(append([]Field{last.count()}, last.fields()...), last.times()...), Eval{Step: 123456, Loss: 123.4567, Perplexity: 1e30, Tokens: 1 << 40}.fields()} {
			if line := Fit(fields, width); uniseg.StringWidth(line) > width {
				t.Fatalf("%d columns: %q", width, line)
			}
		}
	}
}

// TestFieldsByPriority shows what a step looks like at the usual widths.
func TestFieldsByPriority(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	norm, mfu := Number(0.71), Number(0.31)
	p := &Progress{begun: now.Add(-80 * time.Second), since: now, task: Stepping, step: 12, plan: Plan{Steps: 48},
		last: &Step{Step: 12, Total: 48, Loss: 1.8342, GradNorm: &norm, LR: 1e-3, TokS: 278, MemBytes: 443 << 20, MFU: &mfu}}
	for range 4 {
		p.pace.step(5 * time.Second)
	}
	for _, c := range []struct {
		width int
		want  string
	}{
		{160, `| step 12/48  25% [======>                      ]  loss 1.8342  |g| 0.71  lr 1.0e-03  278 tok/s  443 MiB memory  31% of compute peak  elapsed 1m20s  left 3m00s`},
		{119, `| step 12/48  25% [=>       ]  loss 1.8342  |g| 0.71  lr 1.0e-03  278 tok/s  443 MiB memory  elapsed 1m20s  left 3m00s`},
		{79, `| step 12/48  25% [=>      ]  loss 1.8342  278 tok/s  elapsed 1m20s  left 3m00s`},
		{59, `| step 12/48  loss 1.8342  elapsed 1m20s  left 3m00s`},
		{39, `| step 12/48  loss 1.8342  left 3m00s`},
		{19, `| 12/48  left 3m00s`},
		{9, `12/48`},
		{3, `12/`},
	} {
		if got := p.composed(now, c.width); got != c.want {
			t.Errorf("%d columns:\n%s\nwant\n%s", c.width, got, c.want)
		}
	}
}

// TestNothingReadsAsMemory: a share of the machine's speed says of what.
func TestNothingReadsAsMemory(t *testing.T) {
	mfu := Number(0.31)
	line := Step{Step: 1, Total: 2, MemBytes: 443 << 20, MFU: &mfu}.Line()
	if !strings.Contains(line, "443 MiB memory  31% of compute peak") {
		t.Error(line)
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		share float64
		width int
		want  string
	}{
		{0, 15, "0% [        ]"}, {0.5, 15, "50% [===>    ]"}, {1, 15, "100% [========]"}, {-1, 15, "0% [        ]"}, {7, 15, "100% [========]"},
		{0.25, 20, "25% [==>          ]"},
	} {
		if got := bar(c.share, c.width); got != c.want {
			t.Errorf("%v in %d columns: %q, want %q", c.share, c.width, got, c.want)
		}
	}
	if n := len(bar(1, 1000)); n > wideBar {
		t.Errorf("%d columns", n)
	}
}

// TestMovingLine: talk stands above the line that moves; nothing that is drawn is wider than the terminal, also when that shrinks.
func TestMovingLine(t *testing.T) {
	s := &screen{width: 60}
	c := NewConsole(s, s.terminal())
	p := NewProgress(c, time.Now())
	p.Doing(Encoding, 0, 12, 0)
	p.Begin(Plan{Steps: 3}, 0, 0)
	p.Doing(Loading, 0, 1<<20, 1<<22)
	c.Say("a note that is much longer than any terminal of this test is wide, and stays whole, so that it can be copied")
	for i := range 3 {
		s.width = 60 - 20*i
		p.Doing(Stepping, i, 0, 0)
		p.Doing(Waiting, i, 0, 0)
		p.Step(Step{Step: i + 1, Total: 3, Loss: 1, TokS: 100, MemBytes: 1 << 30})
	}
	p.Close()
	text := s.String()
	if !strings.Contains(text, "stays whole, so that it can be copied\n") || !strings.Contains(text, "\x1b[Jstep 3/3") && !strings.Contains(text, "\x1b[J3/3") {
		t.Errorf("%q", text)
	}
	for _, line := range strings.FieldsFunc(controls.ReplaceAllString(text, "\r"), func(r rune) bool { return r == '\r' || r == '\n' }) {
		if len(line) > 59 && !strings.HasPrefix(line, "a note") {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	if !strings.HasSuffix(text, "\r\x1b[J") {
		t.Errorf("the line stays at the end: %q", text[max(0, len(text)-80):])
	}
}

// TestSomethingMoves: without any news the line is drawn again.
func TestSomethingMoves(t *testing.T) {
	s := &screen{width: 80}
	p := NewProgress(NewConsole(s, s.terminal()), time.Now())
	defer p.Close()
	p.Begin(Plan{Steps: 3}, 0, 0)
	p.Doing(Stepping, 0, 0, 0)
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(s.String(), "/ step 0/3") || !strings.Contains(s.String(), "- step 0/3") || !strings.Contains(s.String(), "first step") {
		if time.Now().After(deadline) {
			t.Fatalf("%q", s.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestLines: where lines only follow each other, there is one a step and no control character.
func TestPlainLines(t *testing.T) {
	var s screen
	c := NewConsole(&s, nil)
	p := NewProgress(c, time.Now())
	p.Begin(Plan{Steps: 2, Predicted: 40 * time.Second}, 0, 0)
	p.Doing(Loading, 0, 1, 2)
	p.Doing(Stepping, 0, 0, 10)
	p.Doing(Stepping, 0, 5, 10)
	p.Doing(Waiting, 0, 0, 0)
	p.Step(Step{Step: 1, Total: 2, Loss: 1})
	c.Say("hello")
	p.Eval(Eval{Step: 1, Loss: 2, Perplexity: 7.39, Tokens: 1})
	p.Close()
	want := "first step, 1 of 2, predicted 40 s\nstep 1/2  loss 1.0000  lr 0.0e+00  0 tok/s\nhello\nstep 1  eval loss 2.0000  perplexity 7.39  (1 token)\n"
	if got := s.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestLongTasksAreTold: in a pipe a task that takes long has one line, and the first step has it sooner.
func TestLongTasksAreTold(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	p := &Progress{c: NewConsole(io.Discard, nil), begun: now, now: func() time.Time { return now }, plan: Plan{Steps: 9}}
	for _, c := range []struct {
		task Task
		of   int64
		at   time.Duration
		want string
	}{
		{Loading, 100, 9 * time.Second, ""},
		{Loading, 100, 11 * time.Second, "loading weights: 50 B of 100 B, after 11 s"},
		{Loading, 100, 30 * time.Second, ""},
		{Stepping, 0, time.Second, ""},
		{Stepping, 0, 3 * time.Second, "first step, 1 of 9; how long one takes is known after it"},
		{Stepping, 0, 30 * time.Second, ""},
		{Saving, 100, 11 * time.Second, "saving checkpoint-0 50%, after 11 s"},
		{Stepping, 0, 30 * time.Second, ""}, // not the first one
	} {
		if c.task != p.task {
			p.Doing(c.task, 0, 50, c.of)
		}
		p.since = now.Add(-c.at)
		if got := p.long(); got != c.want {
			t.Errorf("task %d after %v: %q, want %q", c.task, c.at, got, c.want)
		}
	}
}

// TestPace: what is left comes from usual steps; an evaluation, a checkpoint or a machine that was asleep does not move it.
func TestPace(t *testing.T) {
	plan := Plan{Steps: 100, EvalEvery: 10, Evaluates: true, SaveEvery: 50, Writes: true}
	var p pace
	p.step(30 * time.Second)
	if _, known := p.left(plan, 1); known {
		t.Error("known after one step")
	}
	p.step(2 * time.Second)
	if left, known := p.left(plan, 2); !known || left != 196*time.Second {
		t.Errorf("after two steps %v, %v; the first of a process is not the usual one", left, known)
	}
	for range 18 {
		p.step(2 * time.Second)
	}
	p.step(10 * time.Hour)
	p.evals.add(5 * time.Second)
	p.saves.add(3 * time.Second)
	// 79 steps, evaluations after 30 … 90 and at the end, checkpoints after 50 and 100, and the model.
	if left, _ := p.left(plan, 21); left != 79*2*time.Second+8*5*time.Second+3*3*time.Second {
		t.Errorf("left %v", left)
	}
	if left, _ := p.left(plan, 100); left != 5*time.Second+3*time.Second {
		t.Errorf("left at the end %v: an evaluation and the model", left)
	}
}

// TestStopping: what is said at Ctrl-C tells how long it takes, from what is known.
func TestStopping(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		name  string
		p     *Progress
		steps []time.Duration
		want  string
	}{
		{"before", &Progress{task: Loading, plan: Plan{Steps: 9}}, nil, "stopping before the first step; Ctrl-C again stops at once"},
		{"first step", &Progress{task: Stepping, plan: Plan{Steps: 9}}, nil, "finishing step 1, the first one: 10 s so far, then saving; Ctrl-C again stops at once"},
		{"first step, planned", &Progress{task: Stepping, plan: Plan{Steps: 9, Predicted: 40 * time.Second}}, nil, "finishing step 1, the first one: 10 s so far of about 40 s, then saving; Ctrl-C again stops at once"},
		{"first step, half of it", &Progress{task: Stepping, done: 1, of: 2, plan: Plan{Steps: 9}}, nil, "finishing step 1, about 10 s, then saving; Ctrl-C again stops at once"},
		{"later", &Progress{task: Stepping, step: 11, plan: Plan{Steps: 48}}, []time.Duration{50e9, 50e9}, "finishing step 12, about 40 s, then saving; Ctrl-C again stops at once"},
		{"longer than usual", &Progress{task: Stepping, step: 11, plan: Plan{Steps: 48}}, []time.Duration{5e9, 5e9}, "finishing step 12, about 1 s, then saving; Ctrl-C again stops at once"},
		{"evaluating", &Progress{task: Evaluating, step: 11, done: 1, of: 4, plan: Plan{Steps: 48}}, []time.Duration{5e9, 5e9}, "finishing the evaluation, about 30 s, then saving; Ctrl-C again stops at once"},
		{"saving", &Progress{task: Saving, step: 11, plan: Plan{Steps: 48}}, []time.Duration{5e9, 5e9}, "saving checkpoint-11, then stopping; Ctrl-C again stops at once"},
		{"last", &Progress{task: Writing, step: 48, plan: Plan{Steps: 48}}, []time.Duration{5e9, 5e9}, "all steps are done: the run ends by itself; Ctrl-C again stops at once"},
		{"between", &Progress{task: Waiting, step: 11, plan: Plan{Steps: 48}}, []time.Duration{5e9, 5e9}, "stopping after step 11, then saving; Ctrl-C again stops at once"},
	} {
		c.p.now, c.p.since = func() time.Time { return now }, now.Add(-10*time.Second)
		for _, d := range c.steps {
			c.p.pace.step(d)
		}
		if got := c.p.Stopping(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestLog: the log has what was said before it was known where it is, each line with its time, and no drawing.
func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train.log")
	s := &screen{width: 40}
	for i := range 2 {
		c := NewConsole(s, s.terminal())
		c.Keep()
		c.Say("before")
		p := NewProgress(c, time.Now())
		p.Begin(Plan{Steps: 2}, 0, 0)
		if _, err := os.Stat(path); i == 0 && err == nil {
			t.Fatal("written before it is known where")
		}
		c.OpenLog(path, "a run begins")
		p.Step(Step{Step: 1, Total: 2, Loss: 1, TokS: 5, MemBytes: 1 << 30})
		c.Record("whole", "")
		fmt.Fprint(c, "\n\x1b[31mpart")
		c.Close()
		if i == 0 { // a process that was killed in the middle of a line
			f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			fmt.Fprint(f, "torn")
			f.Close()
		}
	}
	raw, _ := os.ReadFile(path)
	got := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `).ReplaceAllString(string(raw), "@ ")
	got = regexp.MustCompile(`==== \S+`).ReplaceAllString(got, "==== date")
	one := "@ ==== date a run begins\n@ before\n@ step 1/2  loss 1.0000  lr 0.0e+00  5 tok/s  1.00 GiB memory\n@ whole\n@ \\u001b[31mpart\n"
	if got != one+"torn\n"+one {
		t.Errorf("%s\nwant\n%s", got, one+"torn\n"+one)
	}
}

type fails struct{ n int }

func (f *fails) Write([]byte) (int, error) { f.n++; return 0, errors.New("broken pipe") }

// TestClosedTerminal: what cannot be written is no error, and the log says so once.
func TestClosedTerminal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train.log")
	c := NewConsole(&fails{}, nil)
	c.OpenLog(path, "a run begins")
	for range 3 {
		if _, err := fmt.Fprintln(c, "talk"); err != nil {
			t.Error(err)
		}
	}
	c.Close()
	raw, _ := os.ReadFile(path)
	if n := strings.Count(string(raw), "closed: the run goes on"); n != 1 || strings.Count(string(raw), "talk\n") != 3 {
		t.Errorf("%s", raw)
	}
}

// TestLogCannotBeWritten: that is said once on the screen, and all goes on; when the disk has space again nothing is missing.
func TestLogCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	var s screen
	c := NewConsole(&s, nil)
	c.OpenLog(filepath.Join(dir, "train.log"), "a run begins")
	c.Say("one")
	c.Say("two")
	if got := s.String(); strings.Count(got, "train.log cannot be written") != 1 || !strings.HasSuffix(got, "one\ntwo\n") {
		t.Errorf("%q", got)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.Say("three")
	c.Close()
	raw, _ := os.ReadFile(filepath.Join(dir, "train.log"))
	if strings.Count(string(raw), "\n") != 4 || !strings.Contains(string(raw), " one\n") {
		t.Errorf("%s", raw)
	}
}

func TestPlainWanted(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want bool
	}{
		{[]string{"TERM=xterm"}, false}, {[]string{"TERM=dumb"}, true}, {nil, true}, {[]string{"TERM=xterm", "NO_COLOR=1"}, true},
		{[]string{"TERM=xterm", "NO_COLOR="}, false}, {[]string{"TERM=dumb", "TERM=tmux-256color"}, false},
	} {
		if got := plainWanted(c.env); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}

// TestUnknownWidth: a terminal that does not say its width is taken for the usual one.
func TestUnknownWidth(t *testing.T) {
	for width, want := range map[int]int{0: 79, -1: 79, 1: 1, 2: 1, 80: 79} {
		if got := (&Terminal{Width: func() int { return width }}).columns(); got != want {
			t.Errorf("%d: %d, want %d", width, got, want)
		}
	}
}

// TestDigest: the last loss is the mean of the last tenth of the finite steps, by tokens; skipped steps count for nothing.
func TestDigest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	var text strings.Builder
	fmt.Fprintln(&text, `{"step":1,"loss":null,"tokens":5,"skipped":true,"tok_s":100,"step_ms":1000,"peak_bytes":9}`)
	for i := 2; i <= 30; i++ {
		fmt.Fprintf(&text, `{"step":%d,"loss":%d,"tokens":%d,"tok_s":50,"step_ms":1000,"elapsed_s":%d,"peak_bytes":7}`+"\n", i, 100-i, i%2+1, 2*i)
		if i%10 == 0 {
			fmt.Fprintf(&text, `{"step":%d,"eval_loss":%d,"eval_tokens":4}`+"\n", i, i)
		}
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDigest(path)
	if err != nil {
		t.Fatal(err)
	}
	loss, over := d.Last()
	if d.Logged != 30 || d.First.Step != 2 || d.Skipped != 1 || d.Peak != 9 || d.Elapsed() != time.Minute || over != 2 || loss != (71*2+70)/3. ||
		d.FirstEval.Step != 10 || d.LastEval.Step != 30 || d.TokS() != 1550./30 {
		t.Errorf("%+v, last %v of %d, %v tok/s", d, loss, over, d.TokS())
	}
}
