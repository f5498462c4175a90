package jinja

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonWriter writes values as json.dumps does.
type jsonWriter struct {
	b      builder
	ascii  bool
	sort   bool
	indent string
	lines  bool // an indent was given
	item   string
	key    string
}

// filterJSON is tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false) of transformers.
func filterJSON(st *state, v Value, a *args) Value {
	p := st.bind(a, "tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	w := jsonWriter{b: builder{st: st}, item: ", ", key: ": "}
	w.ascii = p[0] != missing && st.truth(p[0])
	w.sort = p[3] != missing && st.truth(p[3])
	if p[1] != missing && p[1] != nil {
		w.lines, w.item = true, ","
		if s, ok := Text(p[1]); ok {
			w.indent = s
		} else if n, ok := toInt(p[1]); ok {
			st.payTimes(1, int(min(max(n, 0), 1<<40)))
			w.indent = strings.Repeat(" ", int(max(n, 0)))
		} else {
			st.fail("tojson: the indent must be an integer or a string, not of type %s", typeName(p[1]))
		}
	}
	if p[2] != missing && p[2] != nil {
		s := st.unpack(p[2], 2)
		item, ok := Text(s[0])
		key, ok2 := Text(s[1])
		if !ok || !ok2 {
			st.fail("tojson: the separators must be strings")
		}
		w.item, w.key = item, key
	}
	w.value(st, v, 0)
	return w.b.value()
}

func (w *jsonWriter) value(st *state, v Value, depth int) {
	st.step()
	switch v := v.(type) {
	case nil:
		w.b.lit("null")
	case bool:
		if v {
			w.b.lit("true")
		} else {
			w.b.lit("false")
		}
	case int64, *big.Int:
		n, _ := toNumber(v)
		w.b.lit(st.intString(n))
	case float64:
		w.b.lit(jsonFloat(v))
	case string:
		w.text(str{s: v})
	case *str:
		w.text(*v)
	case *List:
		w.list(st, v.items, depth)
	case *tuple:
		w.list(st, v.items, depth)
	case *Dict:
		w.dict(st, v, depth)
	default:
		if u, ok := v.(*undefined); ok {
			st.fail("tojson: %s", u.message)
		}
		st.fail("tojson: a value of type %s cannot be written as JSON", typeName(v))
	}
}

func jsonFloat(f float64) string {
	switch s := floatRepr(f); s {
	case "nan":
		return "NaN"
	case "inf":
		return "Infinity"
	case "-inf":
		return "-Infinity"
	default:
		return s
	}
}

func (w *jsonWriter) line(depth int) {
	if w.lines {
		w.b.lit("\n")
		w.b.repeat(w.indent, depth)
	}
}

func (w *jsonWriter) list(st *state, items []Value, depth int) {
	defer st.enter("tojson")()
	if len(items) == 0 {
		w.b.lit("[]")
		return
	}
	w.b.lit("[")
	for i, item := range items {
		if i > 0 {
			w.b.lit(w.item)
		}
		w.line(depth + 1)
		w.value(st, item, depth+1)
	}
	w.line(depth)
	w.b.lit("]")
}

func (w *jsonWriter) dict(st *state, d *Dict, depth int) {
	defer st.enter("tojson")()
	if len(d.entries) == 0 {
		w.b.lit("{}")
		return
	}
	entries := d.entries
	if w.sort {
		st.pay(64 * len(entries))
		entries = slices.Clone(entries)
		for i, k := range st.sortedOrder(len(entries), func(i, j int) bool { return st.less(d.entries[i].key, d.entries[j].key) }) {
			entries[i] = d.entries[k]
		}
	}
	w.b.lit("{")
	for i, e := range entries {
		if i > 0 {
			w.b.lit(w.item)
		}
		w.line(depth + 1)
		switch k := e.key.(type) {
		case string:
			w.text(str{s: k})
		case *str:
			w.text(*k)
		case nil, bool, int64, *big.Int, float64:
			inner := jsonWriter{b: builder{st: st}}
			inner.value(st, k, 0)
			w.b.lit(`"` + string(inner.b.b) + `"`)
		default:
			st.fail("tojson: a key of type %s cannot be written as JSON", typeName(k))
		}
		w.b.lit(w.key)
		w.value(st, e.value, depth+1)
	}
	w.line(depth)
	w.b.lit("}")
}

// text writes a JSON string.
func (w *jsonWriter) text(x str) {
	w.b.lit(`"`)
	from := 0
	for i := 0; i < len(x.s); {
		c := x.s[i]
		n := 1
		escape := ""
		switch {
		case c == '"' || c == '\\':
			escape = `\` + string(c)
		case c == '\n':
			escape = `\n`
		case c == '\r':
			escape = `\r`
		case c == '\t':
			escape = `\t`
		case c == '\f':
			escape = `\f`
		case c == '\b':
			escape = `\b`
		case c < ' ':
			escape = fmt.Sprintf(`\u%04x`, c)
		case w.ascii && c == 0x7f:
		case w.ascii && c >= utf8.RuneSelf:
			var r rune
			r, n = utf8.DecodeRuneInString(x.s[i:])
			if r < 0x10000 {
				escape = fmt.Sprintf(`\u%04x`, r)
			} else {
				high, low := utf16.EncodeRune(r)
				escape = fmt.Sprintf(`\u%04x\u%04x`, high, low)
			}
		}
		if escape != "" {
			w.b.st.pay(8)
			w.b.sub(x, from, i)
			w.b.instead(x, i, i+n, escape)
			from = i + n
		}
		i += n
	}
	w.b.sub(x, from, len(x.s))
	w.b.lit(`"`)
}
