package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/fault"
	"lomo/internal/hub/pull"
	"lomo/internal/job"
	"lomo/internal/train"
)

// usageError is a command line that cannot be understood.
type usageError struct {
	err    error
	advice string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) Hint() string  { return e.advice }

func usage(advice, format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), advice}
}

// asUsage makes c report wrong flags and arguments as usage errors that point to its help.
func asUsage(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		advice := unknownFlag(c, err)
		if advice == "" {
			advice = seeHelp(c)
		}
		return &usageError{plainFlag(err), advice}
	})
	if c.Args == nil {
		c.Args = wantArgs()
	}
}

// plainFlag is an error of a flag's value without the name of the function that could not read it.
func plainFlag(err error) error {
	text, reason, found := strings.Cut(err.Error(), ": strconv.")
	switch {
	case !found:
		return err
	case strings.HasSuffix(reason, "value out of range"):
		return errors.New(text + ": the number is too large or too small")
	case strings.HasPrefix(reason, "ParseInt"), strings.HasPrefix(reason, "Atoi"):
		return errors.New(text + ": want a whole number")
	case strings.HasPrefix(reason, "ParseUint"):
		return errors.New(text + ": want a whole number from 0")
	case strings.HasPrefix(reason, "ParseFloat"):
		return errors.New(text + ": want a number")
	}
	return errors.New(text + ": want true or false")
}

func seeHelp(c *cobra.Command) string {
	return fmt.Sprintf("`%s --help` shows how it is used", c.CommandPath())
}

// wantArgs checks that there is one argument for each name.
func wantArgs(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) > len(names):
			return usage(seeHelp(c), "unexpected argument %q", args[len(names)])
		case len(args) < len(names):
			return usage(seeHelp(c), "%s is missing", names[len(args)])
		}
		return nil
	}
}

// noModelArg refuses arguments of a command whose model is a flag, where `lomo chat` takes it as an argument.
func noModelArg(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case !c.Flags().Changed("model"):
		return usage(fmt.Sprintf("give the model as --model %s", quoteArg(args[0])), "unexpected argument %q", args[0])
	}
	return usage(seeHelp(c), "unexpected argument %q", args[0])
}

// knownCommand refuses what is left of a command line in which no command was found.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	advice := "`lomo --help` lists the commands"
	if s := root.SuggestionsFor(args[0]); len(s) > 0 {
		advice = fmt.Sprintf("did you mean %q?", s[0])
	}
	return usage(advice, "unknown command %q", args[0])
}

// exitCode tells the caller's shell how it went: 2 when the user's words are to blame, else what package job says.
func exitCode(err error) int {
	var (
		words *usageError
		all   config.Errors
		one   *config.Error
	)
	if errors.As(err, new(*pull.InterruptedError)) {
		return 130
	}
	if errors.As(err, new(*pull.ChoiceError)) || errors.As(err, &words) || errors.As(err, &all) || errors.As(err, &one) {
		return 2
	}
	return job.Exit(err)
}

// printError writes what went wrong and, after it, what to do. A configuration may have several mistakes.
func printError(w io.Writer, err error) {
	var all config.Errors
	var many *data.Errors
	var diverged *train.DivergedError
	switch {
	case err == nil:
	case errors.As(err, new(*pull.InterruptedError)), errors.As(err, new(*interrupted)):
		fmt.Fprintf(w, "lomo: %s\n", fault.Shorten(err.Error(), mostSaid))
	case errors.Is(err, train.ErrInterrupted):
		fmt.Fprintln(w, "lomo: interrupted after a checkpoint was saved; the same command continues the run")
	case errors.As(err, &all):
		for i, e := range all {
			if i == mostErrors {
				fmt.Fprintf(w, "lomo: error: and %s in the configuration\n", fault.Number(len(all)-i, "more mistake"))
				break
			}
			printOne(w, e, e.Hint())
		}
	case errors.As(err, &many):
		for _, e := range many.All {
			printError(w, e)
		}
		if rest := many.Rest(); rest != "" {
			fmt.Fprintf(w, "lomo: error: %s\n", rest)
		}
	case errors.As(err, &diverged):
		printOne(w, err, diverged.Hint)
	default:
		advice := ""
		if h := (interface{ Hint() string })(nil); errors.As(err, &h) {
			advice = h.Hint()
		}
		if advice == "" {
			advice = systemAdvice(err)
		}
		printOne(w, err, advice)
	}
}

// systemAdvice is the way out of what the system refuses.
func systemAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "free some space, or choose a place on another disk"
	case errors.Is(err, syscall.EROFS):
		return "the file system is read-only: choose another place"
	case errors.Is(err, fs.ErrPermission):
		return "this user may not: choose another place, or allow it with chmod"
	}
	return ""
}

// A message is one line that moves no terminal, whatever text of a file it quotes, and of one kind there are a few.
const (
	mostSaid   = 1000 // characters
	mostErrors = 20
)

func printOne(w io.Writer, err error, advice string) {
	fmt.Fprintf(w, "lomo: error: %s\n", fault.Shorten(strings.TrimSpace(err.Error()), mostSaid))
	if table := (interface{ Detail() []string })(nil); errors.As(err, &table) {
		for _, line := range table.Detail() {
			fmt.Fprintln(w, line) // our own words and numbers
		}
	}
	if advice != "" {
		fmt.Fprintf(w, "lomo: hint: %s\n", fault.Shorten(advice, mostSaid))
	}
}

// warn writes what works and is probably not meant.
func warn(w io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprintf(w, "lomo: warning: %s\n", fault.Shorten(l, mostSaid))
	}
}
