package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"
)

// bpe is a byte-pair-encoding model (Sennrich et al. 2016, arXiv 1508.07909) as tokenizer.json
// describes it. Its merges are gotokenizers' MergeMap, pair of ids -> rank and merged id. The rest
// of that library's BPE model is not used: it knows neither byte_fallback nor ignore_merges, its
// cache is empty, and its Word.MergeAll allocates every symbol and removes merged ones from a slice
// one by one, which takes quadratic time on the long pieces of texts without spaces. The tests
// compare merge with it.
type bpe struct {
	vocabulary
	merges bpemodel.MergeMap

	fuseUnk      bool // neighbouring unknown characters become one token
	byteFallback bool // an unknown character becomes its bytes <0xHH> where all of them exist
	ignoreMerges bool // a piece that is a token is taken whole, whatever the merges say
	// prefix stands before the characters of a piece but the first, suffix behind the last, as in the first
	// BPE models ("</w>"). The vocabulary has them; texts do not.
	prefix, suffix string

	alphabet [256]int32 // id of each byte's character in the byte alphabet, -1: none
	fallback [256]int32 // id of <0xHH>, -1: none
	// words: pieces may be cut before each ▁ that follows another character, because no merge
	// joins the two sides. Models without a pre-tokenizer (Llama-2) would else meet whole
	// documents as one piece.
	words bool
}

const wordMark = "▁"

// newBPE makes a model of a vocabulary and its merges, which must agree with it.
func newBPE(v vocabulary, merges bpemodel.MergeMap) *bpe {
	m := &bpe{vocabulary: v, merges: merges}
	for b := range 256 {
		m.alphabet[b] = m.id(string(byteRune[b]))
		m.fallback[b] = m.id(fmt.Sprintf("<0x%02X>", b))
	}
	return m
}

// setWords decides words; the rest of m must be set. Where unknown characters vanish, a piece's two
// sides of one would become neighbours.
func (m *bpe) setWords() {
	m.words = m.id(wordMark) >= 0 && !m.ignoreMerges && m.prefix == "" && m.suffix == "" && (m.unk >= 0 || m.byteFallback && !slices.Contains(m.fallback[:], -1))
	for pair := range m.merges {
		left, right := m.tokens[pair[0]], m.tokens[pair[1]]
		if strings.HasPrefix(right, wordMark) && !strings.HasSuffix(left, wordMark) {
			m.words = false
			return
		}
	}
}

// addMerge gives the pair (left, right) a rank; lower ranks merge first. Both and their
// concatenation must be tokens; a prefix of characters inside words stands once in it.
func addMerge(merges bpemodel.MergeMap, ids map[string]int32, left, right, prefix string, rank int) error {
	l, ok := ids[left]
	if !ok {
		return fmt.Errorf("merge %d: %q is not in the vocabulary", rank, left)
	}
	r, ok := ids[right]
	if !ok {
		return fmt.Errorf("merge %d: %q is not in the vocabulary", rank, right)
	}
	token := left + strings.TrimPrefix(right, prefix)
	both, ok := ids[token]
	if !ok {
		return fmt.Errorf("merge %d: %q + %q = %q is not in the vocabulary", rank, left, right, token)
	}
	merges.Set(int(l), int(r), bpemodel.MergeValue{Rank: rank, ID: int(both)})
	return nil
}

// tokenize appends the symbols of a piece to dst.
func (m *bpe) tokenize(dst []symbol, piece text, e *encoder) []symbol {
	if !m.words || piece.alphabet {
		return m.cached(dst, piece.s, 0, piece.alphabet, e)
	}
	for i := 0; i < len(piece.s); {
		n := wordEnd(piece.s[i:])
		dst = m.cached(dst, piece.s[i:i+n], int32(i), false, e)
		i += n
	}
	return dst
}

// wordEnd is the end of the first word of s: before the first ▁ that follows another character.
func wordEnd(s string) int {
	i := 0
	for strings.HasPrefix(s[i:], wordMark) {
		i += len(wordMark)
	}
	if n := strings.Index(s[i:], wordMark); n >= 0 {
		return i + n
	}
	return len(s)
}

// cached is encode with a memory for short pieces, for words repeat. at is where s starts in its
// piece.
func (m *bpe) cached(dst []symbol, s string, at int32, alphabet bool, e *encoder) []symbol {
	if s == "" || !e.fits(s, int(at)) {
		return dst
	}
	from := len(dst)
	if len(s) > maxCached {
		dst = m.encode(dst, s, alphabet, e)
	} else if slot := e.slot(s); slot.key == s {
		dst = append(dst, slot.symbols...)
	} else {
		dst = m.encode(dst, s, alphabet, e)
		slot.key = strings.Clone(s) // s may be part of a large text
		slot.symbols = append(slot.symbols[:0], dst[from:]...)
	}
	if at > 0 {
		for k := from; k < len(dst); k++ {
			dst[k].i += at
			dst[k].j += at
		}
	}
	return dst
}

// encode appends the symbols of s, one piece, to dst.
func (m *bpe) encode(dst []symbol, s string, alphabet bool, e *encoder) []symbol {
	if m.ignoreMerges {
		token := s
		if alphabet {
			token = string(appendAlphabet(nil, s))
		}
		if id, ok := m.ids[token]; ok {
			return append(dst, symbol{id, 0, int32(len(s))})
		}
	}
	if e.word = e.word[:0]; alphabet {
		e.word = slices.Grow(e.word, len(s))
		m.bytes(s, e)
	} else {
		e.word = slices.Grow(e.word, utf8.RuneCountInString(s))
		m.characters(s, e)
	}
	e.merge(m.merges)
	for k := range e.word {
		if n := &e.word[k]; n.id != gone {
			dst = append(dst, n.symbol)
		}
	}
	return dst
}

// bytes starts a word with one symbol for each byte of s, read in the byte alphabet.
func (m *bpe) bytes(s string, e *encoder) {
	var unk symbol // a run of unknown characters that may still grow; empty: none
	for i := 0; i < len(s); i++ {
		here := symbol{m.alphabet[s[i]], int32(i), int32(i + 1)}
		if here.id < 0 {
			m.unknown(string(byteRune[s[i]]), here, &unk, e)
			continue
		}
		e.flush(&unk)
		e.add(here)
	}
	e.flush(&unk)
}

// characters starts a word with one symbol for each character of s. A byte that is no UTF-8 is a
// character that no vocabulary knows.
func (m *bpe) characters(s string, e *encoder) {
	var unk symbol
	for i := 0; i < len(s); {
		_, n := utf8.DecodeRuneInString(s[i:])
		char := s[i : i+n]
		if m.prefix != "" && i > 0 {
			char = m.prefix + char
		}
		if m.suffix != "" && i+n == len(s) {
			char += m.suffix
		}
		here := symbol{m.id(char), int32(i), int32(i + n)}
		if here.id < 0 {
			m.unknown(s[i:i+n], here, &unk, e)
		} else {
			e.flush(&unk)
			e.add(here)
		}
		i += n
	}
	e.flush(&unk)
}

// unknown treats one character that is no token: its bytes, else unk, else nothing. As in Hugging
// Face's code, such bytes go before a pending unk.
func (m *bpe) unknown(char string, here symbol, unk *symbol, e *encoder) {
	if m.byteFallback && m.hasBytes(char) {
		for b := range len(char) {
			i, j := here.i+int32(b), here.i+int32(b)+1
			if int(here.j-here.i) != len(char) { // a character of the byte alphabet: one input byte
				i, j = here.i, here.j
			}
			e.add(symbol{m.fallback[char[b]], i, j})
		}
		return
	}
	if m.unk < 0 {
		return
	}
	if unk.j > unk.i && m.fuseUnk {
		unk.j = here.j
		return
	}
	e.flush(unk)
	*unk = symbol{m.unk, here.i, here.j}
}

func (m *bpe) hasBytes(char string) bool {
	for b := range len(char) {
		if m.fallback[char[b]] < 0 {
			return false
		}
	}
	return true
}
