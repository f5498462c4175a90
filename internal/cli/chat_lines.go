package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"lomo/internal/fault"
)

// lines are what a user types, or a script has.
type lines interface {
	// Line is the next line without its end. pasted says that it was not typed, so that a / in front is no command. io.EOF: there are no more.
	Line(prompt string) (line string, pasted bool, err error)
	Interactive() bool
}

// errCancel says that the user does not want what was typed so far.
var errCancel = errors.New("cancelled")

// linesOf reads from a terminal, with editing and a history, or from anything else as it is.
func linesOf(s *Streams) lines {
	if in, ok := s.In.(*os.File); ok && s.Terminal && term.IsTerminal(int(in.Fd())) {
		return &typedLines{in: in, out: os.Stderr} // which is what Terminal speaks of
	}
	return &scriptLines{in: bufio.NewReader(s.In)}
}

// readTurn is the next turn: a text, or a command. Empty lines are none.
func readTurn(in lines) (text string, command bool, err error) {
	for {
		text, command, err = readOne(in)
		if !errors.Is(err, errCancel) && (err != nil || strings.TrimSpace(text) != "") {
			return text, command, err
		}
	}
}

const quotes = `"""`

func readOne(in lines) (text string, command bool, err error) {
	line, pasted, err := in.Line("> ")
	if err != nil {
		return "", false, err
	}
	switch {
	case pasted:
		return line, false, nil
	case strings.HasPrefix(line, "//"):
		line = line[1:]
	case strings.HasPrefix(line, "/"):
		return strings.TrimRight(line, " \t"), true, nil
	case strings.HasPrefix(line, quotes):
		text, err = readQuoted(in, line[len(quotes):])
		return text, false, err
	}
	for {
		before, goesOn := strings.CutSuffix(line, `\`)
		if text += before; !goesOn {
			return text, false, nil
		}
		text += "\n"
		if line, _, err = in.Line("… "); errors.Is(err, io.EOF) && !in.Interactive() {
			return text, false, nil // the script ends with it
		} else if err != nil {
			return "", false, err
		}
	}
}

// readQuoted reads up to the line that ends in quotes.
func readQuoted(in lines, line string) (string, error) {
	first := line
	for text := ""; ; text += "\n" {
		before, ended := strings.CutSuffix(line, quotes)
		if text += before; ended {
			return text, nil
		}
		var err error
		if line, _, err = in.Line("… "); errors.Is(err, io.EOF) && !in.Interactive() {
			return "", usage(`end it with a line that ends in """`, `the text that begins with """%s has no end`, fault.Line(first))
		} else if err != nil {
			return "", err
		}
	}
}

// scriptLines are the lines of a file or a pipe.
type scriptLines struct {
	in   *bufio.Reader
	read int // lines
}

func (l *scriptLines) Interactive() bool { return false }

func (l *scriptLines) Line(string) (string, bool, error) {
	var line []byte
	for {
		part, err := l.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxPrompt:
			return "", false, usage("a turn has to fit into the model's context", "a line of more than %d MiB", maxPrompt>>20)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil, errors.Is(err, io.EOF) && len(line) > 0:
			l.read++
			return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), false, checkText(fmt.Sprintf("line %d of stdin", l.read), string(line))
		}
		return "", false, err
	}
}

// typedLines are typed at a terminal. It is in raw mode only while a line is typed, so that elsewhere Ctrl-C is a signal.
type typedLines struct {
	in, out   *os.File
	editor    *term.Terminal // nil: not yet, or a line was given up
	keys      *keys
	history   history
	cancelled bool // Ctrl-C was the last thing typed
}

func (l *typedLines) Interactive() bool { return true }

// keys is a terminal's input, which remembers whether it had Ctrl-C: the editor ends a line for it as it does for Ctrl-D.
type keys struct {
	in  io.Reader
	out io.Writer

	interrupt bool
}

const ctrlC = 3

func (k *keys) Write(p []byte) (int, error) { return k.out.Write(p) }

func (k *keys) Read(p []byte) (int, error) {
	n, err := k.in.Read(p)
	k.interrupt = bytes.IndexByte(p[:n], ctrlC) >= 0
	return n, err
}

func (l *typedLines) Line(prompt string) (string, bool, error) {
	if l.editor == nil {
		l.keys = &keys{in: l.in, out: l.out}
		l.editor = term.NewTerminal(l.keys, "")
		l.editor.History = &l.history
		l.editor.AutoCompleteCallback = longLine
	}
	l.editor.SetPrompt(prompt)
	if w, h, err := term.GetSize(int(l.out.Fd())); err == nil {
		l.editor.SetSize(w, h) //nolint:errcheck // a wrong width only breaks the line elsewhere
	}
	old, err := term.MakeRaw(int(l.in.Fd()))
	if err != nil {
		return "", false, err
	}
	l.editor.SetBracketedPasteMode(true)
	defer func() {
		fmt.Fprint(l.out, "\x1b[?2004l")
		term.Restore(int(l.in.Fd()), old) //nolint:errcheck // nothing can be done
	}()
	var pasted []string
	for {
		line, err := l.editor.ReadLine()
		if errors.Is(err, term.ErrPasteIndicator) { // what was pasted is one text with the line that Enter ends
			pasted = append(pasted, line)
			continue
		}
		if err == nil {
			l.cancelled = false
			return strings.Join(append(pasted, line), "\n"), len(pasted) > 0, nil
		}
		return "", false, l.ended(prompt, err)
	}
}

// ended tells Ctrl-C, which gives up what was typed and ends the chat the second time, from Ctrl-D, which ends the chat.
func (l *typedLines) ended(prompt string, err error) error {
	again := l.cancelled
	if l.editor = nil; !l.keys.interrupt || again {
		fmt.Fprint(l.out, "\r\n")
		return err
	}
	l.cancelled = true
	fmt.Fprint(l.out, "^C\r\nCtrl-C again, or Ctrl-D, ends the chat\r\n")
	return errCancel
}

// longLine lets a line be longer than the editor's 4096 characters, which a terminal that does not say what is pasted may bring.
func longLine(line string, pos int, key rune) (string, int, bool) {
	if len(line) < 4096 || key < ' ' || key == 0x7f || key >= 0xd800 && key < 0xe000 {
		return "", 0, false
	}
	return line[:pos] + string(key) + line[pos:], pos + len(string(key)), true
}

// history is what was typed, the newest first.
type history []string

func (h *history) Len() int        { return len(*h) }
func (h *history) At(i int) string { return (*h)[len(*h)-1-i] }

func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || h.Len() > 0 && h.At(0) == line {
		return
	}
	const most = 1000
	if *h = append(*h, line); len(*h) > most {
		*h = (*h)[1:]
	}
}
