package tokenizer

import (
	"fmt"
	"slices"
	"strings"

	"lomo/internal/jinja"
)

// contentText is the text of the content, that of its parts where it has some.
func (m *Message) contentText() string {
	if m.Fields == nil {
		return m.Content
	}
	return textOf(m.field("content"))
}

// textOf is all the text in a value, but for what says the type of a part.
func textOf(v jinja.Value) string {
	var b strings.Builder
	eachString(v, func(s string) jinja.Value {
		b.WriteString(s)
		return s
	})
	return b.String()
}

// calls tells whether the message calls a tool.
func (m *Message) calls() bool { return !isEmpty(m.field("tool_calls", "function_call")) }

// says tells whether the message has a word, or a call.
func (m *Message) says() bool {
	return !blank(m.contentText()) || m.calls() || !blank(textOf(m.reasoning()))
}

func isEmpty(v jinja.Value) bool {
	switch v := v.(type) {
	case nil:
		return true
	case *jinja.List:
		return v.Len() == 0
	case *jinja.Dict:
		return v.Len() == 0
	}
	s, ok := jinja.Text(v)
	return ok && s == ""
}

// complete reports what the conversation has and its text has not. White space may go, and reasoning of earlier turns.
func (c *chat) complete(r jinja.Result, how rendering) error {
	reasoned, reasoning := -1, false
	for k := range c.msgs {
		if err := c.has(r, how, k); err != nil {
			return err
		}
		if m := &c.msgs[k]; m.Role == "assistant" && !blank(textOf(m.reasoning())) {
			reasoned, reasoning = k, reasoning || shows(r, markOf(k, reasoningText))
		}
	}
	if reasoned >= 0 && !reasoning && !c.reasons(r, how, reasoned) {
		return c.leftOut("the reasoning", reasoned)
	}
	for _, v := range []struct {
		name    string
		value   jinja.Value
		mark    int
		without rendering
	}{
		{"tools", c.o.Tools, toolsMark, rendering{prompt: how.prompt, noTools: true}},
		{"documents", c.o.Documents, documentsMark, rendering{prompt: how.prompt, noDocuments: true}},
	} {
		if isEmpty(v.value) || shows(r, v.mark) {
			continue
		}
		if other, err := c.render(c.msgs, v.without); err == nil && other.Text == r.Text {
			return &ChatError{"it leaves out the " + v.name, "choose a chat_template that has " + v.name + ", such as qwen for tools, or leave them out of the data"}
		}
	}
	return nil
}

// has reports whether the text lacks the content or the calls of message k.
func (c *chat) has(r jinja.Result, how rendering, k int) error {
	m := &c.msgs[k]
	if !blank(m.contentText()) && !shows(r, markOf(k, contentText)) && !c.matters(r, how, k, contentText) {
		return c.leftOut("the content", k)
	}
	if m.calls() && !shows(r, markOf(k, callText)) && !c.matters(r, how, k, callText) {
		return c.leftOut("the tool calls", k)
	}
	return nil
}

// shows tells whether the text has something of a mark.
func shows(r jinja.Result, mark int) bool {
	return slices.ContainsFunc(r.Origins, func(o jinja.Origin) bool { return o.Mark == mark })
}

// matters tells whether other words in message k would give another text: a template may act on what it does not show.
func (c *chat) matters(r jinja.Result, how rendering, k int, what kind) bool {
	how.marked = false
	how.instead = func(message int, kind kind, s string) string {
		if message == k && kind == what {
			return "other words"
		}
		return s
	}
	other, err := c.render(c.msgs, how)
	return err != nil || other.Text != r.Text
}

// reasons tells whether the template shows the reasoning of message k at least while that is the last one.
func (c *chat) reasons(r jinja.Result, how rendering, k int) bool {
	if k == len(c.msgs)-1 {
		return shows(r, markOf(k, reasoningText)) || c.matters(r, how, k, reasoningText)
	}
	last, err := c.render(c.msgs[:k+1], rendering{marked: true})
	if err != nil {
		return true
	}
	return shows(last, markOf(k, reasoningText))
}

func (c *chat) leftOut(what string, k int) error {
	return &ChatError{fmt.Sprintf("it leaves out %s of message %d (%s)", what, k+1, c.msgs[k].Role),
		"choose a chat_template that has a place for it, or leave it out of the data"}
}

// shortened tells whether the text has less of what message k says than the message: white space aside.
func (l *learning) shortened(k int) bool {
	m := &l.msgs[k]
	for _, part := range []struct {
		kind kind
		text string
	}{{contentText, m.contentText()}, {reasoningText, textOf(m.reasoning())}} {
		shown := 0
		for _, o := range l.text.Origins {
			if o.Mark == markOf(k, part.kind) {
				shown += solid(l.text.Text[o.Start:o.End])
			}
		}
		if shown < solid(part.text) {
			return true
		}
	}
	return false
}

// solid is how many bytes of s are no white space.
func solid(s string) (n int) {
	for _, field := range strings.Fields(s) {
		n += len(field)
	}
	return n
}
