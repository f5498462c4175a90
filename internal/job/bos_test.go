package job

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lomo/internal/data"
	"lomo/internal/tokenizer"
)

// beginning makes the tokenizer of a tiny model one that begins every text with <s>, id 259.
func beginning(t *testing.T, dir string) *tokenizer.Tokenizer {
	t.Helper()
	edit := func(name string, change func(m map[string]any)) {
		path := filepath.Join(dir, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		if raw, err = json.Marshal(m); err == nil {
			err = os.WriteFile(path, raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	edit("tokenizer.json", func(m map[string]any) {
		m["added_tokens"] = append(m["added_tokens"].([]any), map[string]any{"id": 259, "content": "<s>", "special": true,
			"single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
		var post any
		if err := json.Unmarshal([]byte(`{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
			"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":"<s>","ids":[259],"tokens":["<s>"]}}}`), &post); err != nil {
			t.Fatal(err)
		}
		m["post_processor"] = post
	})
	edit("tokenizer_config.json", func(m map[string]any) {
		m["bos_token"] = "<s>"
		delete(m, "added_tokens_decoder")
	})
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestOneBOS: where the tokenizer begins a text with bos and the template writes one, a conversation has one; where the template writes none it has none,
// as apply_chat_template of transformers 5.24 makes them, whose ids stand here. A text that goes through no template has the tokenizer's.
func TestOneBOS(t *testing.T) {
	tok := beginning(t, newTiny(t))
	const turns = `{% for m in messages %}{{ m.role[:1] }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:{% endif %}`
	for _, c := range []struct {
		name, template string
		prompt, whole  []int32
	}{
		{"a template with bos", "{{ bos_token }}" + turns, []int32{259, 117, 58, 98, 59, 97, 58}, []int32{259, 117, 58, 98, 59, 97, 58, 99, 59}},
		{"a template without", turns, []int32{117, 58, 98, 59, 97, 58}, []int32{117, 58, 98, 59, 97, 58, 99, 59}},
	} {
		got, err := promptIDs(tok, "b", &GenerateOptions{Chat: true, ChatTemplate: c.template})
		if err != nil || !slices.Equal(got, c.prompt) {
			t.Errorf("%s: the prompt is %v, %v; want %v", c.name, got, err, c.prompt)
		}
		path := filepath.Join(t.TempDir(), "d.jsonl")
		line := []byte(`{"messages":[{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}` + "\n")
		if err := os.WriteFile(path, bytes.Repeat(line, 2), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := data.Load([]data.Source{{Path: path, Type: "messages"}}, asTokenizer(tok), data.Options{SequenceLen: 64, ChatTemplate: c.template})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Example(1).IDs; !slices.Equal(got, c.whole) {
			t.Errorf("%s: the sample is %v, want %v", c.name, got, c.whole)
		}
	}
	if got, err := promptIDs(tok, "b", &GenerateOptions{}); err != nil || !slices.Equal(got, []int32{259, 98}) {
		t.Errorf("plain text: %v, %v; want 259 98", got, err)
	}
}
