package strictjson

import (
	"fmt"
	"strings"
	"unicode"
)

// Error says what is wrong with a JSON text, and where.
type Error struct {
	Line   int    // from 1
	Path   string // of the value, such as messages[2].content; "" is the whole text
	Msg    string
	Offset int // in bytes
	Err    error
}

func (e *Error) Error() string {
	var out strings.Builder
	if e.Line > 1 {
		fmt.Fprintf(&out, "line %d: ", e.Line)
	}
	if e.Path != "" {
		out.WriteString(e.Path + ": ")
	}
	out.WriteString(e.Msg)
	return out.String()
}

func (e *Error) Unwrap() error { return e.Err }

// under puts a name or an index before the path.
func (e *Error) under(step string) *Error {
	if e.Path != "" && e.Path[0] != '[' {
		step += "."
	}
	const longest = 160 // of what an error has room for
	e.Path = shorten(step+e.Path, longest)
	return e
}

// nameStep is the name of an object's member as a step of a path: plain where it can be, else in quotes.
func nameStep(name string) string {
	hidden := func(c rune) bool { return !unicode.IsPrint(c) }
	if name == "" || len(name) > 60 || strings.ContainsAny(name, ".[]\"' :") || strings.ContainsFunc(name, hidden) {
		return fmt.Sprintf("%q", shorten(name, 60))
	}
	return name
}

// shorten is s, or its beginning and … if it has more than n bytes.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
