package records

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"lomo/internal/strictjson"
)

// Each calls fn with every record of a file, in order, until fn fails. A .csv or .tsv file has a line of names first, a .parquet
// file columns; any other file holds JSON: a list if it begins with [, else an object a line.
func Each(path string, fn func(Record) error) error {
	if err := readable(path); err != nil {
		return err
	}
	ext := Ext(path)
	if ext == ".parquet" {
		return readParquet(path, fn)
	}
	f, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if ext == ".csv" || ext == ".tsv" {
		return readTable(path, f, separators[ext], fn)
	}
	return ReadJSON(path, f, fn)
}

// ReadJSON is Each for an open JSON or JSONL file; path is for errors.
func ReadJSON(path string, f io.Reader, fn func(Record) error) error {
	r, ok := f.(*bufio.Reader)
	if !ok {
		r = bufio.NewReaderSize(f, 1<<16)
	}
	if mark, _ := r.Peek(len(bom)); bytes.Equal(mark, bom) {
		r.Discard(len(bom)) //nolint:errcheck // it was peeked
	}
	line := 1
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF:
			return nil // an empty file; no sample is an error of the whole data set
		case err != nil:
			return &Error{Path: path, Line: line, Err: err}
		case c == '\n':
			line++
			continue
		case c == ' ' || c == '\t' || c == '\r':
			continue
		}
		r.UnreadByte() //nolint:errcheck // one was read
		if c == '[' {
			return readList(path, r, line, fn)
		}
		return readLines(path, r, line, fn)
	}
}

// readLines reads one object a line, from the given line on. Blank lines are passed over, and a byte order mark before a line:
// files that were joined have them.
func readLines(path string, r *bufio.Reader, line int, fn func(Record) error) error {
	lines := Lines{r: r, line: line - 1}
	for {
		raw, err := lines.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &Error{Path: path, Line: lines.line, Err: err}
		}
		raw = bytes.TrimPrefix(raw, bom)
		if len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		rec, err := parse(path, lines.line, raw)
		if err != nil {
			return err
		}
		if err := fn(rec); err != nil {
			return err
		}
	}
}

// parse reads one object, which must stand on its line alone.
func parse(path string, line int, raw []byte) (Record, error) {
	rec := Record{Path: path, Line: line}
	if !utf8.Valid(raw) {
		return rec, notUTF8(path, line)
	}
	members, err := strictjson.Members(raw)
	if err != nil {
		return rec, badJSON(path, line, raw, err)
	}
	rec.Fields = make(map[string]json.RawMessage, len(members))
	for _, m := range members {
		rec.Fields[m.Name] = bytes.Clone(m.Value) // a line's buffer is used again
	}
	return rec, nil
}

func notUTF8(path string, line int) error {
	return &Error{Path: path, Line: line, Msg: "the text is not UTF-8", Advice: "convert the file, for example with iconv -t utf-8"}
}

// badJSON says what the line looks like and guesses why it is not an object.
func badJSON(path string, line int, raw []byte, err error) error {
	e := &Error{Path: path, Line: line, Msg: "not a JSON object", Err: err,
		Advice: "a .jsonl file has one JSON object a line: " + fmt.Sprintf("this line begins %q", shorten(string(bytes.TrimSpace(raw)), 60))}
	if at := (*strictjson.Error)(nil); errors.As(err, &at) {
		if at.Line > 1 { // of an element of a list
			plain := *at
			plain.Line = 1
			e.Line, e.Err = line+at.Line-1, &plain
		}
		if at.Path != "" || at.Offset > 0 { // it begins as one
			e.Advice = adviceFor(at)
		}
	}
	if text := bytes.TrimSpace(raw); len(text) == 1 && text[0] == '{' {
		e.Advice = "an object over several lines is not a record: put it on one line, or all of them in a list [...]"
	}
	return e
}

// adviceFor is the way out of what makes an object unreadable.
func adviceFor(e *strictjson.Error) string {
	switch msg := e.Msg; {
	case bytes.Contains([]byte(msg), []byte("stands twice")):
		return "readers differ in which of the two they take: keep the one that is meant"
	case bytes.Contains([]byte(msg), []byte("half of a character")):
		return "the text was cut within a character: write it again from its source, or leave the record out"
	case bytes.Contains([]byte(msg), []byte("no JSON number")):
		return "write null where there is no value, or leave the field out"
	case bytes.Contains([]byte(msg), []byte("JSON writes")), bytes.Contains([]byte(msg), []byte("double quotes")):
		return "write the file with a JSON library: json.dumps in Python, to_json in datasets and pandas"
	}
	return "each record is one whole JSON object; write the file with a JSON library"
}

// Lines reads lines of bounded length.
type Lines struct {
	r    *bufio.Reader
	line int // of the last line read, from 1
	buf  []byte
}

// Next is the next line without its end, valid until the next call; io.EOF behind the last.
func (l *Lines) Next() ([]byte, error) {
	l.buf = l.buf[:0]
	l.line++
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.buf)+len(part) > MaxRecord {
			return nil, fmt.Errorf("the line is longer than %d MiB", MaxRecord>>20)
		}
		l.buf = append(l.buf, part...)
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(l.buf) > 0, err == nil:
			return bytes.TrimRight(l.buf, "\r\n"), nil
		}
		return nil, err
	}
}
