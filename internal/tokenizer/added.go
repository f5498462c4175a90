package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is one of "added_tokens": found in the text before the model sees it.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // not inside a word
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space behind it
	Normalized bool   `json:"normalized"`  // looked for in the normalized text
	Special    bool   `json:"special"`     // left out by Decode on request
}

// matcher finds added tokens in a text: at each position the longest. The zero matcher finds none.
type matcher struct {
	patterns []addedPattern // sorted by text
	first    [256]bool      // first bytes of the patterns
	only     int            // the one first byte when there is just one, else -1
}

// addedPattern is what to look for and what it means.
type addedPattern struct {
	s     string
	token addedToken
}

func newMatcher(patterns []addedPattern) *matcher {
	m := &matcher{only: -1}
	for _, p := range patterns {
		if p.s != "" {
			m.patterns = append(m.patterns, p)
			m.first[p.s[0]] = true
			m.only = int(p.s[0])
		}
	}
	for b, is := range m.first {
		if is && b != m.only {
			m.only = -1
			break
		}
	}
	slices.SortStableFunc(m.patterns, func(a, b addedPattern) int { return strings.Compare(a.s, b.s) })
	m.patterns = slices.CompactFunc(m.patterns, func(a, b addedPattern) bool { return a.s == b.s })
	return m
}

// next is the first match in s at or after byte i, or nil.
func (m *matcher) next(s string, i int) (p *addedPattern, at int) {
	if len(m.patterns) == 0 {
		return nil, 0
	}
	for ; i < len(s); i++ {
		if m.only >= 0 {
			n := strings.IndexByte(s[i:], byte(m.only))
			if n < 0 {
				return nil, 0
			}
			i += n
		} else if !m.first[s[i]] {
			continue
		}
		if p := m.longest(s[i:]); p != nil {
			return p, i
		}
	}
	return nil, 0
}

// longest is the longest pattern at the start of s, or nil. It narrows the sorted patterns byte by
// byte, so that many patterns with a common start cost no more than few.
func (m *matcher) longest(s string) (best *addedPattern) {
	lo, hi := 0, len(m.patterns)
	for n := 0; n < len(s); n++ {
		b := s[n]
		// All of [lo,hi) start with s[:n] and are longer than n, or the first equals s[:n].
		if len(m.patterns[lo].s) == n {
			lo++
		}
		part := m.patterns[lo:hi]
		i, _ := slices.BinarySearchFunc(part, int(b), func(p addedPattern, b int) int { return int(p.s[n]) - b })
		j, _ := slices.BinarySearchFunc(part, int(b)+1, func(p addedPattern, b int) int { return int(p.s[n]) - b })
		if lo, hi = lo+i, lo+j; lo == hi {
			return best
		}
		if len(m.patterns[lo].s) == n+1 {
			best = &m.patterns[lo]
			if lo+1 == hi {
				return best
			}
		}
	}
	return best
}

// split calls plain for the parts of t without added tokens and found for each added token, in
// order, as AddedVocabulary::find_matches of Hugging Face's tokenizers does.
func (m *matcher) split(t text, plain func(text) error, found func(text, addedToken)) error {
	s, done := t.s, 0
	for from := 0; ; {
		p, i := m.next(s, from)
		if p == nil {
			return emitRest(t, done, plain)
		}
		j := i + len(p.s)
		from = j // also after a match that is discarded: matches do not overlap
		if p.token.SingleWord && (endsWithWord(s[:i]) || startsWithWord(s[j:])) {
			continue
		}
		if p.token.LStrip {
			i = min(max(done, len(strings.TrimRightFunc(s[:i], unicode.IsSpace))), j)
		}
		if p.token.RStrip {
			j = len(s) - len(strings.TrimLeftFunc(s[j:], unicode.IsSpace))
		}
		if done < i {
			if err := plain(t.slice(done, i)); err != nil {
				return err
			}
		}
		found(t.slice(i, j), p.token)
		done = j
	}
}

// isWord is \w of Unicode technical standard 18.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.In(r, unicode.Nd, unicode.Nl, unicode.Pc,
		unicode.Other_Alphabetic, unicode.Join_Control) || in(newWords, r)
}

func endsWithWord(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return isWord(r)
}

func startsWithWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return isWord(r)
}
