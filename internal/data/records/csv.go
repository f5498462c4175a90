package records

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxFields bounds the fields of a row: each costs more than the byte that a file may have for it.
const maxFields = 10000

// separators stand between the fields of a table.
var separators = map[string]byte{".csv": ',', ".tsv": '\t'}

// readTable reads a table whose first line names the fields; every value is a string (RFC 4180). Text in quotes is kept byte for
// byte, line ends included. A quote within a field that does not begin with one is a character like others.
func readTable(path string, f io.Reader, separator byte, fn func(Record) error) error {
	t := &table{r: bufio.NewReaderSize(f, 1<<16), separator: separator, line: 1}
	if mark, _ := t.r.Peek(len(bom)); bytes.Equal(mark, bom) {
		t.r.Discard(len(bom)) //nolint:errcheck // it was peeked
	}
	head, line, err := t.row()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return t.fail(path, err)
	}
	names := slices.Clone(head)
	if err := checkHead(names, separator); err != nil {
		return &Error{Path: path, Line: line, Msg: "not a table", Err: err, Advice: "the first line names the fields, each once, with " + separatorName(separator) + " between them"}
	}
	for {
		row, line, err := t.row()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return t.fail(path, err)
		}
		rec, err := tableRecord(path, line, names, row)
		if err != nil {
			return err
		}
		if err := fn(rec); err != nil {
			return err
		}
	}
}

func tableRecord(path string, line int, names, row []string) (Record, error) {
	rec := Record{Path: path, Line: line}
	if len(row) != len(names) {
		return rec, &Error{Path: path, Line: line, Msg: fmt.Sprintf("not a table: the row has %d fields, the first line names %d", len(row), len(names)),
			Advice: "a field with a separator, a quote or a line end in it stands in double quotes"}
	}
	if len(names) > 1 && slices.Equal(names, row) {
		return rec, &Error{Path: path, Line: line, Msg: "the row names the fields again: two tables in one file", Advice: "give them as two files of a folder"}
	}
	rec.Fields = make(map[string]json.RawMessage, len(names))
	for i, value := range row {
		if !utf8.ValidString(value) {
			return rec, notUTF8(path, line)
		}
		if strings.IndexByte(value, 0) >= 0 {
			return rec, &Error{Path: path, Line: line, Msg: fmt.Sprintf("field %q holds a zero byte", shorten(names[i], 40)), Advice: "the file is damaged, or no text: write it again from its source"}
		}
		var err error
		if rec.Fields[names[i]], err = json.Marshal(value); err != nil {
			return rec, rec.Errorf("field %q: %w", names[i], err)
		}
	}
	return rec, nil
}

// checkHead looks at the names of the fields. One may be empty: the numbers of the rows that pandas writes have no name.
func checkHead(names []string, separator byte) error {
	for i, n := range names {
		switch {
		case !utf8.ValidString(n):
			return errors.New("the text is not UTF-8")
		case slices.Contains(names[:i], n):
			return fmt.Errorf("field %q is named twice", shorten(n, 40))
		}
	}
	if len(names) == 1 {
		for _, other := range []byte{';', ',', '\t', '|'} {
			if other != separator && strings.IndexByte(names[0], other) >= 0 {
				return fmt.Errorf("the first line %q has %q between its fields", shorten(names[0], 40), other)
			}
		}
	}
	return nil
}

func separatorName(c byte) string {
	if c == '\t' {
		return "a tabulator (.tsv)"
	}
	return "a comma (.csv)"
}

// table reads rows.
type table struct {
	r         *bufio.Reader
	separator byte
	line      int // of the next byte
	size      int // of the row, in bytes
}

var errTable = errors.New("not a table")

func (t *table) fail(path string, err error) error {
	if errors.Is(err, errTable) {
		return &Error{Path: path, Line: t.line, Err: err, Advice: "a quote within quotes is written twice, and a quoted field ends with one"}
	}
	return &Error{Path: path, Line: t.line, Err: err}
}

// row is the fields of the next row that is not empty, and the line it begins in; io.EOF behind the last.
func (t *table) row() (fields []string, line int, err error) {
	for {
		line, t.size = t.line, 0
		var ended byte
		for ended != '\n' {
			value, end, err := t.field()
			if err == io.EOF && len(fields) == 0 && value == "" && end == 0 {
				return nil, line, io.EOF
			}
			if err != nil && err != io.EOF {
				return nil, line, err
			}
			if len(fields) == maxFields {
				return nil, line, fmt.Errorf("%w: a row of more than %d fields", errTable, maxFields)
			}
			if fields, ended = append(fields, value), end; err == io.EOF {
				ended = '\n'
			}
		}
		if len(fields) == 1 && fields[0] == "" && t.size <= len("\r\n") { // an empty line
			fields = fields[:0]
			continue
		}
		return fields, line, nil
	}
}

// next is the next byte; what follows a row too long is not read.
func (t *table) next() (byte, error) {
	if t.size++; t.size > MaxRecord {
		return 0, fmt.Errorf("the record is longer than %d MiB", MaxRecord>>20)
	}
	c, err := t.r.ReadByte()
	if c == '\n' && err == nil {
		t.line++
	}
	return c, err
}

// field is one field, and what ended it: the separator, a line end, or 0 for the end of the file, which comes with io.EOF and is a
// line end too unless nothing stood before it.
func (t *table) field() (string, byte, error) {
	var out []byte
	c, err := t.next()
	if err != nil {
		return "", 0, err
	}
	if c == '"' {
		return t.quoted()
	}
	for {
		switch {
		case c == t.separator:
			return string(out), c, nil
		case c == '\n':
			return string(bytes.TrimSuffix(out, []byte("\r"))), c, nil
		}
		out = append(out, c)
		if c, err = t.next(); err == io.EOF {
			return string(bytes.TrimSuffix(out, []byte("\r"))), '\n', io.EOF
		} else if err != nil {
			return "", 0, err
		}
	}
}

// quoted is a field in quotes, the first of which is taken.
func (t *table) quoted() (string, byte, error) {
	var out []byte
	begin := t.line
	for {
		c, err := t.next()
		if err == io.EOF {
			t.line = begin
			return "", 0, fmt.Errorf("%w: a quoted field has no end", errTable)
		} else if err != nil {
			return "", 0, err
		}
		if c != '"' {
			out = append(out, c)
			continue
		}
		c, err = t.next()
		if c == '\r' && err == nil {
			if peek, _ := t.r.Peek(1); len(peek) == 0 || peek[0] == '\n' {
				c, err = t.next()
			}
		}
		switch {
		case err == io.EOF:
			return string(out), '\n', io.EOF
		case err != nil:
			return "", 0, err
		case c == '"':
			out = append(out, c)
		case c == t.separator || c == '\n':
			return string(out), c, nil
		default:
			return "", 0, fmt.Errorf("%w: text stands behind the end of a quoted field", errTable)
		}
	}
}
