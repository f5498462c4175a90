package strictjson

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds lists and objects within each other.
const maxDepth = 1000

// scanner walks over a JSON text.
type scanner struct {
	text  []byte
	pos   int
	depth int
}

// fail is an error at the present place.
func (s *scanner) fail(format string, args ...any) *Error { return s.failAt(s.pos, format, args...) }

func (s *scanner) failAt(pos int, format string, args ...any) *Error {
	pos = min(pos, len(s.text))
	return &Error{Line: 1 + bytes.Count(s.text[:pos], []byte("\n")), Offset: pos, Msg: fmt.Sprintf(format, args...)}
}

// next is the first byte behind white space, 0 at the end.
func (s *scanner) next() byte {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// kind names the value that stands at the present place.
func (s *scanner) kind() string {
	switch c := s.next(); {
	case c == '{':
		return "object"
	case c == '[':
		return "list"
	case c == '"':
		return "string"
	case c == 't' || c == 'f':
		return "true or false"
	case c == 'n':
		return "null"
	}
	return "number"
}

// null reports whether null stands at the present place.
func (s *scanner) null() bool {
	s.next()
	return bytes.HasPrefix(s.text[s.pos:], []byte("null"))
}

// end wants nothing more than white space.
func (s *scanner) end() *Error {
	s.next()
	if s.pos == len(s.text) {
		return nil
	}
	return s.fail("%s behind the end of the value", s.found())
}

// found describes the character at the present place for an error.
func (s *scanner) found() string {
	if s.pos >= len(s.text) {
		return "the end of the text"
	}
	c, n := utf8.DecodeRune(s.text[s.pos:])
	if c == utf8.RuneError && n <= 1 {
		return fmt.Sprintf("byte %#02x", s.text[s.pos])
	}
	return strconv.QuoteRune(c)
}

// foreign names what other languages write for a value and JSON does not have.
var foreign = []struct{ text, msg string }{
	{"\xef\xbb\xbf", "a byte order mark found: save the text as UTF-8 without one"},
	{"\xff\xfe", "the text is UTF-16: save it as UTF-8"}, {"\xfe\xff", "the text is UTF-16: save it as UTF-8"}, {"\x00", "a zero byte found: JSON is UTF-8 text"},
	{"NaN", "NaN is no JSON number"}, {"-NaN", "NaN is no JSON number"}, {"nan", "nan is no JSON number"},
	{"Infinity", "Infinity is no JSON number"}, {"-Infinity", "-Infinity is no JSON number"}, {"inf", "inf is no JSON number"},
	{"True", "True found, JSON writes true"}, {"False", "False found, JSON writes false"}, {"None", "None found, JSON writes null"},
	{"undefined", "undefined found, JSON writes null"}, {"'", "' found, JSON puts strings in double quotes"},
}

// noValue is the error of a place where no value begins.
func (s *scanner) noValue() *Error {
	if s.pos >= len(s.text) {
		return s.fail("the text ends where a value is wanted")
	}
	for _, f := range foreign {
		if bytes.HasPrefix(s.text[s.pos:], []byte(f.text)) {
			return s.fail("%s", f.msg)
		}
	}
	return s.fail("%s found, want a value", s.found())
}

// enter goes into a list or object; its [ or { is taken.
func (s *scanner) enter() *Error {
	s.pos++
	if s.depth++; s.depth > maxDepth {
		return s.fail("more than %d lists and objects within each other", maxDepth)
	}
	return nil
}

// object calls fn for every member with its name, the scanner standing on its value, which fn must take.
func (s *scanner) object(fn func(name string) *Error) *Error {
	if err := s.enter(); err != nil {
		return err
	}
	var seen names
	for first := true; ; first = false {
		c := s.next()
		if c == '}' && first {
			break
		}
		if c != '"' {
			return s.fail("%s found, want a name in double quotes", s.found())
		}
		at := s.pos
		name, err := s.str()
		if err != nil {
			return err
		}
		if !seen.add(name) {
			return s.failAt(at, "%q stands twice in an object", shorten(name, 60))
		}
		if len(seen.many) > maxMembers {
			return s.failAt(at, "more than %d names in an object", maxMembers)
		}
		if s.next() != ':' {
			return s.fail("%s found behind a name, want a colon", s.found())
		}
		s.pos++
		s.next()
		if err := fn(name); err != nil {
			return err.under(nameStep(name))
		}
		if c = s.next(); c == '}' {
			break
		} else if c != ',' {
			return s.fail("%s found in an object, want a comma or its end", s.found())
		}
		s.pos++
	}
	s.pos++
	s.depth--
	return nil
}

// list calls fn for every element with its number, the scanner standing on the element, which fn must take.
func (s *scanner) list(fn func(i int) *Error) *Error {
	if err := s.enter(); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if s.next() == ']' && i == 0 {
			break
		}
		if err := fn(i); err != nil {
			return err.under(fmt.Sprintf("[%d]", i))
		}
		if c := s.next(); c == ']' {
			break
		} else if c != ',' {
			return s.fail("%s found in a list, want a comma or its end", s.found())
		}
		s.pos++
	}
	s.pos++
	s.depth--
	return nil
}

// skip takes a value and checks it.
func (s *scanner) skip() *Error {
	switch c := s.next(); {
	case c == '{':
		return s.object(func(string) *Error { return s.skip() })
	case c == '[':
		return s.list(func(int) *Error { return s.skip() })
	case c == '"':
		_, err := s.str()
		return err
	case c == '-' || '0' <= c && c <= '9':
		_, err := s.number()
		return err
	}
	_, err := s.word()
	return err
}

// word takes true, false or null.
func (s *scanner) word() (string, *Error) {
	for _, w := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.text[s.pos:], []byte(w)) {
			s.pos += len(w)
			return w, nil
		}
	}
	return "", s.noValue()
}

// number takes a number and returns it as it is written.
func (s *scanner) number() (string, *Error) {
	at := s.pos
	if s.pos < len(s.text) && s.text[s.pos] == '-' {
		s.pos++
	}
	if s.pos < len(s.text) && s.text[s.pos] == '0' {
		s.pos++
		if s.pos < len(s.text) && '0' <= s.text[s.pos] && s.text[s.pos] <= '9' {
			return "", s.failAt(at, "a number that begins with 0")
		}
	} else if !s.digits() {
		s.pos = at
		return "", s.noValue()
	}
	if s.pos < len(s.text) && s.text[s.pos] == '.' {
		s.pos++
		if !s.digits() {
			return "", s.failAt(at, "a number without digits behind its point")
		}
	}
	if s.pos < len(s.text) && (s.text[s.pos] == 'e' || s.text[s.pos] == 'E') {
		s.pos++
		if s.pos < len(s.text) && (s.text[s.pos] == '+' || s.text[s.pos] == '-') {
			s.pos++
		}
		if !s.digits() {
			return "", s.failAt(at, "a number without digits behind its e")
		}
	}
	return string(s.text[at:s.pos]), nil
}

// digits takes digits and reports whether there was one.
func (s *scanner) digits() bool {
	at := s.pos
	for s.pos < len(s.text) && '0' <= s.text[s.pos] && s.text[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > at
}

// str takes a string.
func (s *scanner) str() (string, *Error) {
	s.pos++
	at, ascii := s.pos, true
	for s.pos < len(s.text) && s.text[s.pos] != '"' && s.text[s.pos] != '\\' && s.text[s.pos] >= ' ' {
		ascii = ascii && s.text[s.pos] < utf8.RuneSelf
		s.pos++
	}
	if s.pos < len(s.text) && s.text[s.pos] == '"' {
		part := s.text[at:s.pos]
		if !ascii && !utf8.Valid(part) {
			return "", s.failAt(at, "the string is not UTF-8")
		}
		s.pos++
		return string(part), nil
	}
	out := bytes.Clone(s.text[at:s.pos])
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			if s.pos++; !utf8.Valid(out) {
				return "", s.failAt(at, "the string is not UTF-8")
			}
			return string(out), nil
		case c < ' ':
			return "", s.fail("%s in a string, JSON writes \\u%04x", controlName(c), c)
		case c != '\\':
			out = append(out, c)
			s.pos++
		default:
			var err *Error
			if out, err = s.escape(out); err != nil {
				return "", err
			}
		}
	}
	return "", s.failAt(at-1, "a string without an end")
}

// controlName names a control character for an error.
func controlName(c byte) string {
	switch c {
	case '\n':
		return "a line end"
	case '\t':
		return "a tabulator"
	case 0:
		return "a zero byte"
	}
	return fmt.Sprintf("control character %#02x", c)
}

// escapes are the characters behind a backslash.
var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape takes a backslash and what belongs to it, and appends its character.
func (s *scanner) escape(out []byte) ([]byte, *Error) {
	at := s.pos
	if s.pos+1 >= len(s.text) {
		return nil, s.fail("a string without an end")
	}
	if c, ok := escapes[s.text[s.pos+1]]; ok {
		s.pos += 2
		return append(out, c), nil
	}
	unit, ok := s.unit()
	if !ok {
		return nil, s.failAt(at, "%q is no escape of JSON", shorten(string(s.text[at:min(at+2, len(s.text))]), 2))
	}
	c := rune(unit)
	if utf16.IsSurrogate(c) {
		low, _ := s.unit()
		if c = utf16.DecodeRune(c, rune(low)); c == utf8.RuneError {
			return nil, s.failAt(at, "\\u%04x is half of a character: the other half of the surrogate pair is missing", unit)
		}
	}
	return utf8.AppendRune(out, c), nil
}

// unit takes \uXXXX.
func (s *scanner) unit() (uint16, bool) {
	if s.pos+6 > len(s.text) || s.text[s.pos] != '\\' || s.text[s.pos+1] != 'u' {
		return 0, false
	}
	v := uint16(0)
	for _, c := range s.text[s.pos+2 : s.pos+6] {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint16(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			v = v<<4 | uint16(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	s.pos += 6
	return v, true
}

// maxMembers bounds an object, because its names are held to find one that stands twice. The largest vocabularies have 260,000.
const maxMembers = 1 << 20

// MaxNames is how many names, of all objects together, a small file such as a configuration may have. Each costs some 20 times its text once it is read;
// the largest tokenizer_config.json in use has 45,000.
const MaxNames = 100_000

// FewNames refuses a text of more than MaxNames names before anything of it is held. The text need not be right.
func FewNames(text []byte) error {
	n := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case ':':
			if n++; n > MaxNames {
				return (&scanner{text: text, pos: i}).fail("more than %d names; at most that many are read", MaxNames)
			}
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return nil
}

// names is a set of the names of an object: a list while it is short.
type names struct {
	few  []string
	many map[string]struct{}
}

// add reports whether the name is new.
func (n *names) add(name string) bool {
	if n.many == nil {
		for _, s := range n.few {
			if s == name {
				return false
			}
		}
		if n.few = append(n.few, name); len(n.few) > 16 {
			n.many = make(map[string]struct{}, 64)
			for _, s := range n.few {
				n.many[s] = struct{}{}
			}
		}
		return true
	}
	if _, ok := n.many[name]; ok {
		return false
	}
	n.many[name] = struct{}{}
	return true
}
