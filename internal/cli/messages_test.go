package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"

	"lomo/internal/config"
)

// filesIn finds what looks like the path of a file in a message.
var filesIn = regexp.MustCompile(`[A-Za-z0-9_./$-]*[A-Za-z0-9_]\.(jsonl?|ya?ml|safetensors|gguf|bin|pth|model|txt|csv|parquet|jinja|gz)\b`)

// illFormed is what is wrong with a line of a message, whichever it is.
func illFormed(line string) string {
	if strings.ContainsFunc(line, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}) {
		return "a control character"
	}
	if n := len([]rune(line)); n > 500 {
		return fmt.Sprintf("%d characters", n)
	}
	message, isError := strings.CutPrefix(line, "lomo: error: ")
	if !isError {
		return ""
	}
	seen := map[string]bool{}
	for _, f := range filesIn.FindAllString(message, -1) {
		if strings.Contains(f, "/") && seen[f] {
			return "names " + f + " twice"
		}
		seen[f] = true
	}
	return ""
}

// TestMessagesOfTheCorpus: what the golden files of errors have the program say names a file once, is short and moves no terminal.
func TestMessagesOfTheCorpus(t *testing.T) {
	texts := map[string]string{}
	golden, err := os.ReadFile(refusals)
	if err != nil {
		t.Fatal(err)
	}
	texts[refusals] = string(golden)
	files, err := filepath.Glob(mistakes + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no mistakes", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if filepath.Base(f.Name) == "stderr" {
				texts[file] += string(f.Data)
			}
		}
	}
	lines := 0
	for name, text := range texts {
		for line := range strings.Lines(text) {
			lines++
			if wrong := illFormed(strings.TrimSuffix(line, "\n")); wrong != "" {
				t.Errorf("%s: %s: %s", name, wrong, line)
			}
		}
	}
	if lines < 400 {
		t.Errorf("%d lines: where is the corpus?", lines)
	}
	for line, wrong := range map[string]bool{
		"lomo: error: m/config.json: line 3: no": false, "lomo: error: m/config.json: open m/config.json: no": true, "a\x1bb": true, "a\u202eb": true,
		"lomo: hint: m/a.json or m/a.json": false, "lomo: error: " + strings.Repeat("x", 500): true,
	} {
		if got := illFormed(line); (got != "") != wrong {
			t.Errorf("%q: %q", line, got)
		}
	}
}

// TestPrintErrorIsBounded: the errors of any caller are lines that move no terminal, each of bounded length, and of a kind there are 20.
func TestPrintErrorIsBounded(t *testing.T) {
	var many config.Errors
	for range 50 {
		many = append(many, &config.Error{Where: "a.yaml:1", Msg: strings.Repeat("key\x1b[2J\u202e", 1000), Advice: "do\rthis\u0085"})
	}
	for name, err := range map[string]error{
		"many":   many,
		"lines":  errors.New("m/a.json: is\nlomo: error: forged\n\x1b[1A"),
		"long":   errors.New(strings.Repeat("\x9b漢", 100000)),
		"joined": errors.Join(errors.New("one"), errors.New("two\x00")),
		"advice": refuse(strings.Repeat("\u2066a", 5000), "%s", "\x07"),
	} {
		var b bytes.Buffer
		printError(&b, err)
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) > 2*mostErrors+1 {
			t.Errorf("%s: %d lines", name, len(lines))
		}
		for _, l := range lines {
			if !strings.HasPrefix(l, "lomo: ") || len([]rune(l)) > mostSaid+20 || strings.ContainsFunc(l, unicode.IsControl) || strings.ContainsAny(l, "\u202e\u2066") {
				t.Errorf("%s: %.300q", name, l)
			}
		}
	}
}
