package records

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Each calls fn with every record of a file, in order, until fn fails. A .csv file has a line of names first; any other
// file holds JSON: a list if it begins with [, else an object a line.
func Each(path string, fn func(Record) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("data set: %w", err)
	}
	defer f.Close()
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		return readCSV(path, f, fn)
	}
	return ReadJSON(path, f, fn)
}

// ReadJSON is Each for an open JSON or JSONL file; path is for errors.
func ReadJSON(path string, f io.Reader, fn func(Record) error) error {
	r := bufio.NewReaderSize(f, 1<<16)
	if bom, _ := r.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		r.Discard(3)
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
		r.UnreadByte()
		if c == '[' {
			return readList(path, r, line, fn)
		}
		return readLines(path, r, line, fn)
	}
}

// readLines reads one object a line, from the given line on. Blank lines are passed over.
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

// parse reads one object.
func parse(path string, line int, raw []byte) (Record, error) {
	rec := Record{Path: path, Line: line}
	if !utf8.Valid(raw) {
		return rec, notUTF8(path, line)
	}
	if err := json.Unmarshal(raw, &rec.Fields); err != nil {
		return rec, badJSON(path, line, raw, err)
	}
	if rec.Fields == nil {
		return rec, badJSON(path, line, raw, errors.New("null found, want object"))
	}
	return rec, nil
}

func notUTF8(path string, line int) error {
	return &Error{Path: path, Line: line, Msg: "the text is not UTF-8", Advice: "convert the file, for example with iconv -t utf-8"}
}

// badJSON says what the line looks like and guesses why it is not an object.
func badJSON(path string, line int, raw []byte, err error) error {
	e := &Error{Path: path, Line: line, Msg: "not a JSON object", Err: plainer(err),
		Advice: "a .jsonl file has one JSON object a line: " + fmt.Sprintf("this line begins %q", shorten(string(bytes.TrimSpace(raw)), 60))}
	if text := bytes.TrimSpace(raw); len(text) == 1 && text[0] == '{' {
		e.Advice = "an object over several lines is not a record: put it on one line, or all of them in a list [...]"
	}
	return e
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
