package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// negativeIndex recognises [-k] at the start of s: its length, and k-1 in digits. gonja finds nothing at
// x[-k] if x has exactly k elements; x[::-1][k-1] is the same element.
func negativeIndex(s string) (n int, index string) {
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return 0, ""
	}
	k, err := strconv.Atoi(strings.TrimSpace(s[1:end]))
	if err != nil || k >= 0 {
		return 0, ""
	}
	return end + 1, strconv.Itoa(-k - 1)
}

// afterValue reports whether what was written last is a value, so that a bracket is an index and not
// a list.
func (p *jinjaPass) afterValue() bool {
	s := strings.TrimRight(p.out.String(), " ")
	if strings.HasSuffix(s, ")") || strings.HasSuffix(s, "]") || strings.HasSuffix(s, `"`) {
		return true
	}
	word := s[strings.LastIndexFunc(s, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })+1:]
	switch word {
	case "", "in", "not", "and", "or", "if", "else", "elif", "is":
		return false
	}
	return true
}

// literal rewrites a string literal: gonja ends one at a quote after an escaped backslash and knows
// only some escapes, so quotes and backslashes become \x22 and \x5c.
func (p *jinjaPass) literal(quote byte) error {
	p.out.WriteByte('"')
	for i := p.pos + 1; i < len(p.src); {
		c := p.src[i]
		if c == quote {
			p.out.WriteByte('"')
			p.pos = i + 1
			return nil
		}
		r, n := utf8.DecodeRuneInString(p.src[i:])
		if c == '\\' {
			r, n = unescape(p.src[i:])
		}
		i += n
		switch {
		case r < ' ' || r == '"' || r == '\\' || r == 0x7f:
			fmt.Fprintf(&p.out, `\x%02x`, r)
		default:
			p.out.WriteRune(r)
		}
	}
	return fmt.Errorf("string without end")
}

// unescape reads one escape of a Python string literal at the start of s. An unknown one is a plain
// backslash.
func unescape(s string) (r rune, n int) {
	if len(s) < 2 {
		return '\\', 1
	}
	digits := 0
	switch s[1] {
	case 'n':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'r':
		return '\r', 2
	case '\\', '\'', '"':
		return rune(s[1]), 2
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	}
	if digits > 0 && len(s) >= 2+digits {
		if v, err := strconv.ParseUint(s[2:2+digits], 16, 32); err == nil && v <= unicode.MaxRune {
			return rune(v), 2 + digits
		}
	}
	return '\\', 1
}
