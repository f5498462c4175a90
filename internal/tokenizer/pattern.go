package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"

	"lomo/internal/onig"
)

// maxPattern bounds a regular expression from a file.
const maxPattern = 16 << 10 // bytes

// pattern finds its matches in a text.
type pattern struct {
	literal string
	// scan is set for the patterns of scan.go, which cover every text.
	scan func(s string, i int) int
	re   *onig.Regexp
	text string // of re, for messages

	source string // the regular expression, "" for a literal
}

// newPattern reads {"String": …} or {"Regex": …}.
func newPattern(raw json.RawMessage) (*pattern, error) {
	var p struct{ String, Regex *string }
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	switch {
	case p.String != nil && *p.String != "":
		return &pattern{literal: *p.String}, nil
	case p.String != nil: // matches between all characters, as the empty expression does
		return newRegexp("")
	case p.Regex == nil:
		return nil, fmt.Errorf(`pattern: neither "String" nor "Regex"`)
	}
	return newRegexp(*p.Regex)
}

// newRegexp reads a regular expression in Oniguruma's syntax, the library's.
func newRegexp(source string) (*pattern, error) {
	if scan := scanners[source]; scan != nil {
		return &pattern{scan: scan, source: source}, nil
	}
	if len(source) > maxPattern {
		return nil, fmt.Errorf("pattern: %d bytes, at most %d are read", len(source), maxPattern)
	}
	re, err := onig.Compile(source)
	if err != nil {
		return nil, fmt.Errorf("pattern %s: %w is not supported", quoted(source), err)
	}
	return &pattern{re: re, text: quoted(source), source: source}, nil
}

// quoted is a pattern for a message, cut where it is long.
func quoted(source string) string {
	if r := []rune(source); len(r) > 60 {
		source = string(r[:60]) + "…"
	}
	return fmt.Sprintf("%q", source)
}

// find calls yield for each match [i,j) in s, from left to right.
func (p *pattern) find(s string, cost *allowance, yield func(i, j int)) error {
	switch {
	case p.scan != nil:
		for i := 0; i < len(s); {
			j := p.scan(s, i)
			yield(i, j)
			i = j
		}
		return nil
	case p.re != nil:
		if err := p.re.Find(s, &cost.steps, yield); err != nil {
			return fmt.Errorf("pattern %s %w; it backtracks too much to be used on any file", p.text, err)
		}
		return nil
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
