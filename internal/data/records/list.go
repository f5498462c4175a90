package records

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// readList reads the objects of a JSON list one by one; r stands on its [ in the given line.
func readList(path string, r io.Reader, line int, fn func(Record) error) error {
	in := &lineReader{r: r, line: line}
	dec := json.NewDecoder(in)
	if _, err := dec.Token(); err != nil {
		return &Error{Path: path, Line: line, Err: err}
	}
	for {
		in.limit = dec.InputOffset() + MaxRecord
		if !dec.More() {
			break
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return &Error{Path: path, Line: in.lineOf(in.errorOffset(err)), Msg: "not a JSON list", Err: ending(err)}
		}
		start := in.lineOf(dec.InputOffset() - int64(len(raw)))
		rec, err := parse(path, start, raw)
		if err != nil {
			return err
		}
		if err := fn(rec); err != nil {
			return err
		}
	}
	return endList(path, dec, in)
}

// endList wants the ] and nothing behind it.
func endList(path string, dec *json.Decoder, in *lineReader) error {
	if _, err := dec.Token(); err != nil {
		return &Error{Path: path, Line: in.lineOf(in.read), Msg: "not a JSON list", Err: ending(err)}
	}
	at := in.lineOf(dec.InputOffset())
	in.limit = dec.InputOffset() + MaxRecord
	if _, err := dec.Token(); err != io.EOF {
		return &Error{Path: path, Line: at, Msg: "text behind the end of the list"}
	}
	return nil
}

// ending names an early end of the file for what it is.
func ending(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends in the middle of the list")
	}
	return err
}

// lineReader counts lines for a decoder that reads ahead, and stops it from reading on without end.
type lineReader struct {
	r     io.Reader
	read  int64 // bytes handed out
	limit int64 // of read; 0: none

	line  int     // of the last offset asked for
	ahead []int64 // offsets of line ends behind it
}

func (l *lineReader) Read(p []byte) (int, error) {
	if l.limit > 0 && l.read > l.limit {
		return 0, fmt.Errorf("the record is longer than %d MiB", MaxRecord>>20)
	}
	n, err := l.r.Read(p)
	for i, c := range p[:n] {
		if c == '\n' {
			l.ahead = append(l.ahead, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// lineOf is the line of an offset; offsets asked for must not fall.
func (l *lineReader) lineOf(offset int64) int {
	n := 0
	for n < len(l.ahead) && l.ahead[n] < offset {
		n++
	}
	l.line += n
	l.ahead = l.ahead[n:]
	return l.line
}

// errorOffset is where a decoding error stands: all that was read, unless the error knows better.
func (l *lineReader) errorOffset(err error) int64 {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Offset
	}
	return l.read
}
