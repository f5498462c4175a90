package ptx

import (
	"fmt"
	"strings"
)

// token is one word, number, string or punctuation mark. at is its offset in the text, line counts from 1.
type token struct {
	text string
	kind tokenKind
	line int
	at   int
}

type tokenKind uint8

const (
	tokEnd    tokenKind = iota
	tokWord             // names, opcodes with all their modifiers, directives, registers
	tokNumber           // 12, 0x1F, 0f3F800000, 1.5, with U or without
	tokString
	tokMark // one character
)

// lex cuts src into tokens; comments vanish.
func lex(src string) ([]token, error) {
	tokens := make([]token, 0, len(src)/4)
	line := 1
	for i := 0; i < len(src); {
		c := src[i]
		start := i
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r' || c == 0:
			i++
		case strings.HasPrefix(src[i:], "//"):
			for i < len(src) && src[i] != '\n' {
				i++
			}
		case strings.HasPrefix(src[i:], "/*"):
			n := strings.Index(src[i:], "*/")
			if n < 0 {
				return nil, fmt.Errorf("line %d: comment without end", line)
			}
			line += strings.Count(src[i:i+n], "\n")
			i += n + 2
		case c == '"':
			n := strings.IndexByte(src[i+1:], '"')
			if n < 0 {
				return nil, fmt.Errorf("line %d: string without end", line)
			}
			i += n + 2
			tokens = append(tokens, token{src[start+1 : i-1], tokString, line, start})
		case wordStart(c):
			for i < len(src) && wordPart(src[i]) || strings.HasPrefix(src[i:], "::") {
				if src[i] == ':' {
					i++
				}
				i++
			}
			tokens = append(tokens, token{src[start:i], tokWord, line, start})
		case c >= '0' && c <= '9':
			for i < len(src) && (wordPart(src[i]) && src[i] != '%' && src[i] != '$') {
				i++
			}
			tokens = append(tokens, token{src[start:i], tokNumber, line, start})
		default:
			i++
			tokens = append(tokens, token{src[start:i], tokMark, line, start})
		}
	}
	return append(tokens, token{kind: tokEnd, line: line, at: len(src)}), nil
}

func wordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c == '%' || c == '.'
}

func wordPart(c byte) bool { return wordStart(c) || c >= '0' && c <= '9' }
