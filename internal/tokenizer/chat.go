package tokenizer

import (
	"maps"
	"slices"
	"time"

	"lomo/internal/jinja"
)

// Message is one turn of a conversation.
type Message struct {
	Role string
	// Content is the text where the content is one, "" beside Fields when it is null or consists of parts.
	Content string
	// Fields are all fields of the message as the template sees them, role and content included; nil: role and content only.
	Fields *jinja.Dict
	// NullContent passes the content as none: fields that are null are left out otherwise.
	NullContent bool
	// Train says whether this turn is learned; nil: its role decides.
	Train *bool
}

// ChatOptions says how a conversation is rendered, and what of it is learned.
type ChatOptions struct {
	// Roles are the roles whose turns are learned, unless a message says otherwise; nil: assistant.
	Roles []string
	// TrainOnEOS says which end-of-turn tokens are learned: "turn" (or ""), those of learned turns;
	// "all", also those of the others; "last", that of the last learned turn; "none".
	TrainOnEOS string
	// Template is what ChatTemplate gave.
	Template string
	// Tools and Documents are the template's variables of these names; nil: none.
	Tools, Documents jinja.Value
	// Args are further variables of the template. They win over those that a tokenizer has, not over the conversation.
	Args *jinja.Dict
}

// RenderChat is the conversation as the chat template of this name writes it; see ChatTemplate for names. Encode the result with
// special false: it has its own bos. addGenerationPrompt ends it where the assistant would begin.
func (t *Tokenizer) RenderChat(msgs []Message, template string, addGenerationPrompt bool) (string, error) {
	c, err := t.newChat(msgs, ChatOptions{Template: template})
	if err != nil {
		return "", err
	}
	how := rendering{prompt: addGenerationPrompt, marked: true}
	r, err := c.render(msgs, how)
	if err != nil {
		return "", err
	}
	return r.Text, c.complete(r, how)
}

// chat is one conversation on its way through a template.
type chat struct {
	t        *Tokenizer
	source   string
	template *jinja.Template
	msgs     []Message
	o        ChatOptions
	found    *habits // of the template, once they were looked for
}

// ChatStops are the tokens that end a text written with the chat template of this name: the tokenizer's own, and the one that the template ends turns with.
func (t *Tokenizer) ChatStops(template string) ([]int32, error) {
	stops, _, err := t.ChatEnds(template)
	return stops, err
}

// ChatEnds are ChatStops, and where the template ends an assistant's turn with no token the text that does, "" for none: what it writes there
// itself, such as <|im_end|> of a tokenizer without that token, or the header of the next turn.
func (t *Tokenizer) ChatEnds(template string) (stops []int32, text string, err error) {
	c, err := t.newChat(nil, ChatOptions{Template: template})
	if err != nil {
		return nil, "", err
	}
	h := c.habits()
	stops = t.EOSIDs()
	for _, id := range slices.Sorted(maps.Keys(h.stops)) {
		if !slices.Contains(stops, id) {
			stops = append(stops, id)
		}
	}
	return stops, h.endText(), nil
}

func (t *Tokenizer) newChat(msgs []Message, o ChatOptions) (*chat, error) {
	if own := t.chat["tool_use"]; o.Tools != nil && own != "" && (o.Template == "" || o.Template == "tokenizer") {
		o.Template = "tool_use" // as transformers chooses
	}
	source, err := t.TemplateSource(o.Template)
	if err != nil {
		return nil, err
	}
	template, err := compiledTemplate(source)
	if err != nil {
		return nil, err
	}
	return &chat{t: t, source: source, template: template, msgs: msgs, o: o}, nil
}

// rendering says how a conversation is to be rendered.
type rendering struct {
	prompt bool // end it where the assistant would begin
	marked bool // follow the strings of the messages into the text
	// instead changes a string of a message before the template sees it; nil: none.
	instead     func(message int, kind kind, s string) string
	noTools     bool
	noDocuments bool
}

// templateTime is what strftime_now tells: training data must not depend on the day of the run. It is the day that Llama 3's
// templates take where they cannot ask.
var templateTime = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// kind is what a string of a message is to it.
type kind int

const (
	roleText      kind = iota
	headerText         // name, tool_call_id: what stands about the message, not in it
	contentText        // the content, or the texts of its parts
	reasoningText      // reasoning_content and its other names
	callText           // everything in tool_calls
	otherText          // any other field
	kinds
)

// toolsMark and documentsMark are the marks of strings in these variables; those of messages are 0 and above.
const toolsMark, documentsMark = -1, -2

// kindOf is the kind of the strings in a field of a message.
func kindOf(field string) kind {
	switch field {
	case "role":
		return roleText
	case "name", "tool_call_id", "id":
		return headerText
	case "content":
		return contentText
	case "reasoning_content", "reasoning", "thinking":
		return reasoningText
	case "tool_calls", "function_call":
		return callText
	}
	return otherText
}

// markOf is the mark of the strings of a kind in message k.
func markOf(k int, kind kind) int { return k*int(kinds) + int(kind) }

// place is the message and the kind of string that a mark stands for; -1 for no message.
func place(mark int) (message int, k kind) {
	if mark < 0 {
		return -1, 0
	}
	return mark / int(kinds), kind(mark % int(kinds))
}

// isBody tells whether a mark stands for what message k says, rather than for what stands about it.
func isBody(mark, k int) bool {
	message, kind := place(mark)
	return message == k && kind > headerText
}

// render is the text of messages. Their numbers are those in msgs.
func (c *chat) render(msgs []Message, how rendering) (jinja.Result, error) {
	vars := jinja.NewDict()
	n := &c.t.names
	for _, v := range []struct {
		name string
		id   int32
	}{{"bos_token", n.bos}, {"eos_token", n.eos}, {"pad_token", n.pad}, {"unk_token", n.unk}} {
		if v.id >= 0 {
			vars.Set(v.name, c.t.Token(v.id))
		}
	}
	vars.Set("date_string", templateTime.Format("02 Jan 2006"))
	if c.o.Args != nil {
		for _, key := range c.o.Args.Keys() {
			v, _ := c.o.Args.Get(key)
			vars.Set(key, v)
		}
	}
	list := jinja.NewList()
	for i, m := range msgs {
		list.Append(m.value(i, how))
	}
	vars.Set("messages", list)
	vars.Set("add_generation_prompt", how.prompt)
	vars.Set("tools", optional(c.o.Tools, how.noTools, toolsMark, how.marked))
	vars.Set("documents", optional(c.o.Documents, how.noDocuments, documentsMark, how.marked))
	return c.template.Render(vars, jinja.Options{Now: templateTime})
}

// optional is the variable that a template gets for v.
func optional(v jinja.Value, without bool, mark int, marked bool) jinja.Value {
	if v == nil || without {
		return nil
	}
	if !marked {
		return v
	}
	return eachString(v, func(s string) jinja.Value { return jinja.Marked(s, mark) })
}

// value is message number k for a template. As transformers has it, fields that are null are left out, and reasoning is found under each of its names.
func (m *Message) value(k int, how rendering) *jinja.Dict {
	d := jinja.NewDict()
	set := func(field string, v jinja.Value) {
		kind := kindOf(field)
		d.Set(field, eachString(v, func(s string) jinja.Value {
			if how.instead != nil {
				s = how.instead(k, kind, s)
			}
			if !how.marked {
				return s
			}
			return jinja.Marked(s, markOf(k, kind))
		}))
	}
	if m.Fields == nil {
		set("role", m.Role)
		set("content", m.Content)
		return d
	}
	reasoning := m.reasoning()
	if _, has := m.Fields.Get("thinking"); reasoning != nil && !has {
		set("thinking", reasoning)
	}
	for _, field := range m.Fields.Keys() {
		if v, _ := m.Fields.Get(field); v != nil {
			set(field, v)
		}
	}
	if reasoning != nil {
		set("reasoning_content", reasoning)
	}
	if m.NullContent {
		d.Set("content", nil)
	}
	return d
}

// reasoning is the message's reasoning, nil for none.
func (m *Message) reasoning() jinja.Value {
	return m.field("reasoning_content", "thinking", "reasoning")
}

// field is the first of these fields that is not null.
func (m *Message) field(names ...string) jinja.Value {
	if m.Fields == nil {
		return nil
	}
	for _, name := range names {
		if v, _ := m.Fields.Get(name); v != nil {
			return v
		}
	}
	return nil
}

// eachString is v with every string in it, but for keys and types, replaced by what f makes of it.
func eachString(v jinja.Value, f func(string) jinja.Value) jinja.Value {
	switch v := v.(type) {
	case *jinja.List:
		list := jinja.NewList()
		for i := range v.Len() {
			list.Append(eachString(v.At(i), f))
		}
		return list
	case *jinja.Dict:
		d := jinja.NewDict()
		for _, key := range v.Keys() {
			item, _ := v.Get(key)
			if key != "type" { // of a part, a call or a schema: a word of the form, not of the text
				item = eachString(item, f)
			}
			d.Set(key, item)
		}
		return d
	}
	if s, ok := jinja.Text(v); ok {
		return f(s)
	}
	return v
}
