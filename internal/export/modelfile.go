package export

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/template"

	"lomo/internal/model"
	"lomo/internal/tokenizer"
)

// mostContext is the num_ctx of a Modelfile for models that know more positions: Ollama takes memory for all of them at once.
const mostContext = 8192

// Modelfile is the file from which `ollama create` makes a model of the GGUF file at path, which lies beside it. note says what of the chat
// template it could not express, "" for nothing.
func Modelfile(path string, tok *tokenizer.Tokenizer, c *model.Config) (text, note string) {
	var b strings.Builder
	fmt.Fprintf(&b, "FROM ./%s\n", filepath.Base(path))
	stops := tok.EOSIDs()
	if tok.HasChatTemplate() {
		switch turns, err := templateOf(tok); {
		case err != nil:
			note = fmt.Sprintf("the Modelfile has no TEMPLATE, because Ollama's language cannot express the chat template: %v", err)
		default:
			fmt.Fprintf(&b, "TEMPLATE \"\"\"%s\"\"\"\n", turns.text)
			if !turns.system {
				note = "the chat template takes no system message, and the Modelfile's TEMPLATE leaves one out"
			}
		}
		if ends, err := tok.ChatStops(""); err == nil {
			stops = ends
		}
	}
	for _, id := range stops {
		fmt.Fprintf(&b, "PARAMETER stop %q\n", tok.Token(id))
	}
	fmt.Fprintf(&b, "PARAMETER num_ctx %d\n", min(c.Positions(), mostContext))
	return b.String(), note
}

// turns is a chat template in Ollama's language, which is Go's.
type turns struct {
	text   string
	system bool // it writes system messages
}

// templateOf writes the tokenizer's chat template anew from what it puts between the turns of a conversation, and compares both on
// conversations of several kinds. A template that does more than to put texts between turns is an error.
func templateOf(tok *tokenizer.Tokenizer) (*turns, error) {
	if source, err := tok.TemplateSource(""); err != nil || strings.Contains(source, "strftime_now") {
		return nil, fmt.Errorf("it writes the date")
	}
	alone, err := between(tok, "user", "assistant", "user")
	if err != nil {
		return nil, err
	}
	t := &turns{}
	system, err := between(tok, "system", "user", "assistant", "user")
	t.system = err == nil
	first, then := alone[0], ""
	if t.system {
		first = system[0]
		then = system[1]
	}
	var b strings.Builder
	b.WriteString(`{{- $last := "" }}{{ range .Messages }}{{ if eq .Role "assistant" }}` + literal(alone[1]) + `{{ .Content }}`)
	if t.system {
		b.WriteString(`{{ else if eq .Role "system" }}` + literal(first) + `{{ .Content }}`)
	}
	b.WriteString(`{{ else if eq .Role "user" }}{{ if eq $last "assistant" }}` + literal(alone[2]))
	if t.system {
		b.WriteString(`{{ else if eq $last "system" }}` + literal(then))
	}
	b.WriteString(`{{ else }}` + literal(alone[0]) + `{{ end }}{{ .Content }}{{ end }}{{ $last = .Role }}{{ end }}` + literal(alone[3]))
	t.text = b.String()
	if strings.Contains(t.text, `"""`) {
		return nil, fmt.Errorf("it writes three quotation marks")
	}
	return t, t.compare(tok)
}

// literal is a text within a template.
func literal(s string) string {
	if strings.Contains(s, "{{") || strings.HasSuffix(s, "{") {
		return fmt.Sprintf("{{ %q }}", s)
	}
	return s
}

// conversation is messages of these roles, told apart by their texts.
func conversation(roles ...string) (msgs []tokenizer.Message) {
	for i, role := range roles {
		msgs = append(msgs, tokenizer.Message{Role: role, Content: fmt.Sprintf("Text %d (é).", i+1)})
	}
	return msgs
}

// between is what a chat template writes before the first message, between messages, and behind the last, where the assistant is to begin.
func between(tok *tokenizer.Tokenizer, roles ...string) (parts []string, err error) {
	msgs := conversation(roles...)
	text, err := rendered(tok, msgs)
	if err != nil {
		return nil, err
	}
	for _, m := range msgs {
		before, after, found := strings.Cut(text, m.Content)
		if !found {
			return nil, fmt.Errorf("it does not write all messages")
		}
		parts, text = append(parts, before), after
	}
	return append(parts, text), nil
}

// rendered is a conversation without the bos that programs put before every text.
func rendered(tok *tokenizer.Tokenizer, msgs []tokenizer.Message) (string, error) {
	text, err := tok.RenderChat(msgs, "", true)
	if err != nil {
		return "", err
	}
	if ids, err := tok.Encode("", true); err == nil && len(ids) > 0 && ids[0] == tok.BOS() {
		text = strings.TrimPrefix(text, tok.Token(tok.BOS()))
	}
	return text, nil
}

// compare renders conversations with both templates.
func (t *turns) compare(tok *tokenizer.Tokenizer) error {
	parsed, err := template.New("chat").Parse(t.text)
	if err != nil {
		return err
	}
	for _, roles := range []string{"user", "user assistant user", "system user", "system user assistant user", "user assistant user assistant user"} {
		if strings.Contains(roles, "system") && !t.system {
			continue
		}
		msgs := conversation(strings.Fields(roles)...)
		want, err := rendered(tok, msgs)
		if err != nil {
			return err
		}
		var have strings.Builder
		if err := parsed.Execute(&have, map[string]any{"Messages": msgs}); err != nil {
			return err
		}
		if have.String() != want {
			return fmt.Errorf("it writes a turn differently by its place (%s)", strings.ReplaceAll(roles, " ", ", "))
		}
	}
	return nil
}
