package tokenizer

import (
	"strings"
	"unicode"
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
	r := newRewrite(t, track)
	r.put(string(p), 0, 0)
	r.keep(0, len(t.s))
	return r.text(), nil
}

// replace writes content for each match of a pattern.
type replace struct {
	pattern *pattern
	content string
}

func (p replace) normalize(t text, track bool) (text, error) {
	var r *rewrite
	done := 0
	err := p.pattern.find(t.s, func(i, j int) {
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
	return r.text(), nil
}

// unicodeForm is NFC, NFD, NFKC or NFKD (Unicode standard annex 15). Offsets are those of whole
// normalization segments: a base character with its marks.
type unicodeForm norm.Form

func (f unicodeForm) normalize(t text, track bool) (text, error) {
	form := norm.Form(f)
	if form.IsNormalString(t.s) {
		return t, nil
	}
	if longMarks(form, t.s) {
		r := newRewrite(t, track)
		segments(form, t.s, func(i, j int) { r.put(normalForm(form, t.s[i:j]), i, j) })
		return r.text(), nil
	}
	if !track {
		return text{s: form.String(t.s), at: t.at}, nil
	}
	r := newRewrite(t, track)
	var it norm.Iter
	it.InitString(form, t.s)
	for !it.Done() {
		from := it.Pos()
		segment := string(it.Next())
		r.put(segment, from, it.Pos())
	}
	return r.text(), nil
}

// lowercase maps each character by itself, without context, as Rust's char::to_lowercase does.
type lowercase struct{}

func (lowercase) normalize(t text, track bool) (text, error) {
	r := newRewrite(t, track)
	for i := 0; i < len(t.s); {
		c, n := utf8.DecodeRuneInString(t.s[i:])
		switch l := unicode.ToLower(c); {
		case c == 'İ': // the only character whose lower case is two, whatever the language
			r.put("i\u0307", i, i+n)
		case l == c || c == utf8.RuneError:
			r.keep(i, i+n)
		default:
			r.put(string(l), i, i+n)
		}
		i += n
	}
	return r.text(), nil
}

// strip removes white space at the ends.
type strip struct{ left, right bool }

func (p strip) normalize(t text, _ bool) (text, error) {
	i, j := 0, len(t.s)
	if p.left {
		i = j - len(strings.TrimLeftFunc(t.s, unicode.IsSpace))
	}
	if p.right {
		j = max(i, len(strings.TrimRightFunc(t.s, unicode.IsSpace)))
	}
	return t.slice(i, j), nil
}
