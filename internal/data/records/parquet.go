package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"lomo/internal/fault"
)

// readParquet reads the rows of a parquet file as if they were written as JSON. A null within a row is left out: a table gives the
// objects of a column the fields of all of them, so null says that this object has none. null in a list stays.
func readParquet(path string, fn func(Record) error) (err error) {
	f, size, err := fault.Open(path)
	if err != nil {
		return &Error{Path: path, Err: fault.Bare(err, path)}
	}
	defer f.Close()
	row := 0
	broken := func(err error) error {
		return &Error{Path: path, Row: row, Msg: "not a parquet file, or a damaged one", Err: err, Advice: "fetch the file again, or write it again with pyarrow, datasets or pandas"}
	}
	inCall := false
	defer func() { // damaged files
		if r := recover(); r != nil {
			if inCall {
				panic(r)
			}
			if _, lengths := r.(runtime.Error); lengths {
				r = "lengths in it do not fit"
			}
			err = broken(errors.New(fault.Shorten(fmt.Sprint(r), 200)))
		}
	}()
	if err := checkFooter(f, size); err != nil {
		return broken(err)
	}
	in, err := parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return broken(err)
	}
	if err := checkPages(f, size, in); err != nil {
		return broken(err)
	}
	room := pageFree + growth*size // one value of a dictionary may stand in all rows
	var columns int
	root := columnOf(in.Root(), &columns)
	values := make([][]parquet.Value, columns)
	buffer := make([]parquet.Row, 64)
	for _, group := range in.RowGroups() {
		if group.NumRows() == 0 {
			continue
		}
		rows := group.Rows()
		for done := false; !done; {
			n, err := rows.ReadRows(buffer)
			if done = err == io.EOF; err != nil && !done {
				rows.Close()
				return broken(err)
			}
			for _, r := range buffer[:n] {
				row++
				for c := range values {
					values[c] = values[c][:0]
				}
				for _, v := range r {
					values[v.Column()] = append(values[v.Column()], v)
				}
				rec, err := root.record(path, row, values)
				room -= rowSize
				for _, raw := range rec.Fields {
					room -= int64(len(raw))
				}
				if err == nil && room < 0 {
					err = &Error{Path: path, Row: row, Msg: fmt.Sprintf("the file unpacks to more than %d times its size", growth), Advice: "is that right? then write it as jsonl, or without compression and dictionaries"}
				}
				if err == nil {
					inCall = true
					err = fn(rec)
					inCall = false
				}
				if err != nil {
					rows.Close()
					return err
				}
			}
			if n == 0 && !done {
				rows.Close()
				return broken(errors.New("a group of rows has no row"))
			}
		}
		if err := rows.Close(); err != nil {
			return broken(err)
		}
	}
	return nil
}

// column is a node of a parquet schema, as what it is in JSON.
type column struct {
	name               string
	optional, repeated bool
	unsigned           bool
	first, count       int      // the leaves under it
	list               *column  // of a list: the node that repeats
	inner              bool     // of a node that repeats: its one field is the element
	key                bool     // of a node that repeats: its fields are the names and values of an object
	fields             []column // of a struct
}

// columnOf reads a node; leaves counts those before it.
func columnOf(n *parquet.Column, leaves *int) column {
	c := column{name: n.Name(), optional: n.Optional(), repeated: n.Repeated(), first: *leaves}
	if n.Leaf() {
		c.count = 1
		*leaves++
		if t := n.Type().ConvertedType(); t != nil {
			c.unsigned = *t == deprecated.Uint8 || *t == deprecated.Uint16 || *t == deprecated.Uint32 || *t == deprecated.Uint64
		}
		return c
	}
	for _, f := range n.Columns() {
		c.fields = append(c.fields, columnOf(f, leaves))
	}
	c.count = *leaves - c.first
	if len(c.fields) != 1 || !c.fields[0].repeated {
		return c
	}
	// A list is a group around one node that repeats, which is the element or a group around it; a map likewise.
	inner := &c.fields[0]
	kind := ""
	if t := n.Type().LogicalType(); t != nil {
		kind = t.String()
	}
	switch {
	case strings.HasPrefix(kind, "MAP") || inner.name == "key_value":
		inner.key = len(inner.fields) == 2
		c.list = inner
	case strings.HasPrefix(kind, "LIST") || inner.name == "list" || inner.name == "bag" || inner.name == "array":
		inner.inner = len(inner.fields) == 1 && inner.name != "array" && !strings.HasSuffix(inner.name, "_tuple")
		c.list = inner
	}
	return c
}

// record is one row.
func (c *column) record(path string, row int, values [][]parquet.Value) (Record, error) {
	rec := Record{Path: path, Row: row, Fields: make(map[string]json.RawMessage, len(c.fields))}
	for i := range c.fields {
		f := &c.fields[i]
		raw, err := f.value(nil, values[f.first:f.first+f.count], 0, 0)
		if err != nil {
			return rec, rec.Errorf("field %q: %w", shorten(f.name, 40), err)
		}
		if _, twice := rec.Fields[f.name]; twice {
			return rec, rec.Errorf("field %q is named twice", shorten(f.name, 40))
		}
		rec.Fields[f.name] = raw
	}
	return rec, nil
}

// value appends the value of a node as JSON; def and rep are the levels of what it stands in.
func (c *column) value(out []byte, values [][]parquet.Value, def, rep int) ([]byte, error) {
	switch {
	case c.repeated: // without a list around it
		return c.repeat(out, values, def, rep)
	case c.optional:
		if def++; len(values) == 0 || len(values[0]) == 0 || values[0][0].DefinitionLevel() < def {
			return append(out, "null"...), nil
		}
	}
	return c.content(out, values, def, rep)
}

// repeat appends a list, or the object that a map is.
func (c *column) repeat(out []byte, values [][]parquet.Value, def, rep int) ([]byte, error) {
	def, rep = def+1, rep+1
	open, shut := byte('['), byte(']')
	if c.key {
		open, shut = '{', '}'
	}
	out = append(out, open)
	part := make([][]parquet.Value, len(values))
	at := make([]int, len(values))
	if len(values) == 0 || len(values[0]) == 0 || values[0][0].DefinitionLevel() < def {
		return append(out, shut), nil
	}
	var err error
	for i := 0; at[0] < len(values[0]); i++ {
		for k, v := range values {
			end := at[k] + 1
			for end < len(v) && v[end].RepetitionLevel() > rep {
				end++
			}
			if end > len(v) {
				return nil, errors.New("the columns of a list have different lengths")
			}
			part[k], at[k] = v[at[k]:end], end
		}
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = c.element(out, part, def, rep); err != nil {
			return nil, err
		}
	}
	return append(out, shut), nil
}

// element appends one turn of a node that repeats.
func (c *column) element(out []byte, values [][]parquet.Value, def, rep int) ([]byte, error) {
	switch {
	case c.key:
		k, v := &c.fields[0], &c.fields[1]
		name, err := k.value(nil, values[:k.count], def, rep)
		if err != nil {
			return nil, err
		}
		if len(name) == 0 || name[0] != '"' {
			name, _ = json.Marshal(string(name))
		}
		return v.value(append(append(out, name...), ':'), values[k.count:k.count+v.count], def, rep)
	case c.inner:
		return c.fields[0].value(out, values, def, rep)
	}
	return c.content(out, values, def, rep)
}

// content appends what a node that is there holds.
func (c *column) content(out []byte, values [][]parquet.Value, def, rep int) ([]byte, error) {
	if c.list != nil {
		return c.list.repeat(out, values, def, rep)
	}
	if c.fields == nil {
		return c.leaf(out, values[0])
	}
	out = append(out, '{')
	some := false
	for i := range c.fields {
		f := &c.fields[i]
		at := f.first - c.first
		raw, err := f.value(nil, values[at:at+f.count], def, rep)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", shorten(f.name, 40), err)
		}
		if string(raw) == "null" {
			continue
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		if len(out)+len(raw) > maxValue {
			return nil, errLargeRow()
		}
		if some {
			out = append(out, ',')
		}
		out, some = append(append(append(out, name...), ':'), raw...), true
	}
	return append(out, '}'), nil
}

// maxValue bounds a field of a row as JSON, as MaxRecord does a line. A variable for tests.
var maxValue = MaxRecord

func errLargeRow() error {
	return fault.Refuse("write it as several rows, or leave it out", "more than %d bytes in one row", maxValue)
}

// jsonSize is the most that a text takes as JSON.
func jsonSize(b []byte) int {
	n := len(b)
	for _, c := range b {
		if c < ' ' || c == '<' || c == '>' || c == '&' {
			n += 5
		}
	}
	return n
}

// leaf appends a value. What is no text, number or truth value is an object that says what it is, so that no field of text takes it.
func (c *column) leaf(out []byte, values []parquet.Value) ([]byte, error) {
	if len(values) != 1 {
		return nil, fmt.Errorf("%d values where one stands", len(values))
	}
	if x := values[0]; x.Kind() == parquet.ByteArray && len(out)+jsonSize(x.ByteArray()) > maxValue {
		return nil, errLargeRow()
	}
	var v any
	switch x := values[0]; x.Kind() {
	case parquet.Boolean:
		v = x.Boolean()
	case parquet.Int32:
		if v = x.Int32(); c.unsigned {
			v = x.Uint32()
		}
	case parquet.Int64:
		if v = x.Int64(); c.unsigned {
			v = x.Uint64()
		}
	case parquet.Float, parquet.Double:
		n := float64(x.Float())
		if x.Kind() == parquet.Double {
			n = x.Double()
		}
		if v = n; math.IsNaN(n) || math.IsInf(n, 0) {
			v = map[string]string{"number": fmt.Sprint(n)}
		}
	case parquet.ByteArray:
		if b := x.ByteArray(); utf8.Valid(b) {
			v = string(b)
			break
		}
		fallthrough
	default:
		v = map[string]int{"bytes": len(x.Bytes())}
	}
	raw, err := json.Marshal(v)
	if _, ok := v.(float64); ok && !bytes.ContainsAny(raw, ".e") {
		raw = append(raw, ".0"...) // it stays a number with a point, as in Python
	}
	return append(out, raw...), err
}
