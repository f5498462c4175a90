package jinja

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRender: no template makes the package panic, and its origins and marks lie in the text, in order.
func FuzzRender(f *testing.F) {
	g, vars := readGolden(f)
	for i, c := range g.Cases {
		if i%5 == 0 {
			f.Add(c.T)
		}
	}
	for _, h := range hostile {
		if len(h.source) < 400 {
			f.Add(h.source)
		}
	}
	mark := 0
	marked := mark1(vars, &mark).(*Dict)
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := Compile(source)
		if err == nil {
			var res Result
			res, err = tmpl.Render(marked, Options{Limits: Limits{Bytes: 1 << 20, Steps: 1 << 16}})
			checkResult(t, res)
		}
		if err == nil {
			return
		}
		if s := err.Error(); strings.Contains(s, "cannot be rendered") || len(s) > 1500 || strings.ContainsAny(s, "\n\x1b") || !utf8.ValidString(s) {
			t.Errorf("the error is %q", s)
		}
	})
}

// mark1 gives every string of v a mark of its own.
func mark1(v Value, next *int) Value {
	switch v := v.(type) {
	case string:
		*next++
		return Marked(v, *next)
	case *List:
		l := NewList()
		for _, item := range v.items {
			l.Append(mark1(item, next))
		}
		return l
	case *Dict:
		d := NewDict()
		for _, e := range v.entries {
			d.Set(e.key.(string), mark1(e.value, next))
		}
		return d
	}
	return v
}

func checkResult(t *testing.T, r Result) {
	t.Helper()
	end := 0
	for _, o := range r.Origins {
		if o.Start < end || o.End <= o.Start || o.End > len(r.Text) {
			t.Fatalf("origins %v of %d bytes", r.Origins, len(r.Text))
		}
		end = o.End
	}
	for _, g := range r.Generation {
		if g[0] < 0 || g[1] < g[0] || g[1] > len(r.Text) {
			t.Fatalf("marks %v of %d bytes", r.Generation, len(r.Text))
		}
	}
}
