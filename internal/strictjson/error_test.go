package strictjson

import (
	"strings"
	"testing"
)

// TestErrorsFitALine: however deep or odd a text is, what is wrong with it fits on a line of a terminal's characters.
func TestErrorsFitALine(t *testing.T) {
	for _, text := range []string{
		`{"a":` + strings.Repeat("[", 100000),
		strings.Repeat(`{"name":`, 2000) + "1",
		strings.Repeat(`{"`+strings.Repeat("é", 50)+`":`, 500) + "x",
		`{"a\u001b[31m\n": 1e}`,
		`{"\u0007": {"\u202e": nul}}`,
	} {
		err := Check([]byte(text))
		if err == nil {
			t.Fatalf("%.40s: no error", text)
		}
		if msg := err.Error(); len(msg) > 300 || strings.ContainsAny(msg, "\n\x1b\x07\u202e") {
			t.Errorf("%.40s: %d bytes: %q", text, len(msg), msg)
		}
	}
}
