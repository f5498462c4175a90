package tokenizer

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"lomo/internal/jinja"
)

// Conversation is a conversation as token ids.
type Conversation struct {
	IDs   []int32
	Train []bool // which of them are learned
	// NoEnd is how many learned turns have no token that ends them: a model that learns them does not learn to stop.
	NoEnd int
	// Unmarked is how many turns were to be learned but stand outside the {% generation %} marks of a template that has some.
	Unmarked int
	// LastOnly says that of the learned turns only the last could be located in the text; the others are not learned.
	LastOnly bool
	// Shortened is how many messages the template writes without a part of them, such as the reasoning of earlier turns.
	Shortened int
}

// generationTag is how transformers tells a template with marks.
var generationTag = regexp.MustCompile(`\{%-?\s*generation\s*-?%\}`)

// ChatTokens is the conversation as token ids, and which of them are learned: what the model would have to write in a
// learned turn, and, as TrainOnEOS wants, the tokens that end turns.
//
// An assistant's turn begins behind the generation prompt, so what the template itself puts around content, reasoning and
// tool calls is learned with them; a turn of another role is its content. Where the template marks assistant turns with
// {% generation %}, the marks are the turns, as in transformers. A token is learned if any of its bytes is: one that the tokenizer merged from
// the end of a header and the beginning of an answer belongs to the answer.
//
// Templates may write earlier turns differently once others follow, such as without their reasoning: turns are learned as they stand in the whole
// conversation. A rendering without the content of a message is an error.
func (t *Tokenizer) ChatTokens(msgs []Message, o ChatOptions) (Conversation, error) {
	switch o.TrainOnEOS {
	case "", "turn", "all", "last", "none":
	default:
		return Conversation{}, fmt.Errorf("train_on_eos %q is none of turn, all, last, none", o.TrainOnEOS)
	}
	c, err := t.newChat(msgs, o)
	if err != nil {
		return Conversation{}, err
	}
	how := rendering{marked: true}
	r, err := c.render(msgs, how)
	if err != nil {
		return Conversation{}, err
	}
	lastOnly := false
	if err := c.complete(r, how); err != nil {
		if r, lastOnly = c.lastTurn(r); !lastOnly {
			return Conversation{}, err
		}
	}
	l := &learning{chat: c, text: r, lastOnly: lastOnly}
	if l.ids, l.offsets, err = t.EncodeOffsets(r.Text, false); err != nil {
		return Conversation{}, err
	}
	l.out = Conversation{IDs: l.ids, Train: make([]bool, len(l.ids)), LastOnly: lastOnly}
	if generationTag.MatchString(c.source) && !lastOnly {
		l.learnMarks()
	}
	if err := l.learnTurns(); err != nil {
		return Conversation{}, err
	}
	l.learnEnds()
	for k := range msgs {
		if l.shortened(k) {
			l.out.Shortened++
		}
	}
	return l.out, nil
}

// lastTurn is the text for the last turn alone: what the assistant is asked with before it, and what it says. It is for templates that show some messages, such
// as the system's, only while an answer is awaited. r is the text of the whole conversation; false: it is not of this kind.
func (c *chat) lastTurn(r jinja.Result) (jinja.Result, bool) {
	last := len(c.msgs) - 1
	l := &learning{chat: c, text: r}
	if last < 1 || c.msgs[last].Role != "assistant" || !l.learned(last) {
		return r, false
	}
	before := *c
	before.msgs = c.msgs[:last]
	how := rendering{marked: true, prompt: true}
	asked, err := before.render(before.msgs, how)
	if err != nil || before.complete(asked, how) != nil {
		return r, false
	}
	start, _ := body(r, last, len(r.Text))
	lacks := !blank(textOf(c.msgs[last].reasoning())) && !c.reasons(r, rendering{}, last)
	if start < 0 || lacks || c.has(r, rendering{}, last) != nil {
		return r, false
	}
	start = l.behindHeader(last, start)
	joined := jinja.Result{Text: asked.Text + r.Text[start:], Origins: asked.Origins}
	for _, o := range r.Origins {
		if o.Start >= start {
			o.Start, o.End = o.Start-start+len(asked.Text), o.End-start+len(asked.Text)
			joined.Origins = append(joined.Origins, o)
		}
	}
	return joined, true
}

// learning finds out which tokens of a rendered conversation are learned.
type learning struct {
	*chat
	text    jinja.Result
	ids     []int32
	offsets [][2]int
	out     Conversation
	turns   []turn // learned, in the order of the text
	// lastOnly says that the text was made for the last turn.
	lastOnly bool
	marked   bool // the turns of the assistant are those that the template marks
}

// turn is a learned turn: the parts of the text that are learned, and the tokens that end it.
type turn struct {
	parts [][2]int // bytes
	ends  []int    // tokens
}

// learned tells whether message k is to be learned.
func (l *learning) learned(k int) bool {
	m := &l.msgs[k]
	if l.lastOnly && k < len(l.msgs)-1 {
		return false
	}
	if m.Train != nil {
		return *m.Train
	}
	if l.o.Roles == nil {
		return m.Role == "assistant"
	}
	return slices.Contains(l.o.Roles, m.Role)
}

// learnMarks takes the {% generation %} marks as the turns of the assistant.
func (l *learning) learnMarks() {
	l.marked = true
	parts := map[int][][2]int{} // of messages
	for _, g := range l.text.Generation {
		if k := l.messageOf(g); k < 0 || l.learned(k) {
			parts[k] = append(parts[k], g)
		}
	}
	for k, m := range l.msgs {
		if m.Role == "assistant" && l.learned(k) && parts[k] == nil {
			l.out.Unmarked++
		}
	}
	for _, p := range parts {
		n := turn{parts: p}
		for _, g := range p {
			for i := behind(l.offsets, g[0]); i < len(l.ids) && l.offsets[i][0] < g[1]; i++ {
				at := l.offsets[i]
				if last := len(n.ends) - 1; l.isEnd(i) || last >= 0 && n.ends[last] == i-1 && blank(l.text.Text[at[0]:at[1]]) {
					n.ends = append(n.ends, i) // with the white space behind it
				}
			}
		}
		l.turns = append(l.turns, n)
	}
}

// messageOf is the message of the assistant that a mark belongs to, -1 if that cannot be told.
func (l *learning) messageOf(mark [2]int) int {
	before, next, end := -1, len(l.msgs), 0
	for _, o := range l.text.Origins {
		k, _ := place(o.Mark)
		switch {
		case k < 0:
		case o.End > mark[0] && o.Start < mark[1] && l.msgs[k].Role == "assistant":
			return k
		case o.Start < mark[0]:
			before, end = k, min(o.End, mark[0])
		case o.Start >= mark[1]:
			next = min(next, k)
		}
	}
	// Nothing in the mark comes from a message: it is an empty answer, or words of the template's own. They belong to the answer before, if no header follows that.
	assistant := before >= 0 && l.msgs[before].Role == "assistant"
	if gap := l.text.Text[end:mark[0]]; assistant && !l.hasHeader(gap) {
		return before
	}
	for k := before + 1; k < len(l.msgs) && k <= next; k++ {
		if start, _ := body(l.text, k, len(l.text.Text)); l.msgs[k].Role == "assistant" && (k == next || start < 0) {
			return k
		}
	}
	if assistant {
		return before
	}
	return -1
}

// hasHeader tells whether an assistant's turn begins in a part of the text.
func (l *learning) hasHeader(s string) bool {
	h := l.habits()
	return !blank(h.header) && strings.Contains(s, h.header) || !blank(h.written) && strings.Contains(s, h.written)
}

// isEnd tells whether token i ends a turn: it is one of the tokens that do, and no part of what a message says.
func (l *learning) isEnd(i int) bool {
	return l.habits().ends[l.ids[i]] && !l.said(l.offsets[i])
}

// said tells whether the bytes of a token come from what a message says. Where an added token takes white space with it, that does not count.
func (l *learning) said(at [2]int) bool {
	origins := l.text.Origins
	k := sort.Search(len(origins), func(k int) bool { return origins[k].End > at[0] })
	for ; k < len(origins) && origins[k].Start < at[1]; k++ {
		part := l.text.Text[max(at[0], origins[k].Start):min(at[1], origins[k].End)]
		if _, kind := place(origins[k].Mark); kind > headerText && !blank(part) {
			return true
		}
	}
	return false
}

// learnTurns locates the turns that no marks tell. If not all of them are found, the last one is learned alone.
func (l *learning) learnTurns() error {
	var found []turn
	missing := false
	wanted := func(k int) bool {
		m := &l.msgs[k]
		return l.learned(k) && (m.Role != "assistant" && m.says() || m.Role == "assistant" && !l.marked)
	}
	last := -1
	for k := range l.msgs {
		if wanted(k) {
			last = k
		}
	}
	for k, m := range l.msgs {
		if !wanted(k) {
			continue
		}
		n, ok := l.locate(k)
		switch {
		case ok:
			found = append(found, n)
		case !m.says(): // an empty answer, which the template leaves out: nothing is lost
		case k == last:
			return &ChatError{fmt.Sprintf("what message %d (%s) says cannot be told apart from the rest of the text", k+1, m.Role),
				"use a template that marks what is learned with {% generation %}, or one that writes contents as they are"}
		default:
			missing = true
		}
	}
	if missing {
		l.out.LastOnly = true
		found = found[max(0, len(found)-1):]
	}
	l.turns = append(l.turns, found...)
	return nil
}

// learnEnds marks the tokens of the turns, and those that end turns.
func (l *learning) learnEnds() {
	slices.SortFunc(l.turns, func(a, b turn) int { return a.parts[0][0] - b.parts[0][0] })
	eos := l.o.TrainOnEOS
	for n, turn := range l.turns {
		for _, p := range turn.parts {
			l.learn(p)
		}
		if !slices.ContainsFunc(turn.ends, func(i int) bool { return l.habits().ends[l.ids[i]] }) && !(eos == "all" && l.endsBehind(turn)) {
			l.out.NoEnd++
		}
		for _, i := range turn.ends {
			l.out.Train[i] = eos == "" || eos == "turn" || eos == "all" || eos == "last" && n == len(l.turns)-1
		}
	}
	if eos == "none" {
		l.out.NoEnd = 0 // as it was asked for
	}
	if eos == "all" {
		for i := range l.ids {
			if l.isEnd(i) {
				l.out.Train[i] = true
			}
		}
	}
}

// endsBehind tells whether an end token follows a turn.
func (l *learning) endsBehind(n turn) bool {
	for i := behind(l.offsets, n.parts[len(n.parts)-1][1]); i < len(l.ids); i++ {
		if !blank(l.text.Text[l.offsets[i][0]:l.offsets[i][1]]) {
			return l.isEnd(i)
		}
	}
	return false
}

// learn marks the tokens with any of the bytes [p[0], p[1]).
func (l *learning) learn(p [2]int) {
	for i := sort.Search(len(l.offsets), func(k int) bool { return l.offsets[k][1] > p[0] || l.offsets[k][0] >= p[0] }); i < len(l.ids) && l.offsets[i][0] < p[1]; i++ {
		l.out.Train[i] = true
	}
}
