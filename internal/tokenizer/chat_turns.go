package tokenizer

import (
	"slices"
	"strings"
	"unicode"
)

// locate finds the turn of message k in the text.
func (l *learning) locate(k int) (turn, bool) {
	s, m := l.text.Text, &l.msgs[k]
	start, end := body(l.text, k, l.ownEnd(k))
	shown := start >= 0
	if !shown && m.says() {
		return turn{}, false // such as reasoning that the template drops from earlier turns, with nothing behind it
	}
	header := -1
	switch {
	case m.Role != "assistant":
	case shown && l.rightBehindHeader(k, start):
		header = start
	default:
		header = l.headerEnd(k)
	}
	switch {
	case header >= 0 && (!shown || header <= end):
		start = header
	case shown:
		start = l.behindHeader(k, start)
	default:
		if start = l.emptyTurn(k); start < 0 {
			return turn{}, false
		}
	}
	from := max(start, end)
	to := l.turnLimit(k, from)
	for i := behind(l.offsets, from); i < len(l.ids) && l.offsets[i][0] < to; i++ {
		if l.habits().ends[l.ids[i]] {
			// White space before the end token is learned too: the model has to write it.
			return turn{[][2]int{{start, max(from, l.offsets[i][0])}}, []int{i}}, true
		}
	}
	if mark := l.habits().mark; mark != "" {
		if at := strings.Index(s[from:to], mark); at >= 0 {
			n := turn{parts: [][2]int{{start, from + at}}}
			for i := behind(l.offsets, from+at); i < len(l.ids) && l.offsets[i][0] < from+at+len(mark); i++ {
				if l.offsets[i][0] >= from {
					n.ends = append(n.ends, i)
				}
			}
			return n, true
		}
	}
	if m.Role == "assistant" {
		from += l.ownTail(k, from, to)
	}
	return turn{parts: [][2]int{{start, from}}}, true
}

// ownEnd is where what message k says ends at the latest: a template may repeat the names of tools with their results.
func (l *learning) ownEnd(k int) int {
	if l.msgs[k].calls() && k+1 < len(l.msgs) {
		if upTo, err := l.render(l.msgs[:k+1], rendering{}); err == nil && strings.HasPrefix(l.text.Text, upTo.Text) {
			return len(upTo.Text)
		}
	}
	return len(l.text.Text)
}

// headerEnd is where the turn of assistant message k begins in the text: behind the text of the messages before it and the generation prompt; -1 if the
// text does not begin so.
func (l *learning) headerEnd(k int) int {
	s, h, before := l.text.Text, l.habits(), l.msgs[:k:k]
	if k == 0 {
		return -1
	}
	prompted, err := l.render(before, rendering{prompt: true})
	if err != nil || !strings.HasPrefix(s, prompted.Text) {
		return -1
	}
	if h.prompts && !blank(h.header) && strings.HasSuffix(prompted.Text, h.header) {
		return len(prompted.Text)
	}
	asked, err := l.render(before, rendering{})
	if err != nil || !strings.HasPrefix(prompted.Text, asked.Text) {
		return -1
	}
	if len(prompted.Text) > len(asked.Text) {
		return len(prompted.Text)
	}
	// The template has no prompt here. Its header is what it writes before another answer.
	said, err := l.render(append(before, sampleAssistant), rendering{marked: true})
	start, _ := body(said, k, len(said.Text))
	if err != nil || start < len(asked.Text) || !strings.HasPrefix(said.Text, asked.Text) {
		return -1
	}
	written := said.Text[len(asked.Text):start]
	switch {
	case blank(written):
		return len(asked.Text)
	case strings.HasPrefix(s[len(asked.Text):], written):
		return len(asked.Text) + len(written)
	}
	return -1
}

// rightBehindHeader tells whether the first word of message k, at byte start, stands right behind the generation prompt: then no prefix of a long conversation
// needs to be rendered to find that.
func (l *learning) rightBehindHeader(k, start int) bool {
	h := l.habits()
	if !h.prompts || blank(h.header) || !strings.HasSuffix(l.text.Text[:start], h.header) {
		return false
	}
	for _, o := range l.text.Origins {
		if m, kind := place(o.Mark); m != k && kind > headerText && o.Start < start && o.End > start-len(h.header) {
			return false // another message says it
		}
	}
	return true
}

// behindHeader is where the turn of message k begins whose first word is at byte start: behind the header, if that stands between the word and
// what comes before it.
func (l *learning) behindHeader(k, start int) int {
	if l.msgs[k].Role != "assistant" {
		return start
	}
	low := 0
	for _, o := range l.text.Origins {
		if m, _ := place(o.Mark); o.End <= start && m != k {
			low = o.End
		}
	}
	h := l.habits()
	gap := l.text.Text[low:start]
	for _, header := range []string{h.header, h.written} {
		if at := strings.LastIndex(gap, header); !blank(header) && at >= 0 {
			return low + at + len(header)
		}
		// A turn of another sort may share only the beginning of the header: <|assistant|><|call|>, where the prompt is <|assistant|><|text|>.
		if n := l.sharedHeader(gap, header); n >= 0 {
			return low + n
		}
	}
	if h.header == "" && strings.HasSuffix(gap, h.written) {
		return start - len(h.written) // white space, which the model writes
	}
	return start
}

// sharedHeader is where the longest beginning of a header ends that stands in gap, ends with a token, and has one that is none of the text's; -1 for none.
func (l *learning) sharedHeader(gap, header string) int {
	ids, offsets, err := l.t.EncodeOffsets(header, false)
	if err != nil {
		return -1
	}
	for n := len(ids); n > 0 && slices.ContainsFunc(ids[:n], l.t.isAdded); n-- {
		if at := strings.LastIndex(gap, header[:offsets[n-1][1]]); at >= 0 {
			return at + offsets[n-1][1]
		}
	}
	return -1
}

// emptyTurn is where an answer without a word begins, behind a header between its neighbours; -1 if there is none.
func (l *learning) emptyTurn(k int) int {
	low, high := 0, len(l.text.Text)
	for _, o := range l.text.Origins {
		switch m, _ := place(o.Mark); {
		case m >= 0 && m < k:
			low = max(low, o.End)
		case m > k:
			high = min(high, o.Start)
		}
	}
	h := l.habits()
	for _, header := range []string{h.header, h.written} {
		if low < high && !blank(header) {
			if at := strings.Index(l.text.Text[low:high], header); at >= 0 {
				return low + at + len(header)
			}
		}
	}
	return -1
}

// turnLimit is where the next thing begins that another message says, or is: the end of turn k is looked for up to there.
func (l *learning) turnLimit(k, from int) int {
	next := false // the text has something of the next message
	limit := len(l.text.Text)
	for _, o := range l.text.Origins {
		m, _ := place(o.Mark)
		next = next || m == k+1
		if o.Start >= from && m != k {
			limit = min(limit, o.Start)
		}
	}
	if k+1 < len(l.msgs) && !next {
		if upTo, err := l.render(l.msgs[:k+1], rendering{}); err == nil && strings.HasPrefix(l.text.Text, upTo.Text) {
			limit = max(from, min(limit, len(upTo.Text)))
		}
	}
	return limit
}

// ownTail is how many bytes behind the last word of turn k, up to byte to, belong to it where no token ends it: those that come after it whatever follows.
func (l *learning) ownTail(k, from, to int) int {
	tail := l.text.Text[from:to]
	if blank(tail) {
		return 0
	}
	msgs := l.msgs[: k+1 : k+1]
	if k == len(l.msgs)-1 {
		msgs = append(msgs, sampleUser)
	}
	other, err := l.render(msgs, rendering{marked: true})
	_, end := body(other, k, len(other.Text))
	if err != nil || end < 0 {
		return 0
	}
	n := 0
	for rest := other.Text[end:]; n < len(tail) && n < len(rest) && tail[n] == rest[n]; {
		n++
	}
	whole := 0 // up to the end of a token, and to the beginning of the next header
	openers, _ := l.t.Encode(l.habits().header, false)
	for i := behind(l.offsets, from); i < len(l.ids) && l.offsets[i][1] <= from+n; i++ {
		if l.t.isAdded(l.ids[i]) && slices.Contains(openers, l.ids[i]) {
			break
		}
		whole = l.offsets[i][1] - from
	}
	return len(strings.TrimRightFunc(tail[:whole], unicode.IsSpace))
}
