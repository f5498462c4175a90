package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"

	"lomo/internal/fault"
	"lomo/internal/infer"
	"lomo/internal/job"
	"lomo/internal/report"
	"lomo/internal/suggest"
)

// chatOptions is what `lomo chat` was asked to do.
type chatOptions struct {
	job.ChatOptions
	JSON bool
}

func newChatCmd(io *Streams, run func(context.Context, *Streams, *chatOptions) error) *cobra.Command {
	var s settings
	var o chatOptions
	var model string
	var choice infer.Sampler
	c := &cobra.Command{
		Use:   "chat DIR",
		Short: "Talk with a model",
		Long: `Chat answers line by line, with the conversation so far before it, put through the
model's chat template. Answers appear as they are made; Ctrl-C stops one, Ctrl-D ends
the chat. Without flags tokens are chosen as the model's generation_config.json says,
else at temperature 0.7; --temperature 0 takes the likeliest. When the context is full
the oldest turns are left out, which is said. Where stdin is no terminal each line of it
is a turn, answers go to stdout and talk to stderr.

` + chatHelp,
		Example: `  lomo chat out/run
  lomo chat models/smollm2 --system "You are brief." --temperature 0
  printf 'Who are you?\nAnd where?\n' | lomo chat out/run --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Model = model; len(args) > 0 {
				o.Model = args[0]
			}
			if err := checkChat(&o, c, model, args, &choice); err != nil {
				return err
			}
			l, err := s.load(io, c)
			if err != nil {
				return err
			}
			o.Runtime, o.ChatTemplate = runtimeOf(l), l.ChatTemplate
			return run(c.Context(), io, &o)
		},
	}
	f := c.Flags()
	f.StringVar(&model, "model", "", "the same as DIR: Hugging Face `folder` or .gguf file")
	f.StringVar(&o.System, "system", "", "the `text` of the system's turn")
	f.IntVar(&o.MaxTokens, "max-new-tokens", 1024, "cut an answer after `N` tokens")
	f.IntVar(&o.Context, "context", 0, "of the conversation, in tokens `N`: 0 is as many as the model knows, at most 8192")
	f.StringArrayVar(&o.Stops, "stop", nil, "a `text` that ends an answer and is no part of it; may be repeated")
	f.Var(optionalFloat{&o.Temperature}, "temperature", "0 takes the likeliest token; higher is more varied (default: the model's, else 0.7)")
	addChoice(c, &choice, &o.Penalty)
	f.BoolVar(&o.JSON, "json", false, "print one JSON object an answer")
	s.addKeys(c, append([]string{"chat-template"}, runtimeKeys[1:]...)...)
	return c
}

// checkChat finds flags that are missing, out of range or without effect.
func checkChat(o *chatOptions, c *cobra.Command, model string, args []string, choice *infer.Sampler) error {
	switch {
	case o.Model == "":
		return usage("lomo chat DIR names a Hugging Face folder or a .gguf file", "DIR is missing")
	case len(args) > 0 && model != "" && args[0] != model:
		return usage("leave one out", "two models: %s and --model %s", args[0], model)
	case o.Context < 0:
		return usage("0 is as many as the model knows", "--context %d is below 0", o.Context)
	}
	if c.Flags().Changed("top-k") {
		o.TopK = &choice.TopK
	}
	if c.Flags().Changed("top-p") {
		o.TopP = &choice.TopP
	}
	o.Seed = choice.Seed
	if o.Temperature != nil {
		choice.Temperature = *o.Temperature
		if err := withoutEffect(c, *o.Temperature); err != nil {
			return err
		}
	}
	if err := checkTexts(o.System, o.Stops); err != nil {
		return err
	}
	return checkChoice(choice, o.Penalty, o.MaxTokens)
}

const chatHelp = `  /help           these commands
  /retry          answer the last question anew
  /reset          forget the conversation; the system's text stays
  /system TEXT    set the system's text from here on; /system alone shows it, /system "" removes it
  /save FILE      write the conversation as a record of type messages, which a run can learn
  /quit           end, as Ctrl-D does, or Ctrl-C twice
A line that ends in \ goes on in the next. """ begins and ends a text of several lines.
// at the beginning stands for a text that begins with /.`

// talk is a chat at a terminal, or with a script.
type talk struct {
	*job.Chat
	s     *Streams
	in    lines
	show  func(string) error
	json  bool
	saved savedRecord
}

func runChat(ctx context.Context, s *Streams, o *chatOptions) error {
	c, err := job.OpenChat(o.ChatOptions, noteTo(s))
	if err != nil {
		return err
	}
	defer c.Close()
	t := &talk{Chat: c, s: s, in: linesOf(s), show: shower(s.Out), json: o.JSON}
	if t.json {
		t.show = func(string) error { return nil }
	}
	c.Reading = func(tokens int) {
		if tokens > 512 { // it takes a while
			t.aside("reading %d tokens …", tokens)
		}
	}
	fmt.Fprintln(s.Err, c.Describe())
	if t.in.Interactive() {
		fmt.Fprintln(s.Err, "/help lists the commands, Ctrl-D ends")
	}
	return t.run(ctx)
}

// run takes turns until the end. At a terminal what fails is told, and the chat goes on; a script ends there.
func (t *talk) run(ctx context.Context) error {
	for {
		text, command, err := readTurn(t.in)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case command:
			var ended bool
			if ended, err = t.command(ctx, text); ended {
				return nil
			}
		default:
			err = t.answer(ctx, func(ctx context.Context) (job.Reply, error) { return t.Say(ctx, text, t.show) })
		}
		if err != nil && !t.in.Interactive() {
			return err
		}
		printError(t.s.Err, err)
	}
}

// command does what a line that begins with / asks for.
func (t *talk) command(ctx context.Context, line string) (end bool, err error) {
	name, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if rest != "" && name != "/system" && name != "/save" && known(name) {
		return false, usage("", "%s takes nothing behind it: %q", name, rest)
	}
	switch name {
	case "/quit", "/exit", "/bye":
		return true, nil
	case "/help", "/?":
		fmt.Fprintln(t.s.Err, chatHelp)
	case "/reset", "/clear":
		n := len(t.Turns)
		t.Reset()
		t.aside("%s forgotten", fault.Number(n, "turn"))
	case "/retry":
		if len(t.Turns) == 0 {
			return false, usage("ask first", "/retry: there is no question yet")
		}
		if t.Greedy() {
			t.aside("temperature 0 takes the likeliest tokens, which are the same ones again")
		}
		return false, t.answer(ctx, func(ctx context.Context) (job.Reply, error) { return t.Retry(ctx, t.show) })
	case "/system":
		return false, t.system(rest)
	case "/save":
		return false, t.save(rest)
	default:
		advice := "/help lists them; // at the beginning sends the text as it is"
		if near := suggest.Nearest(name, chatCommands); near != "" {
			advice = fmt.Sprintf("did you mean %s? %s", near, advice)
		}
		return false, usage(advice, "unknown command %q", name)
	}
	return false, nil
}

var chatCommands = []string{"/help", "/retry", "/reset", "/system", "/save", "/quit"}

func known(name string) bool {
	for _, c := range append([]string{"/exit", "/bye", "/?", "/clear"}, chatCommands...) {
		if c == name {
			return true
		}
	}
	return false
}

func (t *talk) system(text string) error {
	switch text {
	case "":
		if t.System == "" {
			t.aside("no system's text is set; the template may have one of its own")
		} else {
			t.aside("system: %s", t.System)
		}
		return nil
	case `""`:
		text = ""
	}
	if err := t.SetSystem(text); err != nil {
		return err
	}
	if t.aside("the system's text holds from the next answer on"); len(t.Turns) > 0 {
		t.aside("the %s before it stay: /reset forgets them", fault.Number(len(t.Turns), "turn"))
	}
	return nil
}

// answer runs one answer. At a terminal Ctrl-C ends it.
func (t *talk) answer(ctx context.Context, ask func(context.Context) (job.Reply, error)) error {
	if t.in.Interactive() {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
	}
	r, err := ask(ctx)
	if r.Dropped > 0 {
		t.aside("the context of %d tokens was full: the oldest %s left out, from this answer on", t.Context, fault.Number(r.Dropped, "turn")+" "+isAre(r.Dropped))
	}
	if err == nil && t.json {
		out := json.NewEncoder(t.s.Out)
		out.SetEscapeHTML(false)
		return out.Encode(r)
	}
	if r.Tokens > 0 || err == nil && r.Finish != infer.Interrupted {
		if bad := t.show("\n"); err == nil { // one fault is told once
			err = bad
		}
	}
	if err != nil {
		return err
	}
	switch {
	case r.Finish == infer.Interrupted && r.Text == "":
		t.aside("stopped before the first word: the question is dropped")
		return nil
	case r.Finish == infer.Interrupted:
		t.aside("stopped: the answer is kept as far as it went")
	case r.Finish == infer.Full:
		t.aside("cut: the context of %d tokens is full", t.Context)
	case r.Finish == infer.Length:
		t.aside("cut after %s: --max-new-tokens N lets answers be longer", tokens(r.Tokens))
	case r.Text == "":
		t.aside("the model ended its answer without a word")
	}
	speed := ""
	if r.Writing > 0 && r.Tokens > 1 {
		speed = fmt.Sprintf(", %s tok/s", report.Count(float64(r.Tokens-1)/r.Writing.Seconds()))
	}
	t.aside("%s%s; %d of %d tokens of context", tokens(r.Tokens), speed, r.PromptTokens+r.Tokens, t.Context)
	return nil
}

// aside says something beside the conversation, dim on a terminal.
func (t *talk) aside(format string, args ...any) {
	t.s.talk().Aside(fmt.Sprintf(format, args...))
}

// lookup is the value of an environment variable, "" for none.
func lookup(env []string, name string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
