package jinja

import (
	"math/big"
	"slices"
	"strings"
)

func (n *constNode) eval(*state, *env) Value { return n.v }

func (n *nameNode) eval(st *state, e *env) Value {
	v := *e.at(n.slot)
	if v == missing {
		return &undefined{message: "'" + n.name + "' is undefined"}
	}
	return v
}

func (n *nsNode) eval(st *state, _ *env) Value {
	st.fail("%s.%s is no value", n.ns.name, n.attr)
	return nil
}

func evalAll(st *state, e *env, list []expr) []Value {
	if len(list) == 0 {
		return nil
	}
	st.pay(16 * len(list))
	items := make([]Value, len(list))
	for i, x := range list {
		items[i] = x.eval(st, e)
	}
	return items
}

func (n *tupleNode) eval(st *state, e *env) Value {
	st.step()
	return &tuple{items: evalAll(st, e, n.items)}
}

func (n *listNode) eval(st *state, e *env) Value {
	st.step()
	return &List{evalAll(st, e, n.items)}
}

func (n *dictNode) eval(st *state, e *env) Value {
	st.step()
	st.pay(64 * len(n.keys))
	d := NewDict()
	for i := range n.keys {
		key := n.keys[i].eval(st, e)
		v := n.values[i].eval(st, e)
		d.set(st.hashKey(key), key, v)
	}
	return d
}

func (n *condNode) eval(st *state, e *env) Value {
	st.step()
	if st.truth(n.test.eval(st, e)) {
		return n.yes.eval(st, e)
	}
	if n.no != nil {
		return n.no.eval(st, e)
	}
	return &undefined{message: "the inline if is false and has no else"}
}

func (n *andNode) eval(st *state, e *env) Value {
	st.step()
	v := n.left.eval(st, e)
	if !st.truth(v) {
		return v
	}
	return n.right.eval(st, e)
}

func (n *orNode) eval(st *state, e *env) Value {
	st.step()
	v := n.left.eval(st, e)
	if st.truth(v) {
		return v
	}
	return n.right.eval(st, e)
}

func (n *notNode) eval(st *state, e *env) Value {
	st.step()
	return !st.truth(n.x.eval(st, e))
}

func (n *compareNode) eval(st *state, e *env) Value {
	left := n.first.eval(st, e)
	for i, op := range n.ops {
		st.step()
		right := n.rest[i].eval(st, e)
		st.line = n.line
		if !st.compare(op, left, right) {
			return false
		}
		left = right
	}
	return true
}

func (n *binaryNode) eval(st *state, e *env) Value {
	st.step()
	left := n.left.eval(st, e)
	right := n.right.eval(st, e)
	st.line = n.line
	return st.binary(n.op, left, right)
}

func (n *concatNode) eval(st *state, e *env) Value {
	st.step()
	b := builder{st: st}
	for _, item := range n.items {
		b.add(st.toStr(item.eval(st, e)))
	}
	return b.value()
}

func (n *unaryNode) eval(st *state, e *env) Value {
	st.step()
	v := n.x.eval(st, e)
	st.line = n.line
	return st.unary(n.op, v)
}

func (n *attrNode) eval(st *state, e *env) Value {
	st.step()
	v := n.x.eval(st, e)
	st.line = n.line
	return st.attr(v, n.name)
}

func (n *itemNode) eval(st *state, e *env) Value {
	st.step()
	v := n.x.eval(st, e)
	if s, ok := n.index.(*sliceNode); ok {
		part := func(x expr) Value {
			if x == nil {
				return nil
			}
			return x.eval(st, e)
		}
		start, stop, step := part(s.start), part(s.stop), part(s.step)
		st.line = n.line
		return st.slice(v, start, stop, step)
	}
	index := n.index.eval(st, e)
	st.line = n.line
	return st.item(v, index)
}

func (n *sliceNode) eval(st *state, _ *env) Value {
	st.fail("a slice stands where a value is wanted")
	return nil
}

// eval gives the values of arguments.
func (a *callArgs) eval(st *state, e *env) *args {
	out := &args{pos: evalAll(st, e, a.pos)}
	if a.dynPos == nil && a.dynKw == nil && a.kw == nil {
		return out
	}
	out.names = slices.Clone(a.names)
	out.kw = evalAll(st, e, a.kw)
	if a.dynPos != nil {
		next := st.iterate(a.dynPos.eval(st, e))
		for v, ok := next(); ok; v, ok = next() {
			st.pay(16)
			out.pos = append(out.pos, v)
		}
	}
	if a.dynKw != nil {
		d, ok := a.dynKw.eval(st, e).(*Dict)
		if !ok {
			st.fail("the argument after ** is no dictionary")
		}
		for _, entry := range d.entries {
			name, ok := Text(entry.key)
			if !ok {
				st.fail("the names of arguments must be strings")
			}
			st.pay(32 + len(out.names)/4) // the names are searched
			if slices.Contains(out.names, name) {
				st.fail("the argument %s is given twice", name)
			}
			out.names = append(out.names, name)
			out.kw = append(out.kw, entry.value)
		}
	}
	return out
}

func (n *callNode) eval(st *state, e *env) Value { return n.call(st, e, nil) }

// call evaluates the call; caller is the body of a call block.
func (n *callNode) call(st *state, e *env, caller *macro) Value {
	st.step()
	if m, ok := n.fn.(*attrNode); ok && caller == nil {
		// The method of a string needs no value of its own.
		x := m.x.eval(st, e)
		if s, ok := text(x); ok {
			if f := strMethods[m.name]; f != nil {
				a := n.callArgs.eval(st, e)
				st.line = n.line
				st.step()
				return st.strMethod(f, s, a)
			}
		}
		st.line = m.line
		fn := st.attr(x, m.name)
		a := n.callArgs.eval(st, e)
		st.line = n.line
		return st.call(fn, a)
	}
	fn := n.fn.eval(st, e)
	a := n.callArgs.eval(st, e)
	if caller != nil {
		if slices.Contains(a.names, "caller") {
			st.fail("the argument caller is given twice")
		}
		a.names = append(a.names, "caller")
		a.kw = append(a.kw, caller)
	}
	st.line = n.line
	return st.call(fn, a)
}

// call calls a value.
func (st *state) call(fn Value, a *args) Value {
	switch fn := fn.(type) {
	case *function:
		return fn.call(st, a)
	case *macro:
		return st.callMacro(fn, a).value()
	case *loopContext:
		v := st.bind(a, "loop", 1, "iterable")[0]
		if fn.node == nil {
			st.fail("the loop is not marked as recursive, so loop cannot be called")
		}
		return st.recurse(fn.node, v, fn.env, fn.depth+1).value()
	case *undefined:
		st.useUndefined(fn)
	}
	st.fail("a value of type %s cannot be called", typeName(fn))
	return nil
}

// useUndefined fails because an undefined value is used.
func (st *state) useUndefined(u *undefined) {
	st.fail("%s", u.message)
}

func (n *filterNode) eval(st *state, e *env) Value {
	return n.apply(st, n.x.eval(st, e), e)
}

// apply runs the filter, and those before it, on the text of a block.
func (n *filterNode) apply(st *state, v Value, e *env) Value {
	st.step()
	if f, ok := n.x.(*filterNode); ok && f.isBlock() {
		v = f.apply(st, v, e)
	}
	a := &noArgs
	if n.callArgs.pos != nil || n.callArgs.kw != nil || n.callArgs.dynPos != nil || n.callArgs.dynKw != nil {
		a = n.callArgs.eval(st, e)
	}
	st.line = n.line
	return n.fn(st, v, a)
}

// isBlock reports whether the chain of filters begins with the text of a block.
func (n *filterNode) isBlock() bool {
	for {
		if n.x == nil {
			return true
		}
		f, ok := n.x.(*filterNode)
		if !ok {
			return false
		}
		n = f
	}
}

var noArgs args

func (n *testNode) eval(st *state, e *env) Value {
	st.step()
	v := n.x.eval(st, e)
	a := &noArgs
	if n.callArgs.pos != nil || n.callArgs.kw != nil || n.callArgs.dynPos != nil || n.callArgs.dynKw != nil {
		a = n.callArgs.eval(st, e)
	}
	st.line = n.line
	return n.fn(st, v, a)
}

// truth is bool(v).
func (st *state) truth(v Value) bool {
	switch v := v.(type) {
	case bool:
		return v
	case nil:
		return false
	case string:
		return v != ""
	case *str:
		return v.s != ""
	case int64:
		return v != 0
	case float64:
		return v != 0
	case *undefined:
		return false
	case *big.Int:
		return v.Sign() != 0
	}
	if n, ok := st.length(v); ok {
		return n > 0
	}
	return true
}

// length is len(v), if v has one.
func (st *state) length(v Value) (int, bool) {
	switch v := v.(type) {
	case string:
		st.pay(len(v) / 4)
		return runeCount(v), true
	case *str:
		st.pay(len(v.s) / 4)
		return runeCount(v.s), true
	case *List:
		return len(v.items), true
	case *tuple:
		return len(v.items), true
	case *Dict:
		return len(v.entries), true
	case *dictView:
		return len(v.d.entries), true
	case *rangeValue:
		return v.len(), true
	case *undefined:
		return 0, true
	case *loopContext:
		return v.len(), true
	}
	return 0, false
}

func sliceIter(items []Value) func() (Value, bool) {
	i := 0
	return func() (Value, bool) {
		if i >= len(items) {
			return nil, false
		}
		i++
		return items[i-1], true
	}
}

// iterate gives the items of v one by one.
func (st *state) iterate(v Value) func() (Value, bool) {
	switch v := v.(type) {
	case *List:
		return sliceIter(v.items)
	case *tuple:
		return sliceIter(v.items)
	case string, *str:
		x, _ := text(v)
		i := 0
		return func() (Value, bool) {
			if i >= len(x.s) {
				return nil, false
			}
			st.pay(16)
			n := runeLen(x.s[i:])
			i += n
			c := x.slice(i-n, i)
			c.markup = false
			return c.value(), true
		}
	case *Dict:
		return st.iterate(&dictView{v, 'k'})
	case *dictView:
		i := 0
		return func() (Value, bool) {
			if i >= len(v.d.entries) {
				return nil, false
			}
			e := &v.d.entries[i]
			i++
			switch v.kind {
			case 'k':
				return e.key, true
			case 'v':
				return e.value, true
			}
			st.pay(48)
			return &tuple{items: []Value{e.key, e.value}}, true
		}
	case *rangeValue:
		i, n := int64(0), int64(v.len())
		return func() (Value, bool) {
			if i >= n {
				return nil, false
			}
			i++
			return v.start + (i-1)*v.step, true
		}
	case *iterator:
		return v.next
	case *undefined:
		return sliceIter(nil)
	case *loopContext:
		st.fail("loop cannot be iterated over")
	}
	st.fail("a value of type %s has no items to go through", typeName(v))
	return nil
}

// list is list(v).
func (st *state) list(v Value) []Value {
	switch v := v.(type) {
	case *List:
		st.pay(16 * len(v.items))
		return slices.Clone(v.items)
	case *tuple:
		st.pay(16 * len(v.items))
		return slices.Clone(v.items)
	}
	var items []Value
	next := st.iterate(v)
	for item, ok := next(); ok; item, ok = next() {
		st.pay(32)
		items = append(items, item)
	}
	return items
}

// bind sorts arguments by their names; the first min ones are needed. What is not given is missing.
func (st *state) bind(a *args, fn string, min int, names ...string) []Value {
	out := make([]Value, len(names))
	for i := range out {
		out[i] = missing
	}
	if len(a.pos) > len(names) {
		st.fail("%s takes at most %d arguments, not %d", fn, len(names), len(a.pos))
	}
	copy(out, a.pos)
	for i, name := range a.names {
		k := slices.Index(names, name)
		switch {
		case k < 0:
			st.fail("%s takes no argument named %s", fn, name)
		case k < len(a.pos):
			st.fail("%s: the argument %s is given twice", fn, name)
		}
		out[k] = a.kw[i]
	}
	for i := range min {
		if out[i] == missing {
			st.fail("%s: the argument %s is missing", fn, names[i])
		}
	}
	return out
}

// positional is bind for functions of Python that take no names.
func (st *state) positional(a *args, fn string, min, max int) []Value {
	if len(a.kw) > 0 {
		st.fail("%s takes no named arguments", fn)
	}
	if len(a.pos) < min || len(a.pos) > max {
		st.fail("%s takes %d to %d arguments, not %d", fn, min, max, len(a.pos))
	}
	out := make([]Value, max)
	for i := range out {
		out[i] = missing
	}
	copy(out, a.pos)
	return out
}

// attr is x.name: a method or an attribute of the value, else its item of this name.
func (st *state) attr(x Value, name string) Value {
	switch x := x.(type) {
	case *undefined:
		st.useUndefined(x)
	case *Dict:
		// Most attributes are keys that no method hides.
		if !isDictAttr(name) && name[0] != '_' {
			if v, ok := x.get(name); ok {
				return v
			}
			return &undefined{message: "'dict' has no attribute or key '" + name + "'"}
		}
	}
	v, ok := st.pythonAttr(x, name)
	if ok {
		return st.safe(v, x, name)
	}
	if v, ok := st.pythonItem(x, name); ok {
		return v
	}
	return undefinedAttr(x, name)
}

// item is x[index]: the item, else the attribute of this name.
func (st *state) item(x, index Value) Value {
	if u, ok := x.(*undefined); ok {
		st.useUndefined(u)
	}
	if v, ok := st.pythonItem(x, index); ok {
		return v
	}
	name, ok := Text(index)
	if !ok {
		return &undefined{message: typeName(x) + " has no element " + clipText(st.repr(index).s, 40)}
	}
	if v, ok := st.pythonAttr(x, name); ok {
		return st.safe(v, x, name)
	}
	return undefinedAttr(x, name)
}

func undefinedAttr(x Value, name string) Value {
	return &undefined{message: "'" + typeName(x) + "' has no attribute or key '" + clipText(name, 60) + "'"}
}

// safe is v, unless the sandbox hides attributes of this name.
func (st *state) safe(v, x Value, name string) Value {
	hidden := strings.HasPrefix(name, "_")
	switch x.(type) {
	case *Dict:
		hidden = hidden || slices.Contains(dictMutators, name)
	case *List:
		hidden = hidden || slices.Contains(listMutators, name)
	}
	if hidden {
		return &undefined{message: "the attribute " + name + " of a " + typeName(x) + " is not for templates"}
	}
	return v
}
