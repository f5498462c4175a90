package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// mapRunes writes f of each character; a marked character's text keeps its mark.
func (st *state) mapRunes(x str, f func(i int, r rune) string) str {
	b := builder{st: st}
	for i := 0; i < len(x.s); {
		r, n := utf8.DecodeRuneInString(x.s[i:])
		s := f(i, r)
		if s == x.s[i:i+n] {
			b.sub(x, i, i+n)
		} else {
			b.instead(x, i, i+n, s)
		}
		i += n
	}
	out := b.text()
	out.markup = x.markup
	return out
}

func upperRune(r rune) string {
	if s, ok := upperLong[r]; ok {
		return s
	}
	return string(unicode.ToUpper(r))
}

func titleRune(r rune) string {
	if s, ok := titleLong[r]; ok {
		return s
	}
	return string(unicode.ToTitle(r))
}

// lowerRune is the lower case of the character r at s[i:].
func lowerRune(s string, i int, r rune) string {
	switch r {
	case 'İ':
		return "i̇"
	case 'Σ':
		if finalSigma(s, i) {
			return "ς"
		}
	}
	return string(unicode.ToLower(r))
}

// finalSigma reports whether the sigma at s[i:] ends a word.
func finalSigma(s string, i int) bool {
	before := strings.TrimRightFunc(s[:i], caseIgnorable)
	r, _ := utf8.DecodeLastRuneInString(before)
	if before == "" || !cased(r) {
		return false
	}
	after := strings.TrimLeftFunc(s[i+len("Σ"):], caseIgnorable)
	r, _ = utf8.DecodeRuneInString(after)
	return after == "" || !cased(r)
}

func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune("'.:^`¨\u00ad·’‘․‧︓︰﹒﹕＇．：", r)
}

func isUpper(r rune) bool { return unicode.IsUpper(r) || unicode.Is(unicode.Other_Uppercase, r) }

func isLower(r rune) bool { return unicode.IsLower(r) || unicode.Is(unicode.Other_Lowercase, r) }

func cased(r rune) bool { return isUpper(r) || isLower(r) || unicode.IsTitle(r) }

func (st *state) upper(x str) str {
	return st.mapRunes(x, func(_ int, r rune) string { return upperRune(r) })
}

func (st *state) lower(x str) str {
	return st.mapRunes(x, func(i int, r rune) string {
		if r == 'Σ' {
			st.pay(len(x.s))
		}
		return lowerRune(x.s, i, r)
	})
}

// capitalize writes the first character in title case and the others in lower case.
func (st *state) capitalize(x str) str {
	return st.mapRunes(x, func(i int, r rune) string {
		if i == 0 {
			return titleRune(r)
		}
		if r == 'Σ' {
			st.pay(len(x.s))
		}
		return lowerRune(x.s, i, r)
	})
}

// titleMethod is str.title.
func (st *state) titleMethod(x str) str {
	after := false
	return st.mapRunes(x, func(i int, r rune) string {
		defer func() { after = cased(r) }()
		if after {
			if r == 'Σ' {
				st.pay(len(x.s))
			}
			return lowerRune(x.s, i, r)
		}
		return titleRune(r)
	})
}

func (st *state) swapCase(x str) str {
	return st.mapRunes(x, func(i int, r rune) string {
		switch {
		case isUpper(r):
			if r == 'Σ' {
				st.pay(len(x.s))
			}
			return lowerRune(x.s, i, r)
		case isLower(r):
			return upperRune(r)
		}
		return string(r)
	})
}

func (st *state) casefold(x str) str {
	return st.mapRunes(x, func(_ int, r rune) string {
		if s, ok := foldings[r]; ok {
			return s
		}
		return string(unicode.ToLower(r))
	})
}

func inRanges(ranges [][2]rune, r rune) bool {
	for _, p := range ranges {
		if p[0] <= r && r <= p[1] {
			return true
		}
	}
	return false
}

func isDecimal(r rune) bool { return unicode.Is(unicode.Nd, r) }

func isDigit(r rune) bool { return isDecimal(r) || inRanges(digitRanges, r) }

func isNumeric(r rune) bool { return unicode.IsNumber(r) || inRanges(numericRanges, r) }

func isAlnum(r rune) bool { return unicode.IsLetter(r) || isDecimal(r) || isNumeric(r) }

// every reports whether s is not empty and each character of it passes.
func every(s string, f func(rune) bool) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !f(r) }) < 0
}

// onlyCase is isupper and islower: some character has a case, and none that has is of the other one.
func onlyCase(s string, is func(rune) bool) bool {
	found := false
	for _, r := range s {
		if cased(r) {
			if !is(r) {
				return false
			}
			found = true
		}
	}
	return found
}

func isTitleText(s string) bool {
	found, after := false, false
	for _, r := range s {
		switch {
		case isUpper(r) || unicode.IsTitle(r):
			if after {
				return false
			}
			found, after = true, true
		case isLower(r):
			if !after {
				return false
			}
			found, after = true, true
		default:
			after = false
		}
	}
	return found
}
