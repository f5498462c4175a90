package cli

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/config"
)

// TestQuestions: what a user answers, with mistakes that are asked again.
func TestQuestions(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "town.jsonl")
	if err := os.WriteFile(data, []byte(`{"prompt": "a", "completion": "b"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		given   initOptions
		answers string
		want    string // model, data, type, folder, memory
		says    string
		err     string
	}{
		"all":      {answers: dir + "\n" + data + "\n\nfacts\n4GiB\n", want: dir + " " + data + " prompt_completion out/facts 4GiB", says: "[prompt_completion]"},
		"proposed": {answers: dir + "\n" + data + "\n\n\n\n", want: dir + " " + data + " prompt_completion out/town ", says: "[town]"},
		"mistakes": {answers: "\nno/model\n" + dir + "\nno.jsonl\n" + data + "\nmesages\ntext\na/b\nfacts\nmuch\n1\n2GB\n", want: dir + " " + data + " text out/facts 2GB", says: "`lomo pull no/model`"},
		"some":     {given: initOptions{Data: []string{data}, Type: "text", Keys: []config.Flag{{Key: "model", Value: "m"}, {Key: "memory_limit", Value: "1GiB"}}}, answers: "x\n", want: "m " + data + " text out/x 1GiB"},
		"end":      {answers: dir + "\n", err: "the questions were not answered"},
	} {
		var talk bytes.Buffer
		q := &questions{s: &Streams{Err: &talk}, in: bufio.NewReader(strings.NewReader(c.answers))}
		o := c.given
		err := q.all(&o)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		got := strings.Join([]string{o.given("model"), strings.Join(o.Data, ","), o.Type, o.folder(), o.given("memory_limit")}, " ")
		if err != nil || got != c.want || !strings.Contains(talk.String(), c.says) {
			t.Errorf("%s: %q, %v, want %q\n%s\nwant %q", name, got, err, c.want, talk.String(), c.says)
		}
	}
}

// TestYAMLText: every text is read as itself.
func TestYAMLText(t *testing.T) {
	for _, s := range []string{"models/x", "a b", "a: b", "#x", "x #y", "~/m", "yes", "No", "1.5", "0x10", "", "- a", "*x", "{a}", `a"b`, `a\b`, "ä/ö", "a,b", "[x]", "null", "!t", "'q'", "a\tb", "@x", "2026-01-01", "10GiB", ".5", "+1"} {
		path := filepath.Join(t.TempDir(), "run.yaml")
		text := "model: " + yamlText(s) + " # a comment\ndatasets: " + listed([]config.Dataset{{Path: s, Type: "text"}}) + "\n"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(config.Input{File: path})
		if err != nil || l.Model != s || l.Datasets[0].Path != s {
			t.Errorf("%q: %v in\n%s", s, err, text)
		}
	}
}

func TestRunFolder(t *testing.T) {
	for data, want := range map[string]string{
		"examples/demo/train.jsonl": "out/demo", "town.jsonl": "out/town", "data/*.jsonl": "out/data", "my data.csv": "out/my-data", "train.jsonl": "out/train", "./a/": "out/a", "/": "out/run", "..": "out/run", "x.jsonl.gz": "out/x",
	} {
		if got := (&initOptions{Data: []string{data}}).folder(); got != want {
			t.Errorf("%s: %s, want %s", data, got, want)
		}
	}
}
