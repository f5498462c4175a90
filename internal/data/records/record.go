// Package records reads data files one record at a time: JSON lines, JSON lists and CSV. A record knows the file and line
// it came from, so that whatever is wrong with it can be said with its place.
package records

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxRecord is the most bytes a line or an element of a list may have.
const MaxRecord = 64 << 20

// Error is something wrong in a data file.
type Error struct {
	Path   string
	Line   int // from 1; 0: the whole file
	Msg    string
	Advice string // what to do, may be empty
	Err    error  // may be nil
}

func (e *Error) Error() string {
	where := e.Path
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.Path, e.Line)
	}
	if e.Err == nil {
		return where + ": " + e.Msg
	}
	if e.Msg == "" {
		return fmt.Sprintf("%s: %v", where, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", where, e.Msg, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *Error) Hint() string {
	var inner interface{ Hint() string }
	if e.Advice == "" && errors.As(e.Err, &inner) {
		return inner.Hint()
	}
	return e.Advice
}

// Record is one JSON object of a file. Names are exact: "Text" is not "text".
type Record struct {
	Path   string
	Line   int
	Fields map[string]json.RawMessage
}

// Errorf is an error at the record's place. A %w verb is honoured.
func (r Record) Errorf(format string, args ...any) error {
	return &Error{Path: r.Path, Line: r.Line, Err: fmt.Errorf(format, args...)}
}

// Has reports whether the record has a field that is not null.
func (r Record) Has(name string) bool {
	raw, ok := r.Fields[name]
	return ok && string(raw) != "null"
}

// First is the first of names that the record has; none is an error that lists what it has instead.
func (r Record) First(names ...string) (string, error) {
	for _, n := range names {
		if r.Has(n) {
			return n, nil
		}
	}
	return "", r.missing(names[0])
}

// String is a field that must be there and be a string.
func (r Record) String(name string) (string, error) {
	var s string
	return s, r.Decode(name, &s)
}

// OptString is a field that may be missing or null: then it is "".
func (r Record) OptString(name string) (string, error) {
	if !r.Has(name) {
		return "", nil
	}
	return r.String(name)
}

// Decode reads a field that must be there into v.
func (r Record) Decode(name string, v any) error {
	if !r.Has(name) {
		return r.missing(name)
	}
	if err := json.Unmarshal(r.Fields[name], v); err != nil {
		return r.Errorf("field %q: %w", name, plainer(err))
	}
	return nil
}

func (r Record) missing(name string) error {
	return &Error{Path: r.Path, Line: r.Line, Msg: fmt.Sprintf("field %q is missing; the record has %s", name, r.names())}
}

// maxNamed bounds how many fields an error lists.
const maxNamed = 8

// names lists the fields of the record for an error.
func (r Record) names() string {
	var out []string
	for n := range r.Fields {
		out = append(out, fmt.Sprintf("%q", shorten(n, 40)))
	}
	if len(out) == 0 {
		return "none"
	}
	slices.Sort(out)
	if more := len(out) - maxNamed; more > 0 {
		out = append(out[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, ", ")
}

// plainer is err without the Go types in the text of encoding/json.
func plainer(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	want := wrong.Type.String()
	switch want {
	case "string":
	case "int32", "int", "int64":
		want = "integer"
	default:
		if strings.HasPrefix(want, "[") {
			want = "list"
		}
		if strings.HasPrefix(want, "map") || strings.Contains(want, "struct") || strings.Contains(want, ".") {
			want = "object"
		}
	}
	if wrong.Field != "" {
		return fmt.Errorf("%s: %s found, want %s", wrong.Field, wrong.Value, want)
	}
	return fmt.Errorf("%s found, want %s", wrong.Value, want)
}

// shorten is s, or its beginning and … if it has more than n bytes.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
