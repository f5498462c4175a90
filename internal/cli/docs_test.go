package cli

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lomo/internal/config"
)

// shown is a command line that a page shows.
type shown struct {
	page  string
	line  int
	text  string
	block bool // stands on a line of its own; else in a sentence, where arguments may be left out
}

var (
	spanOfCode = regexp.MustCompile("`([^`]+)`")
	ofLomo     = regexp.MustCompile(`(?:^|\| )((?:[A-Z_]+=\S+ )*(?:\S*bin/)?lomo [a-z][^|>&]*)`)
)

// TestPagesShowCommandsThatParse: every `lomo …` in README, CONTRIBUTING, docs and the head of each file in configs/ is a command with flags and keys that there are.
func TestPagesShowCommandsThatParse(t *testing.T) {
	list := commandsShown(t)
	if len(list) < 60 {
		t.Fatalf("only %d commands found: the pages are no longer read right", len(list))
	}
	for _, c := range list {
		if err := parses(c); err != "" {
			t.Errorf("%s:%d: %s\n\t%s", c.page, c.line, c.text, err)
		}
	}
}

// TestShownCommandsWouldFail: the check above sees a command, a flag, a key, an argument too many that are not there.
func TestShownCommandsWouldFail(t *testing.T) {
	for text, bad := range map[string]bool{
		"lomo train run.yaml --learning-rate 1e-3":                        false,
		"LOMO_CPU=avx2 lomo bench":                                        false,
		`lomo train run.yaml --set 'adamw={betas: [0.9, 0.95]}'`:          false,
		`lomo train run.yaml --set chat_template="$(cat template.jinja)"`: false,
		"lomo help exit-codes":                                            false,
		"lomo help exit-code":                                             true,
		"lomo trane run.yaml":                                             true,
		"lomo train run.yaml --learning-rates 1e-3":                       true,
		"lomo train run.yaml --set learnig_rate=1":                        true,
		"lomo train run.yaml more.yaml":                                   true,
		"lomo eval --model out/run --data held-out.jsonl --typ messages":  true,
		"lomo train run.yaml --set adamw.epsilon=1e-6":                    true,
		`lomo generate --model out/run --chat --prompt "who are you`:      true,
		"bin/lomo doctor --cards":                                         true,
	} {
		if err := parses(shown{"test", 1, text, true}); (err != "") != bad {
			t.Errorf("%s: %q, want a fault: %v", text, err, bad)
		}
	}
}

// TestPagesShowSettingsThatLoad: every configuration in a page, a block of YAML whose first line is a key, is read without an error.
func TestPagesShowSettingsThatLoad(t *testing.T) {
	seen := 0
	for path, text := range pagesOf(t, "../../docs/*.md", "../../README.md", "../../CONTRIBUTING.md") {
		for _, block := range regexp.MustCompile(`(?m)(?:^    .*\n)+`).FindAllString(text, -1) {
			key := regexp.MustCompile(`^    ([a-z_]+):`).FindStringSubmatch(block)
			if key == nil || config.NameOf(key[1]) == "" || !slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Name == config.NameOf(key[1]) }) {
				continue
			}
			seen++
			file := filepath.Join(t.TempDir(), "run.yaml")
			if err := os.WriteFile(file, []byte(regexp.MustCompile(`(?m)^    `).ReplaceAllString(block, "")), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(config.Input{File: file}); err != nil {
				t.Errorf("%s: %v in\n%s", path, err, block)
			}
		}
	}
	if seen < 1 {
		t.Errorf("only %d configurations found: the pages are no longer read right", seen)
	}
}

// pagesOf is the text of every file that a pattern names.
func pagesOf(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range patterns {
		list, err := filepath.Glob(pattern)
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(list), err)
		}
		for _, path := range list {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			out[strings.TrimPrefix(path, "../../")] = string(text)
		}
	}
	return out
}

func commandsShown(t *testing.T) (out []shown) {
	t.Helper()
	for path, text := range pagesOf(t, "../../docs/*.md", "../../configs/*.yaml", "../../README.md", "../../CONTRIBUTING.md") {
		for i, line := range strings.Split(text, "\n") {
			add := func(code string, block bool) {
				code, _, _ = strings.Cut(code, "  #")
				for _, m := range ofLomo.FindAllStringSubmatch(strings.TrimSpace(code), -1) {
					out = append(out, shown{path, i + 1, strings.TrimSpace(m[1]), block})
				}
			}
			switch comment, ok := strings.CutPrefix(line, "# lomo"); {
			case ok && strings.HasSuffix(path, ".yaml"):
				add("lomo"+comment, true)
			case strings.HasPrefix(line, "    "):
				add(line, true)
			default:
				for _, m := range spanOfCode.FindAllStringSubmatch(line, -1) {
					add(m[1], false)
				}
			}
		}
	}
	return out
}

// parses says what is wrong with a command line, "" for nothing.
func parses(s shown) string {
	words, ok := splitShell(s.text)
	if !ok {
		return "a quote is not closed"
	}
	for len(words) > 0 && !strings.HasSuffix(words[0], "lomo") { // LOMO_CPU=avx2
		words = words[1:]
	}
	words = slices.DeleteFunc(words[1:], func(w string) bool { return w == "…" || w == "..." })
	root := newRootCmd(&Streams{Out: io.Discard, Err: io.Discard}, program)
	if len(words) > 1 && words[0] == "help" { // of a command or topic, and of one key
		if c, _, err := root.Find(words[1:]); err != nil || c == root {
			return "there is no such help"
		}
		return ""
	}
	c, rest, err := root.Find(words)
	if err != nil {
		return err.Error()
	}
	if c == root {
		return "there is no such command"
	}
	c.InitDefaultHelpFlag()
	if err := c.ParseFlags(rest); err != nil {
		return err.Error()
	}
	if s.block {
		if err := c.ValidateArgs(c.Flags().Args()); err != nil && !strings.HasSuffix(err.Error(), "there is no such file") { // run.yaml is the reader's
			return err.Error()
		}
	}
	return unknownKey(c)
}

// unknownKey names a key of --set that there is not.
func unknownKey(c *cobra.Command) string {
	set, err := c.Flags().GetStringArray("set")
	if err != nil {
		return ""
	}
	for _, s := range set {
		key, _, _ := strings.Cut(s, "=")
		if key == "key" { // --set key=value
			continue
		}
		if !slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Name == key || k.Block() == key || slices.Contains(k.Aliases, key) }) {
			return "there is no key " + key
		}
	}
	return ""
}

// splitShell cuts a line into words as a shell does, as far as pages need: quotes, and $(…) as text.
func splitShell(line string) (words []string, ok bool) {
	var word strings.Builder
	quote, some := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, some = r, true
		case quote == 0 && r == ' ':
			if some {
				words = append(words, word.String())
			}
			word.Reset()
			some = false
		default:
			word.WriteRune(r)
			some = true
		}
	}
	if some {
		words = append(words, word.String())
	}
	return words, quote == 0
}
