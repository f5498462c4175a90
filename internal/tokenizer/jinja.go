package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on a template, far above any in use (the longest we know has 25 kB).
const (
	maxTemplate  = 256 << 10 // bytes
	maxBrackets  = 64        // open at once
	maxOperators = 256       // ~ and + in one tag: they multiply the length of strings
	maxOpenTags  = 128       // blocks inside blocks
)

// jinjaPass rewrites a template so that gonja renders it as Jinja2 does under transformers'
// settings (trim_blocks, lstrip_blocks). It resolves white space control itself, for gonja strips
// blanks between two tags on one line; it writes string literals in the one form that gonja reads
// right whatever they contain; it drops comments; and it enforces the limits above.
type jinjaPass struct {
	src string
	pos int
	out strings.Builder
	// lineStart: the last tag swallowed a line end, so the text after it starts a line.
	lineStart bool
	// trimLeft and trimLine: what the last tag takes from the following text.
	trimLeft, trimLine bool
	depth              int
}

// prepareJinja is the rewritten source.
func prepareJinja(src string) (string, error) {
	if len(src) > maxTemplate {
		return "", fmt.Errorf("%d bytes, at most %d are read", len(src), maxTemplate)
	}
	if !utf8.ValidString(src) {
		return "", fmt.Errorf("not UTF-8")
	}
	src = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(src)
	p := jinjaPass{src: strings.TrimSuffix(src, "\n"), lineStart: true}
	for {
		start := p.nextTag()
		if start < 0 {
			p.text(p.src[p.pos:], 0, false)
			return p.out.String(), nil
		}
		kind := p.src[start+1]
		sign := byte(0)
		if start+2 < len(p.src) {
			sign = p.src[start+2]
		}
		p.text(p.src[p.pos:start], sign, kind != '{')
		p.pos = start + 2
		if sign == '-' || sign == '+' {
			p.pos++
		}
		if err := p.tag(kind); err != nil {
			line := 1 + strings.Count(p.src[:start], "\n")
			return "", fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// nextTag is the position of the next {{, {% or {#, -1 if there is none.
func (p *jinjaPass) nextTag() int {
	for i := p.pos; ; i++ {
		n := strings.IndexByte(p.src[i:], '{')
		if n < 0 || i+n+1 == len(p.src) {
			return -1
		}
		i += n
		if c := p.src[i+1]; c == '{' || c == '%' || c == '#' {
			return i
		}
	}
}

// text writes the text before a tag; sign is the tag's first character, block says that lstrip_blocks
// applies to it.
func (p *jinjaPass) text(s string, sign byte, block bool) {
	lineStart := p.lineStart
	switch {
	case p.trimLeft:
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	case p.trimLine && strings.HasPrefix(s, "\n"):
		s = s[1:]
		lineStart = true
	}
	if sign == '-' {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	} else if block && sign != '+' {
		line := strings.LastIndexByte(s, '\n') + 1
		if (line > 0 || lineStart) && strings.TrimSpace(s[line:]) == "" {
			s = s[:line]
		}
	}
	// A brace before a tag would be read with it.
	if n := len(s) - len(strings.TrimRight(s, "{")); n > 0 {
		p.out.WriteString(s[:len(s)-n])
		p.out.WriteString(`{{ "` + s[len(s)-n:] + `" }}`)
	} else {
		p.out.WriteString(s)
	}
	p.lineStart, p.trimLeft, p.trimLine = false, false, false
}

// tag copies a tag from behind its opening to its end.
func (p *jinjaPass) tag(kind byte) error {
	if kind == '#' {
		n := strings.Index(p.src[p.pos:], "#}")
		if n < 0 {
			return fmt.Errorf("comment without end")
		}
		p.pos += n
		p.endSign('#')
		return nil
	}
	from := p.out.Len()
	end := "%}"
	if kind == '{' {
		end = "}}"
	}
	p.out.WriteString("{" + string(kind) + " ")
	var open []byte
	operators := 0
	for p.pos < len(p.src) {
		rest := p.src[p.pos:]
		c := rest[0]
		if len(open) == 0 && (strings.HasPrefix(rest, end) || len(rest) > 2 && (c == '-' || c == '+' && kind == '%') && rest[1:3] == end) {
			if c == '-' || c == '+' {
				p.pos++
			}
			p.out.WriteString(" " + end)
			if kind == '%' {
				if err := p.countDepth(p.out.String()[from:]); err != nil {
					return err
				}
			}
			p.endSign(kind)
			return nil
		}
		switch c {
		case '\'', '"':
			if err := p.literal(c); err != nil {
				return err
			}
			continue
		case '[':
			if n, index := negativeIndex(rest); n > 0 && p.afterValue() {
				p.out.WriteString("[::-1][" + index + "]")
				p.pos += n
				continue
			}
			fallthrough
		case '(', '{':
			if open = append(open, c); len(open) > maxBrackets {
				return fmt.Errorf("more than %d open brackets", maxBrackets)
			}
		case ')', ']', '}':
			if len(open) == 0 {
				return fmt.Errorf("%q closes nothing", c)
			}
			open = open[:len(open)-1]
		case '*':
			// Repeating a string is the one operator that makes gigabytes of a few characters, and no
			// template multiplies.
			return fmt.Errorf("the operator * is not supported")
		case '~', '+', '-', '/', '%':
			if operators++; operators > maxOperators {
				return fmt.Errorf("more than %d operators in one tag", maxOperators)
			}
		case '\n':
			c = ' ' // gonja counts lines of its own; a line end is only a space here
		}
		p.out.WriteByte(c)
		p.pos++
	}
	return fmt.Errorf("tag without end")
}

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

// countDepth follows the nesting of blocks, which gonja parses and renders recursively.
func (p *jinjaPass) countDepth(tag string) error {
	name := strings.Fields(strings.TrimPrefix(tag, "{%"))
	if len(name) == 0 {
		return nil
	}
	switch {
	case strings.HasPrefix(name[0], "end"):
		p.depth--
	case name[0] == "if" || name[0] == "for" || name[0] == "macro" || name[0] == "filter" || name[0] == "generation":
		p.depth++
	}
	if p.depth > maxOpenTags {
		return fmt.Errorf("more than %d blocks inside each other", maxOpenTags)
	}
	return nil
}

// endSign steps over the end of a tag of this kind, at p.pos, and notes what it takes from the text
// behind it: "-" all white space, trim_blocks one line end (not after {{ }}).
func (p *jinjaPass) endSign(kind byte) {
	before := p.src[p.pos-1]
	p.pos += 2
	switch {
	case before == '-':
		p.trimLeft = true
		rest := p.src[p.pos:]
		space := rest[:len(rest)-len(strings.TrimLeftFunc(rest, unicode.IsSpace))]
		p.lineStart = strings.HasSuffix(space, "\n")
	case kind != '{' && before != '+':
		p.trimLine = true
	}
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
