package tokenizer

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normalizer changes a text before it is split: the "normalizer" of tokenizer.json.
type normalizer interface {
	normalize(t text, track bool) (text, error)
}

// normalizers applies one after the other (Sequence).
type normalizers []normalizer

func (ns normalizers) normalize(t text, track bool) (text, error) {
	var err error
	for _, n := range ns {
		if t, err = n.normalize(t, track); err != nil {
			return text{}, err
		}
	}
	return t, nil
}

// prepend puts a string before a text that is not empty. Its bytes stand for no input.
type prepend string

func (p prepend) normalize(t text, track bool) (text, error) {
	if t.s == "" {
		return t, nil
	}
	return prefixed(t, string(p), track)
}

// replace writes content for each match of a pattern.
type replace struct {
	pattern *pattern
	content string
}

func (p replace) normalize(t text, track bool) (text, error) {
	var r *rewrite
	done := 0
	err := p.pattern.find(t.s, t.allowed(), func(i, j int) {
		if r == nil {
			r = newRewrite(t, track)
		}
		r.keep(done, i)
		r.put(p.content, i, j)
		done = j
	})
	if err != nil || r == nil {
		return t, err
	}
	r.keep(done, len(t.s))
	return r.text()
}

// unicodeForm is NFC, NFD, NFKC or NFKD (Unicode standard annex 15) of Unicode 9, which the library
// has. Offsets are those of whole normalization segments: a base character with its marks.
type unicodeForm norm.Form

func (f unicodeForm) normalize(t text, track bool) (text, error) {
	form := norm.Form(f)
	if form.IsNormalString(t.s) {
		return t, nil
	}
	r := newRewrite(t, track)
	for i := 0; i < len(t.s) && r.err == nil; {
		n := form.QuickSpanString(t.s[i:])
		r.keep(i, i+n)
		if i += n; i == len(t.s) {
			break
		}
		j, marks := f.segment(t.s, i)
		switch s := t.s[i:j]; {
		case marks < 0:
			r.keep(i, j)
		case marks > maxMarks || form == norm.NFC || form == norm.NFKC:
			r.put(f.long(s), i, j)
		default:
			r.put(form.String(s), i, j)
		}
		i = j
	}
	return r.text()
}

// lowercase maps each character by itself, without context, as Rust's char::to_lowercase does.
type lowercase struct{}

func (lowercase) normalize(t text, track bool) (text, error) {
	r := newRewrite(t, track)
	for i := 0; i < len(t.s); {
		c, n := utf8.DecodeRuneInString(t.s[i:])
		switch l := toLower(c); {
		case c == 'İ': // the only character whose lower case is two, whatever the language
			r.put("i\u0307", i, i+n)
		case l == c || c == utf8.RuneError:
			r.keep(i, i+n)
		default:
			r.put(string(l), i, i+n)
		}
		i += n
	}
	return r.text()
}

// strip removes white space at the ends.
type strip struct{ left, right bool }

func (p strip) normalize(t text, _ bool) (text, error) {
	i, j := 0, len(t.s)
	if p.left {
		i = j - len(strings.TrimLeftFunc(t.s, isSpace))
	}
	if p.right {
		j = max(i, len(strings.TrimRightFunc(t.s, isSpace)))
	}
	return t.slice(i, j), nil
}
