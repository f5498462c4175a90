package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Unmarshal reads the one value of a JSON text into v, a pointer. See the package for what it refuses.
func Unmarshal(text []byte, v any) error {
	to := reflect.ValueOf(v)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		panic(fmt.Sprintf("strictjson: Unmarshal into %T", v))
	}
	s := &scanner{text: text}
	if err := s.element(to.Elem()); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	return nil
}

// Check reports what Unmarshal would refuse of a JSON text of any shape.
func Check(text []byte) error {
	s := &scanner{text: text}
	if err := s.skip(); err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	return nil
}

// Member is one name and value of an object.
type Member struct {
	Name  string
	Value json.RawMessage // as it stands in the text
	Line  int             // that the value begins in
}

// Members lists the members of an object in their order.
func Members(text []byte) (out []Member, err error) {
	err = Each(text, func(m Member) error { out = append(out, m); return nil })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Each calls fn with the members of an object in their order, and holds none of them. It ends at fn's first error, which it returns.
func Each(text []byte, fn func(Member) error) error {
	s := &scanner{text: text}
	if k := s.kind(); k != "object" && s.pos < len(text) {
		if err := s.skip(); err != nil {
			return err
		}
		return s.failAt(0, "%s found, want object", k)
	} else if s.pos == len(text) {
		return s.noValue()
	}
	line, counted := 1, 0
	var stop error
	err := s.object(func(name string) *Error {
		at := s.pos
		line += bytes.Count(text[counted:at], []byte("\n"))
		counted = at
		if err := s.skip(); err != nil {
			return err
		}
		if stop = fn(Member{Name: name, Value: text[at:s.pos:s.pos], Line: line}); stop != nil {
			return s.fail("stopped")
		}
		return nil
	})
	switch {
	case stop != nil:
		return stop
	case err != nil:
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	return nil
}

// Elements lists the elements of a list as they stand in the text.
func Elements(text []byte) ([]json.RawMessage, error) {
	var out []json.RawMessage
	return out, Unmarshal(text, &out)
}

var rawType = reflect.TypeFor[json.RawMessage]()

// takesNull reports whether a place has room for null: what is missing is told from what is there.
func takesNull(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface:
		return true
	}
	return readsItself(t)
}

func readsItself(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// element reads an element of a list or map, where null is no value.
func (s *scanner) element(to reflect.Value) *Error {
	if s.null() && !takesNull(to.Type()) {
		return s.fail("null found, want %s", want(to.Type()))
	}
	return s.value(to)
}

// value reads the value at the present place. null leaves to as it is, but for pointers and the like.
func (s *scanner) value(to reflect.Value) *Error {
	if s.next() == 0 && s.pos == len(s.text) {
		return s.noValue()
	}
	t := to.Type()
	if readsItself(t) {
		return s.itself(to)
	}
	if s.null() {
		s.pos += len("null")
		if k := t.Kind(); k == reflect.Pointer || k == reflect.Interface || k == reflect.Map || k == reflect.Slice {
			to.SetZero()
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		if to.IsNil() {
			to.Set(reflect.New(t.Elem()))
		}
		return s.value(to.Elem())
	case reflect.Interface:
		v, err := s.any()
		if err == nil {
			to.Set(reflect.ValueOf(v))
		}
		return err
	case reflect.Struct:
		return s.structure(to)
	case reflect.Map:
		return s.mapping(to)
	case reflect.Slice, reflect.Array:
		return s.sequence(to)
	}
	return s.scalar(to)
}

// itself hands the text of a value to the UnmarshalJSON method of its place.
func (s *scanner) itself(to reflect.Value) *Error {
	at := s.pos
	if err := s.skip(); err != nil {
		return err
	}
	raw := s.text[at:s.pos:s.pos]
	if to.Type() == rawType {
		to.SetBytes(append([]byte(nil), raw...))
		return nil
	}
	if err := to.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(raw); err != nil {
		e := s.failAt(at, "%s", err.Error())
		e.Err = err
		if inner := (*Error)(nil); errors.As(err, &inner) {
			e.Msg, e.Path, e.Line = inner.Msg, inner.Path, e.Line+inner.Line-1
		}
		return e
	}
	return nil
}

// mismatch is the error of a value of another kind than its place.
func (s *scanner) mismatch(t reflect.Type) *Error {
	k, at := s.kind(), s.pos
	if err := s.skip(); err != nil {
		return err
	}
	if k == "number" {
		k += " " + shorten(string(s.text[at:s.pos]), 40)
	}
	return s.failAt(at, "%s found, want %s", k, want(t))
}

// want names what a place takes.
func want(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return want(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "list"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Float32, reflect.Float64:
		return "number"
	}
	return "integer"
}

func (s *scanner) structure(to reflect.Value) *Error {
	if s.text[s.pos] != '{' {
		return s.mismatch(to.Type())
	}
	fields := fieldsOf(to.Type())
	return s.object(func(name string) *Error {
		index, ok := fields[name]
		if !ok {
			return s.skip()
		}
		return s.value(to.FieldByIndex(index))
	})
}

func (s *scanner) mapping(to reflect.Value) *Error {
	t := to.Type()
	if s.text[s.pos] != '{' {
		return s.mismatch(t)
	}
	if to.IsNil() {
		to.Set(reflect.MakeMap(t))
	}
	return s.object(func(name string) *Error {
		key := reflect.New(t.Key()).Elem()
		switch t.Key().Kind() {
		case reflect.String:
			key.SetString(name)
		case reflect.Int, reflect.Int32, reflect.Int64:
			n, err := strconv.ParseInt(name, 10, t.Key().Bits())
			if err != nil {
				return s.fail("the name %q is no integer", shorten(name, 40))
			}
			key.SetInt(n)
		default:
			panic("strictjson: map with keys of type " + t.Key().String())
		}
		v := reflect.New(t.Elem()).Elem()
		if err := s.element(v); err != nil {
			return err
		}
		to.SetMapIndex(key, v)
		return nil
	})
}

func (s *scanner) sequence(to reflect.Value) *Error {
	t := to.Type()
	if s.text[s.pos] != '[' {
		return s.mismatch(t)
	}
	at := s.pos
	if t.Kind() == reflect.Array {
		n := 0
		err := s.list(func(i int) *Error {
			if n++; i >= to.Len() {
				return s.skip()
			}
			return s.element(to.Index(i))
		})
		if err == nil && n != to.Len() {
			return s.failAt(at, "a list of %d found, want %d elements", n, to.Len())
		}
		return err
	}
	out := reflect.New(t).Elem()
	out.Set(reflect.MakeSlice(t, 0, 0))
	err := s.list(func(i int) *Error {
		if i == out.Cap() {
			out.Grow(max(i, 4))
		}
		out.SetLen(i + 1)
		out.Index(i).SetZero()
		return s.element(out.Index(i))
	})
	to.Set(out)
	return err
}

func (s *scanner) scalar(to reflect.Value) *Error {
	t, at := to.Type(), s.pos
	switch k, found := t.Kind(), s.kind(); {
	case k == reflect.String && found == "string" && t != reflect.TypeFor[json.Number]():
		text, err := s.str()
		to.SetString(text)
		return err
	case k == reflect.Bool && found == "true or false":
		w, err := s.word()
		to.SetBool(w == "true")
		return err
	case found == "number" && (k >= reflect.Int && k <= reflect.Float64 || t == reflect.TypeFor[json.Number]()):
		text, err := s.number()
		if err != nil {
			return err
		}
		if err := setNumber(to, text); err != "" {
			return s.failAt(at, "number %s found, want %s", shorten(text, 40), err)
		}
		return nil
	case k == reflect.String, k == reflect.Bool, k >= reflect.Int && k <= reflect.Float64:
		return s.mismatch(t)
	}
	panic("strictjson: value of type " + t.String())
}

// setNumber puts a number into its place; what it says is what the place wants instead.
func setNumber(to reflect.Value, text string) string {
	t := to.Type()
	whole := !strings.ContainsAny(text, ".eE")
	switch k := t.Kind(); {
	case k == reflect.String:
		to.SetString(text)
	case k == reflect.Float32 || k == reflect.Float64:
		v, err := strconv.ParseFloat(text, t.Bits())
		if err != nil {
			return fmt.Sprintf("one that %d bits hold", t.Bits())
		}
		to.SetFloat(v)
	case !whole:
		return "integer"
	case k >= reflect.Uint:
		v, err := strconv.ParseUint(text, 10, t.Bits())
		if err != nil {
			return fmt.Sprintf("integer from 0 to %d", ^uint64(0)>>(64-t.Bits()))
		}
		to.SetUint(v)
	default:
		v, err := strconv.ParseInt(text, 10, t.Bits())
		if err != nil {
			top := ^uint64(0) >> (65 - t.Bits())
			return fmt.Sprintf("integer from -%d to %d", top+1, top)
		}
		to.SetInt(v)
	}
	return ""
}

// any reads a value as encoding/json does for an empty interface.
func (s *scanner) any() (any, *Error) {
	switch s.kind() {
	case "object":
		out := map[string]any{}
		err := s.object(func(name string) *Error {
			v, err := s.any()
			out[name] = v
			return err
		})
		return out, err
	case "list":
		out := []any{}
		err := s.list(func(int) *Error {
			v, err := s.any()
			out = append(out, v)
			return err
		})
		return out, err
	case "string":
		return s.str()
	case "true or false":
		w, err := s.word()
		return w == "true", err
	case "null":
		_, err := s.word()
		return nil, err
	}
	at := s.pos
	text, err := s.number()
	if err != nil {
		return nil, err
	}
	v, bad := strconv.ParseFloat(text, 64)
	if bad != nil {
		return nil, s.failAt(at, "number %s found, want one that 64 bits hold", shorten(text, 40))
	}
	return v, nil
}

var fieldCache sync.Map // of reflect.Type: map[string][]int

// fieldsOf lists the fields of a struct by their names in JSON.
func fieldsOf(t reflect.Type) map[string][]int {
	if known, ok := fieldCache.Load(t); ok {
		return known.(map[string][]int)
	}
	out := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if strings.Contains(options, "string") {
			panic("strictjson: field " + f.Name + " of " + t.String() + " has the option string")
		}
		if f.Anonymous && name == "" || !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		if had, ok := out[name]; !ok || len(f.Index) < len(had) {
			out[name] = f.Index
		}
	}
	fieldCache.Store(t, out)
	return out
}
