package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// A preTokenizer cuts a text into the pieces that the model treats one by one. Pieces go to emit as
// they are found: a document of any length needs no list of its pieces.
type preTokenizer interface {
	split(t text, track bool, emit func(text) error) error
}

// preTokenizers cuts the pieces of one with the next (Sequence).
type preTokenizers []preTokenizer

func (ps preTokenizers) split(t text, track bool, emit func(text) error) error {
	if len(ps) == 0 {
		return emit(t)
	}
	return ps[0].split(t, track, func(u text) error { return ps[1:].split(u, track, emit) })
}

// prefixed is t with s in front, which stands for no input.
func prefixed(t text, s string, track bool) (text, error) {
	r := newRewrite(t, track)
	r.put(s, 0, 0)
	r.keep(0, len(t.s))
	return r.text()
}

// digits sets numbers apart: each character, or each run of them.
type digits struct{ individual bool }

func (d digits) split(t text, _ bool, emit func(text) error) error {
	start, inNumber := 0, false
	for i, r := range t.s {
		is := isNumeric(r)
		if i > start && (is != inNumber || is && d.individual) {
			if err := emit(t.slice(start, i)); err != nil {
				return err
			}
			start = i
		}
		inNumber = is
	}
	return emitRest(t, start, emit)
}

// byteLevel is GPT-2's pre-tokenizer: an optional space in front, GPT-2's pattern unless useRegex is
// false, and the bytes written in the byte alphabet.
type byteLevel struct {
	addPrefixSpace, useRegex bool
	// last: no pre-tokenizer follows, so the model may read the bytes as they are.
	last bool
}

func (b byteLevel) split(t text, track bool, emit func(text) error) error {
	if b.addPrefixSpace && !strings.HasPrefix(t.s, " ") {
		var err error
		if t, err = prefixed(t, " ", track); err != nil {
			return err
		}
	}
	if !b.last {
		plain := emit
		emit = func(u text) error {
			u, err := inAlphabet(u, track)
			if err != nil {
				return err
			}
			return plain(u)
		}
	} else {
		t.alphabet = true
	}
	if !b.useRegex {
		return emit(t)
	}
	for i := 0; i < len(t.s); {
		j := scanGPT2(t.s, i)
		if err := emit(t.slice(i, j)); err != nil {
			return err
		}
		i = j
	}
	return nil
}

// inAlphabet writes the bytes of t in the byte alphabet.
func inAlphabet(t text, track bool) (text, error) {
	r := newRewrite(t, track)
	for i := 0; i < len(t.s); i++ {
		r.put(string(byteRune[t.s[i]]), i, i+1)
	}
	return r.text()
}

// metaspace is SentencePiece's view of white space: spaces become replacement (▁), one may be put in
// front, and words are cut before it.
type metaspace struct {
	replacement string // one character
	scheme      string // first, always, never
	cut         bool
}

func (m metaspace) split(t text, track bool, emit func(text) error) error {
	first := t.span(0, 0)[0] == 0 // of the input: a normalizer may have taken away what stood before
	if strings.Contains(t.s, " ") {
		r := newRewrite(t, track)
		for i := 0; i < len(t.s); i++ {
			if t.s[i] == ' ' {
				r.put(m.replacement, i, i+1)
			} else {
				r.keep(i, i+1)
			}
		}
		var err error
		if t, err = r.text(); err != nil {
			return err
		}
	}
	if (m.scheme == "always" || m.scheme == "first" && first) && !strings.HasPrefix(t.s, m.replacement) {
		var err error
		if t, err = prefixed(t, m.replacement, track); err != nil {
			return err
		}
	}
	if !m.cut {
		return emit(t)
	}
	mark, _ := utf8.DecodeRuneInString(m.replacement)
	start := 0
	for i, r := range t.s {
		if r == mark && i > start {
			if err := emit(t.slice(start, i)); err != nil {
				return err
			}
			start = i
		}
	}
	return emitRest(t, start, emit)
}

// emitRest emits t[start:] unless it is empty.
func emitRest(t text, start int, emit func(text) error) error {
	if start == len(t.s) {
		return nil
	}
	return emit(t.slice(start, len(t.s)))
}
