package tokenizer

import "unicode/utf8"

// byteRune is GPT-2's byte alphabet (openai/gpt-2 encoder.py, bytes_to_unicode): printable bytes
// are themselves, the other 68 are U+0100, U+0101, … in increasing order.
var byteRune = func() (table [256]rune) {
	next := rune(0x100)
	for b := range table {
		switch {
		case b >= '!' && b <= '~', b >= 0xA1 && b <= 0xAC, b >= 0xAE:
			table[b] = rune(b)
		default:
			table[b] = next
			next++
		}
	}
	return table
}()

// runeByte is the inverse of byteRune: -1 for a rune outside the alphabet. The largest rune of
// the alphabet is U+0143.
var runeByte = func() (table [0x144]int16) {
	for r := range table {
		table[r] = -1
	}
	for b, r := range byteRune {
		table[r] = int16(b)
	}
	return table
}()

// appendAlphabet appends the alphabet characters of the bytes of s.
func appendAlphabet(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		dst = utf8.AppendRune(dst, byteRune[s[i]])
	}
	return dst
}

// appendFromAlphabet appends the bytes that the characters of token stand for. A token with a
// character outside the alphabet (an added token such as "é…") is taken as it is.
func appendFromAlphabet(dst []byte, token string) []byte {
	start := len(dst)
	for _, r := range token {
		if int(r) >= len(runeByte) || runeByte[r] < 0 {
			return append(dst[:start], token...)
		}
		dst = append(dst, byte(runeByte[r]))
	}
	return dst
}

// lossy is b as a string, each maximal ill-formed part replaced by one U+FFFD, as Unicode
// recommends (section 3.9, table 3-8) and Rust's String::from_utf8_lossy does. Go's own
// conversions write one U+FFFD per byte, strings.ToValidUTF8 one per run.
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = illFormed(b)
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return string(out)
}

// illFormed is the length of the maximal part at the start of b that begins a character but does
// not finish it; b does not start with a well-formed character.
func illFormed(b []byte) int {
	var need int
	lo, hi := byte(0x80), byte(0xBF) // range of the second byte, Unicode table 3-7
	switch c := b[0]; {
	case c >= 0xC2 && c <= 0xDF:
		need = 1
	case c >= 0xE0 && c <= 0xEF:
		need = 2
		if c == 0xE0 {
			lo = 0xA0
		} else if c == 0xED {
			hi = 0x9F
		}
	case c >= 0xF0 && c <= 0xF4:
		need = 3
		if c == 0xF0 {
			lo = 0x90
		} else if c == 0xF4 {
			hi = 0x8F
		}
	}
	n := 1
	for n <= need && n < len(b) && b[n] >= lo && b[n] <= hi {
		lo, hi = 0x80, 0xBF
		n++
	}
	return n
}
