// Package cli is the command line: flags, streams, exit codes. It parses and prints; package job and those below do
// the work. It alone imports cobra and the backends.
//
// Data goes to stdout, talk to stderr. Each command is one constructor, newXCmd(streams, run), which fills an options
// struct; tests give their own run.
package cli

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"lomo/internal/cpukern"
	"lomo/internal/fault"
	"lomo/internal/hub/pull"
	"lomo/internal/job"
	"lomo/internal/report"
)

// Streams is what a command reads, writes and is surrounded by.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Env      []string // as os.Environ gives it
	Terminal bool     // Err is one
	Command  []string // the words of the command line; none: as Run was given it

	Talk *report.Console // Err, on a terminal with a line that moves; made by Run where there is none
}

// talk is where Err's talk goes, a console around it where none was given.
func (s *Streams) talk() *report.Console {
	if s.Talk == nil {
		s.Talk = report.NewConsole(s.Err, nil)
		s.Err = s.Talk
	}
	return s.Talk
}

// begun is when the process began, near enough.
var begun = time.Now()

// Main runs the command line of this process and returns its exit code. The linker gives releases their version.
func Main(version string) int {
	linkedVersion = version
	talk := report.NewConsole(os.Stderr, report.OpenTerminal(os.Stderr, os.Environ()))
	log.SetFlags(0) // what libraries log goes the way of all that is said
	log.SetPrefix("lomo: note: ")
	log.SetOutput(talk)
	io := &Streams{In: os.Stdin, Out: stdout(), Err: talk, Env: os.Environ(), Command: os.Args, Talk: talk, Terminal: term.IsTerminal(int(os.Stderr.Fd()))}
	return Run(context.Background(), io, os.Args[1:])
}

// screen is a terminal as stdout. No text of a file or a model that is written there moves it.
type screen struct {
	fault.Screen
	f *os.File
}

// Fd is the terminal's.
func (s *screen) Fd() uintptr { return s.f.Fd() }

func stdout() io.Writer {
	if !term.IsTerminal(int(os.Stdout.Fd())) {
		return os.Stdout
	}
	return &screen{fault.Screen{To: os.Stdout}, os.Stdout}
}

// Run runs one command line and returns its exit code.
func Run(ctx context.Context, io *Streams, args []string) int {
	defer io.talk().Close()
	if s, ok := io.Out.(*screen); ok {
		defer s.Flush() //nolint:errcheck // a terminal that is gone
	}
	if io.Command == nil {
		io.Command = append([]string{"lomo"}, args...)
	}
	root := newRootCmd(io, program)
	root.SetArgs(args)
	err := withCheckpoint(root.ExecuteContext(ctx), io.Command)
	printError(io.Err, err)
	return exitCode(err)
}

// runs are the commands' bodies; tests give their own.
type runs struct {
	train    func(context.Context, *Streams, *trainOptions) error
	eval     func(*Streams, *evalOptions) error
	memprof  func(*Streams, *memprofOptions) error
	generate func(*Streams, *generateOptions) error
	chat     func(context.Context, *Streams, *chatOptions) error
	create   func(context.Context, *Streams, *job.NewOptions) error
	tokenize func(*Streams, *tokenizeOptions) error
	inspect  func(*Streams, *inspectOptions) error
	bench    func(*Streams, *benchOptions) error
	doctor   func(*Streams, *doctorOptions) error
	verify   func(*Streams, *verifyOptions) error
	version  func(*Streams, *versionOptions) error
	report   func(*Streams, *reportOptions) error
	pull     func(context.Context, *Streams, *pull.Options) error
	init     func(context.Context, *Streams, *initOptions) error
	convert  func(context.Context, *Streams, *convertOptions) error
}

// program is what the commands do outside tests.
var program = runs{
	train: runTrain, eval: runEval, memprof: runMemprof, generate: runGenerate, chat: runChat, create: runNew,
	tokenize: runTokenize, inspect: runInspect, bench: runBench, doctor: runDoctor, verify: runVerify, version: runVersion, report: runReportCmd,
	pull: runPull, init: runInit, convert: runConvert,
}

func newRootCmd(io *Streams, r runs) *cobra.Command {
	root := &cobra.Command{
		Use:   "lomo",
		Short: "Fine-tune all the weights of a LLaMA-family model in little more memory than the weights",
		Long: `lomo fine-tunes all the weights of a LLaMA-family model in little more memory than
the weights themselves: the optimizers LOMO and AdaLomo consume each gradient as
the backward pass makes it. It reads a Hugging Face folder, Meta's
consolidated.*.pth or a GGUF file and writes a Hugging Face folder.`,
		Example: `  lomo train --config configs/smollm2-135m-adalomo.yaml
  lomo eval --model out/smollm2-135m --data held-out.jsonl --type messages
  lomo chat out/smollm2-135m`,
		Args: knownCommand, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		Version: version(), SilenceErrors: true, SilenceUsage: true, SuggestionsMinimumDistance: 2,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return checkCPU(io.Env) }
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetIn(io.In)
	root.SetOut(io.Out)
	root.SetErr(io.Err)
	root.AddCommand(
		newTrainCmd(io, r.train), newEvalCmd(io, r.eval), newMemprofCmd(io, r.memprof), newGenerateCmd(io, r.generate), newChatCmd(io, r.chat),
		newNewCmd(io, r.create), newTokenizeCmd(io, r.tokenize), newInspectCmd(io, r.inspect), newBenchCmd(io, r.bench), newDoctorCmd(io, r.doctor), newVerifyCmd(io, r.verify), newReportCmd(io, r.report), newVersionCmd(io, r.version), newConfigCmd(io), newCompletionCmd(io), newDebugCmd(),
	)
	root.AddCommand(newPullCmd(io, r.pull), newInitCmd(io, r.init), newConvertCmd(io, r.convert))
	for _, c := range append(root.Commands(), root) {
		asUsage(c)
	}
	root.AddCommand(topics()...)
	root.SetHelpCommand(newHelpCmd())
	return root
}

// checkCPU refuses a CPU level in the environment that is unknown or that this machine lacks, before a command takes another one.
func checkCPU(environ []string) error {
	for _, e := range environ {
		if level, named := strings.CutPrefix(e, "LOMO_CPU="); named {
			if err := cpukern.CheckLevel(level); err != nil {
				return &usageError{fmt.Errorf("LOMO_CPU=%s: %w", fault.Line(level), err), hintOf(err)}
			}
		}
	}
	return nil
}
