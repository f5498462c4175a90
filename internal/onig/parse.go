package onig

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// kind is what a node of the syntax tree does.
type kind uint8

const (
	empty   kind = iota
	text         // runes one after the other; fold: whatever their case
	class        // a character of set
	concat       // kids one after the other
	alt          // the first kid that lets the rest match
	group        // kid, remembered as group n
	option       // kid, which had options of its own: (?i:…)
	atomic       // kid's first match only
	look         // kid matches here (behind: up to here), or does not (negative)
	repeat       // kid, min to max times
	backref      // what group n matched
	assert       // a place, by its letter
	keep         // the match begins here
	cond         // kids[0] if group n matched, else kids[1]
)

type node struct {
	kind             kind
	runes            []rune
	fold             bool
	set              set
	kids             []*node
	n                int // group; its number, or for backref and cond -1 with a name
	name             string
	min, max         int // max -1: no limit
	lazy, possessive bool
	behind, negative bool
	place            byte
	at               int // byte of the pattern
}

const (
	maxRepeat = 100000 // Oniguruma's own limit
	maxDepth  = 200
)

// Error is a pattern that is refused: what is wrong and where.
type Error struct {
	What string
	At   int // byte of the pattern
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.What, e.At) }

type parser struct {
	src                    string
	pos                    int
	fold, dotAll, extended bool
	depth                  int
	groups                 int
	names                  map[string]int
	numbered               *node // the first reference by number
	refs                   []*node
	sets                   map[string]set
}

// fail is the error that unwinds the parser.
func (p *parser) fail(at int, format string, args ...any) {
	panic(&Error{fmt.Sprintf(format, args...), at})
}

// parse reads the whole pattern.
func parse(src string) (n *node, p *parser, err error) {
	p = &parser{src: src, names: map[string]int{}}
	defer func() {
		if e := recover(); e != nil {
			refused, ok := e.(*Error)
			if !ok {
				panic(e)
			}
			n, err = nil, refused
		}
	}()
	n = p.alternatives()
	if p.pos < len(src) {
		p.fail(p.pos, "unmatched )")
	}
	p.resolve()
	return n, p, nil
}

// resolve checks the references to groups once all groups are known.
func (p *parser) resolve() {
	if len(p.names) > 0 && p.numbered != nil {
		// Beside named groups plain ones do not count.
		p.fail(p.numbered.at, "a reference by number in a pattern with named groups")
	}
	for _, ref := range p.refs {
		if ref.name != "" {
			n, ok := p.names[ref.name]
			if !ok {
				p.fail(ref.at, "no group is called %q: a reference", ref.name)
			}
			ref.n = n
		}
		if ref.n < 1 || ref.n > p.groups {
			p.fail(ref.at, "a reference to group %d of %d", ref.n, p.groups)
		}
	}
}

func (p *parser) more() bool { return p.pos < len(p.src) }

// next takes the character at pos.
func (p *parser) next() rune {
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += n
	return r
}

// take takes s if it is next.
func (p *parser) take(s string) bool {
	if strings.HasPrefix(p.src[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *parser) peek(s string) bool { return strings.HasPrefix(p.src[p.pos:], s) }

// skip passes comments, and in extended form white space.
func (p *parser) skip() {
	for p.more() {
		switch {
		case p.peek("(?#"):
			from := p.pos
			for p.pos += 3; ; {
				if !p.more() {
					p.fail(from, "a comment without end")
				}
				c := p.next()
				if c == ')' {
					break
				}
				if c == '\\' && p.more() {
					p.next()
				}
			}
		case p.extended && strings.IndexByte(" \t\n\r\f", p.src[p.pos]) >= 0:
			p.pos++
		case p.extended && p.src[p.pos] == '#':
			if k := strings.IndexByte(p.src[p.pos:], '\n'); k >= 0 {
				p.pos += k + 1
			} else {
				p.pos = len(p.src)
			}
		default:
			return
		}
	}
}

// alternatives reads up to ) or the end. Options that are set inside end with it.
func (p *parser) alternatives() *node {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.pos, "groups nested more than %d deep", maxDepth)
	}
	fold, dotAll, extended := p.fold, p.dotAll, p.extended
	kids := []*node{p.branch()}
	for p.take("|") {
		kids = append(kids, p.branch())
	}
	p.fold, p.dotAll, p.extended = fold, dotAll, extended
	p.depth--
	if len(kids) == 1 {
		return kids[0]
	}
	return &node{kind: alt, kids: kids}
}

// branch reads up to |, ) or the end.
func (p *parser) branch() *node {
	var kids []*node
	for {
		p.skip()
		if !p.more() || p.src[p.pos] == '|' || p.src[p.pos] == ')' {
			return join(kids)
		}
		n, rest := p.piece()
		kids = appendNode(kids, n)
		if rest {
			return join(kids)
		}
	}
}

// appendNode appends n, taking sequences apart and joining texts, as Oniguruma does before it looks
// for cases of several characters.
func appendNode(kids []*node, n *node) []*node {
	if n.kind == empty {
		return kids
	}
	if n.kind == concat {
		for _, k := range n.kids {
			kids = appendNode(kids, k)
		}
		return kids
	}
	if k := len(kids) - 1; k >= 0 && n.kind == text && kids[k].kind == text && kids[k].fold == n.fold {
		kids[k] = &node{kind: text, runes: append(kids[k].runes[:len(kids[k].runes):len(kids[k].runes)], n.runes...), fold: n.fold}
		return kids
	}
	return append(kids, n)
}

func join(kids []*node) *node {
	switch len(kids) {
	case 0:
		return &node{}
	case 1:
		return kids[0]
	}
	return &node{kind: concat, kids: kids}
}

// piece reads an atom and its quantifiers. rest: the options of (?i) have swallowed everything up to
// the end of the group.
func (p *parser) piece() (n *node, rest bool) {
	at := p.pos
	n, rest = p.atom()
	if rest {
		return n, true
	}
	for {
		p.skip()
		q := p.quantifier()
		if q == nil {
			return n, false
		}
		if !repeatable(n) {
			p.fail(p.pos-1, "a quantifier of an anchor or look-around")
		}
		if p.depth++; p.depth > maxDepth {
			p.fail(at, "quantifiers nested more than %d deep", maxDepth)
		}
		defer func() { p.depth-- }()
		if q.min == 1 && q.max == 1 {
			continue
		}
		q.kids = []*node{n}
		n = q
	}
}

// repeatable: anchors and look-around take no quantifier.
func repeatable(n *node) bool {
	switch n.kind {
	case assert, look, keep:
		return false
	case alt:
		for _, k := range n.kids {
			if !repeatable(k) {
				return false
			}
		}
	}
	return true
}

// quantifier reads one, nil if there is none.
func (p *parser) quantifier() *node {
	if !p.more() {
		return nil
	}
	q := &node{kind: repeat, max: -1, at: p.pos}
	switch p.src[p.pos] {
	case '*':
	case '+':
		q.min = 1
	case '?':
		q.max = 1
	case '{':
		return p.interval(q)
	default:
		return nil
	}
	p.pos++
	if p.take("?") {
		q.lazy = true
	} else if p.take("+") {
		q.possessive = true
	}
	return q
}

// interval reads {n}, {n,}, {,m}, {n,m}; nil: the brace is a character. {n,m}? is lazy, but {n}? is
// ({n})?, and + behind an interval is one more quantifier. {n,m} with n > m is possessive.
func (p *parser) interval(q *node) *node {
	from := p.pos
	p.pos++
	low, hasLow := p.number()
	high, fixed := low, true
	if p.take(",") {
		fixed = false
		var hasHigh bool
		if high, hasHigh = p.number(); !hasHigh {
			high = -1
		}
		if !hasLow && !hasHigh {
			p.pos = from
			return nil
		}
	} else if !hasLow {
		p.pos = from
		return nil
	}
	if !p.take("}") {
		p.pos = from
		return nil
	}
	if high >= 0 && low > high {
		q.possessive = true
		low, high = high, low
	}
	q.min, q.max = low, high
	if !fixed && !q.possessive && p.take("?") {
		q.lazy = true
	}
	return q
}

// number reads a decimal number.
func (p *parser) number() (n int, found bool) {
	from := p.pos
	for p.more() && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		if n = 10*n + int(p.src[p.pos]-'0'); n > maxRepeat {
			p.fail(from, "a number over %d", maxRepeat)
		}
		p.pos++
	}
	return n, p.pos > from
}

func (p *parser) atom() (n *node, rest bool) {
	at := p.pos
	switch c := p.next(); c {
	case '(':
		return p.parenthesis(at)
	case '[':
		set, negative := p.class()
		return p.classNode(set, negative), false
	case '.':
		return p.dot(p.dotAll), false
	case '^', '$':
		return &node{kind: assert, place: byte(c)}, false
	case '*', '+', '?':
		p.fail(at, "nothing stands before the quantifier %c", c)
	case '{':
		p.pos = at
		if p.interval(new(node)) != nil {
			p.fail(at, "nothing stands before a quantifier")
		}
		p.pos = at + 1
		return p.char(c), false
	case '\\':
		return p.escape(at), false
	default:
		return p.char(c), false
	}
	panic("unreachable")
}

func (p *parser) char(c rune) *node { return &node{kind: text, runes: []rune{c}, fold: p.fold} }

func (p *parser) dot(all bool) *node {
	if all {
		return &node{kind: class, set: set(nil).not()}
	}
	return &node{kind: class, set: newSet('\n', '\n').not()}
}

// parenthesis reads what follows a ( at byte at.
func (p *parser) parenthesis(at int) (n *node, rest bool) {
	if p.peek("*") {
		p.fail(at, "a callout (*…)")
	}
	if !p.take("?") {
		p.groups++
		n = &node{kind: group, n: p.groups, at: at}
		n.kids = []*node{p.body(at)}
		return n, false
	}
	for _, c := range []struct {
		mark string
		node node
	}{
		{"=", node{kind: look}}, {"!", node{kind: look, negative: true}}, {">", node{kind: atomic}},
		{"<=", node{kind: look, behind: true}}, {"<!", node{kind: look, behind: true, negative: true}},
	} {
		if p.take(c.mark) {
			n = &c.node
			n.at = at
			n.kids = []*node{p.body(at)}
			if k := find(n, keep); k != nil && n.kind == look {
				p.fail(k.at, `\K in a look-around`)
			}
			return n, false
		}
	}
	switch {
	case p.take(":"):
		return p.body(at), false
	case p.take("<"):
		return p.named(at, '>'), false
	case p.take("'"):
		return p.named(at, '\''), false
	case p.take("("):
		return p.conditional(at), false
	case p.take("~"):
		p.fail(at, "an absent operator (?~…)")
	case p.take("{"):
		p.fail(at, "a callout (?{…})")
	case p.take("P"):
		p.fail(at, "a group (?P…)")
	}
	return p.options(at)
}

// body reads up to the ) of the group that began at byte at.
func (p *parser) body(at int) *node {
	n := p.alternatives()
	if !p.take(")") {
		p.fail(at, "a group without )")
	}
	return n
}

func (p *parser) named(at int, end rune) *node {
	name := p.name(at, end)
	if _, twice := p.names[name]; twice {
		p.fail(at, "two groups called %q", name)
	}
	p.groups++
	p.names[name] = p.groups
	n := &node{kind: group, n: p.groups, name: name, at: at}
	n.kids = []*node{p.body(at)}
	return n
}

// name reads a name up to end.
func (p *parser) name(at int, end rune) string {
	from := p.pos
	for p.more() {
		c := p.next()
		if c == end {
			name := p.src[from : p.pos-utf8.RuneLen(end)]
			if name == "" || name[0] >= '0' && name[0] <= '9' {
				p.fail(at, "a group called %q", name)
			}
			return name
		}
		if c != '_' && !isWord().has(c) {
			break
		}
	}
	p.fail(at, "a group name that is no word")
	return ""
}

// reference reads <name>, <1>, <-1> or <+1> up to end, the opening mark being taken.
func (p *parser) reference(n *node, end rune) *node {
	if p.more() && strings.IndexByte("0123456789+-", p.src[p.pos]) >= 0 {
		sign := p.src[p.pos]
		if sign == '+' || sign == '-' {
			p.pos++
		}
		k, found := p.number()
		if !found || !p.take(string(end)) {
			p.fail(n.at, "a reference that is neither a number nor a name")
		}
		switch sign {
		case '-':
			k = p.groups + 1 - k
		case '+':
			k = p.groups + k
		}
		if k < 1 {
			p.fail(n.at, "a reference to a group before the first")
		}
		n.n = k
		if p.numbered == nil {
			p.numbered = n
		}
	} else {
		n.name = p.name(n.at, end)
		// A name must be known where it is used.
		if _, ok := p.names[n.name]; !ok {
			p.fail(n.at, "no group before it is called %q: a reference", n.name)
		}
	}
	p.refs = append(p.refs, n)
	return n
}

// conditional reads what follows (?( : a group and what to match with it and without.
func (p *parser) conditional(at int) *node {
	n := &node{kind: cond, at: at}
	switch {
	case p.take("<"):
		p.reference(n, '>')
		if !p.take(")") {
			p.fail(at, "a condition without )")
		}
	case p.take("'"):
		p.reference(n, '\'')
		if !p.take(")") {
			p.fail(at, "a condition without )")
		}
	case p.more() && strings.IndexByte("0123456789+-", p.src[p.pos]) >= 0:
		p.reference(n, ')')
	default:
		p.fail(at, "a condition that is an expression, (?(…)…),")
	}
	if p.take(")") { // only the check
		n.kids = []*node{{}, {kind: alt}}
		return n
	}
	yes, no := &node{}, &node{}
	if p.take("|") {
		no = p.body(at)
	} else if yes = p.body(at); yes.kind == alt {
		if yes, no = yes.kids[0], (&node{kind: alt, kids: yes.kids[1:]}); len(no.kids) == 1 {
			no = no.kids[0]
		}
	}
	n.kids = []*node{yes, no}
	return n
}

// find is the first node of a kind in n, or nil.
func find(n *node, k kind) *node {
	if n.kind == k {
		return n
	}
	for _, kid := range n.kids {
		if found := find(kid, k); found != nil {
			return found
		}
	}
	return nil
}

// options reads (?imx-imx) or (?imx-imx:…).
func (p *parser) options(at int) (n *node, rest bool) {
	fold, dotAll, extended := p.fold, p.dotAll, p.extended
	on := true
	for p.more() {
		switch c := p.next(); c {
		case '-':
			on = false
		case 'i':
			fold = on
		case 'm':
			dotAll = on
		case 'x':
			extended = on
		case ')', ':':
			wasFold, wasDotAll, wasExtended := p.fold, p.dotAll, p.extended
			p.fold, p.dotAll, p.extended = fold, dotAll, extended
			if c == ':' {
				n = p.body(at)
			} else {
				n = p.alternatives()
			}
			p.fold, p.dotAll, p.extended = wasFold, wasDotAll, wasExtended
			return &node{kind: option, kids: []*node{n}}, c == ')'
		default:
			p.fail(at, "the option %q of a group", c)
		}
	}
	p.fail(at, "a group without )")
	return nil, false
}

// escape reads what follows the \ at byte at, outside classes.
func (p *parser) escape(at int) *node {
	if !p.more() {
		p.fail(at, `a \ at the end`)
	}
	c := p.next()
	switch c {
	case 'w', 'W':
		// Outside classes \w asks another table than inside, see isWord.
		return &node{kind: class, set: flip(isWord(), c == 'W')}
	case 'd', 'D', 's', 'S', 'h', 'H':
		return &node{kind: class, set: shorthand(c)}
	case 'p', 'P':
		if p.take("{") {
			return &node{kind: class, set: p.property(at, c == 'P', false)}
		}
	case 'b', 'B', 'A', 'Z', 'z', 'G':
		return &node{kind: assert, place: byte(c)}
	case 'K':
		return &node{kind: keep, at: at}
	case 'N':
		return p.dot(false)
	case 'O':
		return p.dot(true)
	case 'R':
		crlf := &node{kind: text, runes: []rune("\r\n")}
		return &node{kind: atomic, kids: []*node{{kind: alt, kids: []*node{crlf, {kind: class, set: newSet('\n', '\r', 0x85, 0x85, 0x2028, 0x2029)}}}}}
	case 'X', 'y', 'Y':
		p.fail(at, `\%c (text segments)`, c)
	case 'k', 'g':
		for open, end := range map[string]rune{"<": '>', "'": '\''} {
			if p.take(open) {
				if c == 'g' {
					p.fail(at, `a call of a group, \g%s…%c,`, open, end)
				}
				return p.fits(p.reference(&node{kind: backref, at: at}, end))
			}
		}
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		p.pos--
		from := p.pos
		for p.more() && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
			p.pos++
		}
		digits := p.src[from:p.pos]
		if k := atoi(digits); k <= 9 || k <= p.groups {
			n := &node{kind: backref, n: k, at: at}
			if p.numbered == nil {
				p.numbered = n
			}
			p.refs = append(p.refs, n)
			return p.fits(n)
		}
		p.pos = from + 1 // \8 and \9 are characters, others octal
	}
	p.pos = at + 1
	return p.char(p.character(at))
}

// fits refuses a backreference that would compare without case.
func (p *parser) fits(n *node) *node {
	if p.fold {
		p.fail(n.at, "a backreference that ignores case")
	}
	return n
}

// atoi is a number that is known to be digits; large ones are all the same.
func atoi(digits string) int {
	n := 0
	for _, d := range digits {
		n = min(10*n+int(d-'0'), maxRepeat)
	}
	return n
}

// character reads an escape that stands for one character, the \ at byte at being taken.
func (p *parser) character(at int) rune {
	c := p.next()
	switch c {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	case 'v':
		return '\v'
	case 'a':
		return '\a'
	case 'e':
		return 0x1B
	case 'c':
		if p.more() && p.src[p.pos] >= '@' && p.src[p.pos] <= 'z' && p.src[p.pos] != '\\' {
			return p.next() & 0x1F
		}
		p.fail(at, `\c without a letter`)
	case 'C', 'M':
		if p.peek("-") || c == 'M' {
			p.fail(at, `\%c-… (control and meta characters)`, c)
		}
		p.fail(at, `\%c`, c)
	case 'x':
		if p.take("{") {
			if n, found := p.digits(16, 8); found {
				if !p.take("}") {
					p.fail(at, `\x{…} that is not one hexadecimal number`)
				}
				return p.codePoint(at, n)
			}
			p.pos--
			return 'x'
		}
		if !p.more() {
			return 'x'
		}
		n, _ := p.digits(16, 2)
		return p.single(at, n)
	case 'o':
		if p.take("{") {
			if n, found := p.digits(8, 11); found {
				if !p.take("}") {
					p.fail(at, `\o{…} that is not one octal number`)
				}
				return p.codePoint(at, n)
			}
			p.pos--
		}
		return 'o'
	case 'u':
		if !p.more() {
			return 'u'
		}
		from := p.pos
		n, _ := p.digits(16, 4)
		if p.pos != from+4 {
			p.fail(at, `\u without four hexadecimal digits`)
		}
		return p.codePoint(at, n)
	case '0', '1', '2', '3', '4', '5', '6', '7':
		p.pos--
		n, _ := p.digits(8, 3)
		return p.single(at, n)
	}
	return c
}

// digits reads up to limit digits of a base.
func (p *parser) digits(base, limit int) (n int, found bool) {
	for k := 0; k < limit && p.more(); k++ {
		d := strings.IndexByte("0123456789abcdef", p.src[p.pos]|0x20)
		if p.src[p.pos] < '0' || d < 0 || d >= base {
			break
		}
		n, found = n*base+d, true
		p.pos++
	}
	return n, found
}

func (p *parser) codePoint(at, n int) rune {
	if n > utf8.MaxRune || n >= 0xD800 && n < 0xE000 {
		p.fail(at, "%X, which is no character,", n)
	}
	return rune(n)
}

// single is a character given as one byte; bytes over 127 are parts of characters.
func (p *parser) single(at, n int) rune {
	if n >= utf8.RuneSelf {
		p.fail(at, "the byte %#x, which is only a part of a character,", n)
	}
	return rune(n)
}
