package onig

import "strings"

// class reads a character class, its [ being taken: the set and whether it is negated.
func (p *parser) class() (s set, negative bool) {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.pos, "classes nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	c := classReader{parser: p, from: p.pos - 1}
	if p.take("^") {
		negative = true
	}
	if p.take("]") {
		if !hasClose(p.src[p.pos:]) {
			p.fail(c.from, "an empty class")
		}
		c.char(']')
	}
	for !c.read() {
	}
	return c.result(), negative
}

// hasClose reports whether a ] that is not escaped follows.
func hasClose(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ']':
			return true
		}
	}
	return false
}

// classReader builds the set of a class as Oniguruma's parser does, which decides what a - means.
type classReader struct {
	*parser
	from  int
	set   set // of the current operand of &&
	left  set // operands before it, intersected
	both  bool
	state uint8
	last  rune // valid in state value unless the value is a property
	prop  bool
}

// States: nothing yet, a value that may begin a range, its - was read, a range or class is complete.
const (
	start uint8 = iota
	value
	inRange
	complete
)

func (c *classReader) add(lo, hi rune) { c.set = append(c.set, lo, hi) }

// settle adds a value that turned out to begin no range.
func (c *classReader) settle() {
	if c.state == value && !c.prop {
		c.add(c.last, c.last)
	}
}

func (c *classReader) char(r rune) {
	switch c.state {
	case value:
		c.settle()
	case inRange:
		if c.last > r {
			c.fail(c.pos, "an empty range in a class")
		}
		c.add(c.last, r)
		c.state, c.last, c.prop = complete, r, false
		return
	}
	c.state, c.last, c.prop = value, r, false
}

func (c *classReader) property(s set) {
	if c.state == inRange {
		c.fail(c.pos, "a range that ends in a class")
	}
	c.settle()
	c.set = append(c.set, s...)
	c.state, c.prop = value, true
}

// read takes one part of the class and reports whether it was the end.
func (c *classReader) read() (end bool) {
	at := c.pos
	if !c.more() {
		c.fail(c.from, "a class without ]")
	}
	switch r := c.next(); r {
	case ']':
		c.settle()
		return true
	case '-':
		c.minus(at)
	case '[':
		if name, not, ok := c.posix(); ok {
			s, known := posixSets[name]
			if !known {
				c.fail(at, "the class [:%s:]", name)
			}
			c.property(flip(s(), not))
			return false
		}
		c.settle()
		c.state = complete
		s, negative := c.class()
		c.set = append(c.set, flip(s, negative)...)
	case '&':
		if !c.take("&") {
			c.char(r)
			return false
		}
		c.settle()
		c.intersect()
		c.state = start
	case '\\':
		c.escape(at)
	default:
		c.char(r)
	}
	return false
}

// minus reads what a - at byte at stands for: itself at either end and behind a range, else a range.
func (c *classReader) minus(at int) {
	switch {
	case c.state == value && !c.peek("]") && !c.peek("&&"):
		if c.prop {
			c.fail(at, "a range that begins with a class")
		}
		c.state = inRange
	default:
		c.char('-')
	}
}

// intersect closes an operand of &&.
func (c *classReader) intersect() {
	s := clean(c.set)
	if c.both {
		s = c.left.and(s)
	}
	c.left, c.both, c.set = s, true, nil
}

func (c *classReader) result() set {
	if c.both {
		c.intersect()
		return c.left
	}
	return clean(c.set)
}

// posix reads the rest of [:name:] or [:^name:], the [ being taken.
func (c *classReader) posix() (name string, not, ok bool) {
	s := c.src[c.pos:]
	if !strings.HasPrefix(s, ":") {
		return "", false, false
	}
	name, _, ok = strings.Cut(s[1:], ":]")
	if !ok || strings.ContainsAny(name, `]\[:`) {
		return "", false, false
	}
	c.pos += len(name) + 3
	name, not = strings.CutPrefix(name, "^")
	return name, not, true
}

func (c *classReader) escape(at int) {
	if !c.more() {
		c.fail(at, `a \ at the end`)
	}
	switch r := c.src[c.pos]; r {
	case 'w', 'W', 'd', 'D', 's', 'S', 'h', 'H':
		c.pos++
		c.property(shorthand(rune(r)))
	case 'b':
		c.pos++
		c.char('\b')
	case 'p', 'P':
		c.pos++
		if c.take("{") {
			c.property(c.parser.property(at, r == 'P', true))
		} else {
			c.char(rune(r))
		}
	default:
		c.char(c.character(at))
	}
}
