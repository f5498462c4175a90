package tokenizer

import (
	"slices"
	"sort"
	"strings"
	"unicode"

	"lomo/internal/jinja"
)

// habits are what a template does with every plain turn, seen in a conversation made for it.
type habits struct {
	// header is what stands between the text before an assistant's turn and what the assistant says: the generation prompt, or where the template has none
	// what it writes all the same. White space alone is no header: the model writes it.
	header string
	// prompts says that the header is the generation prompt.
	prompts bool
	// written is the header as the template writes it before an answer that is there. It may differ from the prompt, which may begin the answer (<think>).
	written string
	// ends are the tokens that end a turn: the eos tokens, and those that the template ends turns with. stops are those that end an assistant's.
	ends, stops map[int32]bool
	// mark is the text that ends an assistant's turn where no token does, such as <|im_end|> on a tokenizer that does not have it.
	mark string
	// token says that a token ends an assistant's turn. next is what stands between one and what the user says then.
	token bool
	next  string
}

// endText is the text that ends an assistant's turn where no token does.
func (h *habits) endText() string {
	switch {
	case h.token:
		return ""
	case h.mark != "":
		return h.mark
	case blank(h.next):
		return ""
	}
	return strings.TrimRightFunc(h.next, unicode.IsSpace) // a turn has the white space behind it in a token of its own, or in the next one
}

// The conversation that shows a template's habits.
var (
	sampleUser      = Message{Role: "user", Content: "Is it so"}
	sampleAssistant = Message{Role: "assistant", Content: "It is"}
)

// habits looks for the habits of the conversation's template. They are kept for the next one; only arguments may change them.
func (c *chat) habits() *habits {
	if c.found == nil && c.o.Args == nil {
		if h, ok := c.t.habits.Load(c.source); ok {
			c.found = h.(*habits)
		}
	}
	if c.found == nil {
		h, sampled := c.observe()
		c.found = &h
		if sampled && c.o.Args == nil {
			c.t.habits.Store(c.source, c.found)
		}
	}
	return c.found
}

func (c *chat) observe() (h habits, sampled bool) {
	h = habits{ends: map[int32]bool{}, stops: map[int32]bool{}}
	for _, id := range c.t.names.eosIDs {
		h.ends[id], h.stops[id] = true, true
	}
	o := observer{chat: c, habits: &h, before: []Message{sampleUser}, how: rendering{marked: true, noTools: true, noDocuments: true}}
	said, err := c.render(append(o.before, sampleAssistant), o.how)
	sampled = err == nil
	if err != nil { // a template may not take the sample: then the conversation's own beginning goes before the answer
		o.how = rendering{marked: true}
		for k, m := range c.msgs {
			if m.Role == "assistant" && k > 0 {
				o.before = c.msgs[:k:k]
				break
			}
		}
		if said, err = c.render(append(o.before, sampleAssistant), o.how); err != nil {
			return h, false
		}
	}
	start, end := body(said, len(o.before), len(said.Text))
	if start >= 0 {
		o.header(said.Text, start)
		o.end(said, start, end)
	}
	return h, sampled
}

// observer looks at an answer behind the messages before.
type observer struct {
	*chat
	*habits
	before []Message
	how    rendering
}

// body is where the text has what message k says before byte limit, from its first byte to behind its last; -1 for nowhere. Where the text has it twice, the
// last place counts.
func body(r jinja.Result, k, limit int) (start, end int) {
	start, end = -1, -1
	apart := true
	for _, o := range r.Origins {
		switch m, kind := place(o.Mark); {
		case o.Start >= limit:
			return start, end
		case isBody(o.Mark, k):
			if apart {
				start, apart = o.Start, false
			}
			end = o.End
		case m != k && kind > headerText && m >= 0:
			apart = true
		}
	}
	return start, end
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// header finds what stands before an answer that begins at byte start of text.
func (o *observer) header(text string, start int) {
	asked, err := o.render(o.before, o.how)
	if err != nil {
		return
	}
	if strings.HasPrefix(text, asked.Text) && start >= len(asked.Text) {
		o.written = text[len(asked.Text):start]
	}
	how := o.how
	how.prompt = true
	prompted, err := o.render(o.before, how)
	if err != nil {
		return
	}
	if p, ok := strings.CutPrefix(prompted.Text, asked.Text); ok && p != "" {
		o.habits.header, o.prompts = p, true
		return
	}
	if !blank(o.written) {
		o.habits.header = o.written
	}
}

// end finds what ends an answer in the bytes [start, end) of a text.
func (o *observer) end(said jinja.Result, start, end int) {
	ids, offsets, err := o.t.EncodeOffsets(said.Text, false)
	if err != nil {
		return
	}
	defer o.userEnd(said, ids, offsets)
	tail := behind(offsets, end)
	common := o.commonTail(ids[tail:])
	first := int32(-1)
	for i := tail; i < len(ids); i++ {
		if i < tail+common && o.ends[ids[i]] {
			o.token = true
			return // the tokenizer's own eos, perhaps behind something else
		}
		if first < 0 && !blank(said.Text[max(offsets[i][0], end):offsets[i][1]]) {
			if first = ids[i]; !o.t.isAdded(first) {
				first = -1
				break
			}
			// A token that comes at the very end only, and begins turns too, is the header of a turn that is not there.
			if i >= tail+common && slices.Contains(ids[:behind(offsets, start)], first) {
				first = -1
				break
			}
		}
	}
	switch {
	case first >= 0:
		o.ends[first], o.stops[first], o.token = true, true, true
	case common > 0:
		o.mark = strings.TrimSpace(said.Text[end:offsets[tail+common-1][1]])
	}
}

// commonTail is how many tokens of tail, which ends a conversation, also follow the answer in the middle of one: a template may write something at the very end.
func (o *observer) commonTail(tail []int32) int {
	next, err := o.render(append(o.before[:len(o.before):len(o.before)], sampleAssistant, sampleUser), o.how)
	_, end := body(next, len(o.before), len(next.Text))
	if err != nil || end < 0 {
		return len(tail) // it cannot be told
	}
	if start, _ := body(next, len(o.before)+1, len(next.Text)); start >= end {
		o.next = next.Text[end:start]
	}
	ids, offsets, err := o.t.EncodeOffsets(next.Text, false)
	if err != nil {
		return 0
	}
	n := 0
	for followed := ids[behind(offsets, end):]; n < len(tail) && n < len(followed) && tail[n] == followed[n]; {
		n++
	}
	return n
}

// userEnd adds the token that ends the user's turn, one that is there also when nothing follows.
func (o *observer) userEnd(said jinja.Result, ids []int32, offsets [][2]int) {
	user := len(o.before) - 1
	if o.before[user].Role != "user" {
		return
	}
	alone, err := o.render(o.before, o.how)
	if err != nil {
		return
	}
	_, end := body(said, user, len(said.Text))
	_, aloneEnd := body(alone, user, len(alone.Text))
	aloneIDs, aloneOffsets, err := o.t.EncodeOffsets(alone.Text, false)
	if end < 0 || aloneEnd < 0 || err != nil {
		return
	}
	tail := aloneIDs[behind(aloneOffsets, aloneEnd):]
	if slices.ContainsFunc(tail, func(id int32) bool { return o.ends[id] }) {
		return
	}
	for i := behind(offsets, end); i < len(ids); i++ {
		if !blank(said.Text[max(offsets[i][0], end):offsets[i][1]]) {
			if o.t.isAdded(ids[i]) && slices.Contains(tail, ids[i]) {
				o.ends[ids[i]] = true
			}
			return
		}
	}
}

// behind is the first token with a byte at or behind byte i of the text.
func behind(offsets [][2]int, i int) int {
	return sort.Search(len(offsets), func(k int) bool { return offsets[k][1] > i })
}

func (t *Tokenizer) isAdded(id int32) bool {
	_, ok := t.added[id]
	return ok
}
