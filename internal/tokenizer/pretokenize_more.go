package tokenizer

import (
	"unicode/utf8"
)

// splitClass cuts at characters of a class: CharDelimiterSplit, Punctuation and WhitespaceSplit.
type splitClass struct {
	is       func(r rune) bool
	behavior string // as of splitter
}

func (p splitClass) split(t text, _ bool, emit func(text) error) error {
	if p.behavior == "Removed" || p.behavior == "Isolated" { // the common ones need no list
		start := 0
		for i := 0; i < len(t.s); {
			r, n := utf8.DecodeRuneInString(t.s[i:])
			if !p.is(r) {
				i += n
				continue
			}
			if start < i {
				if err := emit(t.slice(start, i)); err != nil {
					return err
				}
			}
			if p.behavior == "Isolated" {
				if err := emit(t.slice(i, i+n)); err != nil {
					return err
				}
			}
			i += n
			start = i
		}
		return emitRest(t, start, emit)
	}
	var cuts []cut
	start := 0
	for i, r := range t.s {
		if !p.is(r) {
			continue
		}
		if start < i {
			cuts = append(cuts, cut{start, i, false})
		}
		_, n := utf8.DecodeRuneInString(t.s[i:])
		start = i + n
		cuts = append(cuts, cut{i, start, true})
	}
	if start < len(t.s) {
		cuts = append(cuts, cut{start, len(t.s), false})
	}
	for _, c := range mergeCuts(cuts, p.behavior) {
		if err := emit(t.slice(c.i, c.j)); err != nil {
			return err
		}
	}
	return nil
}

// words cuts into runs of word characters and runs of other characters that are no white space, which
// vanishes (pre-tokenizer Whitespace, `\w+|[^\w\s]+`).
type words struct{}

func (words) split(t text, _ bool, emit func(text) error) error {
	const gap, word, other = 0, 1, 2
	start, in := 0, gap
	for i, r := range t.s {
		kind := other
		if isWord(r) {
			kind = word
		} else if isSpace(r) {
			kind = gap
		}
		if kind == in {
			continue
		}
		if in != gap {
			if err := emit(t.slice(start, i)); err != nil {
				return err
			}
		}
		start, in = i, kind
	}
	if in == gap {
		return nil
	}
	return emitRest(t, start, emit)
}

// fixedLength cuts every so many characters.
type fixedLength int

func (p fixedLength) split(t text, _ bool, emit func(text) error) error {
	start, n := 0, 0
	for i := range t.s {
		if n == int(p) {
			if err := emit(t.slice(start, i)); err != nil {
				return err
			}
			start, n = i, 0
		}
		n++
	}
	return emitRest(t, start, emit)
}
