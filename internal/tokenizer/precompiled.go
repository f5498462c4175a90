package tokenizer

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// precompiled is SentencePiece's table of replacements ("precompiled_charsmap": NFKC and white space of
// Unigram models): a double-array trie (Yata et al. 2007, as in the Darts library) from strings to
// offsets in a text of replacements, each ended by a zero byte.
//
// It is applied as Hugging Face's library does and not as SentencePiece itself: a grapheme of fewer
// than six bytes becomes the replacement of its shortest prefix in the trie; the characters of
// other graphemes are looked up one by one. (Marks newer than Unicode 15 do not join a grapheme here.)
type precompiled struct {
	trie         []uint32
	replacements string
}

// newPrecompiled reads the bytes of precompiled_charsmap: the size of the trie, the trie, and the
// replacements.
func newPrecompiled(charsmap []byte) (precompiled, error) {
	if len(charsmap) < 4 {
		return precompiled{}, fmt.Errorf("precompiled_charsmap: %d bytes, too few for a table", len(charsmap))
	}
	size, rest := binary.LittleEndian.Uint32(charsmap), charsmap[4:]
	if size < 4 || size%4 != 0 || uint64(size) > uint64(len(rest)) {
		return precompiled{}, fmt.Errorf("precompiled_charsmap: a trie of %d bytes in a table of %d", size, len(charsmap))
	}
	p := precompiled{trie: make([]uint32, size/4), replacements: string(rest[size:])}
	for i := range p.trie {
		p.trie[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	if !utf8.ValidString(p.replacements) {
		return precompiled{}, errors.New("precompiled_charsmap: the replacements are not UTF-8")
	}
	return p, nil
}

// readPrecompiled reads the field precompiled_charsmap of tokenizer.json, base64 of the table. Files
// converted from a model without a table have null or "": nothing is replaced.
func readPrecompiled(raw json.RawMessage) (normalizer, error) {
	var charsmap []byte
	if err := json.Unmarshal(raw, &charsmap); err != nil {
		return nil, errors.New("precompiled_charsmap is not base64")
	}
	if len(charsmap) == 0 {
		return normalizers(nil), nil
	}
	return newPrecompiled(charsmap)
}

var errTrie = errors.New("precompiled_charsmap is damaged: it points outside itself")

// replacement is what the shortest prefix of s in the trie stands for.
func (p precompiled) replacement(s string) (to string, found bool, err error) {
	// A unit has the label in its lowest byte, a leaf mark in bit 8, and the offset of its children
	// above; a leaf has bit 31 and its value below.
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	at := offset(p.trie[0])
	for i := 0; i < len(s) && s[i] != 0; i++ {
		if at ^= uint32(s[i]); int(at) >= len(p.trie) {
			return "", false, errTrie
		}
		unit := p.trie[at]
		if unit&(1<<31|0xFF) != uint32(s[i]) {
			return "", false, nil
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if int(at) >= len(p.trie) {
			return "", false, errTrie
		}
		from := int(p.trie[at] &^ (1 << 31))
		if from > len(p.replacements) || from < len(p.replacements) && !utf8.RuneStart(p.replacements[from]) {
			return "", false, errTrie
		}
		to, _, _ = strings.Cut(p.replacements[from:], "\x00")
		return to, true, nil
	}
	return "", false, nil
}

// maxGrapheme: longer graphemes are looked up character by character.
const maxGrapheme = 6 // bytes

func (p precompiled) normalize(t text, track bool) (text, error) {
	r := newRewrite(t, track)
	state := -1
	for i := 0; i < len(t.s); {
		var grapheme string
		if i+1 < len(t.s) && t.s[i] < utf8.RuneSelf && t.s[i+1] < utf8.RuneSelf && t.s[i] != '\r' {
			grapheme, state = t.s[i:i+1], -1 // between two ASCII characters there is always a boundary
		} else {
			grapheme, _, _, state = uniseg.FirstGraphemeClusterInString(t.s[i:], state)
		}
		end := i + len(grapheme)
		if len(grapheme) < maxGrapheme {
			to, found, err := p.replacement(grapheme)
			if err != nil {
				return text{}, err
			}
			if found {
				r.put(to, i, end)
				i = end
				continue
			}
		}
		for i < end {
			_, n := utf8.DecodeRuneInString(t.s[i:end])
			to, found, err := p.replacement(t.s[i : i+n])
			if err != nil {
				return text{}, err
			}
			if found {
				r.put(to, i, i+n)
			} else {
				r.keep(i, i+n)
			}
			i += n
		}
	}
	return r.text()
}
