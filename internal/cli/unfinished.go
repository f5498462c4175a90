package cli

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"

	"lomo/internal/job"
)

// withCheckpoint gives an error about a run without a trained model the command that takes its newest checkpoint.
func withCheckpoint(err error, command []string) error {
	run := (*job.UnfinishedError)(nil)
	if !errors.As(err, &run) || run.Checkpoint == "" {
		return err
	}
	found := false
	words := make([]string, len(command))
	for i, w := range command {
		flag, value, joined := strings.Cut(w, "=")
		switch {
		case i > 0 && filepath.Clean(w) == filepath.Clean(run.Dir):
			w, found = run.Checkpoint, true
		case joined && strings.HasPrefix(flag, "-") && filepath.Clean(value) == filepath.Clean(run.Dir):
			w, found = flag+"="+run.Checkpoint, true
		}
		words[i] = shellWord(w)
	}
	if words[0] = shellWord(filepath.Base(command[0])); !found { // the model stands in a file, or in the environment
		return err
	}
	return &job.HintError{Err: err, Advice: strings.Join(words, " ")}
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord is a word as a shell takes it.
func shellWord(w string) string {
	if plainWord.MatchString(w) {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
