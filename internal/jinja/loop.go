package jinja

import "slices"

// loopContext is the variable loop.
type loopContext struct {
	st             *state
	next           func() (Value, bool)
	length         int // -1: not known yet
	index          int
	depth          int
	before         Value
	current, after Value
	changed        Value
	node           *forNode // of a recursive loop
	env            *env
}

func (l *loopContext) advance() (Value, bool) {
	v := l.after
	if v != missing {
		l.after = missing
	} else {
		var ok bool
		if v, ok = l.next(); !ok {
			return nil, false
		}
	}
	l.index++
	l.before, l.current = l.current, v
	return v, true
}

func (l *loopContext) peek() Value {
	if l.after == missing {
		if v, ok := l.next(); ok {
			l.after = v
		}
	}
	return l.after
}

func (l *loopContext) len() int {
	if l.length < 0 {
		var rest []Value
		for {
			v, ok := l.next()
			if !ok {
				break
			}
			l.st.pay(16)
			rest = append(rest, v)
		}
		l.next = sliceIter(rest)
		l.length = len(rest) + l.index + 1
		if l.after != missing {
			l.length++
		}
	}
	return l.length
}

// loopAttrs are the attributes of loop that are no items; others are undefined.
func (st *state) loopAttr(l *loopContext, name string) (Value, bool) {
	switch name {
	case "index":
		return int64(l.index + 1), true
	case "index0":
		return int64(l.index), true
	case "revindex":
		return int64(l.len() - l.index), true
	case "revindex0":
		return int64(l.len() - l.index - 1), true
	case "length":
		return int64(l.len()), true
	case "first":
		return l.index == 0, true
	case "last":
		return l.peek() == missing, true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		if l.index == 0 {
			return &undefined{message: "there is no previous item"}, true
		}
		return l.before, true
	case "nextitem":
		if v := l.peek(); v != missing {
			return v, true
		}
		return &undefined{message: "there is no next item"}, true
	case "cycle":
		return &function{name: "cycle", call: func(st *state, a *args) Value {
			if len(a.pos) == 0 || len(a.kw) > 0 {
				st.fail("loop.cycle: no items given")
			}
			return a.pos[l.index%len(a.pos)]
		}}, true
	case "changed":
		return &function{name: "changed", call: func(st *state, a *args) Value {
			if len(a.kw) > 0 {
				st.fail("loop.changed takes no named arguments")
			}
			last, ok := l.changed.(*tuple)
			now := &tuple{items: slices.Clone(a.pos)}
			if ok && st.equal(last, now) {
				return false
			}
			l.changed = now
			return true
		}}, true
	}
	return nil, false
}

// cycler is what cycler() makes.
type cycler struct {
	items []Value
	pos   int
}

func (st *state) cyclerAttr(c *cycler, name string) (Value, bool) {
	switch name {
	case "current":
		return c.items[c.pos], true
	case "pos":
		return int64(c.pos), true
	case "items":
		return &tuple{items: c.items}, true
	case "next":
		return &function{name: "next", call: func(st *state, a *args) Value {
			st.bind(a, "next", 0)
			v := c.items[c.pos]
			c.pos = (c.pos + 1) % len(c.items)
			return v
		}}, true
	case "reset":
		return &function{name: "reset", call: func(st *state, a *args) Value {
			st.bind(a, "reset", 0)
			c.pos = 0
			return nil
		}}, true
	}
	return nil, false
}
