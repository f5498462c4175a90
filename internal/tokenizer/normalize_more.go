package tokenizer

import (
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// mapped rewrites a text character by character: keep leaves one as it is, else s stands in its place.
func mapped(t text, track bool, to func(r rune, n int) (s string, keep bool)) (text, error) {
	var r *rewrite
	done := 0
	for i := 0; i < len(t.s); {
		c, n := utf8.DecodeRuneInString(t.s[i:])
		if s, keep := to(c, n); !keep {
			if r == nil {
				r = newRewrite(t, track)
			}
			r.keep(done, i)
			r.put(s, i, i+n)
			done = i + n
		}
		i += n
	}
	if r == nil {
		return t, nil
	}
	r.keep(done, len(t.s))
	return r.text()
}

// stripAccents removes combining marks (general category M of Unicode 9), wherever they stand.
type stripAccents struct{}

func (stripAccents) normalize(t text, track bool) (text, error) {
	return mapped(t, track, func(r rune, _ int) (string, bool) { return "", !isCombiningMark(r) })
}

// nmt is the cleaning of SentencePiece's nmt rules: control characters vanish, white space and some
// invisible characters become spaces.
type nmt struct{}

func (nmt) normalize(t text, track bool) (text, error) {
	return mapped(t, track, func(r rune, n int) (string, bool) {
		switch {
		case r >= 1 && r <= 8, r == '\v', r >= 0xE && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
			return "", false
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200B && r <= 0x200F, r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF,
			r == utf8.RuneError && n > 1:
			return " ", false
		}
		return "", true
	})
}

// alphabetNormalizer writes the bytes in the byte alphabet before the text is cut (normalizer ByteLevel).
type alphabetNormalizer struct{}

func (alphabetNormalizer) normalize(t text, track bool) (text, error) { return inAlphabet(t, track) }

// bertJSON is the description of a BertNormalizer.
type bertJSON struct {
	CleanText    *bool `json:"clean_text"`
	Chinese      *bool `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"`
	Lowercase    *bool `json:"lowercase"`
}

// bert is a sequence of up to four steps. Accents go where letters become lower case, unless said otherwise.
func (p bertJSON) bert() (normalizer, error) {
	on := func(b *bool, otherwise bool) bool {
		if b == nil {
			return otherwise
		}
		return *b
	}
	var steps normalizers
	if on(p.CleanText, true) {
		steps = append(steps, cleanText{})
	}
	if on(p.Chinese, true) {
		steps = append(steps, chineseApart{})
	}
	if on(p.StripAccents, on(p.Lowercase, true)) {
		steps = append(steps, unicodeForm(norm.NFD), stripNonspacing{})
	}
	if on(p.Lowercase, true) {
		steps = append(steps, lowercase{})
	}
	return steps, nil
}

// cleanText removes what cannot be seen and makes all white space spaces.
type cleanText struct{}

func (cleanText) normalize(t text, track bool) (text, error) {
	return mapped(t, track, func(r rune, n int) (string, bool) {
		switch {
		case r == '\t', r == '\n', r == '\r', r != ' ' && isSpace(r) && !isOther(r):
			return " ", false
		case r == 0, r == utf8.RuneError && n > 1, isOther(r):
			return "", false
		}
		return "", true
	})
}

// chineseApart puts spaces around Chinese characters.
type chineseApart struct{}

func (chineseApart) normalize(t text, track bool) (text, error) {
	r := newRewrite(t, track)
	for i := 0; i < len(t.s); {
		c, n := utf8.DecodeRuneInString(t.s[i:])
		if in(chinese, c) {
			r.put(" ", i, i)
			r.keep(i, i+n)
			r.put(" ", i+n, i+n)
		} else {
			r.keep(i, i+n)
		}
		i += n
	}
	return r.text()
}

var chinese = []rune{0x3400, 0x4DBF, 0x4E00, 0x9FFF, 0xF900, 0xFAFF, 0x20000, 0x2A6DF, 0x2A700, 0x2B73F, 0x2B740, 0x2B81F, 0x2B920, 0x2CEAF, 0x2F800, 0x2FA1F}

// stripNonspacing removes non-spacing marks.
type stripNonspacing struct{}

func (stripNonspacing) normalize(t text, track bool) (text, error) {
	return mapped(t, track, func(r rune, _ int) (string, bool) { return "", !isNonspacing(r) })
}
