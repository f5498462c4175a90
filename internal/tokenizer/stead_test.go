package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestInsteadOfSideFiles: a pointer, a page or a folder in place of any file beside a tokenizer is told as that, the file named once.
func TestInsteadOfSideFiles(t *testing.T) {
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json",
		"chat_template.jinja", "chat_template.json"} {
		for what, text := range map[string]string{"a Git LFS pointer": "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n", "a web page": "<!DOCTYPE html>", "not a regular file": ""} {
			dir := t.TempDir()
			if err := pipeline(t, "smollm").WriteFiles(dir); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			os.Remove(path)
			if text == "" {
				if err := os.Mkdir(path, 0o755); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir)
			if err == nil || strings.Count(err.Error(), path) != 1 || !strings.Contains(err.Error(), what) && !strings.Contains(err.Error(), "a folder") {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

// TestDamagedTokenizer: what is wrong with a tokenizer.json is said in words of the file.
func TestDamagedTokenizer(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":"1.0","added_tok`:               "damaged: the JSON ends in the middle, at byte 27",
		`{"model":{"type":"BPE","vocab":{"a":0,"b"`: "damaged: the JSON ends in the middle, at byte 41",
		`{bad}`:                "damaged: no JSON at byte 1 of 5",
		`[]`:                   "a list found, want an object",
		`7`:                    "the number 7 found, want an object",
		`{"model":"BPE"}`:      "model: a text found, want an object",
		`{"model":{"type":3}}`: "model: type: number found, want a text",
		`{"model":{"type":"BPE","vocab":{"a":"0"}}}`:           "model: vocab: a: string found, want a whole number",
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":{}}}`: "model: merges: an object found, want a list",
		`{"added_tokens":[{"id":"x","content":"a"}]}`:          "added_tokens: 0: string found, want a whole number",
		`{"model":{"type":"BPE","vocab":[]}}`:                  "model: vocab: a list found, want the object of tokens and ids",
	} {
		path := filepath.Join(t.TempDir(), "tokenizer.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || err.Error() != path+": "+want && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestNoHang: a pipe nobody writes into is refused, not waited for.
func TestNoHang(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "tokenizer.json"), 0o644); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	done := make(chan error, 1)
	go func() { _, err := Open(dir); done <- err }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits")
	}
}
