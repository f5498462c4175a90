package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// typing is a terminal at which these lines are typed: <C> is Ctrl-C, <P> begins a pasted one.
type typing struct {
	lines       []string
	interactive bool
}

func (l *typing) Interactive() bool { return l.interactive }

func (l *typing) Line(string) (string, bool, error) {
	if len(l.lines) == 0 {
		return "", false, io.EOF
	}
	line := l.lines[0]
	l.lines = l.lines[1:]
	if line == "<C>" {
		return "", false, errCancel
	}
	rest, pasted := strings.CutPrefix(line, "<P>")
	return rest, pasted, nil
}

func TestReadTurn(t *testing.T) {
	for _, c := range []struct {
		lines string // | between them
		want  string // turns, commands in []; ! for an error
	}{
		{"a", "a"},
		{"a|b", "a,b"},
		{"| |\t|a", "a"},
		{`a\|b`, "a\nb"},
		{`a\|b\|c|d`, "a\nb\nc,d"},
		{`a\`, "a\n"},
		{`\|\|a`, "\n\na"},
		{`"""a"""`, "a"},
		{`"""|a||b|"""|c`, "\na\n\nb\n,c"},
		{`"""a\|/b"""`, "a\\\n/b"},
		{`""""""`, ""},
		{`say """x"""`, `say """x"""`},
		{"/help", "[/help]"},
		{"/save a b.jsonl ", "[/save a b.jsonl]"},
		{`/system a\`, `[/system a\]`},
		{"//usr/bin", "/usr/bin"},
		{"///", "//"},
		{"<P>/etc\n/usr", "/etc\n/usr"},
		{"<P>\"\"\"", `"""`},
		{"a|<C>|b", "a,b"},
		{`a\|<C>|b`, "b"},
		{`"""a|<C>|b`, "b"},
		{"user: no command", "user: no command"},
		{`"""a|b`, "!"},
	} {
		in := &typing{lines: strings.Split(c.lines, "|")}
		var got []string
		for {
			text, command, err := readTurn(in)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				got = append(got, "!")
				break
			}
			if command {
				text = "[" + text + "]"
			}
			got = append(got, text)
		}
		if fmt.Sprintf("%q", strings.Join(got, ",")) != fmt.Sprintf("%q", c.want) {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
	// At a terminal Ctrl-D within a text of several lines ends the chat.
	if _, _, err := readTurn(&typing{lines: []string{`"""a`}, interactive: true}); !errors.Is(err, io.EOF) {
		t.Errorf("Ctrl-D within a text: %v", err)
	}
}

func TestScriptLines(t *testing.T) {
	long := strings.Repeat("ü", 100_000)
	in := linesOf(&Streams{In: strings.NewReader("a\r\n\n" + long + "\nlast")})
	for _, want := range []string{"a", "", long, "last"} {
		if got, _, err := in.Line(""); got != want || err != nil {
			t.Errorf("%d bytes %.20q, %v; want %d bytes %.20q", len(got), got, err, len(want), want)
		}
	}
	if _, _, err := in.Line(""); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestVisible: nothing that a model writes moves the cursor of a terminal.
func TestVisible(t *testing.T) {
	if got := strings.Map(visible, "a\x1b[2Jb\n\tü\x7f\u009b🙂\r"); got != "a␛[2Jb\n\tü␡\ufffd🙂␍" {
		t.Errorf("%q", got)
	}
}

func TestHistory(t *testing.T) {
	var h history
	for _, line := range []string{"a", "", "b", "b", " ", "c"} {
		h.Add(line)
	}
	if h.Len() != 3 || h.At(0) != "c" || h.At(2) != "a" {
		t.Errorf("%q", h)
	}
	for i := range 2000 {
		h.Add(fmt.Sprint(i))
	}
	if h.Len() != 1000 || h.At(0) != "1999" {
		t.Errorf("%d lines, the last %q", h.Len(), h.At(0))
	}
}

func TestLongLine(t *testing.T) {
	line, pos := strings.Repeat("x", 4096), 4096
	got, at, ok := longLine(line, pos, 'ü')
	if !ok || got != line+"ü" || at != pos+2 {
		t.Errorf("%d bytes, at %d, %v", len(got), at, ok)
	}
	if _, _, ok := longLine("short", 5, 'x'); ok {
		t.Error("a short line is the editor's")
	}
	if _, _, ok := longLine(line, pos, '\t'); ok {
		t.Error("a tab is the editor's")
	}
}
