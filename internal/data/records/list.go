package records

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// readList reads the objects of a JSON list one by one; r stands on its [ in the given line.
func readList(path string, r *bufio.Reader, line int, fn func(Record) error) error {
	r.ReadByte() //nolint:errcheck // the [
	l := &listReader{r: r, line: line}
	for first := true; ; first = false {
		raw, start, end, err := l.next()
		if err != nil {
			return &Error{Path: path, Line: l.line, Msg: "not a JSON list", Err: err, Advice: "a .json file holds one list of objects, or an object a line"}
		}
		if text := bytes.TrimSpace(raw); len(text) > 0 {
			rec, err := parse(path, start, text)
			if err != nil {
				return err
			}
			if err := fn(rec); err != nil {
				return err
			}
		} else if !(first && end == ']') {
			return &Error{Path: path, Line: start, Msg: "not a JSON list", Err: fmt.Errorf("%q found, want an object", end), Advice: "a comma stands between two objects, and none behind the last"}
		}
		if end == ']' {
			return l.nothingMore(path)
		}
	}
}

// listReader cuts a list into its elements, without a look at what they are.
type listReader struct {
	r    *bufio.Reader
	line int
	buf  []byte
}

// next is the text up to the comma or ] that ends an element, valid until the next call, the line it begins in, and that end.
func (l *listReader) next() (raw []byte, start int, end byte, err error) {
	l.buf, start = l.buf[:0], l.line
	depth, quoted, escaped, blank := 0, false, false, true
	for {
		if _, err := l.r.Peek(1); err == io.EOF {
			return nil, 0, 0, errors.New("the file ends in the middle of the list")
		} else if err != nil {
			return nil, 0, 0, err
		}
		chunk, _ := l.r.Peek(l.r.Buffered())
		for i, c := range chunk {
			switch {
			case c == '\n':
				if l.line++; blank {
					start = l.line
				}
				escaped = false
			case escaped:
				escaped = false
			case quoted:
				escaped, quoted = c == '\\', c != '"'
			case c == ' ' || c == '\t' || c == '\r':
			case depth == 0 && (c == ',' || c == ']'):
				l.buf = append(l.buf, chunk[:i]...)
				l.r.Discard(i + 1) //nolint:errcheck // it was peeked
				return l.buf, start, c, nil
			case c == '"':
				quoted, blank = true, false
			case c == '[' || c == '{':
				depth, blank = depth+1, false
			case c == ']' || c == '}':
				depth--
			default:
				blank = false
			}
		}
		if l.buf = append(l.buf, chunk...); len(l.buf) > MaxRecord {
			return nil, 0, 0, fmt.Errorf("the record is longer than %d MiB", MaxRecord>>20)
		}
		l.r.Discard(len(chunk)) //nolint:errcheck // it was peeked
	}
}

// nothingMore wants no text behind the list.
func (l *listReader) nothingMore(path string) error {
	at := l.line
	for {
		c, err := l.r.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return &Error{Path: path, Line: l.line, Err: err}
		case c == '\n':
			l.line++
		case c != ' ' && c != '\t' && c != '\r':
			return &Error{Path: path, Line: at, Msg: "text behind the end of the list", Advice: "a .json file holds one list; give two lists as two files of a folder"}
		}
	}
}
