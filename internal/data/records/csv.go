package records

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// readCSV reads a table whose first line names the fields; every value is a string (RFC 4180).
func readCSV(path string, f io.Reader, fn func(Record) error) error {
	in := &lineReader{r: f, limit: MaxRecord}
	r := csv.NewReader(in)
	names, err := r.Read()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return csvError(path, err)
	}
	names[0] = strings.TrimPrefix(names[0], "\ufeff")
	for {
		in.limit = r.InputOffset() + MaxRecord
		row, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return csvError(path, err)
		}
		line, _ := r.FieldPos(0)
		rec := Record{Path: path, Line: line, Fields: make(map[string]json.RawMessage, len(names))}
		for i, value := range row {
			if !utf8.ValidString(value) {
				return notUTF8(path, line)
			}
			if rec.Fields[names[i]], err = json.Marshal(value); err != nil {
				return rec.Errorf("field %q: %w", names[i], err)
			}
		}
		if err := fn(rec); err != nil {
			return err
		}
	}
}

func csvError(path string, err error) error {
	var bad *csv.ParseError
	if errors.As(err, &bad) {
		return &Error{Path: path, Line: bad.Line, Msg: "not a CSV table", Err: bad.Err}
	}
	return &Error{Path: path, Err: err}
}
