package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"lomo/internal/fault"
)

// Console is where a command's talk goes. On a terminal a last line may stay below it, which moves: talk is written above. A log gets the talk and
// never the line. What cannot be written is no error: a run goes on when its terminal is closed or its pipe is broken.
type Console struct {
	mu   sync.Mutex
	out  io.Writer
	term *Terminal
	log  *Log
	line func(width int) string // the line that moves; nil: none
	tail bool                   // the talk so far ends in the middle of a line
	gone bool                   // a write has failed
	told bool                   // to the log
}

// NewConsole writes to out; term is nil when that is no terminal, or one for plain lines only.
func NewConsole(out io.Writer, term *Terminal) *Console { return &Console{out: out, term: term} }

// Moves reports whether a line may move.
func (c *Console) Moves() bool { return c.term != nil }

// Write writes talk, above the line that moves.
func (c *Console) Write(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(text)
	return len(text), nil
}

// Say writes one line of talk.
func (c *Console) Say(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

func (c *Console) write(text []byte) { c.put([]byte(calm(string(text)))) }

// mostOfLine bounds a line of talk, in characters: a path may have so many.
const mostOfLine = 4096

// mostShort is how long talk may be in which nothing is looked for that is to be shortened.
const mostShort = 400

// calm is talk that moves no terminal and fills no screen, whatever text of a file is in it.
func calm(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if len(text) <= mostShort {
		return fault.Visible(text)
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if lines[i] = fault.Brief(fault.Visible(l)); len(lines[i]) > mostOfLine {
			lines[i] = fault.Shorten(l, mostOfLine)
		}
	}
	return strings.Join(lines, "\n")
}

// Aside writes one line of talk beside what is meant, dim on a terminal that shows it.
func (c *Console) Aside(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line = calm(line)
	if c.term != nil {
		line = "\x1b[2m" + line + "\x1b[0m"
	}
	c.put([]byte(line + "\n"))
}

// put writes talk as it is.
func (c *Console) put(text []byte) {
	var b bytes.Buffer
	if c.line != nil && !c.tail {
		b.WriteString("\r\x1b[J")
	}
	b.Write(text)
	c.tail = len(text) > 0 && text[len(text)-1] != '\n'
	c.draw(&b)
	if c.log != nil {
		c.log.add(text)
	}
	c.flush(b.Bytes())
}

// draw adds the line that moves. It ends at its own beginning: what a narrower terminal makes of it, which may be several rows, is then below the
// cursor and goes with the next drawing.
func (c *Console) draw(b *bytes.Buffer) {
	if c.line != nil && !c.tail {
		b.WriteString("\r" + c.line(c.term.columns()) + "\x1b[J\r")
	}
}

// flush writes what a terminal or a pipe takes. That it takes nothing any more is told to the log.
func (c *Console) flush(b []byte) {
	if _, err := c.out.Write(b); err != nil {
		c.gone = true
	}
	c.flushLog()
}

// flushLog writes what the log holds. That it cannot is said once, on the screen.
func (c *Console) flushLog() {
	if c.log == nil {
		return
	}
	if c.gone && !c.told {
		c.told = true
		c.log.add([]byte("lomo: warning: terminal or pipe is closed: the run goes on, and what it says stands here\n"))
	}
	if err := c.log.flush(); err != nil {
		text := fmt.Appendf(nil, "lomo: warning: train.log cannot be written (%v): the run goes on, and what is missing there stands only here\n", err)
		var again bytes.Buffer
		if c.line != nil && !c.tail {
			again.WriteString("\r\x1b[J")
		}
		again.Write(text)
		c.draw(&again)
		_, _ = c.out.Write(again.Bytes())
	}
}

// SetLine makes line the one that moves, which is drawn now and whenever Draw is called; nil ends it and clears its row.
func (c *Console) SetLine(line func(width int) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.term == nil {
		return
	}
	var b bytes.Buffer
	if c.line != nil && line == nil && !c.tail {
		b.WriteString("\r\x1b[J")
	}
	c.line = line
	c.draw(&b)
	_, _ = c.out.Write(b.Bytes())
}

// Draw draws the line that moves as it is now.
func (c *Console) Draw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b bytes.Buffer
	if c.draw(&b); b.Len() > 0 {
		_, _ = c.out.Write(b.Bytes())
	}
}

// Record writes a line of which the log gets all, and the screen what fits it: "" for nothing.
func (c *Console) Record(whole, shown string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	log := c.log
	c.log = nil
	if shown != "" {
		c.write([]byte(shown + "\n"))
	}
	if c.log = log; log != nil {
		log.add([]byte(calm(whole) + "\n"))
		c.flushLog()
	}
}

// columns is how wide a line may be on this console's terminal.
func (c *Console) columns() int { return c.term.columns() }

// resized tells, until end is closed, when lines must be drawn anew.
func (c *Console) resized(end <-chan struct{}) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		for {
			select {
			case <-end:
				return
			case <-c.term.Resized:
			}
			select {
			case <-end:
				return
			case out <- struct{}{}:
			}
		}
	}()
	return out
}

// Keep begins to hold what is said, until a log is opened for it.
func (c *Console) Keep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log == nil {
		c.log = newLog()
	}
}

// OpenLog puts what was held, and all that follows, at the end of a file, under heading.
func (c *Console) OpenLog(path, heading string) {
	c.Keep()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log.open(path, heading)
	c.flush(nil)
}

// Close ends the line that moves and the log.
func (c *Console) Close() {
	c.SetLine(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log != nil {
		c.log.close()
		c.log = nil
	}
}
