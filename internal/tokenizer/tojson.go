package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// filterJSON is tojson(indent=none) as transformers defines it: json.dumps with ensure_ascii off, so
// nothing is escaped for HTML.
func filterJSON(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	if in.IsError() {
		return in
	}
	indent := ""
	if n := params.GetKeywordArgument("indent", nil); n.IsInteger() && n.Integer() > 0 && n.Integer() <= 16 {
		indent = strings.Repeat(" ", n.Integer())
	}
	w := jsonWriter{indent: indent, limit: stateOf(e.Environment.Context).limit}
	if err := w.value(in, 0); err != nil {
		return exec.AsValue(fmt.Errorf("tojson: %w", err))
	}
	return exec.AsSafeValue(w.b.String())
}

// jsonWriter writes values with Python's spacing.
type jsonWriter struct {
	b      bytes.Buffer
	indent string
	limit  int
}

func (w *jsonWriter) value(v *exec.Value, depth int) error {
	if depth > maxDepth || w.b.Len() > w.limit {
		return errors.New("the value is too large")
	}
	var err error
	switch {
	case v.IsNil():
		w.b.WriteString("null")
	case v.IsDict():
		err = w.list('{', '}', v, depth)
	case v.IsList():
		err = w.list('[', ']', v, depth)
	default:
		err = w.scalar(v)
	}
	return err
}

func (w *jsonWriter) scalar(v *exec.Value) error {
	var x any = v.String()
	switch {
	case v.IsBool():
		x = v.Bool()
	case v.IsInteger():
		x = v.Integer()
	case v.IsFloat():
		x = v.Float()
	case !v.IsString():
		return fmt.Errorf("%s is neither text, number, list nor dict", v)
	}
	e := json.NewEncoder(&w.b)
	e.SetEscapeHTML(false)
	if err := e.Encode(x); err != nil {
		return err
	}
	w.b.Truncate(w.b.Len() - 1) // Encode ends with a line end
	return nil
}

func (w *jsonWriter) list(open, end byte, v *exec.Value, depth int) (err error) {
	w.b.WriteByte(open)
	n := 0
	v.Iterate(func(_, _ int, key, value *exec.Value) bool {
		if n++; n > 1 {
			w.b.WriteByte(',')
			if w.indent == "" {
				w.b.WriteByte(' ')
			}
		}
		w.line(depth + 1)
		if open == '{' {
			if err = w.scalar(key); err != nil {
				return false
			}
			w.b.WriteString(": ")
			key = value
		}
		err = w.value(key, depth+1)
		return err == nil
	}, func() {})
	if n > 0 {
		w.line(depth)
	}
	w.b.WriteByte(end)
	return err
}

func (w *jsonWriter) line(depth int) {
	if w.indent != "" {
		w.b.WriteByte('\n')
		w.b.WriteString(strings.Repeat(w.indent, depth))
	}
}
