package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string
	Content string
	// Train says whether this turn is learned; nil: its role decides.
	Train *bool
}

// chatTemplates are the chat templates of a tokenizer by name; "default" is the usual one.
type chatTemplates map[string]string

// maxOutput bounds a rendered conversation besides its messages.
const maxOutput = 1 << 20

// chatML is the template that `chatml` names, and that NewByteLevel has.
const chatML = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}` +
	`{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// HasChatTemplate reports whether the tokenizer came with a chat template.
func (t *Tokenizer) HasChatTemplate() bool { return t.chat["default"] != "" }

// RenderChat is the conversation as the tokenizer's chat template writes it. Encode the result with
// special false: it has its own bos. addGenerationPrompt ends it where the assistant would begin.
func (t *Tokenizer) RenderChat(msgs []Message, addGenerationPrompt bool) (string, error) {
	c, err := t.template("")
	if err != nil {
		return "", err
	}
	s, _, err := t.render(c, msgs, addGenerationPrompt)
	return s, err
}

// template is the compiled template of this name: "" or "tokenizer" for the tokenizer's own, another
// one that it came with, "chatml", or a template given as its text.
func (t *Tokenizer) template(name string) (*exec.Template, error) {
	source, ok := t.chat[name]
	switch {
	case ok:
	case name == "" || name == "tokenizer":
		if source, ok = t.chat["default"]; !ok {
			return nil, errors.New("chat template: the tokenizer has none; name one (chatml) or give its text")
		}
	case name == "chatml":
		source = chatML
	case strings.Contains(name, "{%") || strings.Contains(name, "{{"):
		source = name
	default:
		return nil, fmt.Errorf("chat template %q: the tokenizer has no template of this name (known: chatml%s)", name, t.chat.list())
	}
	if c, ok := compiled.Load(source); ok {
		return c.(*exec.Template), nil
	}
	c, err := compile(source)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", shorten(err))
	}
	compiled.Store(source, c)
	return c, nil
}

// compiled holds parsed templates by source: a run has one or two.
var compiled sync.Map

func (c chatTemplates) list() string {
	var b strings.Builder
	var names []string
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.WriteString(", " + name)
	}
	return b.String()
}

// render is the text, and the parts of it inside {% generation %}.
func (t *Tokenizer) render(c *exec.Template, msgs []Message, prompt bool) (_ string, spans [][2]int, err error) {
	limit := maxOutput
	list := make([]any, len(msgs))
	for i, m := range msgs {
		d := exec.NewDict()
		d.Pairs = []*exec.Pair{
			{Key: exec.AsValue("role"), Value: exec.AsValue(m.Role)},
			{Key: exec.AsValue("content"), Value: exec.AsValue(m.Content)},
		}
		list[i] = d
		limit += 4 * (len(m.Role) + len(m.Content))
	}
	state := &render{limit: limit}
	state.output.limit = limit
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("chat template: cannot be rendered: %v", r)
		}
	}()
	variables := map[string]any{
		stateKey:                state,
		"messages":              list,
		"add_generation_prompt": prompt,
		"date_string":           templateTime.Format("02 Jan 2006"),
	}
	for name, id := range map[string]int32{"bos_token": t.names.bos, "eos_token": t.names.eos, "pad_token": t.names.pad, "unk_token": t.names.unk} {
		if id >= 0 {
			variables[name] = t.Token(id)
		}
	}
	err = c.Execute(&state.output, exec.NewContext(variables))
	if state.raised != "" {
		return "", nil, fmt.Errorf("chat template: %s", state.raised)
	}
	if err != nil {
		return "", nil, fmt.Errorf("chat template: %w", shorten(err))
	}
	return state.output.b.String(), state.output.spans, nil
}

// shorten keeps an error readable: gonja quotes the whole template in some.
func shorten(err error) error {
	const most = 400
	if s := err.Error(); len(s) > most {
		return errors.New("… " + strings.ToValidUTF8(s[len(s)-most:], ""))
	}
	return err
}

// readTemplates reads the templates of a folder: chat_template.jinja, else chat_template in
// tokenizer_config.json, a text or a list of {name, template}.
func (t *Tokenizer) readTemplates(dir string) error {
	b, err := readSmall(filepath.Join(dir, "chat_template.jinja"))
	if err == nil {
		t.chat = chatTemplates{"default": string(b)}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var config struct {
		Template json.RawMessage `json:"chat_template"`
	}
	path := filepath.Join(dir, "tokenizer_config.json")
	if err := readConfig(path, &config); err != nil || isNull(config.Template) {
		return err
	}
	if config.Template[0] == '"' {
		var s string
		err := json.Unmarshal(config.Template, &s)
		t.chat = chatTemplates{"default": s}
		return err
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(config.Template, &list); err != nil {
		return fmt.Errorf("%s: chat_template: %w", path, err)
	}
	t.chat = make(chatTemplates)
	for _, e := range list {
		t.chat[e.Name] = e.Template
	}
	return nil
}
