package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Decode is the text of ids; special tokens are left out if skipSpecial. Ids that stand for nothing
// are skipped. Bytes that are no UTF-8 become U+FFFD.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		s := t.Token(id)
		if n, ok := t.spelling[id]; ok {
			s = n // as Hugging Face's library does
		}
		if _, known := t.added[id]; s == "" && !known || skipSpecial && t.specials[s] {
			continue
		}
		tokens = append(tokens, s)
	}
	joined := strings.Join(tokens, " ")
	if t.decoder != nil {
		joined = strings.Join(t.decoder.decode(tokens), "")
	}
	if t.cleanUp {
		for _, r := range cleaned {
			joined = strings.ReplaceAll(joined, r[0], r[1])
		}
	}
	return joined
}

// cleaned are the replacements of clean_up_tokenization_spaces, in their order.
var cleaned = [][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}}

// A decoder turns a list of tokens into a list of strings that joined make the text: the "decoder" of
// tokenizer.json.
type decoder interface {
	decode(tokens []string) []string
}

// decoders applies one after the other (Sequence).
type decoders []decoder

func (ds decoders) decode(tokens []string) []string {
	for _, d := range ds {
		tokens = d.decode(tokens)
	}
	return tokens
}

// decodeByteLevel reads the byte alphabet back.
type decodeByteLevel struct{}

func (decodeByteLevel) decode(tokens []string) []string {
	var b []byte
	for _, t := range tokens {
		b = appendFromAlphabet(b, t)
	}
	return []string{lossy(b)}
}

// decodeByteFallback joins runs of <0xHH> tokens to text; a run that is no UTF-8 becomes one U+FFFD
// for each of its bytes.
type decodeByteFallback struct{}

func (decodeByteFallback) decode(tokens []string) []string {
	out := make([]string, 0, len(tokens))
	var bytes []byte
	flush := func() {
		if utf8.Valid(bytes) {
			if len(bytes) > 0 {
				out = append(out, string(bytes))
			}
		} else {
			out = append(out, strings.Repeat("\uFFFD", len(bytes)))
		}
		bytes = bytes[:0]
	}
	for _, t := range tokens {
		if b, ok := byteToken(t); ok {
			bytes = append(bytes, b)
			continue
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out
}

// byteToken reads <0xHH>.
func byteToken(t string) (byte, bool) {
	if len(t) != 6 || !strings.HasPrefix(t, "<0x") || t[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(t[3:5], 16, 8)
	return byte(b), err == nil
}

// decodeReplace writes content for each match in each token.
type decodeReplace struct {
	pattern *pattern
	content string
}

func (d decodeReplace) decode(tokens []string) []string {
	for k, t := range tokens {
		u, err := replace(d).normalize(text{s: t}, false)
		if err == nil { // a token is short: only a hostile pattern can ask too much, and is then not applied
			tokens[k] = u.s
		}
	}
	return tokens
}

// decodeFuse makes one string of all.
type decodeFuse struct{}

func (decodeFuse) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

// decodeStrip removes up to start characters content at the start of each token, stop at the end.
type decodeStrip struct {
	content     string // one character
	start, stop int
}

func (d decodeStrip) decode(tokens []string) []string {
	for k, t := range tokens {
		for n := 0; n < d.start && strings.HasPrefix(t, d.content); n++ {
			t = t[len(d.content):]
		}
		for n := 0; n < d.stop && strings.HasSuffix(t, d.content); n++ {
			t = t[:len(t)-len(d.content)]
		}
		tokens[k] = t
	}
	return tokens
}

// decodeMetaspace turns ▁ into spaces; those of the first token vanish if the encoder may have added
// one.
type decodeMetaspace struct {
	replacement string
	prefix      bool
}

func (d decodeMetaspace) decode(tokens []string) []string {
	for k, t := range tokens {
		space := " "
		if k == 0 && d.prefix {
			space = ""
		}
		tokens[k] = strings.ReplaceAll(t, d.replacement, space)
	}
	return tokens
}

// decodeBPE writes a space for the mark of a word's end, in the last token nothing.
type decodeBPE string

func (d decodeBPE) decode(tokens []string) []string {
	for k, t := range tokens {
		space := " "
		if k == len(tokens)-1 {
			space = ""
		}
		tokens[k] = strings.ReplaceAll(t, string(d), space)
	}
	return tokens
}

// decodeWordPiece joins tokens that begin with prefix to the token before, and puts a space before
// others. cleanup takes away spaces before English punctuation and endings.
type decodeWordPiece struct {
	prefix  string
	cleanup bool
}

func (d decodeWordPiece) decode(tokens []string) []string {
	for k, t := range tokens {
		if k > 0 {
			if rest, joined := strings.CutPrefix(t, d.prefix); joined {
				t = rest
			} else {
				t = " " + t
			}
		}
		if d.cleanup {
			t = cleanup(t)
		}
		tokens[k] = t
	}
	return tokens
}

// cleanup is the library's, one replacement after the other.
func cleanup(t string) string {
	for _, r := range [...][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"},
		{" 've", "'ve"}, {" 're", "'re"},
	} {
		t = strings.ReplaceAll(t, r[0], r[1])
	}
	return t
}
