package report

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"
)

// Log is the talk of a run in a file: whole lines, each with its time. Until it is known where the file is, and after a failed write, lines wait.
type Log struct {
	file   *os.File // nil: not open yet
	path   string
	part   []byte       // of a line that has no end yet
	wait   bytes.Buffer // lines to be written
	torn   bool         // the file ends in the middle of a line
	failed bool         // which was said
	now    func() time.Time
}

// mostWaiting bounds the lines that wait for a log, or for a disk that has space again.
const mostWaiting = 1 << 20

func newLog() *Log { return &Log{now: time.Now} }

// add takes talk.
func (l *Log) add(text []byte) {
	l.part = append(l.part, text...)
	for {
		line, rest, whole := bytes.Cut(l.part, []byte("\n"))
		if !whole {
			break
		}
		l.line(string(line))
		l.part = rest
	}
	l.part = bytes.Clone(l.part)
}

// line takes one line; empty ones, which only set talk apart on a screen, are left out.
func (l *Log) line(text string) {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, text)
	if text != "" && l.wait.Len() < mostWaiting {
		l.wait.WriteString(l.now().Format(time.DateTime) + " " + text + "\n")
	}
}

// open appends to the file at path, under a dated heading. What had waited follows with the times at which it was said.
func (l *Log) open(path, heading string) {
	said := bytes.Clone(l.wait.Bytes())
	l.wait.Reset()
	l.line("==== " + l.now().Format(time.RFC3339) + " " + heading)
	l.wait.Write(said)
	l.path = path
}

// flush writes what waits. The error is that of the first write that failed; what could not be written waits on.
func (l *Log) flush() error {
	if l.path == "" || l.wait.Len() == 0 {
		return nil
	}
	err := l.begin()
	if err == nil {
		if l.torn {
			_, err = l.file.Write([]byte("\n"))
		}
		if err == nil {
			l.torn = false
			var n int
			n, err = l.file.Write(l.wait.Bytes())
			l.torn = n > 0 && err != nil
			if err == nil {
				l.wait.Reset()
			} else if whole := bytes.LastIndexByte(l.wait.Bytes()[:n], '\n') + 1; whole > 0 {
				l.wait.Next(whole) // the line that was torn is written again
			}
		}
	}
	if err == nil || l.failed {
		return nil
	}
	l.failed = true
	return err
}

// begin opens the file. A last line without its end, of a process that was killed, is ended.
func (l *Log) begin() error {
	if l.file != nil {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", l.path)
	}
	if err != nil {
		f.Close()
		return err
	}
	l.file = f
	if st.Size() > 0 {
		var last [1]byte
		_, err := f.ReadAt(last[:], st.Size()-1)
		l.torn = err == nil && last[0] != '\n'
	}
	return nil
}

func (l *Log) close() {
	if len(l.part) > 0 {
		l.add([]byte("\n"))
	}
	_ = l.flush()
	if l.file != nil {
		l.file.Close()
	}
}
