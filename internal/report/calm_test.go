package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTalkIsCalm: whatever a caller says, no text of a file moves the terminal, fills it, or enters train.log as it is.
func TestTalkIsCalm(t *testing.T) {
	hostile := []string{"\x1b[2J\x1b]0;title\x07", "a\rb", "\u009b31m", "\u202egnp.exe", "\xff\x9b2J", "a\x00b\x7f", strings.Repeat("\u2066long ", 100000)}
	var screen bytes.Buffer
	c := NewConsole(&screen, nil)
	log := filepath.Join(t.TempDir(), "train.log")
	c.OpenLog(log, "a run")
	for _, text := range hostile {
		c.Say("said: %s", text)
		c.Record("recorded: "+text, "recorded: "+text)
		c.Aside("aside: " + text)
		if _, err := c.Write([]byte("written: " + text + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	logged, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"screen": screen.String(), "train.log": string(logged)} {
		for _, l := range strings.Split(text, "\n") {
			if strings.ContainsAny(l, "\x1b\r\x00\x07\x7f\u009b\u202e\u2066") || !strings.Contains(l, "said") && strings.Contains(l, "\xff") {
				t.Errorf("%s: %.200q", name, l)
			}
			if len([]rune(l)) > mostOfLine+100 {
				t.Errorf("%s: a line of %d characters", name, len(l))
			}
		}
		if n := strings.Count(text, `[2J\u001b`); n < 4 && name == "screen" {
			t.Errorf("%s: the escaped text stands there %d times", name, n)
		}
	}
}
