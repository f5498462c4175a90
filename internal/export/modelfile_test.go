package export

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/model"
	"lomo/internal/tokenizer"
)

// withTemplate is a tokenizer of bytes with this chat template.
func withTemplate(t *testing.T, source string) *tokenizer.Tokenizer {
	t.Helper()
	dir := t.TempDir()
	if err := tokenizer.NewByteLevel().WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tokenizer_config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	if c["chat_template"] = source; source == "" {
		delete(c, "chat_template")
	}
	raw, _ = json.Marshal(c)
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestModelfile: the known templates, and one with a system message of its own, are written in Ollama's language, in which they write the same.
func TestModelfile(t *testing.T) {
	chatml := tokenizer.NewByteLevel()
	text, note := Modelfile("sub/m.gguf", chatml, &model.Config{MaxPositions: 512})
	want := `FROM ./m.gguf
TEMPLATE """{{- $last := "" }}{{ range .Messages }}{{ if eq .Role "assistant" }}<|im_end|>
<|im_start|>assistant
{{ .Content }}{{ else if eq .Role "system" }}<|im_start|>system
{{ .Content }}{{ else if eq .Role "user" }}{{ if eq $last "assistant" }}<|im_end|>
<|im_start|>user
{{ else if eq $last "system" }}<|im_end|>
<|im_start|>user
{{ else }}<|im_start|>user
{{ end }}{{ .Content }}{{ end }}{{ $last = .Role }}{{ end }}<|im_end|>
<|im_start|>assistant
"""
PARAMETER stop "<|endoftext|>"
PARAMETER stop "<|im_end|>"
PARAMETER num_ctx 512
`
	if text != want || note != "" {
		t.Errorf("%s\nwant\n%s\nnote %q", text, want, note)
	}
	for _, name := range tokenizer.TemplateNames {
		source, err := chatml.TemplateSource(name)
		if err != nil {
			t.Fatal(err)
		}
		text, note := Modelfile("m.gguf", withTemplate(t, source), &model.Config{MaxPositions: 1 << 17})
		if !strings.Contains(text, "TEMPLATE") || !strings.Contains(text, "PARAMETER num_ctx 8192\n") {
			t.Logf("%s: %s (%s)", name, text, note)
			if note == "" {
				t.Errorf("%s: no TEMPLATE, and nothing said", name)
			}
		}
	}
	own := `{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nBe {{kind}}.<|im_end|>\n' }}{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`
	if text, note := Modelfile("m.gguf", withTemplate(t, own), &model.Config{MaxPositions: 64}); note != "" || !strings.Contains(text, `{{ "<|im_start|>system\nBe {{kind}}.<|im_end|>\n<|im_start|>user\n" }}`) {
		t.Errorf("%s, note %q", text, note)
	}
}

// TestModelfileSays: what Ollama's language cannot express is said, and no TEMPLATE is written.
func TestModelfileSays(t *testing.T) {
	for source, want := range map[string]string{
		`{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}`: "it writes the date",
		`{% for m in messages %}{{ loop.index }}: {{ m.content }};{% endfor %}`:            "it writes a turn differently by its place",
		`{{ messages[-1].content }}`: "it leaves out the content of message 1",
		`{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('none') }}{% endif %}[{{ m.content }}]{% endfor %}`: "takes no system message",
	} {
		text, note := Modelfile("m.gguf", withTemplate(t, source), &model.Config{MaxPositions: 64})
		if !strings.Contains(note, want) || strings.Contains(text, "TEMPLATE") != strings.Contains(want, "takes no system") {
			t.Errorf("%s: %s, note %q, want %q", source, text, note, want)
		}
	}
	if text, note := Modelfile("m.gguf", withTemplate(t, ""), &model.Config{MaxPositions: 64}); note != "" || strings.Contains(text, "TEMPLATE") {
		t.Errorf("%s, note %q", text, note)
	}
}
