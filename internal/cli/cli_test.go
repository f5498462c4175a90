package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lomo/internal/config"
	"lomo/internal/job"
	"lomo/internal/train"
)

// command runs one command line of c with text on stdin and returns stdout, stderr and the error.
func command(c func(*Streams) *cobra.Command, stdin string, args ...string) (string, string, error) {
	var out, talk bytes.Buffer
	cmd := c(&Streams{In: strings.NewReader(stdin), Out: &out, Err: &talk})
	asUsage(cmd)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&talk)
	err := cmd.ExecuteContext(context.Background())
	return out.String(), talk.String(), err
}

func TestTrainOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.yaml")
	if err := os.WriteFile(path, []byte("model: m\noutput_dir: o\ndatasets: [{path: d, type: text}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var got *trainOptions
	run := func(ctx context.Context, _ *Streams, o *trainOptions) error {
		got = o
		return ctx.Err()
	}
	_, _, err := command(func(s *Streams) *cobra.Command { return newTrainCmd(s, run) }, "", "--config", path, "--dry-run", "--set", "threads=3", "--max-shard-size", "5GB")
	if err != nil || !got.DryRun || got.Config.Threads != 3 || got.Config.MaxShardSize != "5GB" || got.Config.Model != "m" {
		t.Errorf("options %+v, %v", got, err)
	}
}

func TestEvalOptions(t *testing.T) {
	for _, c := range []struct {
		args string
		want job.EvalOptions
	}{
		{"--model m --data d --type text", job.EvalOptions{Model: "m", Data: "d", Type: "text", Score: "sum", BatchSize: 4, SequenceLen: 1024, ChatTemplate: "tokenizer", Runtime: job.Runtime{Device: "auto", Devices: 1, Offload: "none"}}},
		{"--model m --data d --task superglue:rte --score mean --max-examples 5 --batch-size 2 --sequence-len 64 --dtype f32 --threads 1 --chat-template zephyr",
			job.EvalOptions{Model: "m", Data: "d", Task: "rte", Score: "mean", MaxExamples: 5, BatchSize: 2, SequenceLen: 64, LenGiven: true, ChatTemplate: "zephyr", Runtime: job.Runtime{Device: "auto", Devices: 1, Offload: "none", DType: "f32", Threads: 1}}},
	} {
		var got job.EvalOptions
		run := func(_ *Streams, o *evalOptions) error { got = o.EvalOptions; return nil }
		_, _, err := command(func(s *Streams) *cobra.Command { return newEvalCmd(s, run) }, "", strings.Fields(c.args)...)
		if err != nil || got != c.want {
			t.Errorf("%s: options %+v, %v; want %+v", c.args, got, err, c.want)
		}
	}
}

func TestMemprofOptions(t *testing.T) {
	var got *memprofOptions
	run := func(_ *Streams, o *memprofOptions) error { got = o; return nil }
	_, _, err := command(func(s *Streams) *cobra.Command { return newMemprofCmd(s, run) }, "",
		"--model", "llama-7b", "--optimizer", "adamw", "--gradient-checkpointing=false", "--json")
	if err != nil || got.Config.Model != "llama-7b" || got.Config.Optimizer != "adamw" || got.Config.GradientCheckpointing || !got.JSON || got.Measure {
		t.Errorf("options %+v, %v", got, err)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		hint string
	}{
		{nil, 0, ""},
		{errors.New("disk full"), 1, ""},
		{fmt.Errorf("run: %w", &job.HintError{Err: errors.New("x"), Advice: "do this"}), 1, "do this"},
		{usage("look", "what"), 2, "look"},
		{&job.UsageError{Err: &job.HintError{Err: errors.New("x"), Advice: "that"}}, 2, "that"},
		{config.Errors{{Msg: "a", Advice: "one"}, {Msg: "b"}}, 2, "one"},
		{&config.Error{Msg: "a", Advice: "two"}, 2, "two"},
		{fmt.Errorf("run: %w", &train.DivergedError{Step: 3, Err: errors.New("the loss is NaN"), Hint: "lower it"}), 3, "lower it"},
		{fmt.Errorf("run: %w", train.ErrInterrupted), 130, ""},
	} {
		var out strings.Builder
		printError(&out, c.err)
		if got := exitCode(c.err); got != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.code)
		}
		if hinted := strings.Contains(out.String(), "lomo: hint: "+c.hint); hinted != (c.hint != "") {
			t.Errorf("%v: printed %q, want hint %q", c.err, out.String(), c.hint)
		}
		if failed := c.code != 0 && c.code != 130; strings.HasPrefix(out.String(), "lomo: error: ") != failed {
			t.Errorf("%v: printed %q", c.err, out.String())
		}
	}
}

// TestEveryCommandHelps holds every command a user sees to a description and examples.
func TestEveryCommandHelps(t *testing.T) {
	for _, c := range newRootCmd(&Streams{Out: io.Discard, Err: io.Discard}, program).Commands() {
		if !c.Hidden && (c.Short == "" || c.Long == "" || c.Runnable() && c.Example == "") {
			t.Errorf("%s: description or example is missing", c.Name())
		}
	}
}

func TestEachLine(t *testing.T) {
	upper := func(out, line []byte) ([]byte, error) {
		if string(line) == "bad" {
			return nil, errors.New("no")
		}
		return append(out, bytes.ToUpper(line)...), nil
	}
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct{ name, in, out, err string }{
		{"none", "", "", ""},
		{"empty lines", "\n\na\n", "\n\nA\n", ""},
		{"no last line feed", "a\nb", "A\nB\n", ""},
		{"carriage return stays", "a\r\n", "A\r\n", ""},
		{"longer than any buffer", long + "\ny\n", strings.ToUpper(long) + "\nY\n", ""},
		{"error names the line", "a\nbad\nb\n", "A\n", "stdin line 2: no"},
	} {
		var out strings.Builder
		err := eachLine(strings.NewReader(c.in), &out, upper)
		if out.String() != c.out || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %d bytes, %v; want %d bytes, %q", c.name, out.Len(), err, len(c.out), c.err)
		}
	}
}

func TestReadLineBound(t *testing.T) {
	r := bufio.NewReader(io.LimitReader(forever('x'), maxLine+1))
	if _, err := readLine(r); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("error %v", err)
	}
}

type forever byte

func (b forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}
