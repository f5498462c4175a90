package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// x/text normalizes to its stream-safe form: behind 30 characters that do not start anything (combining marks) it puts a U+034F, which the standard's
// normalization, and the tokenizers library's, does not. Texts with long runs of such characters are therefore normalized here.

// maxMarks is how many characters x/text may see between two boundaries: each may become up to four, and it counts to 30.
const maxMarks = 7

// longMarks reports whether s has more than maxMarks characters between two boundaries.
func longMarks(form norm.Form, s string) bool {
	run := 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			run = 0
			i++
			continue
		}
		p := form.PropertiesString(s[i:])
		if p.Size() == 0 {
			return run > maxMarks
		}
		if p.BoundaryBefore() {
			run = 0
		} else if run++; run >= maxMarks {
			return true
		}
		i += p.Size()
	}
	return false
}

// segments calls f with each part of s from one boundary to the next.
func segments(form norm.Form, s string, f func(i, j int)) {
	start := 0
	for i := 0; i < len(s); {
		p := form.PropertiesString(s[i:])
		if i > start && (p.Size() == 0 || p.BoundaryBefore()) {
			f(start, i)
			start = i
		}
		i += max(p.Size(), 1)
	}
	if start < len(s) {
		f(start, len(s))
	}
}

// normalForm is the normal form of a segment of any length, by the standard's own steps: decompose, order, compose.
func normalForm(form norm.Form, s string) string {
	if utf8.RuneCountInString(s) <= maxMarks || !utf8.ValidString(s) {
		return form.String(s)
	}
	type char struct {
		r     rune
		class uint8
	}
	var chars []char
	for _, r := range s {
		for _, r := range decomposed(form).String(string(r)) {
			chars = append(chars, char{r, norm.NFD.PropertiesString(string(r)).CCC()})
		}
	}
	for i := 0; i < len(chars); {
		j := i + 1
		for ; chars[i].class > 0 && j < len(chars) && chars[j].class > 0; j++ {
		}
		slices.SortStableFunc(chars[i:j], func(a, b char) int { return int(a.class) - int(b.class) })
		i = j
	}
	out := make([]rune, 0, len(chars))
	starter, last := -1, uint8(0) // where composition may go on, and the class of the last character that was left behind it
	for _, c := range chars {
		adjacent := starter == len(out)-1
		if starter >= 0 && (form == norm.NFC || form == norm.NFKC) && (adjacent || last > 0 && last < c.class) {
			if both := []rune(norm.NFC.String(string(out[starter]) + string(c.r))); len(both) == 1 {
				out[starter] = both[0]
				continue
			}
		}
		if c.class == 0 {
			starter = len(out)
		}
		last = c.class
		out = append(out, c.r)
	}
	return string(out)
}

// decomposed is the form of the same characters, taken apart.
func decomposed(form norm.Form) norm.Form {
	if form == norm.NFKC || form == norm.NFKD {
		return norm.NFKD
	}
	return norm.NFD
}
