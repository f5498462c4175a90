package fault

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// harmful tells characters that would move a terminal's cursor, change its state, or show a text in another order than it has.
func harmful(r rune) bool {
	switch {
	case r == '\n' || r == '\t':
		return false
	case r == 0x61c, r >= 0x200e && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // marks and overrides of direction
		return true
	case r == 0x2028 || r == 0x2029: // they break lines for some
		return true
	}
	return unicode.IsControl(r)
}

// Visible is a text with an escape for each character that is not to reach a terminal: control characters but line feeds and tabs, overrides of
// direction, and bytes that are no UTF-8. The escapes are JSON's, so that a JSON text stays the same text.
func Visible(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return harmful(r) || r == utf8.RuneError }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteRune(utf8.RuneError)
		case harmful(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// Shorten is Visible in one line of at most limit characters: what is left out is in the middle, for a message begins with what it is about and
// ends with what is wrong.
func Shorten(s string, limit int) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	s = Brief(Visible(strings.Join(lines, "; ")))
	r := []rune(s)
	if len(r) <= limit {
		return s
	}
	tail := limit / 3
	return string(r[:limit-tail-3]) + " … " + string(r[len(r)-tail:])
}

// mostQuoted bounds one text of a file in a message, in characters.
const mostQuoted = 160

// Brief shortens the texts in a message that are a file's own and longer than any name that somebody gave: what stands in double quotes, and words. A path
// is as long as it is, but for its parts.
func Brief(s string) string {
	if len(s) <= mostQuoted {
		return s
	}
	var out, part strings.Builder
	n, quoted, escaped := 0, false, false
	flush := func() {
		if r := []rune(part.String()); n > mostQuoted {
			out.WriteString(string(r[:mostQuoted/2]) + "…" + string(r[len(r)-mostQuoted/4:]))
		} else {
			out.WriteString(part.String())
		}
		part.Reset()
		n = 0
	}
	for _, r := range s {
		switch {
		case r == '"' && !escaped:
			flush()
			quoted = !quoted
			out.WriteRune(r)
		case !quoted && (r == ' ' || r == '/' || r == '\n' || r == '\t'):
			flush()
			out.WriteRune(r)
		default:
			part.WriteRune(r)
			n++
		}
		escaped = r == '\\' && !escaped
	}
	flush()
	return out.String()
}

// Screen writes text so that it is Visible. A character may come in pieces.
type Screen struct {
	To   io.Writer
	part []byte // of a character
}

func (w *Screen) Write(p []byte) (int, error) {
	text := append(w.part, p...)
	whole := len(text)
	for i := max(whole-utf8.UTFMax, 0); i < whole; i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			whole = i
			break
		}
	}
	w.part = append([]byte(nil), text[whole:]...)
	if whole == 0 {
		return len(p), nil
	}
	_, err := io.WriteString(w.To, Visible(string(text[:whole])))
	return len(p), err
}

// Flush writes what was left of a character that was never whole.
func (w *Screen) Flush() error {
	if len(w.part) == 0 {
		return nil
	}
	_, err := io.WriteString(w.To, Visible(string(w.part)))
	w.part = nil
	return err
}
