package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"lomo/internal/fault"
	"lomo/internal/infer"
	"lomo/internal/job"
)

// generateOptions is what `lomo generate` was asked to do.
type generateOptions struct {
	job.GenerateOptions
	JSON bool
}

func newGenerateCmd(io *Streams, run func(*Streams, *generateOptions) error) *cobra.Command {
	var s settings
	var o generateOptions
	var files []string
	c := &cobra.Command{
		Use:   "generate --model DIR [--prompt TEXT | --prompt-file FILE | < FILE]",
		Short: "Continue a text, or answer a question, with a model",
		Long: `Generate writes the continuation of a text to stdout as it comes. --prompt and
--prompt-file may be repeated; without them, and for --prompt -, the text is what stdin
has (one line feed at its end is not part of it). With --chat the text is a user's turn,
put through the model's chat template or another; ` + "`lomo chat`" + ` goes on talking. With
--temperature 0 (the default) the likeliest token is taken each time; else tokens are
drawn, the same ones for the same seed and prompt. Only tokens that the tokenizer has are
chosen. repetition_penalty and stop_strings of the model's generation_config.json are applied.
--json prints one object a prompt: prompt, text, prompt_tokens, tokens, token_ids and
finish_reason: stop (the model or a stop string ended it), length (--max-new-tokens) or
context (the model's context is full).`,
		Example: `  lomo generate --model out/run --prompt "Once upon a time"
  lomo generate --model out/run --chat --prompt "Who are you?" --max-new-tokens 64
  lomo generate --model out/run --prompt "The sea" --temperature 0.8 --top-p 0.95 --seed 7
  echo "Once upon a time" | lomo generate --model out/run --stop "." --json`,
		Args: noModelArg,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkGenerate(&o, c); err != nil {
				return err
			}
			if err := readPrompts(&o, files, io); err != nil {
				return err
			}
			l, err := s.load(io, c)
			if err != nil {
				return err
			}
			o.Runtime, o.ChatTemplate = runtimeOf(l), l.ChatTemplate
			return run(io, &o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Model, "model", "", "Hugging Face `folder` or .gguf file")
	f.StringArrayVar(&o.Prompts, "prompt", nil, "the `text` to continue; - reads it from stdin")
	f.StringArrayVar(&files, "prompt-file", nil, "a `file` with the text to continue")
	f.BoolVar(&o.Chat, "chat", false, "the text is a user's turn of a chat")
	f.StringVar(&o.System, "system", "", "with --chat: the `text` of a system turn before it")
	f.IntVar(&o.MaxTokens, "max-new-tokens", 128, "stop after `N` tokens")
	f.StringArrayVar(&o.Stops, "stop", nil, "a `text` that ends the continuation and is no part of it; may be repeated")
	f.Float64Var(&o.Sampler.Temperature, "temperature", 0, "0 takes the likeliest token; higher is more varied")
	addChoice(c, &o.Sampler, &o.Penalty)
	f.BoolVar(&o.JSON, "json", false, "print one JSON object a prompt")
	s.addKeys(c, append([]string{"chat-template"}, runtimeKeys...)...)
	return c
}

// optionalFloat is a flag of a number that may not be given.
type optionalFloat struct{ to **float64 }

func (f optionalFloat) String() string {
	if f.to == nil || *f.to == nil {
		return ""
	}
	return fmt.Sprint(**f.to)
}

func (f optionalFloat) Type() string { return "N" }

func (f optionalFloat) Set(s string) error {
	var v float64
	if _, err := fmt.Sscanf(s+" ", "%g ", &v); err != nil || strings.ContainsAny(s, " \t\n") {
		return errors.New("want a number")
	}
	*f.to = &v
	return nil
}

// addChoice gives c the flags that, beside the temperature, say how tokens are chosen.
func addChoice(c *cobra.Command, s *infer.Sampler, penalty **float64) {
	f := c.Flags()
	f.IntVar(&s.TopK, "top-k", 0, "draw from the `K` likeliest tokens; 0 from all")
	f.Float64Var(&s.TopP, "top-p", 1, "draw from the likeliest tokens that make up this `share`")
	f.Var(optionalFloat{penalty}, "repetition-penalty", "make tokens that the text has already less likely by this factor; 1 does not (default: the model's)")
	f.Uint64Var(&s.Seed, "seed", 42, "of the draws")
}

// checkGenerate finds flags that are missing, out of range or without effect.
func checkGenerate(o *generateOptions, c *cobra.Command) error {
	given := c.Flags().Changed
	switch {
	case o.Model == "":
		return usage("--model DIR names a Hugging Face folder or a .gguf file", "--model is missing")
	case slices.Contains(o.Prompts, "") && !o.Chat:
		return usage("give it a text to continue; with --chat it may be empty", "--prompt is empty")
	case o.System != "" && !o.Chat:
		return usage("add --chat", "--system without --chat")
	case given("chat-template") && !o.Chat:
		return usage("add --chat", "--chat-template without --chat")
	}
	if err := checkTexts(o.System, o.Stops); err != nil {
		return err
	}
	if err := checkChoice(&o.Sampler, o.Penalty, o.MaxTokens); err != nil {
		return err
	}
	return withoutEffect(c, o.Sampler.Temperature)
}

// checkChoice finds values that tokens cannot be chosen with.
func checkChoice(s *infer.Sampler, penalty *float64, maxTokens int) error {
	switch {
	case maxTokens < 1:
		return usage("", "--max-new-tokens %d is below 1", maxTokens)
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return usage("0 takes the likeliest token; 0.7 is usual for a chat", "--temperature %v is not a number from 0", s.Temperature)
	case s.TopK < 0:
		return usage("0 draws from all tokens", "--top-k %d is below 0", s.TopK)
	case !(s.TopP > 0 && s.TopP <= 1):
		return usage("1 draws from all tokens", "--top-p %v is not above 0 and at most 1", s.TopP)
	case penalty != nil && (!(*penalty > 0) || math.IsInf(*penalty, 0)):
		return usage("1 changes nothing, 1.1 is usual", "--repetition-penalty %v is not a number above 0", *penalty)
	}
	return nil
}

// withoutEffect refuses flags that a temperature of 0 leaves without one.
func withoutEffect(c *cobra.Command, temperature float64) error {
	for _, name := range []string{"top-k", "top-p", "seed"} {
		if f := c.Flags().Lookup(name); temperature == 0 && f.Changed {
			return usage("add --temperature, e.g. 0.7, or leave it out", "--%s %s has no effect: temperature 0 takes the likeliest token", name, f.Value)
		}
	}
	return nil
}

// maxPrompt bounds the text of a prompt, in bytes.
const maxPrompt = 64 << 20

// readPrompts takes the prompts from files and stdin where they are to come from there.
func readPrompts(o *generateOptions, files []string, s *Streams) error {
	if len(o.Prompts) == 0 && len(files) == 0 {
		if isTerminal(s.In) {
			return usage(`e.g. --prompt "Once upon a time", or --prompt-file FILE`, "--prompt is missing, and stdin is a terminal")
		}
		o.Prompts = []string{"-"}
	}
	if i := slices.Index(o.Prompts, "-"); i >= 0 && slices.Contains(o.Prompts[i+1:], "-") {
		return usage("give it once", "--prompt - is given twice: stdin has one text")
	}
	for i, p := range o.Prompts {
		if p != "-" {
			if err := checkText("--prompt", p); err != nil {
				return err
			}
			continue
		}
		text, err := readPrompt(s.In, "stdin")
		if err != nil {
			return err
		}
		if o.Prompts[i] = text; text == "" {
			return usage(`e.g. echo "Once upon a time" | lomo generate --model DIR, or --prompt TEXT`, "stdin is empty: there is no prompt")
		}
	}
	for _, name := range files {
		f, err := fault.OpenInput(name)
		if err != nil {
			return err
		}
		text, err := readPrompt(f, name)
		f.Close()
		if err != nil {
			return err
		}
		if text == "" {
			return usage("", "--prompt-file %s is empty", name)
		}
		o.Prompts = append(o.Prompts, text)
	}
	return nil
}

// checkTexts is checkText of what goes with a prompt.
func checkTexts(system string, stops []string) error {
	for _, stop := range stops {
		if err := checkText("--stop", stop); err != nil {
			return err
		}
	}
	return checkText("--system", system)
}

// checkText refuses text that is not UTF-8: the model would be asked something else than the user sees.
func checkText(name, text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	at := 0
	for {
		r, n := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && n == 1 {
			return usage("convert it, e.g. iconv -f latin1 -t utf-8", "%s is not UTF-8: byte %d is 0x%02x", name, at+1, text[at])
		}
		at += n
	}
}

// readPrompt is a text, without one line feed at its end.
func readPrompt(r io.Reader, name string) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxPrompt+1))
	if err != nil {
		return "", err
	}
	if len(raw) > maxPrompt {
		return "", usage("a prompt has to fit into the model's context", "%s: more than %d MiB of text", name, maxPrompt>>20)
	}
	if err := checkText(name, string(raw)); err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r"), nil
}

// isTerminal tells whether a stream of this process is one.
func isTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// runGenerate writes each continuation as it appears, and ends it with a line feed; or each as an object when it is whole.
func runGenerate(s *Streams, o *generateOptions) error {
	note := noteTo(s)
	show := shower(s.Out)
	out := json.NewEncoder(s.Out)
	out.SetEscapeHTML(false)
	to := job.GenerateOutput{Show: show, Done: func(c job.Continuation) error {
		err := show("\n")
		if c.Finish == infer.Length {
			note("cut after %s, as --max-new-tokens says", tokens(c.Tokens))
		}
		return err
	}}
	if o.JSON {
		to = job.GenerateOutput{Done: func(c job.Continuation) error { return out.Encode(c) }}
	}
	return job.Generate(o.GenerateOptions, to, note)
}

// tokens is "1 token" or "5 tokens".
func tokens(n int) string {
	if n == 1 {
		return "1 token"
	}
	return fmt.Sprintf("%d tokens", n)
}

// shower writes text of a model to a stream. On a terminal no character of it moves the cursor or changes a colour.
func shower(w io.Writer) func(string) error {
	terminal := isTerminal(w)
	return func(text string) error {
		if terminal {
			text = strings.Map(visible, text)
		}
		_, err := io.WriteString(w, text)
		return err
	}
}

// visible is the picture of a control character, but for line feeds and tabs.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case r < 0x20:
		return 0x2400 + r
	case r == 0x7f:
		return 0x2421
	case r >= 0x80 && r < 0xa0:
		return 0xfffd
	}
	return r
}
