package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// unigram is a unigram language model (Kudo 2018, arXiv 1804.10959) as tokenizer.json describes it: of all ways to write a piece as tokens, the one
// with the highest sum of scores.
type unigram struct {
	vocabulary
	scores       []float64
	trie         *trie
	unkScore     float64 // of a character that is no token
	byteFallback bool    // a run of unknown characters becomes its bytes <0xHH> where all of them exist
	fallback     [256]int32
}

// unkPenalty is how much worse an unknown character is than the worst token (kUnkPenalty of SentencePiece).
const unkPenalty = 10

// newUnigram makes a model of its tokens in the order of their ids. unk is -1 for a model without one.
func newUnigram(tokens []string, scores []float64, unk int, byteFallback bool) (*unigram, error) {
	if len(tokens) == 0 {
		return nil, errors.New("model: no vocabulary")
	}
	if unk >= len(tokens) {
		return nil, fmt.Errorf("model: unk_id %d is outside the %d tokens", unk, len(tokens))
	}
	m := &unigram{vocabulary: vocabulary{tokens: tokens, ids: make(map[string]int32, len(tokens)), unk: int32(max(unk, -1))}, scores: scores, byteFallback: byteFallback}
	worst := scores[0]
	for id, token := range tokens {
		m.ids[token] = int32(id)
		worst = min(worst, scores[id])
	}
	m.unkScore = worst - unkPenalty
	m.trie = newTrie(m.ids)
	for b := range 256 {
		m.fallback[b] = m.id(fmt.Sprintf("<0x%02X>", b))
	}
	return m, nil
}

func (m *unigram) tokenize(dst []symbol, piece text, e *encoder) []symbol {
	if piece.s == "" || !e.fits(piece.s, 0) {
		return dst
	}
	if len(piece.s) > maxCached {
		return m.encode(dst, piece, e)
	}
	slot := e.slot(piece.s)
	if slot.key == piece.s {
		return append(dst, slot.symbols...)
	}
	from := len(dst)
	dst = m.encode(dst, piece, e)
	slot.key = strings.Clone(piece.s) // it may be part of a large text
	slot.symbols = append(slot.symbols[:0], dst[from:]...)
	return dst
}

// way is the last token of the best way to some byte of a piece.
type way struct {
	score    float64
	from, id int32 // from -1: no way leads here
}

// encode is the best way through a piece, and that way's symbols.
func (m *unigram) encode(dst []symbol, piece text, e *encoder) []symbol {
	s := piece.s
	if piece.alphabet {
		s = string(appendAlphabet(nil, s))
	}
	if cap(e.steps) < len(s)+1 {
		e.steps = make([]way, len(s)+1)
	}
	best := e.steps[:len(s)+1]
	for i := range best {
		best[i] = way{from: -1}
	}
	best[0].from = 0
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		single, here := false, best[i].score
		try := func(n int, id int32, score float64) {
			if to := &best[i+n]; to.from < 0 || score+here > to.score {
				*to = way{score + here, int32(i), id}
			}
		}
		m.trie.prefixes(s[i:], func(n int, id int32) {
			try(n, id, m.scores[id])
			single = single || n == size
		})
		if !single {
			try(size, m.unk, m.unkScore)
		}
		i += size
	}
	// Back from the end; neighbouring unknown characters are one.
	from := len(dst)
	for j := int32(len(s)); j > 0; {
		n := best[j]
		if last := len(dst) - 1; n.id == m.unk && last >= from && dst[last].id == m.unk {
			dst[last].i = n.from
		} else {
			dst = append(dst, symbol{n.id, n.from, j})
		}
		j = n.from
	}
	return m.resolve(dst, from, s, piece.alphabet)
}

// resolve turns the symbols behind from round, gives runs of unknown characters their ids or bytes, and counts in bytes of the input where s is in the
// byte alphabet.
func (m *unigram) resolve(dst []symbol, from int, s string, alphabet bool) []symbol {
	back := append([]symbol(nil), dst[from:]...)
	dst = dst[:from]
	at := int32(0) // bytes of the input before the symbol
	for k := len(back) - 1; k >= 0; k-- {
		n := back[k]
		part := s[n.i:n.j]
		if alphabet {
			n.i, n.j = at, at+int32(utf8.RuneCountInString(part))
			at = n.j
		}
		if n.id != m.unk {
			dst = append(dst, n)
			continue
		}
		if id, ok := m.ids[part]; ok {
			dst = append(dst, symbol{id, n.i, n.j})
			continue
		}
		if m.byteFallback && m.hasBytes(part) {
			for b := range len(part) {
				i, j := n.i+int32(b), n.i+int32(b)+1
				if int(n.j-n.i) != len(part) {
					i, j = n.i, n.j
				}
				dst = append(dst, symbol{m.fallback[part[b]], i, j})
			}
		} else if m.unk >= 0 {
			dst = append(dst, n)
		}
	}
	return dst
}

func (m *unigram) hasBytes(s string) bool {
	for i := range len(s) {
		if m.fallback[s[i]] < 0 {
			return false
		}
	}
	return true
}

func (m *unigram) write(w *jsonFile) {
	var unk any
	if m.unk >= 0 {
		unk = m.unk
	}
	w.raw(`"model":{"type":"Unigram","unk_id":`)
	w.value(unk)
	w.raw(`,"byte_fallback":`)
	w.value(m.byteFallback)
	w.raw(",\n" + `"vocab":[`)
	for id, token := range m.tokens {
		w.comma(id)
		w.value([]any{token, m.scores[id]})
	}
	w.raw("]}}\n")
}
