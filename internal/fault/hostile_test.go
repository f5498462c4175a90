//go:build unix

package fault

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestVisible: nothing of a file's text moves a terminal; what does no harm stays.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain, é 漢 👩‍💻\n\tnext": "plain, é 漢 👩‍💻\n\tnext",
		"\x1b[31mred":            `\u001b[31mred`,
		"a\rb\bc\x00\x7f":        `a\u000db\u0008c\u0000\u007f`,
		"\u009b2J":               `\u009b2J`,
		"\x9b2J\xff":             "\ufffd2J\ufffd",
		"abc\u202etxt.exe":       `abc\u202etxt.exe`,
		"\u2066a\u2069\u200f":    `\u2066a\u2069\u200f`,
		"a\u2028b":               `a\u2028b`,
		"is \ufffd":              "is \ufffd",
	} {
		if got := Visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		for n := 1; n < 4; n++ { // in pieces
			var b bytes.Buffer
			w := &Screen{To: &b}
			for i := 0; i < len(in); i += n {
				if _, err := w.Write([]byte(in[i:min(i+n, len(in))])); err != nil {
					t.Fatal(err)
				}
			}
			if w.Flush(); b.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", in, n, b.String(), want)
			}
		}
	}
}

// TestShorten: a message is one line, with its beginning and its end.
func TestShorten(t *testing.T) {
	if got := Shorten("a:\nlomo: error: forged\x1b[2J\n", 100); got != `a:; lomo: error: forged\u001b[2J` {
		t.Error(got)
	}
	got := Shorten("begin "+strings.Repeat("\u202e", 1000)+" end", 60)
	if len([]rune(got)) != 60 || !strings.HasPrefix(got, "begin ") || !strings.HasSuffix(got, " end") {
		t.Errorf("%q", got)
	}
}

// TestIrregular: what is no ordinary file is refused at once, whatever it is, and never read.
func TestIrregular(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Skip(err)
		}
	}
	try(syscall.Mkfifo(at("fifo"), 0o600))
	try(os.Symlink("fifo", at("link to fifo")))
	try(os.Symlink("/dev/zero", at("zero")))
	try(os.Symlink("nothing", at("dangling")))
	try(os.Symlink("round", at("round")))
	try(os.Mkdir(at("folder"), 0o755))
	try(os.WriteFile(at("file"), []byte("text"), 0o644))
	try(os.Symlink("file", at("link")))
	if l, err := net.Listen("unix", at("socket")); err == nil {
		defer l.Close()
	}
	for name, want := range map[string]string{"fifo": "a pipe", "link to fifo": "a pipe", "zero": "a device", "dangling": "a link to nothing, which is not there", "round": "a link to round",
		"folder": "a folder", "socket": "a socket", "file": "", "link": ""} {
		done := make(chan error, 1)
		go func() {
			raw, err := Read(at(name), 4)
			if err == nil && string(raw) != "text" {
				t.Errorf("%s: %q", name, raw)
			}
			done <- err
		}()
		select {
		case err := <-done:
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), at(name)) != 1) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: waits", name)
		}
	}
	if _, err := Read(at("file"), 3); err == nil || !strings.Contains(err.Error(), "4 bytes, at most 3") {
		t.Error(err)
	}
}

// TestOpenInput: a pipe with a writer is read to its end, one without is refused soon, and what has no end is never begun.
func TestOpenInput(t *testing.T) {
	defer func(d time.Duration) { pipeWait = d }(pipeWait)
	pipeWait = 300 * time.Millisecond
	pipe := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{pipe, "/dev/zero", "/dev/urandom", "/dev/full", t.TempDir(), pipe + ".none"} {
		if in, err := OpenInput(path); err == nil || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %v, %v", path, in, err)
		}
	}
	pipeWait = 10 * time.Second
	want := strings.Repeat("text of a pipe\n", 10000)
	go func() { _ = os.WriteFile(pipe, []byte(want), 0) }()
	in, err := OpenInput(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got, err := io.ReadAll(in); err != nil || string(got) != want {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestBrief: of a file's own texts a message has some 120 characters each; a path stays whole.
func TestBrief(t *testing.T) {
	long := strings.Repeat("Q", 5000)
	words := strings.Repeat("Q ", 2500)
	path := strings.Repeat("/folder", 60) + "/a.json"
	for in, want := range map[string]string{
		"short":                          "short",
		path + ": line 3: no":            path + ": line 3: no",
		`key "` + long + `" is unknown`:  `key "QQ…QQ" is unknown`,
		`key "` + words + `" is unknown`: `key "Q…Q " is unknown`,
		`names ` + long + `, unknown`:    `names QQ…QQ, unknown`,
		`"a\"` + words + `" and "b c"`:   `"a\"Q…Q " and "b c"`,
		`it ends in "` + long:            `it ends in "QQ…QQ`,
	} {
		got := Brief(in)
		if n := strings.Count(got, "Q"); n > 130 || want == in && got != in {
			t.Errorf("%.80q: %d characters: %.200q", in, n, got)
		}
		if i := strings.Index(want, "…"); i > 0 {
			end := want[i+len("…"):]
			if !strings.HasSuffix(got, end) || !strings.HasPrefix(got, want[:i]) || !strings.Contains(got, "…") {
				t.Errorf("%.80q: %q, want %q", in, got, want)
			}
		}
	}
}
