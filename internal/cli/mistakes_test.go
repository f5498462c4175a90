package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"lomo/internal/job"
)

const mistakes = "testdata/mistakes"

// TestMistakes makes the mistakes that users make. What the program says is golden: each file in testdata/mistakes is one case or
// a few of a kind, as a txtar archive:
//
//	One line or more that say what the mistake is.
//	-- cmd --
//	lomo train --config run.yaml
//	-- env --
//	LOMO_SEDE=1
//	-- run.yaml --
//	model: $MODEL
//	-- exit --
//	2
//	-- stderr --
//	lomo: error: …
//
// cmd is a script for sh, which stops at the first command that fails; it runs in an empty folder, $WORK, that holds the files of
// the archive. $MODEL is a tiny model that all cases share: a case that changes one copies it first. In files, $MODEL and
// $WORK are replaced as well. env is optional. Files named <mistake>/cmd, <mistake>/exit and so on make another case with the same
// files. `go test ./internal/cli -run Mistakes -update` writes exit and stderr anew; read the difference before you commit it.
func TestMistakes(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model")
	if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: model, DType: "bf16", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(mistakes + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", mistakes, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(archive.Comment)) == "" {
				t.Error("no comment says what the mistake is")
			}
			before := string(txtar.Format(archive))
			for _, prefix := range casesOf(archive) {
				runMistake(t, archive, prefix, model)
			}
			if after := string(txtar.Format(archive)); after == before {
				return
			} else if *update {
				if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
					t.Fatal(err)
				}
			} else {
				t.Errorf("not as in %s (-update writes it):\n%s", file, firstDifference(before, after))
			}
		})
	}
}

// casesOf lists what stands before "cmd" in the names of an archive: "", or "other/".
func casesOf(a *txtar.Archive) []string {
	var out []string
	for _, f := range a.Files {
		if prefix, is := strings.CutSuffix(f.Name, "cmd"); is && (prefix == "" || strings.HasSuffix(prefix, "/")) {
			out = append(out, prefix)
		}
	}
	return out
}

// section finds the part of an archive that has a name; with make it is added before the next case where there is none.
func section(a *txtar.Archive, prefix, name string, make bool) *txtar.File {
	at, here := len(a.Files), false
	for i := range a.Files {
		switch f := &a.Files[i]; {
		case f.Name == prefix+name:
			return f
		case f.Name == prefix+"cmd":
			here = true
		case here && at == len(a.Files) && strings.HasSuffix(f.Name, "/cmd"):
			at = i
		}
	}
	if !make {
		return &txtar.File{}
	}
	a.Files = slices.Insert(a.Files, at, txtar.File{Name: prefix + name})
	return &a.Files[at]
}

// runMistake runs one case, puts its exit code and stderr into the archive and checks what holds for all messages.
func runMistake(t *testing.T, a *txtar.Archive, prefix, model string) {
	work := t.TempDir()
	place := strings.NewReplacer("$MODEL", model, "$WORK", work)
	var inputs []string
	for _, f := range a.Files {
		switch filepath.Base(f.Name) {
		case "cmd", "env", "exit", "stderr":
			continue
		}
		inputs = append(inputs, f.Name)
		path := filepath.Join(work, filepath.FromSlash(f.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(place.Replace(string(f.Data))), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	script := string(section(a, prefix, "cmd", false).Data)
	sh := exec.CommandContext(ctx, "sh", "-e", "-c", script)
	sh.Dir = work
	sh.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + work, "TMPDIR=" + os.TempDir(), "MODEL=" + model, "WORK=" + work}
	if level := os.Getenv("LOMO_CPU"); level != "" {
		sh.Env = append(sh.Env, "LOMO_CPU="+level)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(section(a, prefix, "env", false).Data)), "\n") {
		if line != "" {
			sh.Env = append(sh.Env, place.Replace(line))
		}
	}
	var said bytes.Buffer
	sh.Stderr = &said
	if err := sh.Run(); err != nil && sh.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("%s: %v %v", script, err, ctx.Err())
	}
	text := strings.NewReplacer(model, "$MODEL", work, "$WORK").Replace(said.String())
	section(a, prefix, "exit", true).Data = []byte(strconv.Itoa(sh.ProcessState.ExitCode()) + "\n")
	section(a, prefix, "stderr", true).Data = []byte(text)
	if wrong := illSaid(text, inputs); len(wrong) > 0 {
		t.Errorf("%s%s\n%s", script, text, strings.Join(wrong, "\n"))
	}
}

// illSaid is what is wrong with the form of the messages in a text of stderr: an error is one line that begins in lower case,
// names a file once, knows no word of Go and has at most one hint behind it.
func illSaid(text string, inputs []string) []string {
	var wrong []string
	last := ""
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)+": "+line) }
		kind, message := "", line
		if rest, ours := strings.CutPrefix(line, "lomo: "); ours {
			if k, m, found := strings.Cut(rest, ": "); found && (k == "error" || k == "hint" || k == "warning" || k == "note") {
				kind, message = k, m
			}
		}
		if n := utf8.RuneCountInString(line); n > 400 {
			bad("%d columns", n)
		}
		if kind == "" && last == "error" && line != "" {
			bad("a second line of an error")
		}
		if kind == "hint" && last != "error" && last != "warning" {
			bad("a hint without its error")
		}
		if r, _ := utf8.DecodeRuneInString(message); kind == "error" && unicode.IsUpper(r) && !namesAny(message, inputs) && !strings.HasPrefix(message, "LOMO_") {
			bad("begins in upper case")
		}
		if w := goWords.FindString(line); w != "" {
			bad("says %q", w)
		}
		if strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\r' && r != '\t' }) {
			bad("a control character")
		}
		if kind == "error" {
			for _, name := range inputs {
				if strings.Count(message, name) > 1 {
					bad("names %s twice", name)
				}
			}
		}
		last = kind
	}
	return wrong
}

// namesAny tells whether a message begins with the name of a file.
func namesAny(message string, files []string) bool {
	for _, f := range files {
		if strings.HasPrefix(message, f) {
			return true
		}
	}
	return false
}

// TestIllSaid: the check of messages sees what it is for.
func TestIllSaid(t *testing.T) {
	for text, want := range map[string]string{
		"lomo: error: run.yaml:1: no\nlomo: hint: do\n":                 "",
		"lomo: error: Run it\n":                                         "upper case",
		"lomo: error: a\nmore of it\n":                                  "a second line",
		"lomo: hint: a\n":                                               "without its error",
		"lomo: error: a\nlomo: hint: b\nlomo: hint: c\n":                "without its error",
		"lomo: error: run.yaml: open run.yaml: no\n":                    "twice",
		"lomo: error: json: cannot unmarshal string\n":                  `says "json: cannot`,
		"lomo: error: a\x1b[31m\n":                                      "control",
		"lomo: error: " + strings.Repeat("x", 400) + "\n":               "columns",
		"lomo: warning: Odd, and fine\nlomo: hint: b\nstep 1, loss 2\n": "",
	} {
		got := strings.Join(illSaid(text, []string{"run.yaml"}), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
