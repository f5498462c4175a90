package onig

import (
	"fmt"
	"unicode/utf8"
)

// op is what an instruction of the matcher does.
type op uint8

const (
	opText    op = iota // the bytes of text
	opSet               // a character of set
	opRun               // x to y characters of set; y -1: any number
	opAlt               // the first branch that works
	opJump              // to x
	opSave              // remember the position in slot x
	opAtomic            // the code up to x, its first match only
	opAhead             // look-ahead: the code up to x; y 1: must not match
	opBehind            // look-behind
	opSubEnd            // end of the code of one of these
	opMark              // remember the position in slot x, for opLoop
	opLoop              // leave a loop to y if nothing was matched since opMark of slot x
	opBackref           // what group x matched
	opCond              // to y unless group x matched
	opAssert            // the place x
	opKeep
	opFail
	opMatch
)

type inst struct {
	op               op
	x, y             int
	lazy, possessive bool
	text             string
	set              *members
	branches         []branch
	min, max         int // characters of a look-behind; max -1: any number
}

// branch is one way of an opAlt: first are the bytes that it may begin with, nil: it may match
// nothing, so any.
type branch struct {
	pc    int
	first *bytes
}

// bytes is a set of bytes.
type bytes [4]uint64

func (b *bytes) has(c byte) bool { return b[c>>6]>>(c&63)&1 != 0 }
func (b *bytes) add(c byte)      { b[c>>6] |= 1 << (c & 63) }
func (b *bytes) join(o *bytes) {
	for k := range b {
		b[k] |= o[k]
	}
}

// Regexp is a compiled pattern. It may be used by several goroutines.
type Regexp struct {
	source string
	code   []inst
	groups int // that references ask for
	slots  int
	first  *bytes // a match begins with one of these; nil: may be empty
	pool   pool
}

// maxCode bounds the size of a pattern with its repetitions written out.
const maxCode = 50000

type compiler struct {
	re   *Regexp
	sets map[string]*members
	// refs: groups are kept.
	refs bool
}

// Compile reads a pattern in Oniguruma's syntax. What it cannot give the same meaning is an *Error.
func Compile(source string) (re *Regexp, err error) {
	n, p, err := parse(source)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := recover(); e != nil {
			refused, ok := e.(*Error)
			if !ok {
				panic(e)
			}
			re, err = nil, refused
		}
	}()
	c := &compiler{re: &Regexp{source: source}, sets: map[string]*members{}, refs: len(p.refs) > 0}
	if c.refs {
		c.re.groups = p.groups
		c.re.slots = 2 * (p.groups + 1)
	}
	c.node(n, false)
	c.emit(inst{op: opMatch})
	if first, nullable := firstOf(n, c); !nullable {
		c.re.first = first
	}
	return c.re, nil
}

// Class is the set of characters that a pattern of a single class matches, such as `\p{L}`.
func Class(pattern string) (has func(r rune) bool, err error) {
	n, _, err := parse(pattern)
	if err != nil {
		return nil, err
	}
	if n.kind != class {
		return nil, &Error{"a pattern that is not a class", 0}
	}
	return n.set.members().has, nil
}

func (c *compiler) fail(at int, what string) { panic(&Error{what, at}) }

func (c *compiler) emit(i inst) int {
	if len(c.re.code) >= maxCode {
		c.fail(0, "repetitions that are too large")
	}
	c.re.code = append(c.re.code, i)
	return len(c.re.code) - 1
}

func (c *compiler) here() int { return len(c.re.code) }

// members shares the tables of equal sets.
func (c *compiler) members(s set) *members {
	key := string([]rune(s))
	m, ok := c.sets[key]
	if !ok {
		m = s.members()
		c.sets[key] = m
	}
	return m
}

// single is the set of a node that matches exactly one character.
func (c *compiler) single(n *node, behind bool) (set, bool) {
	switch {
	case n.kind == class:
		return n.set, true
	case n.kind == option:
		return c.single(n.kids[0], behind)
	case n.kind == text && len(n.runes) == 1 && !n.fold:
		return newSet(n.runes[0], n.runes[0]), true
	case n.kind == text && n.fold:
		if m := anyCase(n.runes, behind); m.kind == class {
			return m.set, true
		}
	}
	return nil, false
}

// node writes the code of n. behind: inside a look-behind.
func (c *compiler) node(n *node, behind bool) {
	switch n.kind {
	case empty:
	case text:
		if n.fold {
			c.node(anyCase(n.runes, behind), behind)
		} else {
			c.emit(inst{op: opText, text: string(n.runes)})
		}
	case class:
		c.emit(inst{op: opSet, set: c.members(n.set)})
	case concat, option:
		for _, k := range n.kids {
			c.node(k, behind)
		}
	case alt:
		c.alternatives(n, behind)
	case group:
		if !c.refs {
			c.node(n.kids[0], behind)
			return
		}
		c.emit(inst{op: opSave, x: 2 * n.n})
		c.node(n.kids[0], behind)
		c.emit(inst{op: opSave, x: 2*n.n + 1})
	case atomic:
		if low, high := width(n.kids[0], c); behind && low != high {
			// Oniguruma 6.9.10 misses matches there: (?<=\R) finds \r\n only.
			c.fail(n.at, "an atomic group of several lengths in a look-behind")
		}
		c.sub(inst{op: opAtomic}, n.kids[0], behind)
	case look:
		c.look(n, behind)
	case repeat:
		c.repeat(n, behind)
	case backref:
		if behind {
			c.fail(n.at, "a backreference in a look-behind")
		}
		c.emit(inst{op: opBackref, x: n.n})
	case assert:
		if behind && (n.place == 'z' || n.place == 'Z') {
			c.fail(n.at, `\z or \Z in a look-behind`)
		}
		c.emit(inst{op: opAssert, x: int(n.place)})
	case keep:
		c.emit(inst{op: opKeep})
	case cond:
		at := c.emit(inst{op: opCond, x: n.n})
		c.node(n.kids[0], behind)
		end := c.emit(inst{op: opJump})
		c.re.code[at].y = c.here()
		c.node(n.kids[1], behind)
		c.re.code[end].x = c.here()
	}
}

// sub writes code that is run by itself.
func (c *compiler) sub(i inst, body *node, behind bool) {
	at := c.emit(i)
	c.node(body, behind)
	c.emit(inst{op: opSubEnd})
	c.re.code[at].x = c.here()
}

func (c *compiler) alternatives(n *node, behind bool) {
	if len(n.kids) == 0 {
		c.emit(inst{op: opFail})
		return
	}
	at := c.emit(inst{op: opAlt})
	var branches []branch
	var ends []int
	for k, kid := range n.kids {
		branches = append(branches, branch{c.here(), c.firstBytes(kid)})
		c.node(kid, behind)
		if k < len(n.kids)-1 {
			ends = append(ends, c.emit(inst{op: opJump}))
		}
	}
	c.re.code[at].branches = branches
	for _, end := range ends {
		c.re.code[end].x = c.here()
	}
}

// firstBytes is nil if n may match nothing.
func (c *compiler) firstBytes(n *node) *bytes {
	first, nullable := firstOf(n, c)
	if nullable {
		return nil
	}
	return first
}

func (c *compiler) look(n *node, behind bool) {
	if behind && (!n.behind || n.negative) {
		// Oniguruma allows a negative look-behind in a negative one only; its depth is lost here.
		c.fail(n.at, "a look-ahead or negative look-behind in a look-behind")
	}
	i := inst{op: opAhead}
	if n.negative {
		i.y = 1
	}
	if n.behind {
		i.op = opBehind
		if find(n.kids[0], group) != nil && (n.negative || c.refs) {
			c.fail(n.at, "a group that captures in a look-behind")
		}
		if i.min, i.max = width(n.kids[0], c); i.min > maxBehind || i.max > maxBehind {
			c.fail(n.at, fmt.Sprintf("a look-behind over %d characters", maxBehind))
		}
	}
	c.sub(i, n.kids[0], behind || n.behind)
}

const maxBehind = 65535 // Oniguruma's own limit

func (c *compiler) repeat(n *node, behind bool) {
	kid := n.kids[0]
	if s, ok := c.single(kid, behind); ok && !(behind && n.possessive) {
		c.emit(inst{op: opRun, x: n.min, y: n.max, lazy: n.lazy, possessive: n.possessive, set: c.members(s)})
		return
	}
	if n.possessive {
		if low, high := width(n, c); behind && low != high {
			c.fail(n.at, "a possessive quantifier in a look-behind")
		}
		plain := *n
		plain.possessive = false
		c.sub(inst{op: opAtomic}, &plain, behind)
		return
	}
	first, nullable := firstOf(kid, c)
	if nullable {
		first = nil
		if c.refs && find(kid, group) != nil {
			c.fail(n.at, "a quantifier of a group that may match nothing, in a pattern with references,")
		}
	}
	for range n.min {
		c.node(kid, behind)
	}
	way := func(body, exit int) []branch {
		if n.lazy {
			return []branch{{exit, nil}, {body, first}}
		}
		return []branch{{body, first}, {exit, nil}}
	}
	if n.max < 0 {
		slot := 0
		at := c.emit(inst{op: opAlt})
		if nullable {
			slot = c.re.slots
			c.re.slots++
			c.emit(inst{op: opMark, x: slot})
		}
		c.node(kid, behind)
		check := -1
		if nullable {
			check = c.emit(inst{op: opLoop, x: slot})
		}
		c.emit(inst{op: opJump, x: at})
		c.re.code[at].branches = way(at+1, c.here())
		if check >= 0 {
			c.re.code[check].y = c.here()
		}
		return
	}
	var alts []int
	for range n.max - n.min {
		alts = append(alts, c.emit(inst{op: opAlt}))
		c.node(kid, behind)
	}
	for _, at := range alts {
		c.re.code[at].branches = way(at+1, c.here())
	}
}

// firstOf is the bytes that a match of n may begin with, and whether it may be empty.
func firstOf(n *node, c *compiler) (*bytes, bool) {
	b := new(bytes)
	switch n.kind {
	case text:
		if n.fold {
			return firstOf(anyCase(n.runes, false), c)
		}
		b.add(string(n.runes[:1])[0])
		return b, false
	case class:
		firstOfSet(b, n.set)
		return b, false
	case concat, option, group, atomic:
		for _, k := range n.kids {
			f, nullable := firstOf(k, c)
			if b.join(f); !nullable {
				return b, false
			}
		}
		return b, true
	case alt, cond:
		any := false
		for _, k := range n.kids {
			f, nullable := firstOf(k, c)
			b.join(f)
			any = any || nullable
		}
		return b, any
	case repeat:
		f, nullable := firstOf(n.kids[0], c)
		return f, nullable || n.min == 0
	}
	return b, true
}

func firstOfSet(b *bytes, s set) {
	var buf [utf8.UTFMax]byte
	lead := func(r rune) byte {
		if r >= 0xD800 && r < 0xE000 {
			return 0xED
		}
		utf8.EncodeRune(buf[:], r)
		return buf[0]
	}
	for k := 0; k < len(s); k += 2 {
		for c := int(lead(s[k])); c <= int(lead(s[k+1])); c++ {
			b.add(byte(c))
		}
	}
	if s.has(utf8.RuneError) { // bytes that are no UTF-8 count as this character
		for c := 0x80; c <= 0xFF; c++ {
			b.add(byte(c))
		}
	}
}

// width is how many characters a match of n may have; max -1: any number.
func width(n *node, c *compiler) (low, high int) {
	switch n.kind {
	case text:
		return len(n.runes), len(n.runes) // in a look-behind one character stays one
	case class:
		return 1, 1
	case concat, option, group, atomic:
		for _, k := range n.kids {
			l, h := width(k, c)
			low = capped(low + l)
			if high >= 0 && h >= 0 {
				high = capped(high + h)
			} else {
				high = -1
			}
		}
	case alt, cond:
		for k, kid := range n.kids {
			l, h := width(kid, c)
			if k == 0 {
				low, high = l, h
				continue
			}
			low = min(low, l)
			if high >= 0 && h >= 0 {
				high = max(high, h)
			} else {
				high = -1
			}
		}
	case repeat:
		l, h := width(n.kids[0], c)
		low = capped(l * n.min)
		switch {
		case h == 0 || n.max == 0:
			high = 0
		case h < 0 || n.max < 0:
			high = -1
		default:
			high = capped(h * n.max)
		}
	}
	return low, high
}

// capped keeps products small: anything over maxBehind is refused alike.
func capped(n int) int { return min(n, maxBehind+1) }
