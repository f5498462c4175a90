package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is a format specification, of both of Python's ways to format.
type spec struct {
	fill      string
	align     byte // <, >, =, ^ or 0
	sign      byte // +, -, space or 0
	alternate bool
	zero      bool
	width     int
	group     byte // , or _ or 0
	precision int  // -1: not given
	kind      byte // 0: not given
}

// percent is x % v.
func (st *state) percent(x str, v Value) Value {
	if x.markup {
		st.fail("%% with markup on its left is not supported")
	}
	b := builder{st: st}
	values := []Value{v}
	if t, ok := v.(*tuple); ok {
		values = t.items
	}
	dict, isDict := v.(*Dict)
	used := 0
	next := func() Value {
		if used == len(values) {
			st.fail("%%: there are not enough values for the format")
		}
		used++
		return values[used-1]
	}
	for i := 0; i < len(x.s); {
		n := strings.IndexByte(x.s[i:], '%')
		if n < 0 {
			b.sub(x, i, len(x.s))
			break
		}
		b.sub(x, i, i+n)
		i += n + 1
		f := spec{fill: " ", precision: -1}
		incomplete := func() {
			if i >= len(x.s) {
				st.fail("%%: the format is incomplete")
			}
		}
		incomplete()
		var value Value = missing
		if x.s[i] == '(' {
			if !isDict {
				st.fail("%%: the format wants a dictionary")
			}
			depth, start := 1, i+1
			for i++; depth > 0; i++ {
				if i >= len(x.s) {
					st.fail("%%: a name in the format has no end")
				}
				switch x.s[i] {
				case '(':
					depth++
				case ')':
					depth--
				}
			}
			got, ok := dict.get(x.s[start : i-1])
			if !ok {
				st.fail("%%: the dictionary has no key '%s'", clipText(x.s[start:i-1], 60))
			}
			value = got
			incomplete()
		}
	flags:
		for ; i < len(x.s); i++ {
			switch x.s[i] {
			case '-':
				f.align = '<'
			case '+':
				f.sign = '+'
			case ' ':
				if f.sign == 0 {
					f.sign = ' '
				}
			case '#':
				f.alternate = true
			case '0':
				f.zero = true
			default:
				break flags
			}
		}
		number := func() int {
			if i < len(x.s) && x.s[i] == '*' {
				i++
				k, ok := toInt(next())
				if !ok {
					st.fail("%%: * wants an integer")
				}
				return int(k)
			}
			k := 0
			for ; i < len(x.s) && '0' <= x.s[i] && x.s[i] <= '9'; i++ {
				if k = k*10 + int(x.s[i]-'0'); k > math.MaxInt32 {
					st.fail("%%: a width of more than %d", math.MaxInt32)
				}
			}
			return k
		}
		if f.width = number(); f.width < 0 {
			f.align, f.width = '<', -f.width
		}
		if i < len(x.s) && x.s[i] == '.' {
			i++
			f.precision = max(number(), 0)
		}
		for i < len(x.s) && (x.s[i] == 'l' || x.s[i] == 'h' || x.s[i] == 'L') {
			i++
		}
		incomplete()
		f.kind = x.s[i]
		i++
		if f.kind == '%' {
			b.lit("%")
			continue
		}
		if value == missing {
			value = next()
		}
		b.add(st.percentOne(f, value))
	}
	mapping := isDict
	switch v.(type) {
	case *List, *rangeValue, *undefined:
		mapping = true
	}
	if used < len(values) && !mapping {
		st.fail("%%: not all values are used by the format")
	}
	return b.value()
}

// percentOne formats one value for the % operator.
func (st *state) percentOne(f spec, v Value) str {
	align := func(x str) str {
		if f.align == 0 {
			f.align = '>'
		}
		return st.align(f, x, 0)
	}
	switch f.kind {
	case 's', 'r', 'a':
		x := st.toStr(v)
		if f.kind != 's' {
			x = st.repr(v)
		}
		if f.kind == 'a' {
			x = st.ascii(x)
		}
		return align(st.cut(x, f.precision))
	case 'c':
		if s, ok := text(v); ok && runeCount(s.s) == 1 {
			return align(s)
		}
		if n, ok := toInt(v); ok && n >= 0 && n <= utf8.MaxRune {
			return align(str{s: string(rune(n))})
		}
		st.fail("%%c wants a character")
	}
	if u, ok := v.(*undefined); ok {
		st.useUndefined(u)
	}
	n, ok := toNumber(v)
	if !ok {
		st.fail("%%%c wants a number, not a value of type %s", f.kind, typeName(v))
	}
	if f.align == '<' {
		f.zero = false
	}
	if f.zero {
		f.fill, f.align = "0", '='
	}
	if f.align == 0 {
		f.align = '>'
	}
	switch f.kind {
	case 'd', 'i', 'u':
		if n.float {
			n = st.truncate(n.f)
		}
		f.kind = 'd'
	case 'x', 'X', 'o':
		if n.float {
			st.fail("%%%c wants an integer", f.kind)
		}
	case 'e', 'E', 'f', 'F', 'g', 'G':
		n = number{f: st.toFloat(n), float: true}
	default:
		st.fail("%%: unknown format character %q", f.kind)
	}
	precision := f.precision
	if !n.float {
		f.precision = -1
	}
	sign, prefix, digits := st.digits(f, n)
	if !n.float && precision > len(digits) {
		st.payTimes(1, precision)
		digits = strings.Repeat("0", precision-len(digits)) + digits
	}
	if f.kind == 'X' && prefix != "" {
		prefix = "0X"
	}
	return st.align(f, str{s: sign + prefix + digits}, len(sign+prefix))
}

// truncate is int(f).
func (st *state) truncate(f float64) number {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		st.fail("%s is no integer", floatRepr(f))
	}
	b, _ := big.NewFloat(math.Trunc(f)).Int(nil)
	n, _ := toNumber(small(b))
	return n
}

// cut is the first n characters of x; all if n is negative.
func (st *state) cut(x str, n int) str {
	if n < 0 || n >= len(x.s) {
		return x
	}
	return x.slice(0, runeOffset(x.s, n))
}

// ascii escapes what is not ASCII.
func (st *state) ascii(x str) str {
	return st.mapRunes(x, func(_ int, r rune) string {
		if r < 0x80 {
			return string(r)
		}
		return quoteRune(r)
	})
}

// align fills x up to the width. With the alignment = the fill comes behind the first prefix bytes.
func (st *state) align(f spec, x str, prefix int) str {
	n := f.width - runeCount(x.s)
	if n <= 0 {
		return x
	}
	fill := f.fill
	switch f.align {
	case '>':
		return st.padding(x, n, 0, fill)
	case '^':
		return st.padding(x, n/2, n-n/2, fill)
	case '=':
		b := builder{st: st}
		b.sub(x, 0, prefix)
		b.repeat(fill, n)
		b.sub(x, prefix, len(x.s))
		return b.text()
	}
	return st.padding(x, 0, n, fill)
}

// digits is a number in the form that f asks for.
func (st *state) digits(f spec, n number) (sign, prefix, digits string) {
	negative := false
	if n.float {
		negative = math.Signbit(n.f) && !math.IsNaN(n.f)
		digits = st.floatDigits(f, math.Abs(n.f))
	} else {
		b := n.big()
		negative = b.Sign() < 0
		abs := new(big.Int).Abs(b)
		st.pay(abs.BitLen())
		switch f.kind {
		case 'x', 'X':
			prefix, digits = "0x", abs.Text(16)
			if f.kind == 'X' {
				prefix, digits = "0X", strings.ToUpper(digits)
			}
		case 'o':
			prefix, digits = "0o", abs.Text(8)
		case 'b':
			prefix, digits = "0b", abs.Text(2)
		default:
			m, _ := toNumber(small(abs))
			digits = st.intString(m)
		}
		if !f.alternate {
			prefix = ""
		}
	}
	switch {
	case negative:
		sign = "-"
	case f.sign == '+' || f.sign == ' ':
		sign = string(f.sign)
	}
	return sign, prefix, digits
}

// floatDigits formats a float that is not negative.
func (st *state) floatDigits(f spec, x float64) string {
	upper := f.kind == 'E' || f.kind == 'F' || f.kind == 'G'
	if math.IsNaN(x) || math.IsInf(x, 0) {
		s := "inf"
		if math.IsNaN(x) {
			s = "nan"
		}
		if f.kind == '%' {
			s += "%"
		}
		if upper {
			s = strings.ToUpper(s)
		}
		return s
	}
	precision := f.precision
	if precision < 0 {
		precision = 6
	}
	st.payTimes(1, precision)
	var s string
	switch f.kind {
	case 'f', 'F':
		s = strconv.FormatFloat(x, 'f', precision, 64)
		if f.alternate && precision == 0 {
			s += "."
		}
	case 'e', 'E':
		s = strconv.FormatFloat(x, 'e', precision, 64)
		if f.alternate && precision == 0 {
			s = strings.Replace(s, "e", ".e", 1)
		}
	case '%':
		s = strconv.FormatFloat(x*100, 'f', precision, 64) + "%"
		if math.IsInf(x*100, 0) {
			s = "inf%"
		}
	case 0:
		if f.precision < 0 {
			s = floatRepr(x)
		} else if s = general(x, max(f.precision, 1), f.alternate, true); !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
	default: // g, G, n
		s = general(x, max(precision, 1), f.alternate, false)
	}
	if upper {
		s = strings.ToUpper(s)
	}
	return s
}

// general is the format g with so many significant digits. short: the exponent form begins one digit earlier, as str does it.
func general(x float64, precision int, keep, short bool) string {
	s := strconv.FormatFloat(x, 'e', precision-1, 64)
	e := strings.IndexByte(s, 'e')
	exp, _ := strconv.Atoi(s[e+1:])
	limit := precision
	if short {
		limit = precision - 1
	}
	trim := func(s string) string {
		if keep || !strings.Contains(s, ".") {
			return s
		}
		return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	if exp < -4 || exp >= max(limit, 1) && !(short && limit < 1 && exp < 1) {
		return trim(s[:e]) + s[e:]
	}
	return trim(strconv.FormatFloat(x, 'f', max(precision-1-exp, 0), 64))
}

// parseSpec reads a format specification of format().
func (st *state) parseSpec(s string, v Value) spec {
	f := spec{fill: " ", precision: -1}
	bad := func() {
		st.fail("format: the specification %q is not valid for a value of type %s", clipText(s, 40), typeName(v))
	}
	rest := s
	isAlign := func(i int) bool { return i < len(rest) && strings.IndexByte("<>=^", rest[i]) >= 0 }
	if rest != "" {
		if n := runeLen(rest); isAlign(n) {
			f.fill, f.align = rest[:n], rest[n]
			rest = rest[n+1:]
		} else if isAlign(0) {
			f.align = rest[0]
			rest = rest[1:]
		}
	}
	take := func(set string) byte {
		if rest != "" && strings.IndexByte(set, rest[0]) >= 0 {
			c := rest[0]
			rest = rest[1:]
			return c
		}
		return 0
	}
	number := func() (int, bool) {
		n := len(rest) - len(strings.TrimLeft(rest, decimals))
		if n == 0 {
			return 0, false
		}
		k, err := strconv.Atoi(rest[:n])
		if err != nil || k > math.MaxInt32 {
			st.fail("format: a width of more than %d", math.MaxInt32)
		}
		rest = rest[n:]
		return k, true
	}
	f.sign = take("+- ")
	if take("z") != 0 {
		st.fail("format: the option z is not supported")
	}
	f.alternate = take("#") != 0
	if take("0") != 0 {
		f.zero = true
	}
	f.width, _ = number()
	f.group = take(",_")
	if f.group != 0 && take(",_") != 0 {
		bad()
	}
	if take(".") != 0 {
		k, ok := number()
		if !ok {
			bad()
		}
		f.precision = k
	}
	if rest != "" {
		f.kind = rest[0]
		if len(rest) > 1 {
			bad()
		}
	}
	if f.zero && f.align == 0 {
		f.fill, f.align = "0", '='
		if _, ok := text(v); ok {
			f.align = '<' // Python 3.10 and later
		}
	}
	return f
}

// formatValue is format(v, s).
func (st *state) formatValue(v Value, s str) str {
	if s.s == "" {
		return st.toStr(v)
	}
	switch v := v.(type) {
	case string, *str:
		x, _ := text(v)
		f := st.parseSpec(s.s, v)
		if f.kind != 0 && f.kind != 's' || f.sign != 0 || f.alternate || f.align == '=' || f.group != 0 {
			st.fail("format: the specification %q is not valid for a string", clipText(s.s, 40))
		}
		return st.align(f, st.cut(x, f.precision), 0)
	case bool, int64, *big.Int, float64:
		n, _ := toNumber(v)
		return st.formatNumber(n, v, s.s)
	case *undefined:
		// object.__format__ takes no specification.
	}
	st.fail("format: a value of type %s takes no specification", typeName(v))
	return str{}
}

func (st *state) formatNumber(n number, v Value, s string) str {
	f := st.parseSpec(s, v)
	bad := func() {
		st.fail("format: the specification %q is not valid for a value of type %s", clipText(s, 40), typeName(v))
	}
	if f.align == 0 {
		f.align = '>'
	}
	switch f.kind {
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		n = number{f: st.toFloat(n), float: true}
	case 'd', 'b', 'o', 'x', 'X':
		if n.float || f.precision >= 0 || f.group == ',' && f.kind != 'd' {
			bad()
		}
	case 'c':
		if n.float || f.precision >= 0 || f.sign != 0 || f.group != 0 || f.alternate || n.b != nil || n.i < 0 || n.i > utf8.MaxRune {
			bad()
		}
		if f.zero || f.align == '=' {
			f.align = '='
		}
		if n.i >= 0xd800 && n.i < 0xe000 {
			bad()
		}
		return st.align(f, str{s: string(rune(n.i))}, 0)
	case 'n':
		if f.group != 0 || f.precision >= 0 && !n.float {
			bad()
		}
		if n.float {
			f.kind = 'g'
		}
	case 0:
		if !n.float && f.precision >= 0 {
			bad()
		}
	default:
		bad()
	}
	if !n.float && (f.kind == 0 || f.kind == 'n') {
		f.kind = 'd'
	}
	sign, prefix, digits := st.digits(f, n)
	if f.group != 0 {
		digits = st.grouped(f, digits, len(sign)+len(prefix))
	}
	return st.align(f, str{s: sign + prefix + digits}, len(sign)+len(prefix))
}

// grouped writes separators between the digits before the point. Zeros that fill the width are grouped, too.
func (st *state) grouped(f spec, s string, before int) string {
	every := 3
	if f.group == '_' && (f.kind == 'x' || f.kind == 'X' || f.kind == 'o' || f.kind == 'b') {
		every = 4
	}
	whole := len(s)
	if f.kind != 'x' && f.kind != 'X' {
		if n := len(s) - len(strings.TrimLeft(s, decimals)); n < whole {
			whole = n
		}
	}
	if whole == 0 {
		return s
	}
	head, tail := s[:whole], s[whole:]
	separated := func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			if i > 0 && (len(s)-i)%every == 0 {
				b.WriteByte(f.group)
			}
			b.WriteByte(s[i])
		}
		return b.String()
	}
	if f.zero && f.align == '=' && f.fill == "0" {
		// The least number of digits that reaches the width with its separators, none of which can stand first.
		st.payTimes(8, f.width)
		want := f.width - len(tail) - before
		n := max(len(head), want*every/(every+1))
		for n+(n-1)/every < want {
			n++
		}
		head = strings.Repeat("0", n-len(head)) + head
	}
	out := separated(head)
	st.payTimes(2, len(out))
	return out + tail
}

// format is x.format(…).
func (st *state) format(x str, a *args) str {
	if x.markup {
		st.fail("format of markup is not supported")
	}
	auto := 0
	return st.formatText(x, a, &auto, 2)
}

// formatText fills the fields of x; auto counts the fields without a name, -1 once numbers are used.
func (st *state) formatText(x str, a *args, auto *int, depth int) str {
	if depth == 0 {
		st.fail("format: fields are nested too deep")
	}
	b := builder{st: st}
	for i := 0; i < len(x.s); {
		c := x.s[i]
		if c != '{' && c != '}' {
			n := strings.IndexAny(x.s[i:], "{}")
			if n < 0 {
				n = len(x.s) - i
			}
			b.sub(x, i, i+n)
			i += n
			continue
		}
		if i+1 < len(x.s) && x.s[i+1] == c {
			b.lit(string(c))
			i += 2
			continue
		}
		if c == '}' {
			st.fail("format: a single } in the text")
		}
		// The field ends at the brace that closes it.
		open, j := 1, i+1
		for ; j < len(x.s); j++ {
			if x.s[j] == '{' {
				open++
			} else if x.s[j] == '}' {
				if open--; open == 0 {
					break
				}
			} else if x.s[j] == '[' && open == 1 {
				// Braces in an index do not count.
				n := strings.IndexByte(x.s[j:], ']')
				if n < 0 {
					break
				}
				j += n
			}
		}
		if j >= len(x.s) || open > 0 {
			st.fail("format: a { without its }")
		}
		st.step()
		b.add(st.formatField(x.slice(i+1, j), a, auto, depth))
		i = j + 1
	}
	return b.text()
}

func (st *state) formatField(field str, a *args, auto *int, depth int) str {
	s := field.s
	end := len(s)
	for i := 0; i < len(s); i++ {
		if s[i] == '[' {
			if n := strings.IndexByte(s[i:], ']'); n > 0 {
				i += n
				continue
			}
		}
		if s[i] == '!' || s[i] == ':' {
			end = i
			break
		}
		if s[i] == '{' || s[i] == '}' {
			st.fail("format: a brace in the name of a field")
		}
	}
	v := st.fieldValue(s[:end], a, auto)
	var specText str
	conversion := byte(0)
	rest := end
	if end < len(s) && s[end] == '!' {
		if end+1 >= len(s) || end+2 < len(s) && s[end+2] != ':' {
			st.fail("format: a colon is wanted after the conversion")
		}
		conversion = s[end+1]
		rest = end + 2
	}
	if rest < len(s) {
		specText = st.formatText(field.slice(rest+1, len(s)), a, auto, depth-1)
	}
	switch conversion {
	case 0:
	case 's':
		v = st.toStr(v).value()
	case 'r':
		v = st.repr(v).value()
	case 'a':
		v = st.ascii(st.repr(v)).value()
	default:
		st.fail("format: unknown conversion %q", conversion)
	}
	return st.formatValue(v, specText)
}

// fieldValue is what a field such as 0.name[key] means.
func (st *state) fieldValue(name string, a *args, auto *int) Value {
	n := strings.IndexAny(name, ".[")
	if n < 0 {
		n = len(name)
	}
	first, rest := name[:n], name[n:]
	index := -1
	switch {
	case first == "":
		if *auto < 0 {
			st.fail("format: fields with and without numbers are mixed")
		}
		index = *auto
		*auto++
	case strings.Trim(first, decimals) == "":
		if *auto > 0 {
			st.fail("format: fields with and without numbers are mixed")
		}
		*auto = -1
		k, err := strconv.Atoi(first)
		if err != nil {
			st.fail("format: too many digits in a number")
		}
		index = k
	}
	var v Value = missing
	if index >= 0 {
		if index >= len(a.pos) {
			st.fail("format: there is no value for field %d", index)
		}
		v = a.pos[index]
	} else {
		for i, k := range a.names {
			if k == first {
				v = a.kw[i]
			}
		}
		if v == missing {
			st.fail("format: there is no value for the field %s", clipText(first, 60))
		}
	}
	for rest != "" {
		if rest[0] == '.' {
			n := strings.IndexAny(rest[1:], ".[") + 1
			if n == 0 {
				n = len(rest)
			}
			if n == 1 {
				st.fail("format: an attribute without a name")
			}
			v = st.attr(v, rest[1:n])
			rest = rest[n:]
			continue
		}
		n := strings.IndexByte(rest, ']')
		if rest[0] != '[' || n < 2 {
			st.fail("format: the field %s is not valid", clipText(name, 60))
		}
		key := rest[1:n]
		if k, err := strconv.Atoi(key); err == nil && strings.Trim(key, decimals) == "" {
			v = st.item(v, int64(k))
		} else {
			v = st.item(v, key)
		}
		rest = rest[n+1:]
	}
	return v
}
