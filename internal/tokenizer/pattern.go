package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// Limits of a pattern from a file. Backtracking can take exponential time; no pattern in use needs
// a second on any text, so the timeout only meets hostile files.
const (
	maxPattern     = 16 << 10 // bytes
	patternTimeout = 10 * time.Second
)

// pattern finds its matches in a text.
type pattern struct {
	literal string
	// scan is set for the patterns of scan.go, which cover every text.
	scan func(s string, i int) int
	re   *regexp2.Regexp
}

// newPattern reads {"String": …} or {"Regex": …}.
func newPattern(raw json.RawMessage) (*pattern, error) {
	var p struct{ String, Regex *string }
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	switch {
	case p.String != nil:
		return &pattern{literal: *p.String}, nil
	case p.Regex == nil:
		return nil, fmt.Errorf(`pattern: neither "String" nor "Regex"`)
	case scanners[*p.Regex] != nil:
		return &pattern{scan: scanners[*p.Regex]}, nil
	case len(*p.Regex) > maxPattern:
		return nil, fmt.Errorf("pattern: %d bytes, at most %d are read", len(*p.Regex), maxPattern)
	}
	// regexp2 is .NET's dialect; it has look-around and \p{…}, and \s, \p{L} and \p{N} use Go's
	// Unicode tables like scan.go. Possessive quantifiers are an error here, not silently different.
	re, err := regexp2.Compile(translate(*p.Regex), regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", *p.Regex, err)
	}
	re.MatchTimeout = patternTimeout
	return &pattern{re: re}, nil
}

// wordSet is what \w means to Oniguruma, the engine of Hugging Face's library, as the inside of a
// character class (found by trying every character): Unicode's word characters, and some of
// Latin-1's numbers. .NET's \w is a smaller set.
const wordSet = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}¹²³¼½¾Ⓐ-ⓩ` + "\U0001F130-\U0001F149\U0001F150-\U0001F169\U0001F170-\U0001F189"

// translate writes \w and \W of a pattern as the classes they stand for.
func translate(pattern string) string {
	var b strings.Builder
	class := false // inside […]
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			switch {
			case pattern[i] == 'w' && class:
				b.WriteString(wordSet)
			case pattern[i] == 'w':
				b.WriteString("[" + wordSet + "]")
			case pattern[i] == 'W' && !class:
				b.WriteString("[^" + wordSet + "]")
			default:
				b.WriteString(pattern[i-1 : i+1])
			}
		default:
			switch c {
			case '[':
				class = true
			case ']':
				class = false
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}

// find calls yield for each match [i,j) in s, from left to right.
func (p *pattern) find(s string, yield func(i, j int)) error {
	switch {
	case p.scan != nil:
		for i := 0; i < len(s); {
			j := p.scan(s, i)
			yield(i, j)
			i = j
		}
		return nil
	case p.re != nil:
		return p.findRegexp(s, yield)
	}
	for i := 0; p.literal != ""; {
		k := strings.Index(s[i:], p.literal)
		if k < 0 {
			break
		}
		yield(i+k, i+k+len(p.literal))
		i += k + len(p.literal)
	}
	return nil
}

// findRegexp counts characters as regexp2 does and reports bytes.
func (p *pattern) findRegexp(s string, yield func(i, j int)) error {
	m, err := p.re.FindStringMatch(s)
	char, pos := 0, 0
	forward := func(to int) int {
		for ; char < to; char++ {
			_, n := utf8.DecodeRuneInString(s[pos:])
			pos += n
		}
		return pos
	}
	for err == nil && m != nil {
		i := forward(m.Index)
		yield(i, forward(m.Index+m.Length))
		m, err = p.re.FindNextMatch(m)
	}
	if err != nil {
		return fmt.Errorf("pattern %q: %w", p.re, err)
	}
	return nil
}
