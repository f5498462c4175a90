package jinja

import (
	"unicode"
	"unicode/utf8"
)

// isSpace is str.isspace of one character.
func isSpace(r rune) bool {
	return r == ' ' || '\t' <= r && r <= '\r' || 0x1c <= r && r <= 0x1f || r >= 0x80 && unicode.IsSpace(r)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func runeCount(s string) int { return utf8.RuneCountInString(s) }

func runeLen(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// runeOffset is where character i of s begins.
func runeOffset(s string, i int) int {
	at := 0
	for ; i > 0 && at < len(s); i-- {
		at += runeLen(s[at:])
	}
	return at
}

// clipText shortens s to n characters and escapes what a terminal would act on.
func clipText(s string, n int) string {
	var b []byte
	count := 0
	for _, r := range s {
		if count++; count > n {
			return string(append(b, "…"...))
		}
		if unicode.IsPrint(r) {
			b = utf8.AppendRune(b, r)
		} else {
			b = append(b, quoteRune(r)...)
		}
	}
	return string(b)
}
