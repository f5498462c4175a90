package tokenizer

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"lomo/internal/fault"
	"lomo/internal/jinja"
	"lomo/internal/strictjson"
	"lomo/internal/suggest"
)

// known are the chat templates that have names of their own, whatever the tokenizer.
//
//go:embed templates/*.jinja
var known embed.FS

// TemplateNames are the names of the templates that every tokenizer has.
var TemplateNames = func() (names []string) {
	entries, err := known.ReadDir("templates")
	if err != nil {
		panic("tokenizer: the known templates are missing: " + err.Error()) // a programmer's error: they are part of the program
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".jinja"))
	}
	return names
}()

// knownTemplate is the template of this name, "" if there is none.
func knownTemplate(name string) string {
	if !slices.Contains(TemplateNames, name) {
		return ""
	}
	b, _ := known.ReadFile("templates/" + name + ".jinja")
	return string(b)
}

// chatTemplates are the chat templates of a tokenizer by name; "default" is the usual one.
type chatTemplates map[string]string

// HasChatTemplate reports whether the tokenizer came with a chat template.
func (t *Tokenizer) HasChatTemplate() bool { return t.chat["default"] != "" }

// ChatTemplate is what the functions of chats take for what a user calls a template: "" or "tokenizer" for the tokenizer's own, the name of another that
// it came with, one of TemplateNames, a text in Jinja, or the path of a file, whose text it is then.
func (t *Tokenizer) ChatTemplate(value string) (string, error) {
	if value == "" || value == "tokenizer" {
		return value, nil // it may have none, and never be asked
	}
	name := value
	source, err := t.TemplateSource(value)
	if missing := (*unknownTemplateError)(nil); errors.As(err, &missing) {
		source, err = readTemplate(value)
		if errors.Is(err, fs.ErrNotExist) {
			return "", missing
		}
		if name = source; err == nil {
			if _, err = compiledTemplate(source); err != nil {
				err = fmt.Errorf("%s: %w", value, err)
			}
		}
	} else if err == nil {
		_, err = compiledTemplate(source)
	}
	if err != nil {
		return "", err
	}
	return name, nil
}

// readTemplate reads a file that holds a template, or that names one in chat_template as tokenizer_config.json and chat_template.json do.
func readTemplate(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "", fmt.Errorf("%s: a folder; a chat template is a file, such as chat_template.jinja in it", path)
	}
	b, err := readSmall(path)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(b) {
		return "", fmt.Errorf("%s: the chat template is not UTF-8", path)
	}
	if !strings.HasSuffix(path, ".json") {
		return strings.TrimPrefix(string(b), "\uFEFF"), nil
	}
	c, err := templatesIn(path)
	if err == nil && c["default"] == "" {
		err = fmt.Errorf("%s: it has no chat_template", path)
	}
	return c["default"], err
}

// TemplateSource is the source of a template by its name, or the text itself.
func (t *Tokenizer) TemplateSource(name string) (string, error) {
	if name == "" || name == "tokenizer" {
		if source := t.chat["default"]; source != "" {
			return source, nil
		}
		return "", &ChatError{"the tokenizer has none", "name one as chat_template, such as chatml, or give a template or its file; known: " + strings.Join(TemplateNames, ", ")}
	}
	if source := t.chat[name]; source != "" {
		return source, nil
	}
	if source := knownTemplate(name); source != "" {
		if name == "alpaca" && t.addsBOS() {
			source = "{{ bos_token }}" + source // as records of the type alpaca begin
		}
		return source, nil
	}
	if strings.Contains(name, "{%") || strings.Contains(name, "{{") || strings.Contains(name, "\n") {
		return name, nil
	}
	return "", &unknownTemplateError{name, t.chat}
}

// addsBOS reports whether the tokenizer begins a text with its bos.
func (t *Tokenizer) addsBOS() bool {
	ids, err := t.Encode("", true)
	return err == nil && len(ids) > 0 && ids[0] == t.names.bos
}

// ChatError is what is wrong with a template, or with a conversation that it is to write.
type ChatError struct{ msg, advice string }

func (e *ChatError) Error() string { return "chat template: " + e.msg }

// Hint is what to do about it.
func (e *ChatError) Hint() string { return e.advice }

// unknownTemplateError says that nothing has this name.
type unknownTemplateError struct {
	name string
	own  chatTemplates
}

func (e *unknownTemplateError) names() []string {
	return append(slices.Sorted(maps.Keys(e.own)), TemplateNames...)
}

func (e *unknownTemplateError) Error() string {
	return fmt.Sprintf("chat template %q: no template of this name (known: tokenizer, %s), and no such file", e.name, strings.Join(e.names(), ", "))
}

// Hint names the template that was probably meant.
func (e *unknownTemplateError) Hint() string {
	if near := suggest.Nearest(strings.ToLower(e.name), e.names()); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "give one of these names, the template itself, or the path of a file with it"
}

// compiledTemplate is the template of this source.
func compiledTemplate(source string) (*jinja.Template, error) {
	if c, ok := compiled.Load(source); ok {
		return c.(*jinja.Template), nil
	}
	c, err := jinja.Compile(source)
	if err != nil {
		return nil, err
	}
	compiled.Store(source, c)
	return c, nil
}

// compiled holds parsed templates by source: a run has one or two.
var compiled sync.Map

// readTemplates reads the templates of a folder. A file of its own wins: chat_template.jinja is the usual one, additional_chat_templates/NAME.jinja are
// further ones. Else they are the chat_template of tokenizer_config.json, or of chat_template.json, where processors have theirs.
func (t *Tokenizer) readTemplates(dir string) error {
	t.chat = chatTemplates{}
	for _, name := range []string{"chat_template.json", "tokenizer_config.json"} {
		c, err := templatesIn(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		maps.Copy(t.chat, c)
	}
	folder := filepath.Join(dir, "additional_chat_templates")
	more, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		err = fault.Dangling(folder)
	}
	if err != nil {
		return err
	}
	files := map[string]string{"default": filepath.Join(dir, "chat_template.jinja")}
	for _, e := range more {
		if name, ok := strings.CutSuffix(e.Name(), ".jinja"); ok {
			files[name] = filepath.Join(folder, e.Name())
		}
	}
	for name, path := range files {
		if err := fault.InsteadOf(path); err != nil && name != "default" { // a further template that is not there is missed when it is asked for
			continue
		}
		source, err := readTemplate(path)
		if err == nil {
			t.chat[name] = source
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// templatesIn are the templates under chat_template in a JSON file: a text, or a list of {name, template}.
func templatesIn(path string) (chatTemplates, error) {
	b, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	members, err := strictjson.Members(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := chatTemplates{}
	for _, m := range members {
		if m.Name != "chat_template" || isNull(m.Value) {
			continue
		}
		if m.Value[0] == '"' {
			var s string
			if err := strictjson.Unmarshal(m.Value, &s); err != nil {
				return nil, fmt.Errorf("%s: chat_template: %w", path, err)
			}
			c["default"] = s
			continue
		}
		var list []json.RawMessage
		if list, err = strictjson.Elements(m.Value); err != nil {
			return nil, fmt.Errorf("%s: chat_template: %w", path, err)
		}
		for i, raw := range list {
			var e struct {
				Name     string `json:"name"`
				Template string `json:"template"`
			}
			if err := strictjson.Unmarshal(raw, &e); err != nil || e.Name == "" {
				return nil, fmt.Errorf("%s: chat_template: entry %d is no {name, template}", path, i+1)
			}
			c[e.Name] = e.Template
		}
	}
	return c, nil
}
