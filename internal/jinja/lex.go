package jinja

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	tEnd kind = iota
	tData
	tVarBegin
	tVarEnd
	tBlockBegin
	tBlockEnd
	tName
	tString
	tInt
	tFloat
	tOp
)

type token struct {
	kind kind
	s    string // data, name, operator, or the text of a string literal
	v    Value  // of a number
	line int32
}

// lexer splits a template as Jinja2 does with trim_blocks and lstrip_blocks.
type lexer struct {
	src       string
	pos       int
	line      int32
	lineStart bool // the last tag swallowed a line end, so that the text after it starts a line
	toks      []token
}

// lex is the tokens of a template, whose line ends are \n already.
func lex(src string) []token {
	l := &lexer{src: src, line: 1, lineStart: true}
	for {
		start := l.nextTag()
		if start < 0 {
			l.data(l.src[l.pos:])
			l.emit(token{kind: tEnd})
			return l.toks
		}
		after := start + 2
		var sign byte
		if after < len(src) && (src[after] == '-' || src[after] == '+') {
			sign = src[after]
			after++
		}
		kind := src[start+1]
		l.data(l.stripped(l.src[l.pos:start], sign, kind != '{'))
		l.advance(start)
		switch {
		case kind == '#':
			l.advance(after)
			l.comment()
		case kind == '%' && rawBegin(src[after:]) > 0:
			l.advance(after + rawBegin(src[after:]))
			l.lineStart = src[l.pos-1] == '\n'
			l.raw()
		case kind == '%':
			l.emit(token{kind: tBlockBegin})
			l.advance(after)
			l.tag("%}")
		default:
			l.emit(token{kind: tVarBegin})
			l.advance(after)
			l.tag("}}")
		}
	}
}

func (l *lexer) fail(format string, a ...any) { failAt(l.line, format, a...) }

func (l *lexer) emit(t token) {
	if len(l.toks) == maxTokens {
		l.fail("it has more than %d words and signs", maxTokens)
	}
	t.line = l.line
	l.toks = append(l.toks, t)
}

func (l *lexer) data(s string) {
	if s != "" {
		l.emit(token{kind: tData, s: s})
	}
}

// advance moves to a position and counts the lines on the way.
func (l *lexer) advance(to int) {
	l.line += int32(strings.Count(l.src[l.pos:to], "\n"))
	l.pos = to
}

// nextTag is the position of the next {{, {% or {#, or -1.
func (l *lexer) nextTag() int {
	for i := l.pos; ; i++ {
		n := strings.IndexByte(l.src[i:], '{')
		if n < 0 || i+n+1 == len(l.src) {
			return -1
		}
		i += n
		if c := l.src[i+1]; c == '{' || c == '%' || c == '#' {
			return i
		}
	}
}

// stripped is the text before a tag without what the tag takes from it: a minus all white space, lstrip_blocks the blanks of its line.
func (l *lexer) stripped(s string, sign byte, block bool) string {
	if sign == '-' {
		return strings.TrimRightFunc(s, isSpace)
	}
	if block && sign != '+' {
		line := strings.LastIndexByte(s, '\n') + 1
		if (line > 0 || l.lineStart) && strings.TrimFunc(s[line:], isSpace) == "" {
			return s[:line]
		}
	}
	return s
}

// afterEnd is the length of a tag's end of this kind at the start of s, with what it takes from the text behind it; 0 if there is none.
func afterEnd(s, end string) int {
	switch {
	case strings.HasPrefix(s, "-"+end):
		n := len(end) + 1
		return n + len(s[n:]) - len(strings.TrimLeftFunc(s[n:], isSpace))
	case end == "}}" && strings.HasPrefix(s, end):
		return len(end)
	case end != "}}" && strings.HasPrefix(s, "+"+end):
		return len(end) + 1
	case strings.HasPrefix(s, end+"\n"):
		return len(end) + 1
	case strings.HasPrefix(s, end):
		return len(end)
	}
	return 0
}

func (l *lexer) comment() {
	n := strings.Index(l.src[l.pos:], "#}")
	if n < 0 {
		l.fail("a comment without end")
	}
	end := l.pos + n
	if n > 0 && (l.src[end-1] == '-' || l.src[end-1] == '+') {
		end--
	}
	l.advance(end + afterEnd(l.src[end:], "#}"))
	l.lineStart = l.src[l.pos-1] == '\n'
}

// rawBegin is the length of the rest of {% raw %} behind its opening and sign, or 0.
func rawBegin(s string) int {
	rest := strings.TrimLeftFunc(s, isSpace)
	rest, ok := strings.CutPrefix(rest, "raw")
	if !ok {
		return 0
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	switch {
	case strings.HasPrefix(rest, "-%}"):
		rest = strings.TrimLeftFunc(rest[3:], isSpace)
	case strings.HasPrefix(rest, "%}"):
		rest = rest[2:]
	default:
		return 0
	}
	return len(s) - len(rest)
}

// raw takes text up to {% endraw %} as it is.
func (l *lexer) raw() {
	from := l.pos
	for i := from; ; i++ {
		n := strings.Index(l.src[i:], "{%")
		if n < 0 {
			l.fail("a raw block without end")
		}
		i += n
		rest := l.src[i+2:]
		var sign byte
		if rest != "" && (rest[0] == '-' || rest[0] == '+') {
			sign = rest[0]
			rest = rest[1:]
		}
		rest, ok := strings.CutPrefix(strings.TrimLeftFunc(rest, isSpace), "endraw")
		if !ok {
			continue
		}
		rest = strings.TrimLeftFunc(rest, isSpace)
		end := afterEnd(rest, "%}")
		if end == 0 {
			continue
		}
		l.data(l.stripped(l.src[from:i], sign, true))
		l.advance(len(l.src) - len(rest) + end)
		l.lineStart = l.src[l.pos-1] == '\n'
		return
	}
}

// operators are the operators of two characters, and then those of one.
var operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

// tag takes the tokens of a tag up to its end.
func (l *lexer) tag(end string) {
	var open []byte
	for {
		rest := l.src[l.pos:]
		if rest == "" {
			l.fail("a tag without end")
		}
		if len(open) == 0 {
			if n := afterEnd(rest, end); n > 0 {
				if end == "}}" {
					l.emit(token{kind: tVarEnd})
				} else {
					l.emit(token{kind: tBlockEnd})
				}
				l.advance(l.pos + n)
				l.lineStart = l.src[l.pos-1] == '\n'
				return
			}
		}
		c := rest[0]
		switch r, size := utf8.DecodeRuneInString(rest); {
		case isSpace(r):
			l.advance(l.pos + size)
		case '0' <= c && c <= '9':
			l.number(rest)
		case isWord(r):
			n := strings.IndexFunc(rest, func(r rune) bool { return !isWord(r) })
			if n < 0 {
				n = len(rest)
			}
			if i := strings.IndexFunc(rest[:n], func(r rune) bool { return r >= utf8.RuneSelf }); i >= 0 {
				l.fail("the name %s: names with other letters than a to z are not supported", rest[:n])
			}
			l.emit(token{kind: tName, s: rest[:n]})
			l.pos += n
		case c == '\'' || c == '"':
			l.literal(c)
		default:
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(rest, o) {
					op = o
					break
				}
			}
			switch op {
			case "":
				l.fail("unexpected character %q", r)
			case "(", "[", "{":
				if open = append(open, op[0]); len(open) > maxNested {
					l.fail("more than %d brackets inside each other", maxNested)
				}
			case ")", "]", "}":
				want := map[string]byte{")": '(', "]": '[', "}": '{'}[op]
				if len(open) == 0 || open[len(open)-1] != want {
					l.fail("%s closes nothing", op)
				}
				open = open[:len(open)-1]
			}
			l.emit(token{kind: tOp, s: op})
			l.pos += len(op)
		}
	}
}

func isWord(r rune) bool {
	return r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' ||
		r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

// digits is the length of the digits at the start of s, single underscores between them allowed.
func digits(s, set string) int {
	n := 0
	for n < len(s) {
		switch {
		case strings.IndexByte(set, s[n]|0x20) >= 0 || strings.IndexByte(set, s[n]) >= 0:
			n++
		case s[n] == '_' && n > 0 && n+1 < len(s) && (strings.IndexByte(set, s[n+1]|0x20) >= 0 || strings.IndexByte(set, s[n+1]) >= 0):
			n++
		default:
			return n
		}
	}
	return n
}

const decimals = "0123456789"

func (l *lexer) number(s string) {
	if n := floatLength(s); n > 0 && (l.pos == 0 || l.src[l.pos-1] != '.') {
		f, err := strconv.ParseFloat(strings.ReplaceAll(s[:n], "_", ""), 64)
		if err != nil && f == 0 {
			l.fail("%s is no number", s[:n])
		}
		l.emit(token{kind: tFloat, v: f})
		l.pos += n
		return
	}
	n, base := 0, 10
	if len(s) > 2 && s[0] == '0' {
		for prefix, set := range map[byte]string{'b': "01", 'o': "01234567", 'x': "0123456789abcdef"} {
			if s[1]|0x20 == prefix {
				from := 2
				if s[2] == '_' {
					from = 3
				}
				if d := digits(s[from:], set); d > 0 {
					n, base = from+d, map[byte]int{'b': 2, 'o': 8, 'x': 16}[prefix]
				}
			}
		}
	}
	switch {
	case n > 0:
	case s[0] == '0':
		n = digits(s, "0")
	default:
		n = digits(s, decimals)
	}
	text := strings.ReplaceAll(s[:n], "_", "")
	if base != 10 {
		text = text[2:]
	}
	if len(text) > maxDigits {
		l.fail("an integer of more than %d digits", maxDigits)
	}
	v, ok := new(big.Int).SetString(text, base)
	if !ok {
		l.fail("%s is no number", s[:n])
	}
	l.emit(token{kind: tInt, v: small(v)})
	l.pos += n
}

// floatLength is the length of a floating-point number at the start of s, or 0.
func floatLength(s string) int {
	n := digits(s, decimals)
	exponent := func(at int) int {
		if at < len(s) && s[at]|0x20 == 'e' {
			at++
			if at < len(s) && (s[at] == '+' || s[at] == '-') {
				at++
			}
			if d := digits(s[at:], decimals); d > 0 {
				return at + d
			}
		}
		return 0
	}
	if n+1 < len(s) && s[n] == '.' {
		if d := digits(s[n+1:], decimals); d > 0 {
			if e := exponent(n + 1 + d); e > 0 {
				return e
			}
			return n + 1 + d
		}
	}
	return exponent(n)
}

// literal reads a string literal with Python's escapes.
func (l *lexer) literal(quote byte) {
	i := l.pos + 1
	var b []byte
	for {
		if i >= len(l.src) {
			l.fail("a string without end")
		}
		c := l.src[i]
		if c == quote {
			break
		}
		if c != '\\' {
			b = append(b, c)
			i++
			continue
		}
		if i+1 >= len(l.src) {
			l.fail("a string without end")
		}
		r, n := l.escape(l.src[i+1:])
		switch {
		case n > 0:
			b = utf8.AppendRune(b, r)
			i += 1 + n
		case l.src[i+1] == '\n': // a line end that the backslash hides
			i += 2
		case l.src[i+1] >= utf8.RuneSelf:
			// Jinja2 writes other characters as escapes before it reads the escapes, so that only the first backslash is one.
			r, n := utf8.DecodeRuneInString(l.src[i+1:])
			q := strconv.QuoteRuneToASCII(r)
			if r < 0x100 {
				q = `'\x` + strconv.FormatInt(int64(r), 16) + `'`
			}
			b = append(b, q[1:len(q)-1]...)
			i += 1 + n
		default:
			b = append(b, '\\')
			i++
			if l.src[i] == quote { // cannot be: \' and \" are escapes
				l.fail("a string without end")
			}
		}
	}
	l.emit(token{kind: tString, s: string(b)})
	l.advance(i + 1)
}

// escape is the character of the escape behind a backslash, and its length; 0 if it is none.
func (l *lexer) escape(s string) (rune, int) {
	if i := strings.IndexByte(`\'"abfnrtv`, s[0]); i >= 0 {
		return rune("\\'\"\a\b\f\n\r\t\v"[i]), 1
	}
	n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]
	switch {
	case n > 0:
		if len(s) <= n || digits(s[1:1+n], "0123456789abcdef") != n || strings.Contains(s[1:1+n], "_") {
			l.fail("\\%c wants %d hexadecimal digits", s[0], n)
		}
		v, _ := strconv.ParseUint(s[1:1+n], 16, 32)
		if v > unicode.MaxRune {
			l.fail("\\%s is no character", s[:1+n])
		}
		if v >= 0xd800 && v < 0xe000 {
			l.fail("\\%s is half of a surrogate pair, which is no character", s[:1+n])
		}
		return rune(v), 1 + n
	case '0' <= s[0] && s[0] <= '7':
		v := rune(0)
		for n < 3 && n < len(s) && '0' <= s[n] && s[n] <= '7' {
			v = v*8 + rune(s[n]-'0')
			n++
		}
		return v, n
	case s[0] == 'N':
		l.fail("characters by name (\\N) are not supported")
	}
	return 0, 0
}
