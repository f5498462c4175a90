package jinja

import "math/big"

// test is a test of Jinja2: x is name.
type test func(st *state, v Value, a *args) Value

var testTable map[string]test

func init() {
	plain := func(name string, f func(st *state, v Value) bool) test {
		return func(st *state, v Value, a *args) Value {
			st.positional(a, name, 0, 0)
			return f(st, v)
		}
	}
	compare := func(op string) test {
		return func(st *state, v Value, a *args) Value {
			return st.compare(op, v, st.positional(a, op, 1, 1)[0])
		}
	}
	remainder := func(st *state, v, by Value, want int64) bool {
		return st.equal(st.binary("%", v, by), want)
	}
	testTable = map[string]test{
		"odd":  plain("odd", func(st *state, v Value) bool { return remainder(st, v, int64(2), 1) }),
		"even": plain("even", func(st *state, v Value) bool { return remainder(st, v, int64(2), 0) }),
		"divisibleby": func(st *state, v Value, a *args) Value {
			return remainder(st, v, st.bind(a, "divisibleby", 1, "num")[0], 0)
		},
		"defined": plain("defined", func(_ *state, v Value) bool {
			_, ok := v.(*undefined)
			return !ok
		}),
		"undefined": plain("undefined", func(_ *state, v Value) bool {
			_, ok := v.(*undefined)
			return ok
		}),
		"filter": plain("filter", func(st *state, v Value) bool {
			name, ok := Text(v)
			if !ok && !hashable(v) {
				st.fail("filter: the name must be a string")
			}
			for _, n := range refusedFilters {
				if n == name {
					st.fail("the filter %s is not supported", name)
				}
			}
			return ok && filterTable[name] != nil
		}),
		"test": plain("test", func(st *state, v Value) bool {
			name, ok := Text(v)
			if !ok && !hashable(v) {
				st.fail("test: the name must be a string")
			}
			return ok && testTable[name] != nil
		}),
		"none":  plain("none", func(_ *state, v Value) bool { return v == nil }),
		"true":  plain("true", func(_ *state, v Value) bool { return v == true }),
		"false": plain("false", func(_ *state, v Value) bool { return v == false }),
		"boolean": plain("boolean", func(_ *state, v Value) bool {
			_, ok := v.(bool)
			return ok
		}),
		"integer": plain("integer", func(_ *state, v Value) bool {
			switch v.(type) {
			case int64, *big.Int:
				return true
			}
			return false
		}),
		"float": plain("float", func(_ *state, v Value) bool {
			_, ok := v.(float64)
			return ok
		}),
		"number": plain("number", func(_ *state, v Value) bool { return isNumber(v) }),
		"string": plain("string", func(_ *state, v Value) bool {
			_, ok := text(v)
			return ok
		}),
		"lower": plain("lower", func(st *state, v Value) bool { return onlyCase(st.paid(st.toStr(v)).s, isLower) }),
		"upper": plain("upper", func(st *state, v Value) bool { return onlyCase(st.paid(st.toStr(v)).s, isUpper) }),
		"mapping": plain("mapping", func(_ *state, v Value) bool {
			_, ok := v.(*Dict)
			return ok
		}),
		"sequence": plain("sequence", func(_ *state, v Value) bool {
			switch v.(type) {
			case string, *str, *List, *tuple, *Dict, *rangeValue, *undefined:
				return true
			}
			return false
		}),
		"iterable": plain("iterable", (*state).iterable),
		"callable": plain("callable", func(_ *state, v Value) bool {
			switch v.(type) {
			case *function, *macro, *loopContext, *undefined:
				return true
			}
			return false
		}),
		"escaped": plain("escaped", func(_ *state, v Value) bool {
			x, ok := v.(*str)
			return ok && x.markup
		}),
		"sameas": func(st *state, v Value, a *args) Value { return st.identical(v, st.bind(a, "sameas", 1, "other")[0]) },
		"in": func(st *state, v Value, a *args) Value {
			return st.contains(st.bind(a, "in", 1, "seq")[0], v)
		},
		"==": compare("=="), "eq": compare("=="), "equalto": compare("=="),
		"!=": compare("!="), "ne": compare("!="),
		">": compare(">"), "gt": compare(">"), "greaterthan": compare(">"),
		">=": compare(">="), "ge": compare(">="),
		"<": compare("<"), "lt": compare("<"), "lessthan": compare("<"),
		"<=": compare("<="), "le": compare("<="),
	}
}

// iterable reports whether v has items to go through.
func (*state) iterable(v Value) bool {
	switch v.(type) {
	case string, *str, *List, *tuple, *Dict, *rangeValue, *undefined, *dictView, *iterator, *loopContext:
		return true
	}
	return false
}

// paid charges for reading x.
func (st *state) paid(x str) str {
	st.pay(len(x.s) / 4)
	return x
}

// identical is Python's "is". For numbers and strings it depends on how Python stores them, so that only clear cases have an answer.
func (st *state) identical(a, b Value) bool {
	switch x := a.(type) {
	case nil, bool, *List, *Dict, *tuple, *namespace, *macro, *function, *loopContext, *cycler, *iterator, *dictView, *rangeValue:
		return a == b
	case int64:
		if y, ok := b.(int64); ok {
			if x == y && (x < -5 || x > 256) {
				st.fail("sameas of large numbers is not supported")
			}
			return x == y
		}
		return false
	}
	if typeName(a) == typeName(b) {
		st.fail("sameas of values of type %s is not supported", typeName(a))
	}
	return false
}

// testOf finds the test of a node.
func (r *resolver) testOf(n *testNode) test {
	if t := testTable[n.name]; t != nil {
		return t
	}
	if !r.soft {
		failAt(n.line, "there is no test %s", n.name)
	}
	return func(st *state, _ Value, _ *args) Value {
		st.fail("there is no test %s", n.name)
		return nil
	}
}
