package tokenizer

import (
	"fmt"
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
	maxTagCode   = 1024      // characters of one tag outside its strings: gonja nests a.b.c, and quotes each level in errors
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
	operators, code := 0, 0
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
		if c != ' ' {
			code++
		}
		if code > maxTagCode {
			return fmt.Errorf("more than %d characters of code in one tag", maxTagCode)
		}
		p.out.WriteByte(c)
		p.pos++
	}
	return fmt.Errorf("tag without end")
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
