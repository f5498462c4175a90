package job

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lomo/internal/data"
	"lomo/internal/golden"
	"lomo/internal/tokenizer"
)

// TestOneBOS: where the tokenizer begins a text with bos and the template writes one, a conversation has one; where the template writes none it has none,
// and one that writes more has them all, as apply_chat_template of transformers makes them (scripts/golden/bos.py). A text that goes through no template has
// the tokenizer's.
func TestOneBOS(t *testing.T) {
	var want struct {
		Files map[string]json.RawMessage
		Chats []struct {
			Name, Template string
			Prompt, Whole  []int32
		}
		Texts []struct {
			Text string
			IDs  []int32
		}
	}
	golden.LoadJSON(t, "testdata/tokenizer/bos.json", &want)
	dir := t.TempDir()
	for name, raw := range want.Files {
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range want.Chats {
		got, err := promptIDs(tok, "b", &GenerateOptions{Chat: true, ChatTemplate: c.Template})
		if err != nil || !slices.Equal(got, c.Prompt) {
			t.Errorf("%s: the prompt is %v, %v; want %v", c.Name, got, err, c.Prompt)
		}
		path := filepath.Join(t.TempDir(), "d.jsonl")
		line := []byte(`{"messages":[{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}` + "\n")
		if err := os.WriteFile(path, bytes.Repeat(line, 2), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := data.Load([]data.Source{{Path: path, Type: "messages"}}, asTokenizer(tok), data.Options{SequenceLen: 64, ChatTemplate: c.Template})
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if got := d.Example(1).IDs; !slices.Equal(got, c.Whole) {
			t.Errorf("%s: the sample is %v, want %v", c.Name, got, c.Whole)
		}
	}
	for _, c := range want.Texts {
		if got, err := promptIDs(tok, c.Text, &GenerateOptions{}); err != nil || !slices.Equal(got, c.IDs) {
			t.Errorf("plain text %q: %v, %v; want %v", c.Text, got, err, c.IDs)
		}
	}
}
