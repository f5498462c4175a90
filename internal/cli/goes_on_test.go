package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"lomo/internal/config"
	"lomo/internal/job"
	"lomo/internal/report"
)

// TestPageGoesOn: the page and the clock of a run that goes on hold what its earlier processes did, up to the step it goes on after.
func TestPageGoesOn(t *testing.T) {
	for _, done := range []int{0, 1, 3, 5} {
		dir := t.TempDir()
		var lines strings.Builder
		for step := 1; step <= 5; step++ {
			fmt.Fprintf(&lines, `{"step":%d,"loss":%d,"tokens":8,"tok_s":10,"step_ms":800,"elapsed_s":%d,"peak_bytes":%d}`+"\n", step, 9-step, 1000*step, step<<20)
		}
		if err := os.WriteFile(filepath.Join(dir, report.MetricsFile), []byte(lines.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := (report.Run{Model: "m", Sessions: []report.Session{{State: report.Interrupted, Command: "lomo train first.yaml"}}}).Write(dir); err != nil {
			t.Fatal(err)
		}
		var talk bytes.Buffer
		s := &Streams{Err: &talk}
		r := &runReport{s: s, o: &trainOptions{Config: &config.Loaded{}}, dir: dir, progress: report.NewProgress(s.talk(), time.Now())}
		defer r.close()
		r.Planned(job.Summary{Steps: 10})
		var err error
		if done == 0 {
			err = r.open()
		} else {
			err = r.Resumed(filepath.Join(dir, fmt.Sprintf("checkpoint-%d", done)), done, 10)
		}
		if err != nil {
			t.Fatal(err)
		}
		if c := &r.page.curves; c.Steps != done || c.Last.Step != done || c.Peak != int64(done)<<20 {
			t.Errorf("after step %d the page has %d steps up to %d, and a peak of %d bytes", done, c.Steps, c.Last.Step, c.Peak)
		}
		process, run := r.progress.Elapsed()
		if before := (run - process).Round(time.Second); before != time.Duration(1000*done)*time.Second {
			t.Errorf("after step %d the processes before took %v", done, before)
		}
		sessions := 1
		if done > 0 {
			sessions = 2
		}
		if kept, err := report.ReadRun(dir); err != nil || len(kept.Sessions) != sessions || kept.Sessions[sessions-1].FromStep != done {
			t.Errorf("after step %d: %+v, %v", done, kept.Sessions, err)
		}
	}
}

// TestSaveAgain: what a chat saves again takes the place of what it saved before, whichever of them is longer, and of nothing else.
func TestSaveAgain(t *testing.T) {
	record := func(text string) string {
		return `{"messages":[{"role":"user","content":"` + text + `"}]}` + "\n"
	}
	long, short := record(strings.Repeat("long ", 20)), record("s")
	for _, c := range []struct {
		before        string // in the file
		first, second string
		records       int
	}{
		{"", long, short, 1}, {"", short, long, 1}, {"", short, short, 1},
		{record("other"), long, short, 2}, {record("other") + record("x"), short, long, 3},
		{strings.TrimSuffix(record("without an end"), "\n"), long, short, 2},
	} {
		path := filepath.Join(t.TempDir(), "chats.jsonl")
		if c.before != "" {
			if err := os.WriteFile(path, []byte(c.before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		chat := &talk{}
		if _, replaced, err := chat.write(path, []byte(c.first)); err != nil || replaced {
			t.Fatal(replaced, err)
		}
		chat.saved = savedRecord{path, []byte(c.first)}
		records, replaced, err := chat.write(path, []byte(c.second))
		want := c.second
		if c.before != "" {
			want = strings.TrimSuffix(c.before, "\n") + "\n" + c.second
		}
		if got, _ := os.ReadFile(path); err != nil || !replaced || records != c.records || string(got) != want {
			t.Errorf("%d bytes for %d beside %q: record %d, replaced %v, %v:\n%s", len(c.second), len(c.first), c.before, records, replaced, err, got)
		}
	}
}

// TestPromptAsItIs: of a text that is read one line end goes, and no other white space.
func TestPromptAsItIs(t *testing.T) {
	for text, want := range map[string]string{
		"one\n": "one", "one": "one", "  one two \n": "  one two ", "\n\none\n\n": "\n\none\n", "\tone\r\n": "\tone", "one \r": "one ", "\u00a0one\u00a0\n": "\u00a0one\u00a0", "\n": "", "": "",
	} {
		if got, err := readPrompt(strings.NewReader(text), "stdin"); err != nil || got != want {
			t.Errorf("%q is read as %q, %v, want %q", text, got, err, want)
		}
	}
}

// TestWarningsAreSaid: what a configuration has that is probably not meant is said by each command that reads one, before it runs.
func TestWarningsAreSaid(t *testing.T) {
	train := func(s *Streams) *cobra.Command {
		return newTrainCmd(s, func(context.Context, *Streams, *trainOptions) error { return nil })
	}
	run := []string{"--model", "m", "--output-dir", "o", "--datasets", "[{path: d, type: text}]"}
	for _, c := range []struct {
		command func(*Streams) *cobra.Command
		args    []string
		want    string
	}{
		{train, append(slices.Clone(run), "--learning-rate", "5"), "learning_rate 5 is unusual for adalomo"},
		{train, append(slices.Clone(run), "--clip-policy", "lagged"), "clip_policy: lagged has no effect"},
		{func(s *Streams) *cobra.Command {
			return newEvalCmd(s, func(*Streams, *evalOptions) error { return nil })
		}, strings.Fields("--model m --data d --type text --threads 4000"), "threads: 4000 is more than"},
		{func(s *Streams) *cobra.Command {
			return newInspectCmd(s, func(*Streams, *inspectOptions) error { return nil })
		}, strings.Fields("d --type text --model m --set gather=matrix"), "gather: matrix has no effect"},
	} {
		_, talk, err := command(c.command, "", c.args...)
		if err != nil || !strings.Contains(talk, "lomo: warning: ") || !strings.Contains(talk, c.want) {
			t.Errorf("%s: %v, said %q, want %q", c.args, err, talk, c.want)
		}
	}
}
