package jinja

import (
	"math/big"
	"slices"
	"strings"
)

// equal is a == b.
func (st *state) equal(a, b Value) bool {
	st.step()
	if x, ok := text(a); ok {
		y, ok := text(b)
		if !ok || len(x.s) != len(y.s) {
			return false
		}
		st.pay(len(x.s) / 8)
		return x.s == y.s
	}
	if x, ok := toNumber(a); ok {
		y, ok := toNumber(b)
		if !ok {
			return false
		}
		c, ok := compareNumbers(x, y)
		return ok && c == 0
	}
	switch x := a.(type) {
	case nil:
		return b == nil
	case *undefined:
		_, ok := b.(*undefined)
		return ok
	case *List:
		y, ok := b.(*List)
		return ok && st.equalItems(x.items, y.items)
	case *tuple:
		y, ok := b.(*tuple)
		return ok && st.equalItems(x.items, y.items)
	case *Dict:
		y, ok := b.(*Dict)
		if !ok || len(x.entries) != len(y.entries) {
			return false
		}
		defer st.enter("comparison")()
		for _, e := range x.entries {
			v, ok := y.get(e.hash)
			if !ok || !st.same(e.value, v) {
				return false
			}
		}
		return true
	case *rangeValue:
		y, ok := b.(*rangeValue)
		if !ok || x.len() != y.len() {
			return false
		}
		return x.len() == 0 || x.start == y.start && (x.len() == 1 || x.step == y.step)
	case *dictView:
		if y, ok := b.(*dictView); ok && x.kind != 'v' && y.kind != 'v' {
			return st.equalViews(x, y)
		}
	}
	return a == b
}

// same is Python's comparison of items: identical ones are equal, even NaN.
func (st *state) same(a, b Value) bool {
	switch a.(type) {
	case *List, *Dict, *tuple, *namespace:
		if a == b {
			return true
		}
	}
	return st.equal(a, b)
}

func (st *state) equalItems(a, b []Value) bool {
	if len(a) != len(b) {
		return false
	}
	defer st.enter("comparison")()
	for i := range a {
		if !st.same(a[i], b[i]) {
			return false
		}
	}
	return true
}

// equalViews compares keys or items as sets.
func (st *state) equalViews(a, b *dictView) bool {
	if len(a.d.entries) != len(b.d.entries) {
		return false
	}
	for _, e := range a.d.entries {
		st.step()
		v, ok := b.d.get(e.hash)
		if !ok || a.kind != b.kind || a.kind == 'i' && !st.same(e.value, v) {
			return false
		}
	}
	return true
}

// order is the sign of a - b; ok is false if one of them is NaN.
func (st *state) order(op string, a, b Value) (c int, ok bool) {
	st.step()
	for _, v := range []Value{a, b} {
		if u, ok := v.(*undefined); ok {
			st.useUndefined(u)
		}
	}
	if x, ok := text(a); ok {
		if y, ok := text(b); ok {
			st.pay(min(len(x.s), len(y.s)) / 8)
			return strings.Compare(x.s, y.s), true
		}
	}
	if x, ok := toNumber(a); ok {
		if y, ok := toNumber(b); ok {
			return compareNumbers(x, y)
		}
	}
	if x, ok := a.(*List); ok {
		if y, ok := b.(*List); ok {
			return st.orderItems(op, x.items, y.items)
		}
	}
	if x, ok := a.(*tuple); ok {
		if y, ok := b.(*tuple); ok {
			return st.orderItems(op, x.items, y.items)
		}
	}
	st.fail("%s does not compare values of the types %s and %s", op, typeName(a), typeName(b))
	return 0, false
}

func (st *state) orderItems(op string, a, b []Value) (int, bool) {
	defer st.enter("comparison")()
	for i := range min(len(a), len(b)) {
		if !st.same(a[i], b[i]) {
			return st.order(op, a[i], b[i])
		}
	}
	return len(a) - len(b), true
}

// less is a < b.
func (st *state) less(a, b Value) bool {
	c, ok := st.order("<", a, b)
	return ok && c < 0
}

func (st *state) compare(op string, a, b Value) bool {
	switch op {
	case "==":
		return st.equal(a, b)
	case "!=":
		return !st.equal(a, b)
	case "in":
		return st.contains(b, a)
	case "not in":
		return !st.contains(b, a)
	}
	c, ok := st.order(op, a, b)
	switch op {
	case "<":
		return ok && c < 0
	case "<=":
		return ok && c <= 0
	case ">":
		return ok && c > 0
	}
	return ok && c >= 0
}

// contains is v in x.
func (st *state) contains(x, v Value) bool {
	switch x := x.(type) {
	case string, *str:
		s, _ := Text(x)
		sub, ok := Text(v)
		if !ok {
			if u, ok := v.(*undefined); ok {
				st.useUndefined(u)
			}
			st.fail("in: a string cannot contain a value of type %s", typeName(v))
		}
		st.pay(len(s) / 4)
		return strings.Contains(s, sub)
	case *Dict:
		_, ok := x.get(st.hashKey(v))
		return ok
	case *dictView:
		if x.kind == 'k' {
			_, ok := x.d.get(st.hashKey(v))
			return ok
		}
	case *rangeValue:
		n, ok := toInt(v)
		if f, isFloat := v.(float64); isFloat && f == float64(int64(f)) {
			n, ok = int64(f), true
		}
		if !ok {
			return false
		}
		last := x.start + int64(x.len()-1)*x.step
		return x.len() > 0 && n >= min(x.start, last) && n <= max(x.start, last) && (n-x.start)%x.step == 0
	case *namespace, *macro, *function:
		st.fail("in: a value of type %s contains nothing", typeName(x))
	}
	next := st.iterate(x)
	for item, ok := next(); ok; item, ok = next() {
		if st.same(item, v) {
			return true
		}
	}
	return false
}

func (st *state) binary(op string, a, b Value) Value {
	if x, ok := a.(*undefined); ok {
		st.useUndefined(x)
	}
	x, isText := text(a)
	if isText && op == "%" {
		return st.percent(x, b)
	}
	if u, ok := b.(*undefined); ok {
		st.useUndefined(u)
	}
	if m, ok := toNumber(a); ok {
		if n, ok := toNumber(b); ok {
			return st.arith(op, m, n)
		}
	}
	switch op {
	case "+":
		if y, ok := text(b); ok && isText {
			return st.add(x, y)
		}
		if x, ok := a.(*List); ok {
			if y, ok := b.(*List); ok {
				st.pay(16 * (len(x.items) + len(y.items)))
				return &List{slices.Concat(x.items, y.items)}
			}
		}
		if x, ok := a.(*tuple); ok {
			if y, ok := b.(*tuple); ok {
				st.pay(16 * (len(x.items) + len(y.items)))
				return &tuple{items: slices.Concat(x.items, y.items)}
			}
		}
	case "*":
		if n, ok := toInt(b); ok {
			if v, ok := st.times(a, n); ok {
				return v
			}
		}
		if n, ok := toInt(a); ok {
			if v, ok := st.times(b, n); ok {
				return v
			}
		}
	case "-":
		if _, ok := a.(*dictView); ok {
			st.fail("sets of keys are not supported")
		}
	}
	if isBig(a) || isBig(b) {
		st.fail("%s: the integer is too large", op)
	}
	st.fail("%s does not take values of the types %s and %s", op, typeName(a), typeName(b))
	return nil
}

func isBig(v Value) bool {
	_, ok := v.(*big.Int)
	return ok
}

// add is x + y of strings. Markup escapes what is added to it.
func (st *state) add(x, y str) Value {
	if x.markup != y.markup {
		x, y = st.escape(x), st.escape(y)
	}
	b := builder{st: st}
	b.grow(len(x.s) + len(y.s))
	b.add(x)
	b.add(y)
	s := b.text()
	s.markup = x.markup
	return s.value()
}

// times is v * n of strings, lists and tuples.
func (st *state) times(v Value, n int64) (Value, bool) {
	n = max(n, 0)
	count := int(min(n, 1<<40))
	repeat := func(items []Value) []Value {
		st.payTimes(16*len(items), count)
		if len(items) == 0 {
			return nil
		}
		return slices.Repeat(items, count)
	}
	switch v := v.(type) {
	case string, *str:
		x, _ := text(v)
		st.payTimes(len(x.s), count)
		b := builder{st: st}
		b.grow(len(x.s) * count)
		for range count {
			if x.s == "" {
				break
			}
			b.add(x)
		}
		s := b.text()
		s.markup = x.markup
		return s.value(), true
	case *List:
		return &List{repeat(v.items)}, true
	case *tuple:
		return &tuple{items: repeat(v.items)}, true
	}
	return nil, false
}

// escape is x as HTML, unless it is markup already.
func (st *state) escape(x str) str {
	if x.markup {
		return x
	}
	b := builder{st: st}
	for i := range len(x.s) {
		e := ""
		switch x.s[i] {
		case '&':
			e = "&amp;"
		case '<':
			e = "&lt;"
		case '>':
			e = "&gt;"
		case '"':
			e = "&#34;"
		case '\'':
			e = "&#39;"
		default:
			b.sub(x, i, i+1)
			continue
		}
		b.instead(x, i, i+1, e)
	}
	s := b.text()
	s.markup = true
	return s
}
