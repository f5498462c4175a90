package config

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asGiven are texts that YAML would read as something else.
var asGiven = []string{
	"{% for m in messages %}\n{{ m.content }}\n{% endfor %}\n", "two\n\nlines", "a\r\nb", "tab\tin", "x #y", "x # y: z", "# all of it", "a: b", "key: [1, 2", "[a, b]", "{a: 1}", "{{ x }}",
	"*anchor", "&anchor x", "!tag x", "!!str x", "@at", "`tick", "%dir", "- item", "-", "?", "? x", "|", "| x", ">", "> x", "yes", "no", "on", "off", "true", "True", "null", "~", "Null", "1e3", "007", "0x1F", "1_000",
	"12:30:45", "2001-01-01", ".nan", ".inf", "=", "<<", "'", `"`, `"quoted"`, `'quoted'`, `it's`, `back\slash \n`, "a,b", " leading", "trailing ", "  both  ", "trailing\n", "\n", "\nleading", " ", "\t", "---", "...",
	"--- x", "a\u0085b", "a\u2028b", "a\u2029b", "\u00a0x\u00a0", "\ufeffbom", "日本語 # ü", "\u200bzero", "\x01\x1b[31m", "\x7f", "caf\xe9", "emoji 🙂", "${HOME}", "%s", "--set", "a=b=c", "\\", "\"", "x\x00y",
	"\ud7ff\ufffd", strings.Repeat("long ", 100), strings.Repeat("x", 200) + " " + strings.Repeat("y", 200),
}

// printed is the configuration that l writes, loaded again.
func printed(t *testing.T, l *Loaded) *Loaded {
	t.Helper()
	var text strings.Builder
	if err := l.WriteYAML(&text); err != nil {
		t.Fatal(err)
	}
	again, err := Load(Input{File: write(t, text.String())})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text.String())
	}
	return again
}

// TestTextAsGiven: --set, the environment and flags give a text key the bytes they have, and what is printed gives them again.
func TestTextAsGiven(t *testing.T) {
	for _, text := range asGiven {
		for source, in := range map[string]Input{
			"--set": {Set: []string{"chat_template=" + text, "model=" + text, "resume=none"}},
			"env":   {Env: []string{"LOMO_CHAT_TEMPLATE=" + text, "LOMO_MODEL=" + text}},
			"flag":  {Flags: []Flag{{"template", "chat_template", text}, {"model", "model", text}}},
		} {
			l, err := Load(in)
			if err != nil {
				t.Errorf("%s %q: %v", source, text, err)
				continue
			}
			if l.ChatTemplate != text || l.Model != text {
				t.Errorf("%s %q: chat_template %q, model %q", source, text, l.ChatTemplate, l.Model)
			}
			if again := printed(t, l); again.ChatTemplate != text || again.Model != text {
				t.Errorf("%s %q: printed and loaded: chat_template %q, model %q", source, text, again.ChatTemplate, again.Model)
			}
		}
	}
}

// TestTextsRoundTrip: random texts, in keys, lists and data sets.
func TestTextsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := strings.Split("a b \n \r \t : # ' \" [ ] { } , & * ! | > % @ ` - ? ~ \\ \u0085 \u2028 \u00a0 \ufeff é 日 🙂 \x00 \x1b \x7f \xff 0 1 . e null true =", " ")
	pieces = append(pieces, " ", "  ", ": ", " #", "\n  ")
	text := func() string {
		var b strings.Builder
		for range r.IntN(9) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		return b.String()
	}
	for range 300 {
		l, err := Load(Input{Set: []string{"chat_template=" + text()}})
		if err != nil {
			t.Fatal(err)
		}
		l.Model = text()
		l.RolesToTrain = []string{text(), text()}
		l.Datasets = []Dataset{{Path: text(), Type: "text", Split: text(), Weight: 1}}
		again := printed(t, l)
		if d := cmp.Diff(l.Config, again.Config); d != "" {
			t.Fatalf("-set +loaded\n%s", d)
		}
	}
}

// TestOtherKeysTakeYAML: only texts are taken as they are.
func TestOtherKeysTakeYAML(t *testing.T) {
	l, err := Load(Input{Set: []string{"roles_to_train=[user, 'a b'] # both", "learning_rate= 1e-3 ", "packing=false # no", "adamw={betas: [0.8, 0.9]}", "seed=0x10", "dtype= f32 ", "optimizer=adamw",
		`datasets=[{path: "a #b", type: text}]`}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"user", "a b"}, l.RolesToTrain); d != "" || l.LearningRate != 1e-3 || l.Packing || l.AdamW.Betas[0] != 0.8 || l.Seed != 16 || l.DType != "f32" || l.Datasets[0].Path != "a #b" {
		t.Errorf("%+v\n%s", l.Config, d)
	}
}

// TestTextsCleared: an empty text takes back what a weaker source gave; an empty variable is one that is not set.
func TestTextsCleared(t *testing.T) {
	file := write(t, "memory_limit: 4GiB\n")
	if l, err := Load(Input{File: file, Set: []string{"memory_limit="}}); err != nil || l.MemoryLimit != "" {
		t.Errorf("--set memory_limit=: %q, %v", l.MemoryLimit, err)
	}
	if l, err := Load(Input{File: file, Env: []string{"LOMO_MEMORY_LIMIT="}}); err != nil || l.MemoryLimit != "4GiB" {
		t.Errorf("LOMO_MEMORY_LIMIT=: %q, %v", l.MemoryLimit, err)
	}
}

// TestTextErrors: what cannot be taken is named, in a line.
func TestTextErrors(t *testing.T) {
	for _, c := range []struct {
		in   Input
		yaml string
		want string
	}{
		{Input{Set: []string{"chat_templat={{ x }}{% y %}"}}, "", `--set: unknown key "chat_templat"`},
		{Input{Set: []string{"dtype=[bf16]"}}, "", `--set: dtype: "[bf16]" is not one of`},
		{Input{Set: []string{"memory_limit=4 # GiB"}}, "", `--set: memory_limit: "4 # GiB" is not a size`},
		{Input{Set: []string{"roles_to_train=" + strings.Repeat("[ü", 99)}}, "", `is not YAML`},
		{Input{}, "model: !path x\n", `model: want text, have the YAML tag "!path"`},
		{Input{}, "chat_template: true\n", `chat_template: want text, have true`},
	} {
		if c.yaml != "" {
			c.in.File = write(t, c.yaml)
		}
		_, err := Load(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 200 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: error %v, want %q", c.in, err, c.want)
		}
	}
}

// TestDiffInLines: a template in a message is one short line, and lists that print alike are still different.
func TestDiffInLines(t *testing.T) {
	a, b := Default(), Default()
	a.ChatTemplate, b.ChatTemplate = strings.Repeat("line\n", 50), "tokenizer"
	a.RolesToTrain, b.RolesToTrain = []string{"a b"}, []string{"a", "b"}
	a.Datasets, b.Datasets = nil, []Dataset{}
	got := Diff(a, b)
	if len(got) != 2 || strings.Contains(strings.Join(got, ""), "\n") || len(got[0]) > 120 {
		t.Errorf("%q", got)
	}
}
