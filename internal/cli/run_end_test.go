package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestGoesOnByItsOwnWords: the command line that a stopped run names continues it, however resume was given.
func TestGoesOnByItsOwnWords(t *testing.T) {
	dir := t.TempDir()
	for name, more := range map[string]string{"run.yaml": "", "fresh.yaml": "resume: none\n"} {
		text := "model: m\noutput_dir: o\ndatasets: [{path: d, type: text}]\n" + more
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for _, words := range []string{
		"run.yaml", "run.yaml --resume auto", "run.yaml --resume none", "--resume none --config run.yaml", "run.yaml --resume=none --threads 3", "run.yaml --resume o/checkpoint-4",
		"run.yaml --set resume=none", "run.yaml --set resume=o/checkpoint-4 --set threads=2", "fresh.yaml", "fresh.yaml --resume none --max-steps 9",
	} {
		var got *trainOptions
		run := func(_ context.Context, _ *Streams, o *trainOptions) error { got = o; return nil }
		train := func(s *Streams) *cobra.Command { return newTrainCmd(s, run) }
		if _, _, err := command(train, "", strings.Fields(words)...); err != nil {
			t.Fatalf("%s: %v", words, err)
		}
		first := got.Config
		again := (&runReport{s: &Streams{Command: append([]string{"lomo", "train"}, strings.Fields(words)...)}, o: got}).again()
		rest, ok := strings.CutPrefix(again, "lomo train ")
		_, _, err := command(train, "", strings.Fields(rest)...)
		if !ok || err != nil || got.Config.Resume != "auto" || got.Config.Threads != first.Threads || got.Config.MaxSteps != first.MaxSteps {
			t.Errorf("%s: to continue: %s: resume %s, %v", words, again, got.Config.Resume, err)
		}
	}
}
