package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxMarks: package norm writes U+034F into runs of 30 marks (the stream-safe text format), which neither
// the standard nor the library does. Its compositions are not used at all, for some are wrong: U+10041 U+0301 becomes
// U+00C1, and a U+09BE U+0301 is composed around its middle.
const maxMarks = 7 // each may become up to four

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
