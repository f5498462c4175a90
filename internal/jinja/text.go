package jinja

import (
	"slices"
	"sort"
	"unsafe"
)

// Origin says that the bytes [Start, End) of a text come from the string with this mark.
type Origin struct{ Start, End, Mark int }

// str is a string with origins, or one that counts as markup. Other strings are Go's.
type str struct {
	s      string
	at     []Origin // in order, not overlapping
	markup bool
}

// Marked is a string whose bytes are followed through the template. Operators, slices, filters and methods keep the origin of what they keep.
func Marked(s string, mark int) Value {
	if s == "" {
		return s
	}
	return &str{s: s, at: []Origin{{0, len(s), mark}}}
}

// Text is the text of a string value.
func Text(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case *str:
		return v.s, true
	}
	return "", false
}

// text is v as a string with its origins.
func text(v Value) (str, bool) {
	switch v := v.(type) {
	case string:
		return str{s: v}, true
	case *str:
		return *v, true
	}
	return str{}, false
}

// value is x in the form of a Value.
func (x str) value() Value {
	if x.at == nil && !x.markup {
		return x.s
	}
	return &x
}

// slice is the bytes [i, j) of x.
func (x str) slice(i, j int) str {
	return str{x.s[i:j], clip(nil, x.at, i, j, 0), x.markup}
}

// clip appends the part of at inside [i, j), moved so that i becomes to.
func clip(dst, at []Origin, i, j, to int) []Origin {
	if len(at) == 0 || i >= j {
		return dst
	}
	k := 0
	if len(at) > 8 {
		k = sort.Search(len(at), func(k int) bool { return at[k].End > i })
	}
	for ; k < len(at) && at[k].Start < j; k++ {
		start, end := max(at[k].Start, i), min(at[k].End, j)
		if start < end {
			dst = addOrigin(dst, Origin{start - i + to, end - i + to, at[k].Mark})
		}
	}
	return dst
}

// addOrigin appends o, as part of the last range where it goes on.
func addOrigin(dst []Origin, o Origin) []Origin {
	if n := len(dst); n > 0 && dst[n-1].End == o.Start && dst[n-1].Mark == o.Mark {
		dst[n-1].End = o.End
		return dst
	}
	return append(dst, o)
}

// markOf is the mark of the first marked byte of [i, j).
func (x str) markOf(i, j int) (int, bool) {
	for _, o := range x.at {
		if o.End > i && o.Start < j {
			return o.Mark, true
		}
	}
	return 0, false
}

// builder makes a string, and pays for each byte.
type builder struct {
	st *state
	b  []byte
	at []Origin
}

// lit adds text without an origin.
func (b *builder) lit(s string) {
	b.st.pay(len(s))
	b.room(len(s))
	b.b = append(b.b, s...)
}

// add adds x.
func (b *builder) add(x str) {
	b.st.pay(len(x.s))
	b.room(len(x.s))
	if x.at != nil {
		b.at = clip(b.at, x.at, 0, len(x.s), len(b.b))
	}
	b.b = append(b.b, x.s...)
}

// sub adds the bytes [i, j) of x.
func (b *builder) sub(x str, i, j int) {
	b.st.pay(j - i)
	b.room(j - i)
	if x.at != nil {
		b.at = clip(b.at, x.at, i, j, len(b.b))
	}
	b.b = append(b.b, x.s[i:j]...)
}

// instead adds s, which stands for the bytes [i, j) of x.
func (b *builder) instead(x str, i, j int, s string) {
	if x.at != nil && s != "" {
		if mark, ok := x.markOf(i, j); ok {
			b.at = addOrigin(b.at, Origin{len(b.b), len(b.b) + len(s), mark})
		}
	}
	b.lit(s)
}

func (b *builder) repeat(s string, n int) {
	if n <= 0 || s == "" {
		return
	}
	b.st.payTimes(len(s), n)
	b.room(len(s) * n)
	for ; n > 0; n-- {
		b.b = append(b.b, s...)
	}
}

// grow makes room for n bytes more, if they can be paid.
func (b *builder) grow(n int) {
	if n <= b.st.bytes {
		b.b = slices.Grow(b.b, n)
	}
}

// room makes room for n bytes that are paid already. A long text grows by its own length, or by all that can still be paid: append would go in
// steps of a quarter, whose leavings are several times the text.
func (b *builder) room(n int) {
	if have := len(b.b); have+n > cap(b.b) && have > 1<<16 {
		b.b = slices.Grow(b.b, n+min(have, b.st.bytes))
	}
}

// text is what was built, which is not to be added to. A long text is not copied where little room would be wasted.
func (b *builder) text() str {
	if n := len(b.b); n > 4096 && cap(b.b)-n <= n/3 {
		return str{s: unsafe.String(unsafe.SliceData(b.b), n), at: b.at}
	}
	return str{s: string(b.b), at: b.at}
}

// value is what was built, as a Value.
func (b *builder) value() Value { return b.text().value() }
