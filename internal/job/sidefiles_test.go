package job

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/config"
	"lomo/internal/tokenizer"
)

// TestSideFilesKept: what lies beside the weights is taken at the start of a run, each file that is not what its name says is left
// out and said, and a generation_config.json that is missing is made with all tokens that end a text.
func TestSideFilesKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	if _, err := New(NewOptions{Preset: "tiny", Dir: dir, DType: "bf16", Seed: 3}); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	good := map[string]string{"chat_template.jinja": "{{ messages }}", "additional_chat_templates/tool_use.jinja": "{{ tools }}", "added_tokens.json": "{}", "tekken.json": "{}"}
	bad := map[string]string{"vocab.json": "not json", "merges.txt": "a\x00b", "tokenizer.model": "\x80\x81", "additional_chat_templates/rag.jinja": "version https://git-lfs.github.com/spec/v1\nsize 1\n"}
	for name, text := range good {
		put(name, text)
	}
	for name, text := range bad {
		put(name, text)
	}
	m, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var notes []string
	out := t.TempDir()
	keep, err := keepSideFiles(m, tok, &config.Config{OutputDir: out, ChatTemplate: "tokenizer"}, func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) })
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil { // the run no longer needs it
		t.Fatal(err)
	}
	saved := filepath.Join(out, "checkpoint-1")
	if err := keep(saved); err != nil {
		t.Fatal(err)
	}
	for name, text := range good {
		if raw, err := os.ReadFile(filepath.Join(saved, name)); err != nil || string(raw) != text {
			t.Errorf("%s: %q, %v", name, raw, err)
		}
	}
	for name := range bad {
		if _, err := os.Stat(filepath.Join(saved, name)); err == nil || !strings.Contains(strings.Join(notes, "\n"), "left out of the saved model: "+filepath.Join(dir, name)+": ") {
			t.Errorf("%s is kept, or not said: %q", name, notes)
		}
	}
	if len(notes) != len(bad) {
		t.Errorf("notes %q", notes)
	}
	var made struct {
		EOS json.RawMessage `json:"eos_token_id"`
	}
	raw, err := os.ReadFile(filepath.Join(saved, generationConfig))
	if err == nil {
		err = json.Unmarshal(raw, &made)
	}
	var ids []int32
	if json.Unmarshal(made.EOS, &ids) != nil {
		ids = make([]int32, 1)
		err = json.Unmarshal(made.EOS, &ids[0])
	}
	if err != nil || fmt.Sprint(ids) != fmt.Sprint(tok.EOSIDs()) {
		t.Errorf("generation_config.json: %s, %v, want %v", raw, err, tok.EOSIDs())
	}
}
