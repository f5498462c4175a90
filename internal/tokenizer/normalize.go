package tokenizer

import (
	"slices"
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

// maxMarks: package norm writes a character of its own into longer runs of marks (the stream-safe
// text format). Its compositions are not used at all, for some are wrong: U+10041 U+0301 becomes
// U+00C1, and a U+09BE U+0301 is composed around its middle.
const maxMarks = 28

// segment is the end of the segment that begins at i, a base character with what follows up to the
// next, and how many of its characters are no base; -1 if it is a single character that stays.
func (f unicodeForm) segment(s string, i int) (j, marks int) {
	form := norm.Form(f)
	for j = i; j < len(s); {
		c, n := utf8.DecodeRuneInString(s[j:])
		if in(inert, c) {
			if j == i {
				return j + n, -1
			}
			return j, marks
		}
		if p := form.PropertiesString(s[j:]); j > i && p.BoundaryBefore() {
			return j, marks
		} else if p.CCC() > 0 || j > i {
			marks++
		}
		j += n
	}
	return j, marks
}

// long is the form of a segment, with any number of marks: each character decomposed, marks ordered by
// class, and for NFC and NFKC composed in steps of two characters.
func (f unicodeForm) long(s string) string {
	form, decomposed := norm.Form(f), norm.NFD
	if form == norm.NFKC || form == norm.NFKD {
		decomposed = norm.NFKD
	}
	class := func(r rune) uint8 { return norm.NFD.PropertiesString(string(r)).CCC() }
	var rs []rune
	for _, r := range s {
		rs = append(rs, []rune(decomposed.String(string(r)))...)
	}
	for i := 0; i < len(rs); { // each run of marks by itself
		j := i + 1
		for j < len(rs) && class(rs[j]) > 0 {
			j++
		}
		if class(rs[i]) > 0 {
			slices.SortStableFunc(rs[i:j], func(a, b rune) int { return int(class(a)) - int(class(b)) })
		} else {
			slices.SortStableFunc(rs[i+1:j], func(a, b rune) int { return int(class(a)) - int(class(b)) })
		}
		i = j
	}
	if form == norm.NFD || form == norm.NFKD {
		return string(rs)
	}
	base, last := -1, uint8(0) // the last base, and the class of the last mark that stayed behind it
	out := rs[:0]
	for _, r := range rs {
		c := class(r)
		if base >= 0 && (len(out) == base+1 || last < c) {
			if both, ok := compose(out[base], r); ok {
				out[base] = both
				continue
			}
		}
		if out = append(out, r); c == 0 {
			base, last = len(out)-1, 0
		} else {
			last = c
		}
	}
	return string(out)
}

// compose is the character that two make.
func compose(a, b rune) (both rune, ok bool) {
	pair := string([]rune{a, b})
	s := norm.NFC.String(pair)
	both, n := utf8.DecodeRuneInString(s)
	return both, n == len(s) && norm.NFD.String(s) == norm.NFD.String(pair)
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
