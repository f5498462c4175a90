package data

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for text, want := range map[string]string{
		`{"messages": [{"role": "user", "content": "a"}]}`:           "messages",
		`{"conversations": [{"from": "human", "value": "a"}]}`:       "sharegpt",
		`{"conversations": [{"role": "user", "content": "a"}]}`:      "messages",
		`{"messages": "[{\"role\": \"user\", \"content\": \"a\"}]"}`: "messages",
		`{"messages": []}`: "messages",
		`{"instruction": "a", "input": "", "output": "b"}`: "alpaca",
		`{"instruction": "a", "response": "b"}`:            "alpaca",
		`{"prompt": "a", "completion": "b"}`:               "prompt_completion",
		`{"question": "a", "answer": "b", "id": 7}`:        "prompt_completion",
		`{"text": "a", "meta": {}}`:                        "text",
		`{"segments": [{"text": "a", "label": true}]}`:     "segments",
		`{"input_ids": [1, 2]}`:                            "tokenized",
		`[{"text": "a"}]`:                                  "text",
	} {
		if got, err := Detect(write("a.jsonl", text+"\n"), ""); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	if got, err := Detect(write("a.txt", "any text"), ""); got != "text" || err != nil {
		t.Errorf("a .txt file: %s, %v", got, err)
	}
	if got, err := Detect(write("a.csv", "question,answer\n1,2\n"), ""); got != "prompt_completion" || err != nil {
		t.Errorf("a .csv file: %s, %v", got, err)
	}
	for text, want := range map[string]string{
		`{"instruction": "a", "output": "b"}`: "messages",
		`{"question": "a", "answer": "b"}`:    "messages",
		`{"prompt": "a", "completion": "b"}`:  "messages",
		`{"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}`: "prompt_completion",
		`{"conversations": [{"from": "human", "value": "a"}]}`:                                                  "sharegpt",
		`{"text": "a"}`: "text",
	} {
		if got, err := DetectChat(write("a.jsonl", text+"\n"), ""); got != want || err != nil {
			t.Errorf("for a chat, %s: %s, %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"a": "x", "b": "y"}`: `no type has these fields: "a", "b"|prompt_completion`,
		"":                     "there is no record in it",
		`{"text": "a"}` + "\n" + `{"messages": []}`:     "is a record of type text, and |a.jsonl:2 of type messages|two files",
		`{"prompt": "a", "chosen": "b", "rejected": 1}`: "preferences are not trained",
		`{"premise": "a", "hypothesis": "b"}`:           "superglue:rte",
		`{"text": `:                                     "a.jsonl:1",
	} {
		_, err := Detect(write("a.jsonl", text+"\n"), "")
		full := ""
		if h := (interface{ Hint() string })(nil); errors.As(err, &h) {
			full = err.Error() + "\n" + h.Hint()
		}
		for _, w := range strings.Split(want, "|") {
			if !strings.Contains(full, w) {
				t.Errorf("%s: %q, want %q", text, full, w)
			}
		}
	}
	write("mixed/a.txt", "x")
	write("mixed/b.jsonl", `{"messages": []}`)
	if _, err := Detect(filepath.Join(dir, "mixed/*"), ""); err == nil {
		t.Error("a folder of text and chats passed")
	}
	if _, err := Detect(filepath.Join(dir, "nothing.jsonl"), ""); err == nil {
		t.Error("no file passed")
	}
}
