// Package records reads data files one record at a time: JSON lines, JSON lists, tables with commas or tabulators, parquet, and
// all but the last compressed. A record knows the file and line it came from, so that whatever is wrong with it can be said with its place.
package records

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lomo/internal/strictjson"
)

// MaxRecord is the most bytes a line or an element of a list may have.
const MaxRecord = 64 << 20

// Error is something wrong in a data file.
type Error struct {
	Path   string
	Line   int // from 1; 0: the whole file, or a row
	Row    int // of a file without lines, from 1
	Msg    string
	Advice string // what to do, may be empty
	Err    error  // may be nil
	Others int    // later records of the file of which the same is true
}

func (e *Error) Error() string {
	text := place(e.Path, e.Line, e.Row) + ": " + e.what()
	switch {
	case e.Others == 1:
		text += " (likewise in 1 other record)"
	case e.Others > 1:
		text += fmt.Sprintf(" (likewise in %d other records)", e.Others)
	}
	return text
}

// what is wrong, without the place.
func (e *Error) what() string {
	switch {
	case e.Err == nil:
		return e.Msg
	case e.Msg == "":
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", e.Msg, e.Err)
}

// Like tells whether e says of another record of the same file what b says.
func (e *Error) Like(b *Error) bool {
	return e.Path == b.Path && e.Line+e.Row > 0 && b.Line+b.Row > 0 && e.what() == b.what()
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

// place is where something stands, as errors and notes write it.
func place(path string, line, row int) string {
	switch {
	case line > 0:
		return fmt.Sprintf("%s:%d", path, line)
	case row > 0:
		return fmt.Sprintf("%s: row %d", path, row)
	}
	return path
}

// Record is one object of a file. Names are exact: "Text" is not "text", and none stands twice.
type Record struct {
	Path   string
	Line   int // 0 in a file without lines
	Row    int // of such a file, from 1
	Fields map[string]json.RawMessage
}

// Place is where the record stands: file:line.
func (r Record) Place() string { return place(r.Path, r.Line, r.Row) }

// Errorf is an error at the record's place. A %w verb is honoured.
func (r Record) Errorf(format string, args ...any) error {
	return &Error{Path: r.Path, Line: r.Line, Row: r.Row, Err: fmt.Errorf(format, args...)}
}

// Refuse is an error at the record's place that says what to do.
func (r Record) Refuse(advice, format string, args ...any) error {
	return &Error{Path: r.Path, Line: r.Line, Row: r.Row, Err: fmt.Errorf(format, args...), Advice: advice}
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
	err := r.missing(names[0])
	for _, n := range names {
		if other := r.spelt(n); other != "" && err.Advice == "" {
			err.Advice = spelling(n, other)
		}
	}
	return "", err
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
	return r.FieldError(name, strictjson.Unmarshal(r.Fields[name], v))
}

// FieldError is err, which reading a field gave, with the record's place and the field's name; nil stays nil.
func (r Record) FieldError(name string, err error) error {
	if err == nil {
		return nil
	}
	where := fmt.Sprintf("field %q", shorten(name, 40))
	if e := (*strictjson.Error)(nil); errors.As(err, &e) {
		err = errors.New(e.Msg) // lines within the field would be taken for lines of the file
		switch {
		case strings.HasPrefix(e.Path, "["):
			where = shorten(name, 40) + e.Path
		case e.Path != "":
			where = shorten(name, 40) + "." + e.Path
		}
	}
	return r.Errorf("%s: %w", where, err)
}

func (r Record) missing(name string) *Error {
	err := &Error{Path: r.Path, Line: r.Line, Row: r.Row, Msg: fmt.Sprintf("field %q is missing; the record has %s", name, r.names())}
	if _, ok := r.Fields[name]; ok {
		err.Msg = fmt.Sprintf("field %q is null", name)
	} else if other := r.spelt(name); other != "" {
		err.Advice = spelling(name, other)
	}
	return err
}

// spelt is a field of the record whose name is this one but for capitals and spaces around it, "" for none.
func (r Record) spelt(name string) string {
	for _, n := range slices.Sorted(maps.Keys(r.Fields)) {
		if n != name && strings.EqualFold(strings.TrimSpace(n), name) {
			return n
		}
	}
	return ""
}

func spelling(want, have string) string {
	return fmt.Sprintf("names are exact: write %q in place of %q", want, shorten(have, 40))
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

// shorten is s, or its beginning and … if it has more than n bytes.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
