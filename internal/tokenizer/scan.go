package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"lomo/internal/onig"
)

// Go's regexp has no look-ahead, which every GPT-style splitting pattern uses, and a general
// backtracking engine is several times slower than the rest of the tokenizer. The three patterns
// that LLaMA-family models use are therefore scanners written by hand: scan(s, i) is the end of
// the piece that starts at byte i < len(s). Pieces follow each other without gaps, because each of
// these patterns has an alternative for every character.

// Patterns as they stand in tokenizer.json; splitPattern recognises them by text.
const (
	gpt2Pattern   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// scanners maps a pattern's text to its scanner.
var scanners = map[string]func(s string, i int) int{
	gpt2Pattern:   scanGPT2,
	llama3Pattern: func(s string, i int) int { return scanLlama3(s, i, 3) },
	qwen2Pattern:  func(s string, i int) int { return scanLlama3(s, i, 1) },
}

// class is what the patterns distinguish: \p{L}, \p{N}, \s, and the rest.
type class uint8

const (
	other class = iota
	letter
	number
	space
)

// asciiClass answers for the first 128 characters without a table search.
var asciiClass = func() (table [utf8.RuneSelf]class) {
	for r := range table {
		switch r := rune(r); {
		case unicode.IsLetter(r):
			table[r] = letter
		case unicode.IsNumber(r):
			table[r] = number
		case unicode.IsSpace(r):
			table[r] = space
		}
	}
	return table
}()

func classOf(r rune) class {
	if table := charClasses(); int(r) < len(table) {
		return table[r]
	}
	return other // planes without letters
}

// charClasses has the classes of the planes that have letters, as package onig knows them.
var charClasses = sync.OnceValue(func() (table *[0x40000]class) {
	table = new([0x40000]class)
	for c, pattern := range map[class]string{letter: `\p{L}`, number: `\p{N}`, space: `\s`} {
		has, err := onig.Class(pattern)
		if err != nil {
			panic(err) // a typing error above
		}
		for r := range table {
			if has(rune(r)) {
				table[r] = c
			}
		}
	}
	return table
})

// at is the class and length in bytes of the character at byte i < len(s). A byte that is no
// UTF-8 is one "other" character.
func at(s string, i int) (class, int) {
	if s[i] < utf8.RuneSelf {
		return asciiClass[s[i]], 1
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	return classOf(r), n
}

// run is the end of the characters of class c that start at byte i.
func run(s string, i int, c class) int {
	for i < len(s) {
		k, n := at(s, i)
		if k != c {
			break
		}
		i += n
	}
	return i
}

// scanGPT2 is gpt2Pattern.
func scanGPT2(s string, i int) int {
	if s[i] == '\'' {
		if n := contraction(s[i:], false); n > 0 {
			return i + n
		}
	}
	c, n := at(s, i)
	if s[i] == ' ' && i+1 < len(s) { // the " ?" of alternatives 2 to 4
		if k, m := at(s, i+1); k != space {
			return run(s, i+1+m, k)
		}
	}
	if c != space {
		return run(s, i+n, c)
	}
	return spaces(s, i)
}

// scanLlama3 is llama3Pattern with pieces of at most digits numbers (llama3 3, qwen2 1).
func scanLlama3(s string, i, digits int) int {
	if s[i] == '\'' {
		if n := contraction(s[i:], true); n > 0 {
			return i + n
		}
	}
	c, n := at(s, i)
	switch c {
	case letter:
		return run(s, i+n, letter)
	case number:
		return numbers(s, i, digits)
	}
	// [^\r\n\p{L}\p{N}]?\p{L}+ : one character of any other kind may lead a word.
	if s[i] != '\r' && s[i] != '\n' && i+n < len(s) {
		if k, m := at(s, i+n); k == letter {
			return run(s, i+n+m, letter)
		}
	}
	if c == other {
		return newlines(s, run(s, i+n, other))
	}
	if s[i] == ' ' && i+1 < len(s) {
		if k, m := at(s, i+1); k == other {
			return newlines(s, run(s, i+1+m, other))
		}
	}
	// \s*[\r\n]+ : up to the last line end of the run of white space.
	end := run(s, i, space)
	for j := end; j > i; j-- {
		if s[j-1] == '\n' || s[j-1] == '\r' {
			return j
		}
	}
	return spaces(s, i)
}

// spaces is `\s+(?!\S)|\s+` at byte i, which is white space: the run without its last character,
// which goes to the following word, unless the run ends the text or is a single character.
func spaces(s string, i int) int {
	end := run(s, i, space)
	if end == len(s) {
		return end
	}
	_, last := utf8.DecodeLastRuneInString(s[i:end])
	if end-last > i {
		return end - last
	}
	return end
}

// numbers is \p{N}{1,limit} at byte i, which is a number.
func numbers(s string, i, limit int) int {
	for k := 0; k < limit && i < len(s); k++ {
		c, n := at(s, i)
		if c != number {
			break
		}
		i += n
	}
	return i
}

// newlines is [\r\n]* at byte i.
func newlines(s string, i int) int {
	for i < len(s) && (s[i] == '\r' || s[i] == '\n') {
		i++
	}
	return i
}

// contraction is the length of 's, 't, 're, 've, 'm, 'll or 'd at the start of s, or 0. With fold
// case is ignored as Unicode does, so that 'ſ (U+017F) counts as 's.
func contraction(s string, fold bool) int {
	for _, c := range [...]string{"s", "t", "re", "ve", "m", "ll", "d"} {
		if n := prefix(s[1:], c, fold); n > 0 {
			return 1 + n
		}
	}
	return 0
}

// prefix is the length of the start of s that equals want, or 0.
func prefix(s, want string, fold bool) int {
	n := 0
	for i := 0; i < len(want); i++ {
		if n >= len(s) {
			return 0
		}
		r, size := utf8.DecodeRuneInString(s[n:])
		if fold {
			r = unicode.ToLower(r)
			if r == 'ſ' {
				r = 's'
			}
		}
		if r != rune(want[i]) {
			return 0
		}
		n += size
	}
	return n
}
