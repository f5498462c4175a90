package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/job"
	"lomo/internal/report"
)

// initOptions is what `lomo init` was asked to do.
type initOptions struct {
	File  string // - is stdout
	Data  []string
	Held  []string
	Type  string
	Name  string // of the run's folder within out/
	Force bool
	Keys  []config.Flag // settings that were given
}

func newInitCmd(io *Streams, run func(context.Context, *Streams, *initOptions) error) *cobra.Command {
	var s settings
	var o initOptions
	c := &cobra.Command{
		Use:   "init [FILE] --model DIR --data FILE",
		Short: "Write a commented configuration for a model and your data",
		Long: `Init looks at a model and at data and writes a configuration that fits them, with a
comment at each key: the type of the records, how long a sequence is, how many epochs make
enough steps, and what is held out. What the plan says of memory is in the head of the file,
which is run.yaml unless FILE names another; - prints it. Every key may be given as a flag
(` + "`lomo help config`" + `) and is then taken as it is. On a terminal init asks for what is missing.`,
		Example: `  lomo init run.yaml --model models/SmolLM2-135M-Instruct --data examples/demo/train.jsonl
  lomo init --model HuggingFaceTB/SmolLM2-135M-Instruct --data a.jsonl --data more/ --eval-data held-out.jsonl
  lomo init lomo.yaml --model smollm2.gguf --data book.txt --optimizer lomo --epochs 3 --memory 4GiB`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("several files of data are given as --data A --data B", "unexpected argument %q", args[1])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.File = "run.yaml"
			if len(args) > 0 {
				o.File = args[0]
			}
			c.Flags().Visit(func(f *pflag.Flag) {
				if key := s.keys[f.Name]; key != "" {
					o.Keys = append(o.Keys, config.Flag{Name: f.Name, Key: key, Value: f.Value.String()})
				}
			})
			if err := s.agree(o.Keys); err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			return run(c.Context(), io, &o)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.Data, "data", nil, "training data: a `file`, a folder or a pattern; may be repeated")
	f.StringArrayVar(&o.Held, "eval-data", nil, "held-out data, a `file` likewise")
	f.StringVar(&o.Type, "type", "", "`type` of the records; not given, it is told from them: "+typesHelp)
	f.BoolVar(&o.Force, "force", false, "write over FILE")
	s.addKeys(c, "model", "output-dir", "optimizer", "epochs=num_epochs", "learning-rate", "memory=memory_limit")
	s.addEveryKey(c)
	return c
}

// check finds flags that contradict each other and a file that is there, before anything is read.
func (o *initOptions) check() error {
	for _, k := range o.Keys {
		switch k.Key {
		case "datasets", "eval_datasets":
			return usage("give the files: --data FILE, --eval-data FILE", "--%s is not asked for here", k.Name)
		}
	}
	if o.Type != "" && !config.KnownType(o.Type) {
		return usage("", "--type %q is not one of %s", o.Type, strings.Join(config.DatasetTypes(), ", "))
	}
	if o.File == "-" {
		return nil
	}
	if o.File == "" || strings.HasSuffix(o.File, "/") {
		return usage("e.g. run.yaml", "%q is no name of a file", o.File)
	}
	switch ext := strings.ToLower(filepath.Ext(o.File)); ext {
	case ".yaml", ".yml":
	default:
		return usage("e.g. run.yaml; a model is given as --model, data as --data", "%s: a configuration's name ends in .yaml", o.File)
	}
	st, err := os.Lstat(o.File)
	switch {
	case err == nil && st.IsDir():
		return usage("choose another name", "%s: a folder of this name is there", o.File)
	case err == nil && !o.Force:
		return usage("choose another name, or --force to write over it", "%s is there already", o.File)
	}
	if dir := filepath.Dir(o.File); !isFolder(dir) {
		return usage("make it first", "%s: there is no folder %s", o.File, dir)
	}
	return nil
}

func isFolder(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// given is a setting that was given, "" for none.
func (o *initOptions) given(key string) string {
	for _, k := range o.Keys {
		if k.Key == key {
			return k.Value
		}
	}
	return ""
}

func (o *initOptions) set(key, value string) {
	o.Keys = append(o.Keys, config.Flag{Name: strings.ReplaceAll(key, "_", "-"), Key: key, Value: value})
}

// runInit asks for what is missing, looks at model and data, writes the file and tries it.
func runInit(ctx context.Context, s *Streams, o *initOptions) error {
	if err := o.ask(s); err != nil {
		return err
	}
	if _, err := config.Load(config.Input{Flags: o.Keys}); err != nil { // a setting that cannot be is told by its flag
		return err
	}
	sets, err := o.sets(s, o.Data)
	if err != nil {
		return err
	}
	held, err := o.sets(s, o.Held)
	if err != nil {
		return err
	}
	f, err := settle(ctx, s, o, sets, held)
	if err != nil {
		return err
	}
	text := f.text(o)
	if o.File == "-" {
		_, err := s.Out.Write([]byte(text))
		return err
	}
	if err := checkpoint.WriteFile(o.File, []byte(text)); err != nil {
		return err
	}
	p := f.plan
	fmt.Fprintf(s.Err, "%s: %s\n", o.File, f.length())
	fmt.Fprintf(s.Err, "planned peak memory: %s\n", report.Bytes(p.Memory.Peak))
	for _, n := range f.talk {
		fmt.Fprintln(s.Err, n)
	}
	fmt.Fprintf(s.Err, "next: lomo train %s\n", quoteArg(o.File))
	return nil
}

// sets finds the type of each path of data.
func (o *initOptions) sets(s *Streams, paths []string) (out []config.Dataset, err error) {
	for _, path := range paths {
		typ := o.Type
		if typ == "" {
			looks := ""
			if typ, looks, err = o.detect(path); err != nil {
				return nil, err
			}
			if typ == looks {
				fmt.Fprintf(s.Err, "%s: records of type %s\n", path, typ)
			} else {
				fmt.Fprintf(s.Err, "%s: questions and answers, learned as turns of a chat: type messages (--type %s learns them as plain text)\n", path, looks)
			}
		}
		out = append(out, config.Dataset{Path: path, Type: typ, Weight: 1})
	}
	return out, nil
}

// detect is the type of a path's records, and what they look like by themselves: a model with a chat template learns questions
// and answers as turns of a chat, as `lomo chat` will put them.
func (o *initOptions) detect(path string) (typ, looks string, err error) {
	if looks, err = data.Detect(path, ""); err != nil || looks != "prompt_completion" && looks != "alpaca" || !job.HasChatTemplate(o.given("model"), o.given("chat_template")) {
		return looks, looks, err
	}
	typ, err = data.DetectChat(path, "")
	return typ, looks, err
}

// ask asks on a terminal for what was not given; elsewhere what is missing is an error.
func (o *initOptions) ask(s *Streams) error {
	file, isFile := s.In.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		switch {
		case o.given("model") == "":
			return usage("--model DIR names a Hugging Face folder, a .gguf file or a model in the hub's cache; `lomo pull` downloads one", "--model is missing")
		case len(o.Data) == 0:
			return usage("--data FILE names your data, e.g. examples/demo/train.jsonl", "--data is missing")
		}
		return nil
	}
	q := &questions{s: s, in: bufio.NewReader(s.In)}
	return q.all(o)
}

// questions asks a user.
type questions struct {
	s  *Streams
	in *bufio.Reader
}

// all are the questions, at most five: those whose answer was given are left out.
func (q *questions) all(o *initOptions) error {
	if o.given("model") == "" {
		answer, err := q.until("Model (a folder, a .gguf file, or OWNER/NAME in the hub's cache)", "", func(a string) error {
			at, _, err := job.Locate(a)
			if err == nil {
				_, err = os.Stat(at)
			}
			return err
		})
		if err != nil {
			return err
		}
		o.set("model", answer)
	}
	if len(o.Data) == 0 {
		found := ""
		answer, err := q.until("Training data (a file, a folder or a pattern)", "", func(a string) (err error) {
			if found, _, err = o.detect(a); o.Type != "" {
				_, err = os.Stat(a)
			}
			return err
		})
		if err != nil {
			return err
		}
		o.Data = []string{answer}
		if o.Type == "" {
			if o.Type, err = q.until("Type of its records", found, func(a string) error {
				if !config.KnownType(a) {
					return fmt.Errorf("%q is not one of %s", a, strings.Join(config.DatasetTypes(), ", "))
				}
				return nil
			}); err != nil {
				return err
			}
		}
	}
	if o.given("output_dir") == "" {
		answer, err := q.until("What is it for? A short name, of the run's folder", filepath.Base(o.folder()), func(a string) error {
			if strings.ContainsAny(a, `/\`+"\x00\n") || a == "." || a == ".." {
				return errors.New("a name without slashes")
			}
			return nil
		})
		if err != nil {
			return err
		}
		o.Name = answer
	}
	if o.given("memory_limit") == "" {
		answer, err := q.until("How much memory may it take? e.g. 4GiB; none for as much as it needs", "none", func(a string) error {
			if a == "none" {
				return nil
			}
			n, err := checkpoint.ParseSize(a)
			if err == nil && n < 1<<20 {
				err = errors.New("that is less than 1 MiB: give a unit, as in 4GiB")
			}
			return err
		})
		if err != nil {
			return err
		}
		if answer != "none" {
			o.set("memory_limit", answer)
		}
	}
	return nil
}

// until asks until the answer is good; an empty one takes what is proposed.
func (q *questions) until(question, proposed string, good func(string) error) (string, error) {
	for {
		fmt.Fprint(q.s.Err, question)
		if proposed != "" {
			fmt.Fprintf(q.s.Err, " [%s]", proposed)
		}
		fmt.Fprint(q.s.Err, ": ")
		line, err := q.in.ReadString('\n')
		answer := strings.TrimSpace(line)
		if answer == "" && err != nil {
			fmt.Fprintln(q.s.Err)
			return "", usage("give it as a flag: `lomo init --help`", "the questions were not answered")
		}
		if answer == "" {
			answer = proposed
		}
		if answer == "" {
			continue
		}
		if err := good(answer); err != nil {
			fmt.Fprintf(q.s.Err, "  %v\n", err)
			if h := hintOf(err); h != "" {
				fmt.Fprintf(q.s.Err, "  %s\n", h)
			}
			continue
		}
		return answer, nil
	}
}

// folder is the run's folder: as it was given, else out/ and a name made of the data's.
func (o *initOptions) folder() string {
	if dir := o.given("output_dir"); dir != "" {
		return dir
	}
	name := o.Name
	if name == "" && len(o.Data) > 0 {
		at := filepath.Clean(o.Data[0])
		for strings.ContainsAny(filepath.Base(at), "*?[") {
			at = filepath.Dir(at)
		}
		name, _, _ = strings.Cut(filepath.Base(at), ".")
		if parent := filepath.Base(filepath.Dir(o.Data[0])); (name == "train" || name == "data") && parent != "." && parent != "/" {
			name = parent
		}
		name = strings.Map(func(r rune) rune {
			if r == ' ' || strings.ContainsRune(`*?[]{}"'\:`, r) || r < ' ' {
				return '-'
			}
			return r
		}, name)
	}
	if strings.Trim(name, "./-") == "" {
		name = "run"
	}
	free := "out/" + name // of several runs on the same data each has a folder of its own
	for n := 2; n < 1000; n++ {
		if entries, _ := os.ReadDir(free); len(entries) == 0 {
			break
		}
		free = fmt.Sprintf("out/%s-%d", name, n)
	}
	return free
}

// quoteArg is a word as a shell takes it.
func quoteArg(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+:@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
