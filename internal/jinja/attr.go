package jinja

import (
	"math"
	"math/big"
	"slices"
)

// Methods that would change their value. The sandbox hides them.
var (
	dictMutators = []string{"clear", "pop", "popitem", "setdefault", "update"}
	listMutators = []string{"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"}
	dictAttrs    = append([]string{"items", "keys", "values", "get", "copy", "fromkeys"}, dictMutators...)
)

func isDictAttr(name string) bool {
	switch name {
	case "items", "keys", "values", "get", "copy", "fromkeys", "clear", "pop", "popitem", "setdefault", "update":
		return true
	}
	return false
}

// Attributes that Python's types have and templates do not use.
var refusedAttrs = map[string][]string{
	"int":      {"as_integer_ratio", "bit_count", "bit_length", "conjugate", "from_bytes", "to_bytes"},
	"float":    {"as_integer_ratio", "conjugate", "fromhex", "hex"},
	"str":      {"encode", "format_map", "maketrans", "translate"},
	"tuple":    {"_asdict", "_field_defaults", "_fields", "_make", "_replace"},
	"iterator": {"close", "gi_code", "gi_frame", "gi_running", "gi_suspended", "gi_yieldfrom", "send", "throw"},
	"view":     {"isdisjoint", "mapping"},
}

// method is a function of a value.
func method(name string, call func(st *state, a *args) Value) Value {
	return &function{name: name, call: call}
}

// pythonAttr is the attribute or method that the value has in Python.
func (st *state) pythonAttr(x Value, name string) (Value, bool) {
	if len(name) > 4 && name[:2] == "__" && name[len(name)-2:] == "__" {
		return nil, name == "__class__" || name == "__doc__" || name == "__init__" || name == "__dict__" || name == "__len__" || name == "__getitem__"
	}
	refuse := func(kind string) {
		if slices.Contains(refusedAttrs[kind], name) {
			st.fail("the attribute %s of a value of type %s is not supported", name, typeName(x))
		}
	}
	switch x := x.(type) {
	case string, *str:
		s, _ := text(x)
		if f := strMethods[name]; f != nil {
			return method(name, func(st *state, a *args) Value { return st.strMethod(f, s, a) }), true
		}
		refuse("str")
	case *Dict:
		return st.dictAttr(x, name)
	case *List:
		if slices.Contains(listMutators, name) {
			return nil, true
		}
		return st.sequenceAttr(x.items, name, func() (Value, bool) {
			if name != "copy" {
				return nil, false
			}
			return method(name, func(st *state, a *args) Value {
				st.positional(a, name, 0, 0)
				return &List{st.list(x)}
			}), true
		})
	case *tuple:
		if i := slices.Index(x.names, name); i >= 0 {
			return x.items[i], true
		}
		refuse("tuple")
		return st.sequenceAttr(x.items, name, func() (Value, bool) { return nil, false })
	case bool, int64, *big.Int:
		switch name {
		case "real", "numerator":
			n, _ := toNumber(x)
			return small(n.big()), true
		case "imag":
			return int64(0), true
		case "denominator":
			return int64(1), true
		}
		refuse("int")
	case float64:
		switch name {
		case "real":
			return x, true
		case "imag":
			return 0.0, true
		case "is_integer":
			return method(name, func(st *state, a *args) Value {
				st.positional(a, name, 0, 0)
				return x == math.Floor(x) && !math.IsInf(x, 0)
			}), true
		}
		refuse("float")
	case *namespace:
		return x.attrs.Get(name)
	case *rangeValue:
		switch name {
		case "start":
			return x.start, true
		case "stop":
			return x.stop, true
		case "step":
			return x.step, true
		case "count", "index":
			return st.sequenceAttr(st.list(x), name, func() (Value, bool) { return nil, false })
		}
	case *dictView:
		refuse("view")
	case *iterator:
		refuse("iterator")
	case *loopContext:
		return st.loopAttr(x, name)
	case *cycler:
		return st.cyclerAttr(x, name)
	case *macro:
		switch name {
		case "name":
			if x.def.target == nil {
				return nil, true
			}
			return x.def.name, true
		case "arguments":
			names := &tuple{}
			for _, a := range x.def.args {
				names.items = append(names.items, a.name)
			}
			return names, true
		case "catch_kwargs":
			return x.def.usesKw, true
		case "catch_varargs":
			return x.def.usesVar, true
		case "caller":
			return x.def.usesCaller, true
		}
	case *function:
		if v, ok := x.attrs[name]; ok {
			return v, true
		}
	}
	return nil, false
}

func (st *state) dictAttr(d *Dict, name string) (Value, bool) {
	switch name {
	case "items", "keys", "values":
		return method(name, func(st *state, a *args) Value {
			st.positional(a, name, 0, 0)
			return &dictView{d, name[0]}
		}), true
	case "get":
		return method(name, func(st *state, a *args) Value {
			p := st.positional(a, name, 1, 2)
			if v, ok := d.get(st.hashKey(p[0])); ok {
				return v
			}
			if p[1] == missing {
				return nil
			}
			return p[1]
		}), true
	case "copy":
		return method(name, func(st *state, a *args) Value {
			st.positional(a, name, 0, 0)
			return st.copyDict(d)
		}), true
	case "fromkeys":
		return method(name, fromKeys), true
	}
	return nil, slices.Contains(dictMutators, name)
}

func (st *state) copyDict(d *Dict) *Dict {
	st.pay(64 * len(d.entries))
	c := NewDict()
	for _, e := range d.entries {
		c.set(e.hash, e.key, e.value)
	}
	return c
}

// fromKeys is dict.fromkeys.
func fromKeys(st *state, a *args) Value {
	p := st.positional(a, "fromkeys", 1, 2)
	if p[1] == missing {
		p[1] = nil
	}
	d := NewDict()
	next := st.iterate(p[0])
	for k, ok := next(); ok; k, ok = next() {
		st.pay(64)
		d.set(st.hashKey(k), k, p[1])
	}
	return d
}

// sequenceAttr are count and index, else what other gives.
func (st *state) sequenceAttr(items []Value, name string, other func() (Value, bool)) (Value, bool) {
	switch name {
	case "count":
		return method(name, func(st *state, a *args) Value {
			v := st.positional(a, name, 1, 1)[0]
			n := int64(0)
			for _, item := range items {
				if st.same(item, v) {
					n++
				}
			}
			return n
		}), true
	case "index":
		return method(name, func(st *state, a *args) Value {
			p := st.positional(a, name, 1, 3)
			from, to := st.bounds(p[1], p[2], len(items))
			for i := from; i < to; i++ {
				if st.same(items[i], p[0]) {
					return int64(i)
				}
			}
			st.fail("index: the value is not in the list")
			return nil
		}), true
	}
	return other()
}

// place is an integer as a place among items: one too large for 64 bits lies beyond all of them.
func place(v Value) (int64, bool) {
	if b, isBig := v.(*big.Int); isBig {
		return math.MaxInt64 / 2 * int64(b.Sign()), true
	}
	return toInt(v)
}

// bounds are start and stop of a search in n items, as Python cuts them.
func (st *state) bounds(start, stop Value, n int) (int, int) {
	at := func(v Value, fallback int) int {
		if v == missing || v == nil {
			return fallback
		}
		i, ok := place(v)
		if !ok {
			st.fail("a place must be an integer or none, not of type %s", typeName(v))
		}
		if i < 0 {
			i += int64(n)
		}
		return int(min(max(i, 0), int64(n)))
	}
	from := at(start, 0)
	// Python does not cut the start at the end, so that a search from behind it finds nothing, not even "".
	if i, ok := toInt(start); ok && i > int64(n) {
		from = n + 1
	}
	return from, at(stop, n)
}

// pythonItem is x[index] if x has items and one of this index.
func (st *state) pythonItem(x, index Value) (Value, bool) {
	at := func(n int) (int, bool) {
		i, ok := toInt(index)
		if i < 0 {
			i += int64(n)
		}
		return int(i), ok && i >= 0 && i < int64(n)
	}
	switch x := x.(type) {
	case *Dict:
		if k, ok := index.(string); ok {
			return x.get(k)
		}
		if !hashable(index) {
			return nil, false
		}
		return x.get(st.hashKey(index))
	case *List:
		if i, ok := at(len(x.items)); ok {
			return x.items[i], true
		}
	case *tuple:
		if i, ok := at(len(x.items)); ok {
			return x.items[i], true
		}
	case string, *str:
		s, _ := text(x)
		if isASCII(s.s) {
			if i, ok := at(len(s.s)); ok {
				return s.slice(i, i+1).value(), true
			}
			return nil, false
		}
		if _, ok := toInt(index); !ok {
			return nil, false
		}
		st.pay(len(s.s) / 4)
		if i, ok := at(runeCount(s.s)); ok {
			from := runeOffset(s.s, i)
			return s.slice(from, from+runeLen(s.s[from:])).value(), true
		}
	case *rangeValue:
		if i, ok := at(x.len()); ok {
			return x.start + int64(i)*x.step, true
		}
	}
	return nil, false
}

func hashable(v Value) bool {
	switch v := v.(type) {
	case *List, *Dict, *dictView:
		return false
	case *tuple:
		return !slices.ContainsFunc(v.items, func(v Value) bool { return !hashable(v) })
	}
	return true
}

// slice is x[start:stop:step].
func (st *state) slice(x, start, stop, step Value) Value {
	if u, ok := x.(*undefined); ok {
		st.useUndefined(u)
	}
	inc := int64(1)
	if step != nil {
		var ok bool
		if inc, ok = toInt(step); !ok {
			st.fail("the step of a slice must be an integer or none, not of type %s", typeName(step))
		}
		if inc == 0 {
			st.fail("the step of a slice is zero")
		}
	}
	switch v := x.(type) {
	case string, *str:
		s, _ := text(v)
		return st.sliceText(s, start, stop, inc).value()
	case *List:
		return &List{st.pick(v.items, start, stop, inc)}
	case *tuple:
		return &tuple{items: st.pick(v.items, start, stop, inc)}
	case *rangeValue:
		from, to, _ := st.indices(start, stop, inc, v.len())
		return &rangeValue{v.start + from*v.step, v.start + to*v.step, v.step * inc}
	case *Dict:
		st.fail("a dictionary cannot be sliced")
	}
	st.fail("a value of type %s cannot be sliced", typeName(x))
	return nil
}

// indices are the first index, the last bound and the number of the items of a slice.
func (st *state) indices(start, stop Value, step int64, n int) (from, to int64, count int) {
	limit := func(v Value, fallback int64) int64 {
		if v == nil {
			return fallback
		}
		i, ok := place(v)
		if u, isUndefined := v.(*undefined); isUndefined {
			st.fail("a slice takes integers or none: %s", u.message)
		} else if !ok {
			st.fail("a slice takes integers or none, not a value of type %s", typeName(v))
		}
		low, high := int64(0), int64(n)
		if step < 0 {
			low, high = -1, int64(n)-1
		}
		if i < 0 {
			i = max(i+int64(n), low)
		}
		return min(max(i, low), high)
	}
	if step > 0 {
		from, to = limit(start, 0), limit(stop, int64(n))
		if from < to {
			count = int((to-from-1)/step) + 1
		}
		return from, to, count
	}
	from, to = limit(start, int64(n)-1), limit(stop, -1)
	if from > to {
		count = int((from-to-1)/-max(step, -1<<62)) + 1
	}
	return from, to, count
}

func (st *state) pick(items []Value, start, stop Value, step int64) []Value {
	from, _, count := st.indices(start, stop, step, len(items))
	st.pay(16 * count)
	if step == 1 {
		return items[from : from+int64(count) : from+int64(count)]
	}
	out := make([]Value, count)
	for i := range out {
		out[i] = items[from]
		from += step
	}
	return out
}

func (st *state) sliceText(x str, start, stop Value, step int64) str {
	ascii := isASCII(x.s)
	n := len(x.s)
	if !ascii {
		st.pay(len(x.s) / 4)
		n = runeCount(x.s)
	}
	from, _, count := st.indices(start, stop, step, n)
	if count == 0 {
		return str{markup: x.markup}
	}
	if step == 1 {
		if ascii {
			st.pay(count / 8)
			return x.slice(int(from), int(from)+count)
		}
		i := runeOffset(x.s, int(from))
		return x.slice(i, i+runeOffset(x.s[i:], count))
	}
	places := make([]int, 0, n+1) // where each character begins
	st.payTimes(8, n+1)
	for i := range x.s {
		places = append(places, i)
	}
	places = append(places, len(x.s))
	b := builder{st: st}
	for range count {
		b.sub(x, places[from], places[from+1])
		from += step
	}
	s := b.text()
	s.markup = x.markup
	return s
}
