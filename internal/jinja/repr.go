package jinja

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// toStr is str(v).
func (st *state) toStr(v Value) str {
	switch v := v.(type) {
	case string:
		return str{s: v}
	case *str:
		return str{s: v.s, at: v.at}
	case nil:
		return str{s: "None"}
	case bool:
		if v {
			return str{s: "True"}
		}
		return str{s: "False"}
	case int64:
		return str{s: strconv.FormatInt(v, 10)}
	case *undefined:
		return str{}
	}
	return st.repr(v)
}

// repr is repr(v).
func (st *state) repr(v Value) str {
	b := builder{st: st}
	st.writeRepr(&b, v)
	return b.text()
}

func (st *state) writeRepr(b *builder, v Value) {
	st.step()
	switch v := v.(type) {
	case nil:
		b.lit("None")
	case bool:
		b.add(st.toStr(v))
	case int64, *big.Int:
		n, _ := toNumber(v)
		b.lit(st.intString(n))
	case float64:
		b.lit(floatRepr(v))
	case string:
		reprText(b, str{s: v})
	case *str:
		if v.markup {
			b.lit("Markup(")
			reprText(b, *v)
			b.lit(")")
			return
		}
		reprText(b, *v)
	case *undefined:
		b.lit("Undefined")
	case *List:
		st.reprItems(b, "[", v.items, "]")
	case *tuple:
		if len(v.items) == 1 {
			st.reprItems(b, "(", v.items, ",)")
			return
		}
		st.reprItems(b, "(", v.items, ")")
	case *Dict:
		st.reprDict(b, v)
	case *namespace:
		b.lit("<Namespace ")
		defer st.enter("printing")()
		st.reprDict(b, v.attrs)
		b.lit(">")
	case *rangeValue:
		b.lit(fmt.Sprintf("range(%d, %d", v.start, v.stop))
		if v.step != 1 {
			b.lit(fmt.Sprintf(", %d", v.step))
		}
		b.lit(")")
	case *dictView:
		b.lit(typeName(v) + "(")
		st.reprItems(b, "[", st.list(v), "]")
		b.lit(")")
	case *macro:
		if v.def.target == nil {
			b.lit("<Macro anonymous>")
			return
		}
		b.lit("<Macro '" + v.def.name + "'>")
	case *loopContext:
		b.lit(fmt.Sprintf("<LoopContext %d/%d>", v.index+1, v.len()))
	default:
		st.fail("a value of type %s cannot be printed: Python would print its address", typeName(v))
	}
}

func (st *state) reprItems(b *builder, open string, items []Value, end string) {
	defer st.enter("printing")()
	b.lit(open)
	for i, item := range items {
		if i > 0 {
			b.lit(", ")
		}
		st.writeRepr(b, item)
	}
	b.lit(end)
}

func (st *state) reprDict(b *builder, d *Dict) {
	if slices.Contains(st.path, d) {
		b.lit("{...}")
		return
	}
	st.path = append(st.path, d)
	defer st.enter("printing")()
	b.lit("{")
	for i, e := range d.entries {
		if i > 0 {
			b.lit(", ")
		}
		st.writeRepr(b, e.key)
		b.lit(": ")
		st.writeRepr(b, e.value)
	}
	b.lit("}")
	st.path = st.path[:len(st.path)-1]
}

// reprText writes a string as Python's repr does.
func reprText(b *builder, x str) {
	quote := byte('\'')
	single, double := false, false
	for i := range len(x.s) {
		single = single || x.s[i] == '\''
		double = double || x.s[i] == '"'
	}
	if single && !double {
		quote = '"'
	}
	b.lit(string(quote))
	from := 0
	for i, r := range x.s {
		if r != rune(quote) && r != '\\' && unicode.IsPrint(r) {
			continue
		}
		b.sub(x, from, i)
		n := utf8.RuneLen(r)
		if r == utf8.RuneError {
			n = runeLen(x.s[i:])
		}
		b.st.pay(8)
		b.instead(x, i, i+n, quoteRune(r))
		from = i + n
	}
	b.sub(x, from, len(x.s))
	b.lit(string(quote))
}

// quoteRune is the escape that repr writes for a character.
func quoteRune(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r == '\\' || r == '\'' || r == '"':
		return `\` + string(r)
	case r < 0x100:
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}
