package data

import (
	"encoding/json"
	"fmt"
	"strings"

	"lomo/internal/data/records"
	"lomo/internal/tokenizer"
)

// messages reads {messages: [{role, content, weight?}]} as OpenAI writes chats. weight 0, or train false, leaves a
// message out of the loss.
func messages(e *encoder, r records.Record) error {
	var list []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
		Weight  *float64        `json:"weight"`
		Train   *bool           `json:"train"`
	}
	if err := r.Decode("messages", &list); err != nil {
		return err
	}
	msgs := make([]tokenizer.Message, len(list))
	for i, m := range list {
		if m.Role == "" {
			return r.Errorf("message %d: role is missing", i+1)
		}
		content, err := plainText(m.Content)
		if err != nil {
			return r.Errorf("message %d (%s): %w", i+1, m.Role, err)
		}
		if m.Weight != nil && *m.Weight == 0 {
			m.Train = new(bool)
		}
		msgs[i] = tokenizer.Message{Role: m.Role, Content: content, Train: m.Train}
	}
	return e.chat(r, msgs)
}

// plainText reads the content of a message: a string, or a list of parts {type: text, text}.
func plainText(raw json.RawMessage) (string, error) {
	var s string
	if len(raw) == 0 || string(raw) == "null" {
		return "", fmt.Errorf("content is missing")
	}
	if json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	var parts []struct{ Type, Text string }
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", fmt.Errorf("content: want a string or a list of text parts")
	}
	var out strings.Builder
	for i, p := range parts {
		if p.Type != "text" {
			return "", fmt.Errorf("content part %d: type %q, only text can be learned", i+1, p.Type)
		}
		out.WriteString(p.Text)
	}
	return out.String(), nil
}

// sharegptRoles are the speakers of ShareGPT files under their usual names.
var sharegptRoles = map[string]string{
	"human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "assistant": "assistant", "system": "system",
	"observation": "tool", "tool": "tool",
}

// sharegpt reads {conversations: [{from, value}], system?}.
func sharegpt(e *encoder, r records.Record) error {
	var list []struct {
		From  string  `json:"from"`
		Value *string `json:"value"`
	}
	if err := r.Decode("conversations", &list); err != nil {
		return err
	}
	var msgs []tokenizer.Message
	system, err := r.OptString("system")
	if err != nil {
		return err
	}
	if system != "" {
		msgs = append(msgs, tokenizer.Message{Role: "system", Content: system})
	}
	for i, m := range list {
		role := sharegptRoles[m.From]
		if role == "" {
			return r.Errorf("turn %d: from is %q, want human, gpt, system, observation or tool", i+1, m.From)
		}
		if m.Value == nil {
			return r.Errorf("turn %d (%s): value is missing", i+1, m.From)
		}
		msgs = append(msgs, tokenizer.Message{Role: role, Content: *m.Value})
	}
	return e.chat(r, msgs)
}

// chat adds a conversation as the chat template writes it.
func (e *encoder) chat(r records.Record, msgs []tokenizer.Message) error {
	if len(msgs) == 0 {
		return r.Errorf("the conversation has no message")
	}
	c, err := e.tok.ChatTokens(msgs, tokenizer.ChatOptions{Roles: e.o.RolesToTrain, TrainOnEOS: e.o.TrainOnEOS, Template: e.o.ChatTemplate})
	if err != nil {
		return &records.Error{Path: r.Path, Line: r.Line, Err: err, Advice: "see chat_template: the tokenizer's own, or a Jinja template that takes messages of these roles"}
	}
	return e.masked(r, c.IDs, c.Train)
}
