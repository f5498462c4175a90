package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth is how deep lists and objects may stand inside each other.
const maxJSONDepth = 128

// ParseJSON reads one JSON value: objects keep their order and their exact keys, integers stay integers. What JSON readers differ in is an error: a key
// given twice, half of a surrogate pair, bytes that are no UTF-8, NaN.
func ParseJSON(raw []byte) (Value, error) {
	p := jsonParser{b: raw}
	v, err := p.value(0)
	if err == nil {
		if p.space(); p.at < len(p.b) {
			err = fmt.Errorf("%q follows the value", p.b[p.at])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("JSON, byte %d: %w", p.at+1, err)
	}
	return v, nil
}

type jsonParser struct {
	b  []byte
	at int
}

func (p *jsonParser) space() {
	for p.at < len(p.b) && (p.b[p.at] == ' ' || p.b[p.at] == '\n' || p.b[p.at] == '\t' || p.b[p.at] == '\r') {
		p.at++
	}
}

// peek is the next byte that is no space; 0 at the end.
func (p *jsonParser) peek() byte {
	p.space()
	if p.at == len(p.b) {
		return 0
	}
	return p.b[p.at]
}

func (p *jsonParser) value(depth int) (Value, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("more than %d levels inside each other", maxJSONDepth)
	}
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.list(depth)
	case c == '"':
		return p.str()
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case c == 0:
		return nil, fmt.Errorf("it ends where a value is wanted")
	}
	for word, v := range map[string]Value{"null": nil, "true": true, "false": false} {
		if n := p.at + len(word); n <= len(p.b) && string(p.b[p.at:n]) == word {
			p.at = n
			return v, nil
		}
	}
	return nil, fmt.Errorf("%q begins no value", p.b[p.at])
}

func (p *jsonParser) object(depth int) (Value, error) {
	d := NewDict()
	p.at++
	if p.peek() == '}' {
		p.at++
		return d, nil
	}
	for {
		if p.peek() != '"' {
			return nil, fmt.Errorf("a key in quotes is wanted")
		}
		start := p.at
		key, err := p.str()
		if err != nil {
			return nil, err
		}
		if _, ok := d.Get(key); ok {
			p.at = start
			return nil, fmt.Errorf("the key %q is given twice", key)
		}
		if p.peek() != ':' {
			return nil, fmt.Errorf("a colon is wanted after the key %q", key)
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		d.Set(key, v)
		switch p.peek() {
		case ',':
			p.at++
		case '}':
			p.at++
			return d, nil
		default:
			return nil, fmt.Errorf("a comma or } is wanted")
		}
	}
}

func (p *jsonParser) list(depth int) (Value, error) {
	l := &List{}
	p.at++
	if p.peek() == ']' {
		p.at++
		return l, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l.Append(v)
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return l, nil
		default:
			return nil, fmt.Errorf("a comma or ] is wanted")
		}
	}
}

func (p *jsonParser) number() (Value, error) {
	start := p.at
	digits := func() int {
		from := p.at
		for p.at < len(p.b) && '0' <= p.b[p.at] && p.b[p.at] <= '9' {
			p.at++
		}
		return p.at - from
	}
	if p.b[p.at] == '-' {
		p.at++
	}
	first := p.at
	if n := digits(); n == 0 || n > 1 && p.b[first] == '0' {
		return nil, fmt.Errorf("%q is no number", p.b[start:p.at])
	}
	whole := true
	if p.at < len(p.b) && p.b[p.at] == '.' {
		whole = false
		p.at++
		if digits() == 0 {
			return nil, fmt.Errorf("%q is no number", p.b[start:p.at])
		}
	}
	if p.at < len(p.b) && p.b[p.at]|0x20 == 'e' {
		whole = false
		p.at++
		if p.at < len(p.b) && (p.b[p.at] == '+' || p.b[p.at] == '-') {
			p.at++
		}
		if digits() == 0 {
			return nil, fmt.Errorf("%q is no number", p.b[start:p.at])
		}
	}
	s := string(p.b[start:p.at])
	if whole {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, nil
		}
		if len(s) > maxDigits {
			return nil, fmt.Errorf("an integer of more than %d digits", maxDigits)
		}
		n, _ := new(big.Int).SetString(s, 10)
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%s is too large", s)
	}
	return f, nil
}

func (p *jsonParser) str() (string, error) {
	p.at++
	start := p.at
	for p.at < len(p.b) && p.b[p.at] != '"' && p.b[p.at] != '\\' {
		if p.b[p.at] < ' ' {
			return "", fmt.Errorf("a control character inside a string")
		}
		p.at++
	}
	if p.at == len(p.b) {
		return "", fmt.Errorf("a string without end")
	}
	out := p.b[start:p.at:p.at]
	for p.at < len(p.b) && p.b[p.at] != '"' {
		c := p.b[p.at]
		switch {
		case c < ' ':
			return "", fmt.Errorf("a control character inside a string")
		case c != '\\':
			out = append(out, c)
			p.at++
		default:
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		}
	}
	if p.at == len(p.b) {
		return "", fmt.Errorf("a string without end")
	}
	p.at++
	if !utf8.Valid(out) {
		return "", fmt.Errorf("a string that is no UTF-8")
	}
	return string(out), nil
}

// escape reads an escape at its backslash.
func (p *jsonParser) escape() (rune, error) {
	if p.at+1 >= len(p.b) {
		return 0, fmt.Errorf("a string without end")
	}
	c := p.b[p.at+1]
	switch c {
	case '"', '\\', '/':
		p.at += 2
		return rune(c), nil
	case 'b', 'f', 'n', 'r', 't':
		p.at += 2
		return map[byte]rune{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}[c], nil
	case 'u':
		r, ok := p.hex4(p.at + 2)
		if !ok {
			return 0, fmt.Errorf("\\u wants four hexadecimal digits")
		}
		n := 6
		if utf16.IsSurrogate(r) {
			low := rune(-1)
			if p.at+7 < len(p.b) && p.b[p.at+6] == '\\' && p.b[p.at+7] == 'u' {
				low, _ = p.hex4(p.at + 8)
			}
			pair := utf16.DecodeRune(r, low)
			if pair == utf8.RuneError {
				return 0, fmt.Errorf("\\u%04x is half of a surrogate pair, which is no character", r)
			}
			r, n = pair, 12
		}
		p.at += n
		return r, nil
	}
	return 0, fmt.Errorf("\\%c is no escape", c)
}

func (p *jsonParser) hex4(at int) (rune, bool) {
	if at+4 > len(p.b) {
		return -1, false
	}
	n, err := strconv.ParseUint(string(p.b[at:at+4]), 16, 16)
	return rune(n), err == nil
}
