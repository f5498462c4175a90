package jinja

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// filter is a filter: it makes a value of a value.
type filter func(st *state, v Value, a *args) Value

var filterTable map[string]filter

// refusedFilters are those of Jinja2 that templates of conversations have no use for.
var refusedFilters = []string{"random", "urlize", "xmlattr", "pprint", "striptags"}

func init() {
	length := func(st *state, v Value, a *args) Value {
		st.positional(a, "length", 0, 0)
		n, ok := st.length(v)
		if !ok {
			st.fail("length: a value of type %s has none", typeName(v))
		}
		return int64(n)
	}
	fallback := func(st *state, v Value, a *args) Value {
		p := st.bind(a, "default", 0, "default_value", "boolean")
		if p[0] == missing {
			p[0] = ""
		}
		if _, ok := v.(*undefined); ok || p[1] != missing && st.truth(p[1]) && !st.truth(v) {
			return p[0]
		}
		return v
	}
	escape := func(st *state, v Value, a *args) Value {
		st.positional(a, "escape", 0, 0)
		if x, ok := v.(*str); ok {
			return st.escape(*x).value()
		}
		return st.escape(st.toStr(v)).value()
	}
	simple := func(name string, f func(st *state, x str) str) filter {
		return func(st *state, v Value, a *args) Value {
			st.positional(a, name, 0, 0)
			return f(st, st.softStr(v)).value()
		}
	}
	filterTable = map[string]filter{
		"abs":        filterAbs,
		"attr":       filterAttr,
		"batch":      filterBatch,
		"capitalize": simple("capitalize", (*state).capitalize),
		"center": func(st *state, v Value, a *args) Value {
			x := st.softStr(v)
			s := st.pad(x, "center", st.intArg(st.bind(a, "center", 0, "width")[0], "center", 80), " ")
			s.markup = x.markup
			return s.value()
		},
		"count": length, "length": length,
		"d": fallback, "default": fallback,
		"dictsort": filterDictSort,
		"e":        escape, "escape": escape,
		"filesizeformat": filterFileSize,
		"first":          filterFirst,
		"float":          filterFloat,
		"forceescape": func(st *state, v Value, a *args) Value {
			st.positional(a, "forceescape", 0, 0)
			return st.escape(st.toStr(v)).value()
		},
		"format":  filterFormat,
		"groupby": filterGroupBy,
		"indent":  filterIndent,
		"int":     filterInt,
		"items":   filterItems,
		"join":    filterJoin,
		"last":    filterLast,
		"list": func(st *state, v Value, a *args) Value {
			st.positional(a, "list", 0, 0)
			return &List{st.list(v)}
		},
		"lower":      simple("lower", (*state).lower),
		"map":        filterMap,
		"max":        func(st *state, v Value, a *args) Value { return st.extreme("max", v, a) },
		"min":        func(st *state, v Value, a *args) Value { return st.extreme("min", v, a) },
		"reject":     func(st *state, v Value, a *args) Value { return st.choose("reject", v, a, false, false) },
		"rejectattr": func(st *state, v Value, a *args) Value { return st.choose("rejectattr", v, a, true, false) },
		"replace":    filterReplace,
		"reverse":    filterReverse,
		"round":      filterRound,
		"safe": func(st *state, v Value, a *args) Value {
			st.positional(a, "safe", 0, 0)
			return markup(st.toStr(v).value())
		},
		"select":     func(st *state, v Value, a *args) Value { return st.choose("select", v, a, false, true) },
		"selectattr": func(st *state, v Value, a *args) Value { return st.choose("selectattr", v, a, true, true) },
		"slice":      filterSlice,
		"sort":       filterSort,
		"string": func(st *state, v Value, a *args) Value {
			st.positional(a, "string", 0, 0)
			return st.softStr(v).value()
		},
		"sum":       filterSum,
		"title":     simple("title", (*state).titleFilter),
		"tojson":    filterJSON,
		"trim":      filterTrim,
		"truncate":  filterTruncate,
		"unique":    filterUnique,
		"upper":     simple("upper", (*state).upper),
		"urlencode": filterURLEncode,
		"wordcount": filterWordCount,
		"wordwrap":  filterWordWrap,
	}
}

// filterOf finds the filter of a node.
func (r *resolver) filterOf(n *filterNode) filter {
	f := filterTable[n.name]
	if f != nil {
		return f
	}
	message := "there is no filter " + n.name
	if slices.Contains(refusedFilters, n.name) {
		message = "the filter " + n.name + " is not supported"
	}
	if !r.soft {
		failAt(n.line, "%s", message)
	}
	return func(st *state, _ Value, _ *args) Value {
		st.fail("%s", message)
		return nil
	}
}

// namedFilter is the filter that map calls.
func (st *state) namedFilter(v Value) filter {
	name, ok := Text(v)
	if !ok {
		st.fail("map: the name of a filter must be a string")
	}
	if slices.Contains(refusedFilters, name) {
		st.fail("the filter %s is not supported", name)
	}
	f := filterTable[name]
	if f == nil {
		st.fail("there is no filter %s", clipText(name, 60))
	}
	return f
}

// softStr is str(v) that leaves markup as it is.
func (st *state) softStr(v Value) str {
	if x, ok := text(v); ok {
		return x
	}
	return st.toStr(v)
}

// pathOf is the parts of an argument that names attributes.
func (st *state) pathOf(s, sep string) []string {
	st.pay(len(s)/4 + 96*strings.Count(s, sep))
	return strings.Split(s, sep)
}

// attribute gives the value of an attribute path of an item. It is made of a name with dots, or of a number.
func (st *state) attribute(path Value) func(item Value) Value {
	var parts []Value
	if s, ok := Text(path); ok {
		for _, p := range st.pathOf(s, ".") {
			if every(p, isDigit) {
				n, ok := parseInt(p, 10)
				if !ok {
					st.fail("%s is no number of an item", clipText(p, 40))
				}
				parts = append(parts, n)
			} else {
				parts = append(parts, p)
			}
		}
	} else if path != nil {
		parts = []Value{path}
	}
	return func(item Value) Value {
		for _, p := range parts {
			st.step()
			item = st.item(item, p)
		}
		return item
	}
}

// given is an argument, or nil.
func given(v Value) Value {
	if v == missing {
		return nil
	}
	return v
}

// isTrue reports whether an optional argument is given and true.
func (st *state) isTrue(v Value) bool { return v != missing && st.truth(v) }

// reverseArg is the argument reverse of sorting, which must be a number.
func (st *state) reverseArg(v Value, fn string) bool {
	return v != missing && st.intArg(v, fn, 0) != 0
}

// ignoreCase is the key of a value for comparisons without case.
func (st *state) ignoreCase(v Value) Value {
	if x, ok := text(v); ok {
		return st.lower(x).value()
	}
	return v
}

// keyOf is the function that gives what items are compared by.
func (st *state) keyOf(attribute Value, caseSensitive bool) func(item Value) Value {
	get := st.attribute(given(attribute))
	return func(item Value) Value {
		v := get(item)
		if !caseSensitive {
			v = st.ignoreCase(v)
		}
		return v
	}
}

// sortedOrder are the numbers 0 to n-1 in stable order.
func (st *state) sortedOrder(n int, less func(i, j int) bool) []int {
	st.pay(8 * n)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return less(order[i], order[j]) })
	return order
}

// sorted are the items in the order of their keys.
func (st *state) sorted(items []Value, key func(Value) Value, reverse bool) []Value {
	keys := make([]Value, len(items))
	for i, item := range items {
		keys[i] = key(item)
	}
	less := func(i, j int) bool { return st.less(keys[i], keys[j]) }
	if reverse {
		less = func(i, j int) bool { return st.less(keys[j], keys[i]) }
	}
	out := make([]Value, len(items))
	for i, k := range st.sortedOrder(len(items), less) {
		out[i] = items[k]
	}
	return out
}

// generator is a value that makes its items when they are asked for. Generators of generators count as nesting.
func (st *state) generator(next func() (Value, bool)) *iterator {
	return &iterator{"generator", func() (Value, bool) {
		defer st.enter("filters of filters")()
		return next()
	}}
}

func filterAbs(st *state, v Value, a *args) Value {
	st.positional(a, "abs", 0, 0)
	if u, ok := v.(*undefined); ok {
		st.fail("abs: %s", u.message)
	}
	n, ok := toNumber(v)
	switch {
	case !ok:
		st.fail("abs: a value of type %s is no number", typeName(v))
	case n.float:
		return math.Abs(n.f)
	}
	return small(new(big.Int).Abs(n.big()))
}

// filterAttr is attr(name): attributes only, no items.
func filterAttr(st *state, v Value, a *args) Value {
	name, ok := Text(st.bind(a, "attr", 1, "name")[0])
	if !ok {
		st.fail("attr: the name must be a string")
	}
	if u, ok := v.(*undefined); ok {
		if strings.HasPrefix(name, "__") {
			return undefinedAttr(v, name)
		}
		st.useUndefined(u)
	}
	got, ok := st.pythonAttr(v, name)
	if !ok {
		return undefinedAttr(v, name)
	}
	return st.safe(got, v, name)
}

func filterBatch(st *state, v Value, a *args) Value {
	p := st.bind(a, "batch", 1, "linecount", "fill_with")
	var next func() (Value, bool)
	done := false
	var held []Value // an item that begins the next batch
	return st.generator(func() (Value, bool) {
		if next == nil {
			next = st.iterate(v)
		}
		batch := held
		held = nil
		for !done {
			item, ok := next()
			if !ok {
				done = true
				break
			}
			st.pay(16)
			if len(batch) > 0 || isNumber(p[0]) {
				if st.equal(int64(len(batch)), p[0]) {
					held = []Value{item}
					return &List{batch}, true
				}
			}
			batch = append(batch, item)
		}
		if len(batch) == 0 {
			return nil, false
		}
		if fill := given(p[1]); fill != nil {
			count := st.intArg(p[0], "batch", 0)
			st.payTimes(16, count-len(batch))
			for len(batch) < count {
				batch = append(batch, fill)
			}
		}
		return &List{batch}, true
	})
}

func isNumber(v Value) bool {
	_, ok := toNumber(v)
	return ok
}

func filterSlice(st *state, v Value, a *args) Value {
	p := st.bind(a, "slice", 1, "slices", "fill_with")
	number, offset := 0, 0
	var items []Value
	started := false
	return st.generator(func() (Value, bool) {
		slices := st.intArg(p[0], "slice", 0)
		if !started {
			items, started = st.list(v), true
			if slices == 0 {
				st.fail("slice: division by zero")
			}
		}
		if number >= slices {
			return nil, false
		}
		size, extra := len(items)/slices, len(items)%slices
		start := offset + number*size
		if number < extra {
			offset++
		}
		end := offset + (number+1)*size
		st.pay(16 * (end - start + 1))
		part := append([]Value(nil), items[start:end]...)
		if fill := given(p[1]); fill != nil && number >= extra {
			part = append(part, fill)
		}
		number++
		return &List{part}, true
	})
}

func filterDictSort(st *state, v Value, a *args) Value {
	p := st.bind(a, "dictsort", 0, "case_sensitive", "by", "reverse")
	by := 0
	if p[1] != missing {
		switch s, _ := Text(p[1]); s {
		case "key":
		case "value":
			by = 1
		default:
			st.fail("dictsort: by is neither key nor value")
		}
	}
	d, ok := v.(*Dict)
	if !ok {
		if u, ok := v.(*undefined); ok {
			st.useUndefined(u)
		}
		st.fail("dictsort: a value of type %s is no dictionary", typeName(v))
	}
	return &List{st.sorted(st.list(&dictView{d, 'i'}), func(item Value) Value {
		k := item.(*tuple).items[by]
		if !st.isTrue(p[0]) {
			k = st.ignoreCase(k)
		}
		return k
	}, st.reverseArg(p[2], "dictsort"))}
}

func filterFirst(st *state, v Value, a *args) Value {
	st.positional(a, "first", 0, 0)
	if item, ok := st.iterate(v)(); ok {
		return item
	}
	return &undefined{message: "first: the list is empty"}
}

func filterLast(st *state, v Value, a *args) Value {
	st.positional(a, "last", 0, 0)
	if item, ok := st.reversed(v, "last")(); ok {
		return item
	}
	return &undefined{message: "last: the list is empty"}
}

// reversed goes through the items from the last to the first.
func (st *state) reversed(v Value, fn string) func() (Value, bool) {
	var items []Value
	switch v := v.(type) {
	case *List:
		items = v.items
	case *tuple:
		items = v.items
	case *Dict, *dictView, *rangeValue, string:
		items = st.list(v)
	case *str:
		items = st.list(v)
		if v.markup { // Python takes these characters by index, and those of iterate not
			items = markup(&List{items}).(*List).items
		}
	case *undefined:
		// Python asks for its length, which is zero.
	default:
		st.fail("%s: a value of type %s has no last item", fn, typeName(v))
	}
	i := len(items)
	return func() (Value, bool) {
		if i == 0 {
			return nil, false
		}
		i--
		return items[i], true
	}
}

func filterReverse(st *state, v Value, a *args) Value {
	st.positional(a, "reverse", 0, 0)
	if x, ok := text(v); ok {
		return st.sliceText(x, nil, nil, -1).value()
	}
	if it, ok := v.(*iterator); ok {
		items := st.list(it)
		slices.Reverse(items)
		return &List{items}
	}
	return &iterator{"reversed", st.reversed(v, "reverse")}
}

func filterFloat(st *state, v Value, a *args) Value {
	p := st.bind(a, "float", 0, "default")
	if p[0] == missing {
		p[0] = 0.0
	}
	if f, ok := st.pythonFloat(v); ok {
		return f
	}
	return p[0]
}

// pythonFloat is float(v); ok is false where Python raises TypeError or ValueError.
func (st *state) pythonFloat(v Value) (float64, bool) {
	if x, ok := text(v); ok {
		st.pay(len(x.s))
		return parseFloat(x.s)
	}
	if u, ok := v.(*undefined); ok {
		st.useUndefined(u)
	}
	n, ok := toNumber(v)
	if !ok {
		return 0, false
	}
	return st.toFloat(n), true
}

func filterInt(st *state, v Value, a *args) Value {
	p := st.bind(a, "int", 0, "default", "base")
	if p[0] == missing {
		p[0] = int64(0)
	}
	base, isInt := int64(10), true
	if p[1] != missing {
		base, isInt = toInt(p[1])
	}
	if x, ok := text(v); ok {
		st.pay(len(x.s))
		if isInt && (base == 0 || base >= 2 && base <= 36) {
			if n, ok := parseInt(x.s, int(base)); ok {
				return n
			}
		}
	} else {
		if u, ok := v.(*undefined); ok {
			st.useUndefined(u)
		}
		if n, ok := toNumber(v); ok {
			if !n.float {
				return small(n.big())
			}
			if math.IsInf(n.f, 0) {
				st.fail("int: an infinite number is no integer")
			}
		}
	}
	f, ok := st.pythonFloat(v)
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return p[0]
	}
	b, _ := big.NewFloat(math.Trunc(f)).Int(nil)
	return small(b)
}

func filterFormat(st *state, v Value, a *args) Value {
	if len(a.pos) > 0 && len(a.kw) > 0 {
		st.fail("format: values with and without names cannot be mixed")
	}
	if len(a.kw) > 0 {
		d := NewDict()
		for i, name := range a.names {
			d.Set(name, a.kw[i])
		}
		return st.percent(st.softStr(v), d)
	}
	return st.percent(st.softStr(v), &tuple{items: a.pos})
}

func filterGroupBy(st *state, v Value, a *args) Value {
	p := st.bind(a, "groupby", 1, "attribute", "default", "case_sensitive")
	sensitive := st.isTrue(p[2])
	plain := st.attribute(p[0])
	get := func(item Value) Value {
		v := plain(item)
		if _, ok := v.(*undefined); ok && given(p[1]) != nil {
			v = p[1]
		}
		return v
	}
	key := func(item Value) Value {
		v := get(item)
		if !sensitive {
			v = st.ignoreCase(v)
		}
		return v
	}
	out := NewList()
	var group *List
	var last Value
	for _, item := range st.sorted(st.list(v), key, false) {
		k := key(item)
		st.pay(64)
		if group == nil || !st.equal(last, k) {
			group = NewList()
			grouper := k
			if !sensitive {
				grouper = get(item)
			}
			out.Append(&tuple{items: []Value{grouper, group}, names: []string{"grouper", "list"}})
			last = k
		}
		group.Append(item)
	}
	return out
}

func filterIndent(st *state, v Value, a *args) Value {
	p := st.bind(a, "indent", 0, "width", "first", "blank")
	x, ok := text(v)
	if !ok {
		if u, ok := v.(*undefined); ok {
			st.useUndefined(u)
		}
		st.fail("indent: the value must be a string, not of type %s", typeName(v))
	}
	indent, ok := text(p[0])
	if !ok {
		width := max(st.intArg(p[0], "indent", 4), 0)
		st.payTimes(1, width)
		indent = str{s: strings.Repeat(" ", width)}
	}
	if x.markup {
		indent = st.escape(indent)
	}
	first, blank := st.isTrue(p[1]), st.isTrue(p[2])
	// Jinja2 adds a line end before it splits the lines.
	end := builder{st: st}
	end.add(x)
	end.lit("\n")
	b := builder{st: st}
	for i, line := range st.lines(end.text(), false) {
		if i > 0 {
			b.lit("\n")
		}
		if i == 0 && first || i > 0 && (blank || line.s != "") {
			b.add(indent)
		}
		b.add(line)
	}
	s := b.text()
	s.markup = x.markup
	return s.value()
}

func filterItems(st *state, v Value, a *args) Value {
	st.positional(a, "items", 0, 0)
	var next func() (Value, bool)
	return st.generator(func() (Value, bool) {
		if next == nil {
			switch v := v.(type) {
			case *undefined:
				next = sliceIter(nil)
			case *Dict:
				next = st.iterate(&dictView{v, 'i'})
			default:
				st.fail("items: a value of type %s is no dictionary", typeName(v))
			}
		}
		return next()
	})
}

func filterJoin(st *state, v Value, a *args) Value {
	p := st.bind(a, "join", 0, "d", "attribute")
	var sep str
	if p[0] != missing {
		sep = st.toStr(p[0])
	}
	get := st.attribute(given(p[1]))
	b := builder{st: st}
	next := st.iterate(v)
	for i := 0; ; i++ {
		item, ok := next()
		if !ok {
			break
		}
		if i > 0 {
			b.add(sep)
		}
		st.step()
		b.add(st.toStr(get(item)))
	}
	return b.value()
}

func filterMap(st *state, v Value, a *args) Value {
	var apply func(item Value) Value
	prepare := func() {
		if len(a.pos) == 0 && slices.Contains(a.names, "attribute") {
			p := st.bind(a, "map", 0, "attribute", "default")
			get := st.attribute(p[0])
			fallback := given(p[1])
			if fallback == nil {
				apply = get
				return
			}
			// The default stands in at each step of the path.
			var parts []func(Value) Value
			if s, ok := Text(p[0]); ok {
				for _, part := range st.pathOf(s, ".") {
					parts = append(parts, st.attribute(part))
				}
			} else {
				parts = append(parts, get)
			}
			apply = func(item Value) Value {
				for _, part := range parts {
					item = part(item)
					if _, ok := item.(*undefined); ok {
						item = fallback
					}
				}
				return item
			}
			return
		}
		if len(a.pos) == 0 {
			st.fail("map: the name of a filter is missing")
		}
		f := st.namedFilter(a.pos[0])
		rest := &args{pos: a.pos[1:], names: a.names, kw: a.kw}
		apply = func(item Value) Value { return f(st, item, rest) }
	}
	return st.lazily(v, prepare, func(item Value) (Value, bool) { return apply(item), true })
}

// lazily is a generator over the items of v that passes on what f gives and accepts. prepare is called before the first item.
func (st *state) lazily(v Value, prepare func(), f func(item Value) (Value, bool)) Value {
	var next func() (Value, bool)
	return st.generator(func() (Value, bool) {
		if next == nil {
			if !st.truth(v) {
				next = sliceIter(nil)
			} else {
				prepare()
				next = st.iterate(v)
			}
		}
		for {
			item, ok := next()
			if !ok {
				return nil, false
			}
			st.step()
			if out, ok := f(item); ok {
				return out, true
			}
		}
	})
}

// choose is select, reject, selectattr and rejectattr.
func (st *state) choose(name string, v Value, a *args, byAttribute, keep bool) Value {
	get := func(item Value) Value { return item }
	accept := st.truth
	prepare := func() {
		pos := a.pos
		if byAttribute {
			if len(pos) == 0 {
				st.fail("%s: the name of an attribute is missing", name)
			}
			get = st.attribute(pos[0])
			pos = pos[1:]
		}
		if len(pos) > 0 {
			testName, ok := Text(pos[0])
			if !ok {
				st.fail("%s: the name of a test must be a string", name)
			}
			t := testTable[testName]
			if t == nil {
				st.fail("there is no test %s", clipText(testName, 60))
			}
			rest := &args{pos: pos[1:], names: a.names, kw: a.kw}
			accept = func(v Value) bool { return st.truth(t(st, v, rest)) }
		}
	}
	return st.lazily(v, prepare, func(item Value) (Value, bool) { return item, accept(get(item)) == keep })
}

// extreme is min and max.
func (st *state) extreme(name string, v Value, a *args) Value {
	p := st.bind(a, name, 0, "case_sensitive", "attribute")
	key := st.keyOf(p[1], st.isTrue(p[0]))
	next := st.iterate(v)
	best, ok := next()
	if !ok {
		return &undefined{message: name + ": the list is empty"}
	}
	bestKey := key(best)
	for {
		item, ok := next()
		if !ok {
			return best
		}
		k := key(item)
		if name == "min" && st.less(k, bestKey) || name == "max" && st.less(bestKey, k) {
			best, bestKey = item, k
		}
	}
}

func filterReplace(st *state, v Value, a *args) Value {
	p := st.bind(a, "replace", 2, "old", "new", "count")
	count := -1
	if given(p[2]) != nil {
		count = st.countArg(p[2])
	}
	return st.replace(st.toStr(v), st.toStr(p[0]), st.toStr(p[1]), count).value()
}

func filterRound(st *state, v Value, a *args) Value {
	p := st.bind(a, "round", 0, "precision", "method")
	method := "common"
	if p[1] != missing {
		method, _ = Text(p[1])
	}
	if method != "common" && method != "ceil" && method != "floor" {
		st.fail("round: the method is none of common, ceil and floor")
	}
	if u, ok := v.(*undefined); ok {
		st.fail("round: %s", u.message)
	}
	n, ok := toNumber(v)
	if !ok {
		st.fail("round: a value of type %s is no number", typeName(v))
	}
	if method == "common" {
		if p[0] == nil {
			if !n.float {
				return small(n.big())
			}
			b := st.truncate(math.RoundToEven(n.f))
			return small(b.big())
		}
		digits := st.intArg(p[0], "round", 0)
		if n.float {
			r := roundFloat(n.f, digits)
			if math.IsInf(r, 0) && !math.IsInf(n.f, 0) {
				st.fail("round: the number is too large")
			}
			return r
		}
		if digits >= 0 {
			return small(n.big())
		}
		if -digits > n.big().BitLen() {
			return int64(0)
		}
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-digits)), nil)
		return small(roundRat(new(big.Rat).SetInt(n.big()), unit))
	}
	digits := st.intArg(p[0], "round", 0)
	power := st.arith("**", number{i: 10}, number{i: int64(digits)})
	scale, _ := toNumber(power)
	scaled := st.arith("*", n, scale)
	m, _ := toNumber(scaled)
	if m.float {
		f := math.Floor(m.f)
		if method == "ceil" {
			f = math.Ceil(m.f)
		}
		m = st.truncate(f)
	}
	return st.arith("/", m, scale)
}

func filterSort(st *state, v Value, a *args) Value {
	p := st.bind(a, "sort", 0, "reverse", "case_sensitive", "attribute")
	var keys []func(Value) Value
	if s, ok := Text(given(p[2])); ok {
		for _, part := range st.pathOf(s, ",") {
			keys = append(keys, st.keyOf(part, st.isTrue(p[1])))
		}
	} else {
		keys = append(keys, st.keyOf(p[2], st.isTrue(p[1])))
	}
	return &List{st.sorted(st.list(v), func(item Value) Value {
		if len(keys) == 1 {
			// A list of one key compares as the key does, but for items that are the same.
			return &List{[]Value{keys[0](item)}}
		}
		all := &List{}
		st.pay(32 * len(keys))
		for _, k := range keys {
			all.Append(k(item))
		}
		return all
	}, st.reverseArg(p[0], "sort"))}
}

func filterSum(st *state, v Value, a *args) Value {
	p := st.bind(a, "sum", 0, "attribute", "start")
	sum := Value(int64(0))
	if p[1] != missing {
		sum = p[1]
	}
	if _, ok := text(sum); ok {
		st.fail("sum: strings cannot be summed, use join")
	}
	get := st.attribute(given(p[0]))
	next := st.iterate(v)
	for item, ok := next(); ok; item, ok = next() {
		st.step()
		sum = st.binary("+", sum, get(item))
	}
	return sum
}

// titleFilter is the filter title: words begin behind white space, hyphens and opening brackets.
func (st *state) titleFilter(x str) str {
	start := true
	return st.mapRunes(x, func(i int, r rune) string {
		if isSpace(r) || strings.ContainsRune("-({[<", r) {
			start = true
			return string(r)
		}
		if start {
			start = false
			return upperRune(r)
		}
		if r == 'Σ' {
			st.pay(len(x.s))
		}
		return lowerRune(x.s, i, r)
	})
}

func filterTrim(st *state, v Value, a *args) Value {
	chars := st.bind(a, "trim", 0, "chars")[0]
	x := st.softStr(v)
	s := st.strip(x, chars, "trim", true, true)
	s.markup = x.markup
	return s.value()
}

func filterTruncate(st *state, v Value, a *args) Value {
	p := st.bind(a, "truncate", 0, "length", "killwords", "end", "leeway")
	length := st.intArg(p[0], "truncate", 255)
	leeway := 5
	if given(p[3]) != nil {
		leeway = st.intArg(p[3], "truncate", 5)
	}
	end := str{s: "..."}
	if p[2] != missing {
		end = st.textArg(p[2], "truncate")
	}
	endLength := runeCount(end.s)
	if length < endLength || leeway < 0 {
		st.fail("truncate: the length is below that of the end, or the leeway is negative")
	}
	x, ok := text(v)
	if !ok {
		if n, ok := st.length(v); ok && n <= length+leeway {
			return v
		}
		st.fail("truncate: the value must be a string, not of type %s", typeName(v))
	}
	st.pay(len(x.s) / 8)
	if runeCount(x.s) <= length+leeway {
		return v
	}
	s := st.cut(x, length-endLength)
	if !st.isTrue(p[1]) {
		if i := strings.LastIndexByte(s.s, ' '); i >= 0 {
			s = s.slice(0, i)
		}
	}
	return st.add(s, end)
}

func filterUnique(st *state, v Value, a *args) Value {
	p := st.bind(a, "unique", 0, "case_sensitive", "attribute")
	seen := map[any]bool{}
	var key func(Value) Value
	var next func() (Value, bool)
	return st.generator(func() (Value, bool) {
		if next == nil {
			key = st.keyOf(p[1], st.isTrue(p[0]))
			next = st.iterate(v)
		}
		for {
			item, ok := next()
			if !ok {
				return nil, false
			}
			st.pay(48)
			k := st.hashKey(key(item))
			if !seen[k] {
				seen[k] = true
				return item, true
			}
		}
	})
}

func filterWordCount(st *state, v Value, a *args) Value {
	st.positional(a, "wordcount", 0, 0)
	s := st.softStr(v).s
	st.pay(len(s))
	n, inside := int64(0), false
	for _, r := range s {
		word := r == '_' || isAlnum(r)
		if word && !inside {
			n++
		}
		inside = word
	}
	return n
}

// filterWordWrap is wordwrap(width=79, break_long_words=true, wrapstring="\n", break_on_hyphens=true).
func filterWordWrap(st *state, v Value, a *args) Value {
	p := st.bind(a, "wordwrap", 0, "width", "break_long_words", "wrapstring", "break_on_hyphens")
	x := st.textArg(v, "wordwrap")
	width := st.intArg(p[0], "wordwrap", 79)
	breakLong := p[1] == missing || st.truth(p[1])
	hyphens := p[3] == missing || st.truth(p[3])
	sep := str{s: "\n"}
	if given(p[2]) != nil {
		sep = st.textArg(p[2], "wordwrap")
	}
	b := builder{st: st}
	for i, line := range st.lines(x, false) {
		if i > 0 {
			b.add(sep)
		}
		for k, part := range st.wrap(line, width, breakLong, hyphens) {
			if k > 0 {
				b.add(sep)
			}
			b.add(part)
		}
	}
	return b.value()
}

func filterFileSize(st *state, v Value, a *args) Value {
	p := st.bind(a, "filesizeformat", 0, "binary")
	f, ok := st.pythonFloat(v)
	if !ok {
		st.fail("filesizeformat: a value of type %s is no number", typeName(v))
	}
	base, suffix := 1000.0, "B"
	prefixes := "kMGTPEZY"
	if st.isTrue(p[0]) {
		base, suffix, prefixes = 1024, "iB", "KMGTPEZY"
	}
	switch {
	case f == 1:
		return "1 Byte"
	case f < base:
		return st.intString(st.truncate(f)) + " Bytes"
	case f != f:
		return "nan " + prefixes[7:] + suffix
	}
	unit := base
	for i := range len(prefixes) {
		if unit *= base; f < unit || i == len(prefixes)-1 {
			return strconv.FormatFloat(base*f/unit, 'f', 1, 64) + " " + prefixes[i:i+1] + suffix
		}
	}
	return nil
}

func filterURLEncode(st *state, v Value, a *args) Value {
	st.positional(a, "urlencode", 0, 0)
	quote := func(b *builder, x str, query bool) {
		for i := range len(x.s) {
			c := x.s[i]
			switch {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("_.-~", c) >= 0, c == '/' && !query:
				b.sub(x, i, i+1)
			case c == ' ' && query:
				b.instead(x, i, i+1, "+")
			default:
				b.instead(x, i, i+1, fmt.Sprintf("%%%02X", c))
			}
		}
	}
	b := builder{st: st}
	if _, ok := text(v); ok || !st.iterable(v) {
		quote(&b, st.toStr(v), false)
		return b.value()
	}
	if d, ok := v.(*Dict); ok {
		v = &dictView{d, 'i'}
	}
	next := st.iterate(v)
	for i := 0; ; i++ {
		item, ok := next()
		if !ok {
			return b.value()
		}
		if i > 0 {
			b.lit("&")
		}
		pair := st.unpack(item, 2)
		quote(&b, st.toStr(pair[0]), true)
		b.lit("=")
		quote(&b, st.toStr(pair[1]), true)
	}
}
