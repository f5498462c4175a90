package infer

import (
	"strings"
	"unicode/utf8"
)

// Text makes text of tokens as they come. It shows whole characters only, and nothing that may turn out to be the beginning of a stop string.
type Text struct {
	decode func(ids []int32) string
	stops  []string
	ids    []int32
	all    string // the text so far, up to a stop string
	shown  string // of it
	hit    string // the stop string it came to
}

// NewText is an empty text. decode is that of the tokenizer; stops end the text and are no part of it.
func NewText(decode func(ids []int32) string, stops []string) *Text {
	return &Text{decode: decode, stops: stops}
}

// Add takes the next token. It returns what can be shown for it, and whether the text has come to a stop string.
func (t *Text) Add(id int32) (piece string, end bool) {
	t.ids = append(t.ids, id)
	t.all = t.decode(t.ids)
	if at, stop := firstOf(t.all, t.stops); at >= 0 {
		t.all, t.hit = t.all[:at], stop
		return t.End(), true
	}
	text := t.all
	if strings.HasSuffix(text, "\uFFFD") { // the token may end within a character
		text = strings.TrimRight(text, "\uFFFD")
	}
	return t.show(text[:len(text)-begun(text, t.stops)]), false
}

// End returns what was held back, for a text that ends here.
func (t *Text) End() string { return t.show(t.all) }

// String is the text so far, Hit the stop string that ended it.
func (t *Text) String() string { return t.all }
func (t *Text) Hit() string    { return t.hit }

// show is what text has beyond what was shown. A token may change the characters before it, such as the bytes of one that turns out to be none:
// those that were shown stay, what differs follows.
func (t *Text) show(text string) string {
	n := 0
	for n < len(text) && n < len(t.shown) && text[n] == t.shown[n] {
		n++
	}
	for n > 0 && n < len(text) && !utf8.RuneStart(text[n]) {
		n--
	}
	if n == len(text) { // nothing new, or less than before
		return ""
	}
	t.shown = text
	return text[n:]
}

// firstOf is where the first of the stop strings begins in text, -1 for nowhere. Of those that begin there it is the longest.
func firstOf(text string, stops []string) (at int, stop string) {
	at = -1
	for _, s := range stops {
		if i := strings.Index(text, s); i >= 0 && (at < 0 || i < at || i == at && len(s) > len(stop)) {
			at, stop = i, s
		}
	}
	return at, stop
}

// begun is how many bytes at the end of text may be the beginning of a stop string.
func begun(text string, stops []string) (longest int) {
	for _, s := range stops {
		for n := min(len(s)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, s[:n]) {
				longest = n
				break
			}
		}
	}
	return longest
}
