package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bytesFolder is a folder with a byte-level tokenizer and nothing beside it.
func bytesFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := NewByteLevel().WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer_config.json", "special_tokens_map.json"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTemplateFiles: which file's template a folder has, as transformers 5 takes them.
func TestTemplateFiles(t *testing.T) {
	const config, processor = `{"chat_template": "config"}`, `{"chat_template": "processor"}`
	for _, c := range []struct {
		name  string
		files map[string]string
		want  map[string]string // by name; "" for one that there is not
	}{
		{"nothing", nil, map[string]string{"": ""}},
		{"tokenizer_config.json", map[string]string{"tokenizer_config.json": config}, map[string]string{"": "config", "tokenizer": "config", "default": "config"}},
		{"null", map[string]string{"tokenizer_config.json": `{"chat_template": null}`}, map[string]string{"": ""}},
		{"a list", map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "list"}]}`},
			map[string]string{"": "list", "tool_use": "tools", "rag": ""}},
		{"a list without a default", map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "rag", "template": "r"}]}`}, map[string]string{"": "", "rag": "r"}},
		{"chat_template.json", map[string]string{"chat_template.json": processor}, map[string]string{"": "processor"}},
		{"both", map[string]string{"chat_template.json": processor, "tokenizer_config.json": config}, map[string]string{"": "config"}},
		{"chat_template.jinja", map[string]string{"chat_template.jinja": "file", "tokenizer_config.json": config}, map[string]string{"": "file"}},
		{"with a mark at its beginning", map[string]string{"chat_template.jinja": "\uFEFFfile"}, map[string]string{"": "file"}},
		{"additional_chat_templates", map[string]string{"chat_template.jinja": "file", "additional_chat_templates/tool_use.jinja": "tools", "additional_chat_templates/rag.jinja": "r", "additional_chat_templates/README.md": "x"},
			map[string]string{"": "file", "tool_use": "tools", "rag": "r", "README": ""}},
		{"additional ones beside a configuration", map[string]string{"tokenizer_config.json": config, "additional_chat_templates/tool_use.jinja": "tools"}, map[string]string{"": "config", "tool_use": "tools"}},
	} {
		dir := bytesFolder(t)
		for name, text := range c.files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, dir, filepath.FromSlash(name), text)
		}
		tok, err := Open(dir)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for name, want := range c.want {
			got, err := tok.TemplateSource(name)
			if got != want || (err == nil) != (want != "") {
				t.Errorf("%s: template %q is %q (%v), want %q", c.name, name, got, err, want)
			}
		}
		if tok.HasChatTemplate() != (c.want[""] != "") {
			t.Errorf("%s: has a template: %v", c.name, tok.HasChatTemplate())
		}
	}
	for name, text := range map[string]string{
		"chat_template.json":    `{"chat_template": 1}`,
		"tokenizer_config.json": `{"chat_template": [{"template": "no name"}]}`,
		"chat_template.jinja":   "\xff",
	} {
		dir := bytesFolder(t)
		write(t, dir, name, text)
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s with %q: error %v", name, text, err)
		}
	}
}

// TestChatTemplate: what a user may call a template.
func TestChatTemplate(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "t.jinja", "{{ messages[0].content }}\n")
	write(t, dir, "t.json", `{"chat_template": "{{ 'json' }}"}`)
	write(t, dir, "none.json", `{}`)
	write(t, dir, "bad.jinja", "{% if %}")
	tok := NewByteLevel()
	tok.chat["tool_use"] = "{{ tools }}"
	for _, c := range []struct{ value, want, err, hint string }{
		{"", "", "", ""},
		{"tokenizer", "tokenizer", "", ""},
		{"tool_use", "tool_use", "", ""},
		{"llama-3", "llama-3", "", ""},
		{"{{ 'x' }}", "{{ 'x' }}", "", ""},
		{"two\nlines", "two\nlines", "", ""},
		{filepath.Join(dir, "t.jinja"), "{{ messages[0].content }}\n", "", ""},
		{filepath.Join(dir, "t.json"), "{{ 'json' }}", "", ""},
		{"{{ 'x' ", "", "line 1", ""},
		{"llama3", "", `"llama3": no template of this name (known: tokenizer, default, tool_use, alpaca, `, `did you mean "llama-3"?`},
		{"Qwen", "", `"Qwen": no template of this name`, `did you mean "qwen"?`},
		{"tool-use", "", `"tool-use": no template`, `did you mean "tool_use"?`},
		{"zephyr-7b-beta", "", "no template of this name", "path of a file"},
		{filepath.Join(dir, "missing.jinja"), "", "and no such file", "path of a file"},
		{filepath.Join(dir, "bad.jinja"), "", "bad.jinja: chat template, line 1", ""},
		{filepath.Join(dir, "none.json"), "", "none.json: it has no chat_template", ""},
		{dir, "", "a folder", ""},
	} {
		got, err := tok.ChatTemplate(c.value)
		if c.err == "" {
			if got != c.want || err != nil {
				t.Errorf("%q: %q (%v), want %q", c.value, got, err, c.want)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: error %v, want %q", c.value, err, c.err)
			continue
		}
		if h, ok := err.(interface{ Hint() string }); c.hint != "" && (!ok || !strings.Contains(h.Hint(), c.hint)) {
			t.Errorf("%q: %v has not the hint %q", c.value, err, c.hint)
		}
	}
}

// TestToolTemplate: with tools the template of that name is taken, as transformers does, unless another is asked for.
func TestToolTemplate(t *testing.T) {
	tok := NewByteLevel()
	tok.chat = chatTemplates{"default": "{{ messages[0].content }}", "tool_use": "{{ tools | tojson }}{{ messages[0].content }}"}
	tools := parsed(t, `[{"name":"f"}]`)
	for template, want := range map[string]string{"": `[{"name": "f"}]a`, "tokenizer": `[{"name": "f"}]a`, "{{ tools[0].name ~ messages[0].content }}": "fa"} {
		c, err := tok.ChatTokens([]Message{{Role: "user", Content: "a"}}, ChatOptions{Template: template, Tools: tools})
		if got := tok.Decode(c.IDs, false); err != nil || got != want {
			t.Errorf("%q: %q (%v), want %q", template, got, err, want)
		}
	}
	c, err := tok.ChatTokens([]Message{{Role: "user", Content: "a"}}, ChatOptions{})
	if got := tok.Decode(c.IDs, false); err != nil || got != "a" {
		t.Errorf("without tools: %q (%v)", got, err)
	}
}

// TestAlpacaBegins: the template begins as records of the type alpaca do, with bos where the tokenizer adds it.
func TestAlpacaBegins(t *testing.T) {
	msgs := []Message{{Role: "user", Content: "a"}}
	f := bytesFile()
	f.added = []addedToken{{ID: 256, Content: "<s>", Special: true}}
	for _, post := range []string{"", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":"<s>","ids":[256],"tokens":["<s>"]}}}`} {
		if post != "" {
			f.postProcessor = json.RawMessage(post)
		}
		tok, err := f.tokenizer()
		if err != nil {
			t.Fatal(err)
		}
		tok.names.bos = 256
		s, err := tok.RenderChat(msgs, "alpaca", true)
		if err != nil || strings.HasPrefix(s, "<s>") != (post != "") || !strings.HasSuffix(s, "\n\n### Instruction:\na\n\n### Response:") {
			t.Errorf("post-processor %q: %q (%v)", post, s, err)
		}
	}
}

// TestWrittenTemplates: a tokenizer without files keeps all its templates when it is written.
func TestWrittenTemplates(t *testing.T) {
	tok := NewByteLevel()
	tok.chat["rag"] = "{{ documents }}"
	dir := t.TempDir()
	if err := tok.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	back, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "rag"} {
		want, _ := tok.TemplateSource(name)
		if got, err := back.TemplateSource(name); err != nil || got != want {
			t.Errorf("template %q: %q (%v), want %q", name, got, err, want)
		}
	}
}
