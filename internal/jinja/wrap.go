package jinja

import (
	"slices"
	"strings"
	"unicode"
)

// wrap breaks a line as textwrap.wrap does, without changes to its white space.
func (st *state) wrap(x str, width int, breakLong, hyphens bool) []str {
	if width <= 0 {
		st.fail("wordwrap: the width must be above zero")
	}
	st.payTimes(12, len(x.s)+1)
	text := []rune(x.s)
	at := make([]int, 0, len(text)+1) // where each character begins
	for i := range x.s {
		at = append(at, i)
	}
	at = append(at, len(x.s))
	chunks := wrapChunks(text, hyphens)
	blank := func(c [2]int) bool { return every(x.s[at[c[0]]:at[c[1]]], isSpace) }
	var lines []str
	for len(chunks) > 0 {
		var line [][2]int
		used := 0
		if blank(chunks[0]) && len(lines) > 0 {
			chunks = chunks[1:]
		}
		for len(chunks) > 0 && used+chunks[0][1]-chunks[0][0] <= width {
			used += chunks[0][1] - chunks[0][0]
			line = append(line, chunks[0])
			chunks = chunks[1:]
		}
		if len(chunks) > 0 && chunks[0][1]-chunks[0][0] > width {
			c := &chunks[0]
			switch {
			case breakLong:
				end := width - used
				if hyphens && c[1]-c[0] > end {
					part := text[c[0] : c[0]+end]
					if i := lastHyphen(part); i > 0 && strings.Trim(string(part[:i]), "-") != "" {
						end = i + 1
					}
				}
				line = append(line, [2]int{c[0], c[0] + end})
				c[0] += end
				if c[0] == c[1] {
					chunks = chunks[1:]
				}
			case line == nil:
				line = append(line, *c)
				chunks = chunks[1:]
			}
		}
		if n := len(line); n > 0 && (blank(line[n-1]) || line[n-1][0] == line[n-1][1]) {
			line = line[:n-1]
		}
		if len(line) > 0 {
			st.pay(32)
			lines = append(lines, x.slice(at[line[0][0]], at[line[len(line)-1][1]]))
		}
	}
	return lines
}

func lastHyphen(s []rune) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '-' {
			return i
		}
	}
	return -1
}

// wrapChunks are the pieces of a line that are not broken: white space, words, and parts of words that end in a hyphen.
func wrapChunks(s []rune, hyphens bool) [][2]int {
	space := func(i int) bool { return i < len(s) && s[i] < 0x80 && strings.ContainsRune("\t\n\v\f\r ", s[i]) }
	word := func(i int) bool { return i >= 0 && i < len(s) && (s[i] == '_' || isAlnum(s[i])) }
	letter := func(i int) bool { return word(i) && !unicode.Is(unicode.Nd, s[i]) }
	punct := func(i int) bool { return word(i) || i >= 0 && i < len(s) && strings.ContainsRune(`!"'&.,?`, s[i]) }
	hyphen := func(i int) bool { return i >= 0 && i < len(s) && s[i] == '-' }
	// dash is the length of a dash of several hyphens before a word.
	dash := func(i int) int {
		n := 0
		for hyphen(i + n) {
			n++
		}
		if n >= 2 && word(i+n) {
			return n
		}
		return 0
	}
	next := func(i int) int {
		if space(i) {
			for space(i) {
				i++
			}
			return i
		}
		if !hyphens {
			for i < len(s) && !space(i) {
				i++
			}
			return i
		}
		if punct(i-1) && dash(i) > 0 {
			return i + dash(i)
		}
		for i++; i < len(s) && !space(i); i++ {
			if hyphen(i) && (letter(i-1) && letter(i-2) || letter(i-1) && hyphen(i-2) && letter(i-3)) &&
				letter(i+1) && (letter(i+2) || hyphen(i+2) && letter(i+3)) {
				return i + 1
			}
			if punct(i-1) && dash(i) > 0 {
				return i
			}
		}
		return i
	}
	var chunks [][2]int
	for i := 0; i < len(s); {
		j := next(i)
		chunks = append(chunks, [2]int{i, j})
		i = j
	}
	return slices.Clip(chunks)
}
