package jinja

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// strMethod is a method of strings.
type strMethod func(st *state, x str, a *args) Value

// strMethods are the methods of Python's str that templates may call.
var strMethods map[string]strMethod

func init() {
	simple := func(name string, f func(st *state, x str) str) strMethod {
		return func(st *state, x str, a *args) Value {
			st.positional(a, name, 0, 0)
			return f(st, x).value()
		}
	}
	is := func(name string, f func(s string) bool) strMethod {
		return func(st *state, x str, a *args) Value {
			st.positional(a, name, 0, 0)
			st.pay(len(x.s) / 4)
			return f(x.s)
		}
	}
	each := func(f func(rune) bool) func(string) bool {
		return func(s string) bool { return every(s, f) }
	}
	strMethods = map[string]strMethod{
		"capitalize":   simple("capitalize", (*state).capitalize),
		"casefold":     simple("casefold", (*state).casefold),
		"lower":        simple("lower", (*state).lower),
		"swapcase":     simple("swapcase", (*state).swapCase),
		"title":        simple("title", (*state).titleMethod),
		"upper":        simple("upper", (*state).upper),
		"isalnum":      is("isalnum", each(isAlnum)),
		"isalpha":      is("isalpha", each(unicode.IsLetter)),
		"isascii":      is("isascii", isASCII),
		"isdecimal":    is("isdecimal", each(isDecimal)),
		"isdigit":      is("isdigit", each(isDigit)),
		"isidentifier": is("isidentifier", isIdentifier),
		"islower":      is("islower", func(s string) bool { return onlyCase(s, isLower) }),
		"isnumeric":    is("isnumeric", each(isNumeric)),
		"isprintable":  is("isprintable", func(s string) bool { return s == "" || every(s, unicode.IsPrint) }),
		"isspace":      is("isspace", each(isSpace)),
		"istitle":      is("istitle", isTitleText),
		"isupper":      is("isupper", func(s string) bool { return onlyCase(s, isUpper) }),
		"center":       pad("center"),
		"ljust":        pad("ljust"),
		"rjust":        pad("rjust"),
		"zfill":        zfill,
		"expandtabs":   expandTabs,
		"strip":        strip("strip", true, true),
		"lstrip":       strip("lstrip", true, false),
		"rstrip":       strip("rstrip", false, true),
		"count":        search("count"),
		"find":         search("find"),
		"rfind":        search("rfind"),
		"index":        search("index"),
		"rindex":       search("rindex"),
		"startswith":   affix("startswith", strings.HasPrefix),
		"endswith":     affix("endswith", strings.HasSuffix),
		"removeprefix": func(st *state, x str, a *args) Value {
			p := st.textArg(st.positional(a, "removeprefix", 1, 1)[0], "removeprefix")
			if strings.HasPrefix(x.s, p.s) {
				return x.slice(len(p.s), len(x.s)).value()
			}
			return x.value()
		},
		"removesuffix": func(st *state, x str, a *args) Value {
			p := st.textArg(st.positional(a, "removesuffix", 1, 1)[0], "removesuffix")
			if strings.HasSuffix(x.s, p.s) {
				return x.slice(0, len(x.s)-len(p.s)).value()
			}
			return x.value()
		},
		"partition":  partition("partition", strings.Index),
		"rpartition": partition("rpartition", strings.LastIndex),
		"split":      func(st *state, x str, a *args) Value { return st.split(x, a, false) },
		"rsplit":     func(st *state, x str, a *args) Value { return st.split(x, a, true) },
		"splitlines": func(st *state, x str, a *args) Value {
			keep := st.bind(a, "splitlines", 0, "keepends")[0]
			return textList(st.lines(x, st.intArg(keep, "splitlines", 0) != 0))
		},
		"join": func(st *state, x str, a *args) Value {
			return st.join(x, st.positional(a, "join", 1, 1)[0]).value()
		},
		"replace": func(st *state, x str, a *args) Value {
			p := st.positional(a, "replace", 2, 3)
			with := st.textArg(p[1], "replace")
			if x.markup {
				with = st.escape(with)
			}
			return st.replace(x, st.textArg(p[0], "replace"), with, st.countArg(p[2])).value()
		},
		"format": func(st *state, x str, a *args) Value { return st.format(x, a).value() },
	}
}

// strMethod calls a method. What a method of markup gives is markup, too.
func (st *state) strMethod(f strMethod, x str, a *args) Value {
	v := f(st, x, a)
	if x.markup {
		return markup(v)
	}
	return v
}

func markup(v Value) Value {
	switch v := v.(type) {
	case string, *str:
		x, _ := text(v)
		x.markup = true
		return &x
	case *List:
		for i := range v.items {
			v.items[i] = markup(v.items[i])
		}
	case *tuple:
		for i := range v.items {
			v.items[i] = markup(v.items[i])
		}
	}
	return v
}

// textArg is an argument that must be a string.
func (st *state) textArg(v Value, fn string) str {
	x, ok := text(v)
	if !ok {
		if u, ok := v.(*undefined); ok {
			st.fail("%s: %s", fn, u.message)
		}
		st.fail("%s: the argument must be a string, not of type %s", fn, typeName(v))
	}
	return x
}

// intArg is an argument that must be an integer; fallback if it is not given.
func (st *state) intArg(v Value, fn string, fallback int) int {
	if v == missing {
		return fallback
	}
	n, ok := toInt(v)
	if !ok {
		if isBig(v) {
			st.fail("%s: the integer is too large", fn)
		}
		st.fail("%s: the argument must be an integer, not of type %s", fn, typeName(v))
	}
	return int(n)
}

// countArg is the optional count of replace; below zero: all.
func (st *state) countArg(v Value) int { return st.intArg(v, "replace", -1) }

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.In(r, unicode.Nd, unicode.Mn, unicode.Mc, unicode.Pc)) {
			return false
		}
	}
	return s != ""
}

// padding gives a string left and right of x so that it has so many characters.
func (st *state) padding(x str, left, right int, fill string) str {
	b := builder{st: st}
	st.payTimes(len(fill), max(left, 0)+max(right, 0))
	b.repeat(fill, left)
	b.add(x)
	b.repeat(fill, right)
	return b.text()
}

func pad(name string) strMethod {
	return func(st *state, x str, a *args) Value {
		p := st.positional(a, name, 1, 2)
		width := st.intArg(p[0], name, 0)
		fill := " "
		if p[1] != missing {
			if fill = st.textArg(p[1], name).s; runeCount(fill) != 1 {
				st.fail("%s: the fill must be one character", name)
			}
		}
		return st.pad(x, name, width, fill).value()
	}
}

func (st *state) pad(x str, name string, width int, fill string) str {
	n := min(width, math.MaxInt32) - runeCount(x.s)
	if n <= 0 {
		return x
	}
	left := 0
	switch name {
	case "rjust":
		left = n
	case "center":
		left = n/2 + n&width&1
	}
	return st.padding(x, left, n-left, fill)
}

func zfill(st *state, x str, a *args) Value {
	n := st.intArg(st.positional(a, "zfill", 1, 1)[0], "zfill", 0) - runeCount(x.s)
	if n <= 0 {
		return x.value()
	}
	b := builder{st: st}
	sign := 0
	if x.s != "" && (x.s[0] == '-' || x.s[0] == '+') {
		sign = 1
	}
	b.sub(x, 0, sign)
	b.repeat("0", n)
	b.sub(x, sign, len(x.s))
	return b.value()
}

func expandTabs(st *state, x str, a *args) Value {
	size := st.intArg(st.bind(a, "expandtabs", 0, "tabsize")[0], "expandtabs", 8)
	column := 0
	b := builder{st: st}
	for i, r := range x.s {
		switch {
		case r == '\t':
			if size > 0 {
				n := size - column%size
				b.repeat(" ", n)
				column += n
			}
			continue
		case r == '\n' || r == '\r':
			column = 0
		default:
			column++
		}
		b.sub(x, i, i+runeLen(x.s[i:]))
	}
	return b.value()
}

func strip(name string, left, right bool) strMethod {
	return func(st *state, x str, a *args) Value {
		chars := st.positional(a, name, 0, 1)[0]
		return st.strip(x, chars, name, left, right).value()
	}
}

func (st *state) strip(x str, chars Value, name string, left, right bool) str {
	in := isSpace
	if chars != missing && chars != nil {
		set := st.textArg(chars, name).s
		in = func(r rune) bool {
			st.pay(len(set)/8 + 1)
			return strings.ContainsRune(set, r)
		}
	}
	i, j := 0, len(x.s)
	if left {
		i = len(x.s) - len(strings.TrimLeftFunc(x.s, in))
	}
	if right {
		j = i + len(strings.TrimRightFunc(x.s[i:], in))
	}
	st.pay((len(x.s) - (j - i)) / 4)
	if i == 0 && j == len(x.s) {
		return x
	}
	return x.slice(i, j)
}

// window is the part of x between two places, counted in characters, and where it begins in bytes and in characters. ok is false if it starts behind the end.
func (st *state) window(x str, start, stop Value) (s string, at, from int, ok bool) {
	if (start == missing || start == nil) && (stop == missing || stop == nil) {
		return x.s, 0, 0, true
	}
	st.pay(len(x.s) / 4)
	n := runeCount(x.s)
	from, to := st.bounds(start, stop, n)
	if from > n || from > to {
		return "", 0, 0, false
	}
	at = runeOffset(x.s, from)
	return x.s[at : at+runeOffset(x.s[at:], to-from)], at, from, true
}

func search(name string) strMethod {
	return func(st *state, x str, a *args) Value {
		p := st.positional(a, name, 1, 3)
		sub := st.textArg(p[0], name).s
		st.pay(len(x.s) / 4)
		s, _, from, ok := st.window(x, p[1], p[2])
		if name == "count" {
			if !ok {
				return int64(0)
			}
			return int64(strings.Count(s, sub))
		}
		i := -1
		if ok {
			if name == "find" || name == "index" {
				i = strings.Index(s, sub)
			} else {
				i = strings.LastIndex(s, sub)
			}
		}
		if i >= 0 {
			return int64(from + runeCount(s[:i]))
		}
		if name == "index" || name == "rindex" {
			st.fail("%s: the text is not found", name)
		}
		return int64(-1)
	}
}

func affix(name string, has func(s, affix string) bool) strMethod {
	return func(st *state, x str, a *args) Value {
		p := st.positional(a, name, 1, 3)
		list := []Value{p[0]}
		if t, ok := p[0].(*tuple); ok {
			list = t.items
		}
		s, _, _, ok := st.window(x, p[1], p[2])
		for _, v := range list {
			sub := st.textArg(v, name).s
			st.pay(1 + min(len(sub), len(s))/8)
			if ok && has(s, sub) {
				return true
			}
		}
		return false
	}
}

func partition(name string, find func(s, sep string) int) strMethod {
	return func(st *state, x str, a *args) Value {
		sep := st.textArg(st.positional(a, name, 1, 1)[0], name)
		if sep.s == "" {
			st.fail("%s: the separator is empty", name)
		}
		st.pay(len(x.s)/4 + 48)
		i := find(x.s, sep.s)
		switch {
		case i >= 0:
			j := i + len(sep.s)
			return &tuple{items: []Value{x.slice(0, i).value(), sep.value(), x.slice(j, len(x.s)).value()}}
		case name == "partition":
			return &tuple{items: []Value{x.value(), "", ""}}
		}
		return &tuple{items: []Value{"", "", x.value()}}
	}
}

func textList(parts []str) *List {
	items := make([]Value, len(parts))
	for i, p := range parts {
		items[i] = p.value()
	}
	return &List{items}
}

// split is split and rsplit.
func (st *state) split(x str, a *args, right bool) Value {
	p := st.bind(a, "split", 0, "sep", "maxsplit")
	limit := st.intArg(p[1], "split", -1)
	if limit < 0 {
		limit = math.MaxInt
	}
	st.pay(len(x.s) / 4)
	var parts []str
	add := func(i, j int) {
		st.pay(96)
		parts = append(parts, x.slice(i, j))
	}
	if p[0] == missing || p[0] == nil {
		if right {
			end := len(strings.TrimRightFunc(x.s, isSpace))
			for end > 0 {
				start := strings.LastIndexFunc(x.s[:end], isSpace)
				if start >= 0 {
					start += runeLen(x.s[start:])
				}
				if len(parts) == limit || start < 0 {
					start = len(x.s[:end]) - len(strings.TrimLeftFunc(x.s[:end], isSpace))
					if len(parts) == limit {
						start = 0
					}
					add(start, end)
					break
				}
				add(start, end)
				end = len(strings.TrimRightFunc(x.s[:start], isSpace))
			}
			slices.Reverse(parts)
			return textList(parts)
		}
		start := len(x.s) - len(strings.TrimLeftFunc(x.s, isSpace))
		for start < len(x.s) {
			if len(parts) == limit {
				add(start, len(x.s))
				break
			}
			end := strings.IndexFunc(x.s[start:], isSpace)
			if end < 0 {
				add(start, len(x.s))
				break
			}
			end += start
			add(start, end)
			start = len(x.s) - len(strings.TrimLeftFunc(x.s[end:], isSpace))
		}
		return textList(parts)
	}
	sep := st.textArg(p[0], "split").s
	if sep == "" {
		st.fail("split: the separator is empty")
	}
	if right {
		end := len(x.s)
		for len(parts) < limit {
			i := strings.LastIndex(x.s[:end], sep)
			if i < 0 {
				break
			}
			add(i+len(sep), end)
			end = i
		}
		add(0, end)
		slices.Reverse(parts)
		return textList(parts)
	}
	start := 0
	for len(parts) < limit {
		i := strings.Index(x.s[start:], sep)
		if i < 0 {
			break
		}
		add(start, start+i)
		start += i + len(sep)
	}
	add(start, len(x.s))
	return textList(parts)
}

// lines is splitlines.
func (st *state) lines(x str, keep bool) []str {
	st.pay(len(x.s) / 4)
	var parts []str
	start := 0
	for i := 0; i < len(x.s); {
		r, n := utf8.DecodeRuneInString(x.s[i:])
		switch r {
		case '\n', '\v', '\f', '\r', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
			end := i
			if r == '\r' && strings.HasPrefix(x.s[i+1:], "\n") {
				n = 2
			}
			i += n
			if keep {
				end = i
			}
			st.pay(96)
			parts = append(parts, x.slice(start, end))
			start = i
		default:
			i += n
		}
	}
	if start < len(x.s) {
		parts = append(parts, x.slice(start, len(x.s)))
	}
	return parts
}

// join is sep.join(v): all items must be strings.
func (st *state) join(sep str, v Value) str {
	b := builder{st: st}
	next := st.iterate(v)
	for i := 0; ; i++ {
		item, ok := next()
		if !ok {
			break
		}
		x, ok := text(item)
		if !ok {
			st.fail("join: item %d is no string, but of type %s", i, typeName(item))
		}
		if sep.markup {
			x = st.escape(x)
		}
		if i > 0 {
			b.add(sep)
		}
		st.step()
		b.add(x)
	}
	return b.text()
}

// replace writes with for old, at most count times if count is not negative.
func (st *state) replace(x, old, with str, count int) str {
	st.pay(len(x.s) / 4)
	if count < 0 {
		count = math.MaxInt
	}
	if old.s != "" && (count == 0 || !strings.Contains(x.s, old.s)) {
		return x
	}
	b := builder{st: st}
	at := 0
	if old.s == "" {
		for ; count > 0; count-- {
			b.add(with)
			if at == len(x.s) {
				return b.text()
			}
			n := runeLen(x.s[at:])
			b.sub(x, at, at+n)
			at += n
		}
		b.sub(x, at, len(x.s))
		return b.text()
	}
	for ; count > 0; count-- {
		i := strings.Index(x.s[at:], old.s)
		if i < 0 {
			break
		}
		b.sub(x, at, at+i)
		b.add(with)
		at += i + len(old.s)
	}
	b.sub(x, at, len(x.s))
	return b.text()
}
