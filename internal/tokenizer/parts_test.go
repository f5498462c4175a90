package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"lomo/internal/fault"
)

// parts is testdata/tokenizer/parts.json: what single parts of Hugging Face's tokenizers library do.
type parts struct {
	MadeBy             map[string]string `json:"made_by"`
	Texts, More, Words []string
	Tokens             [][]string
	Normalizers        []struct {
		Part  json.RawMessage
		Texts []string
		SHA   string // of what it makes of every character, see everyCharacter
	}
	PreTokenizers []struct {
		Part   json.RawMessage
		Pieces [][][3]any // piece, start, end
		SHA    string
	} `json:"pre_tokenizers"`
	Decoders []struct {
		Part  json.RawMessage
		Texts []string
	}
	Tokenizers []struct {
		File  map[string]json.RawMessage
		IDs   [][]int32
		Texts []string
	}
	GGUF map[string][][]string
}

var loadParts = sync.OnceValue(func() (g parts) {
	golden(new(testing.T), "parts.json", &g)
	return g
})

// everyCharacter is every character of Unicode's first two planes and some of the others, between others, a
// thousand to a text.
func everyCharacter(yield func(string) bool) {
	var b strings.Builder
	n := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r >= 0xD800 && r < 0xE000 || r >= 0x20000 && r%64 != 0 {
			continue
		}
		b.WriteByte('a')
		b.WriteRune(r)
		b.WriteString("\u0316\u0301")
		if n++; n == 1000 {
			if !yield(b.String()) {
				return
			}
			b.Reset()
			n = 0
		}
	}
	yield(b.String())
}

// digest is the golden file's hash of texts.
type digest struct{ hash.Hash }

func newDigest() digest           { return digest{sha256.New()} }
func (d digest) add(s string)     { d.Write(append([]byte(s), 0)) }
func (d digest) sum() string      { return hex.EncodeToString(d.Sum(nil))[:32] }
func short(b json.RawMessage) any { return fmt.Sprintf("%.120s", b) }

func TestNormalizers(t *testing.T) {
	g := loadParts()
	for _, c := range g.Normalizers {
		n, err := newNormalizer(c.Part)
		if err != nil {
			t.Errorf("%s: %v", short(c.Part), err)
			continue
		}
		for k, in := range g.Texts {
			for _, track := range []bool{false, true} {
				got, err := n.normalize(text{s: in}, track)
				if err != nil || got.s != c.Texts[k] {
					t.Errorf("%s of %q (offsets: %v):\n got %q, %v\nwant %q", short(c.Part), in, track, got.s, err, c.Texts[k])
				}
				checkSource(t, got, in)
			}
		}
		if c.SHA == "" {
			continue
		}
		sum := newDigest()
		for s := range everyCharacter {
			got, err := n.normalize(text{s: s}, false)
			if err != nil {
				t.Fatal(err)
			}
			sum.add(got.s)
		}
		if sum.sum() != c.SHA {
			t.Errorf("%s: some character of Unicode is treated otherwise", short(c.Part))
		}
	}
}

func TestPreTokenizers(t *testing.T) {
	g := loadParts()
	for _, c := range g.PreTokenizers {
		p, err := newPreTokenizer(c.Part, false)
		if err != nil {
			t.Errorf("%s: %v", short(c.Part), err)
			continue
		}
		step := 1
		if len(c.Pieces) < len(g.Texts) {
			step = 3
		}
		for k, want := range c.Pieces {
			in := g.Texts[k*step]
			if in == "" {
				continue // the library leaves empty texts out before they come here
			}
			n := 0
			err := p.split(text{s: in}, true, func(u text) error {
				if n < len(want) {
					span := u.span(0, len(u.s))
					if i, j := int(want[n][1].(float64)), int(want[n][2].(float64)); u.s != want[n][0] || span[0] < i || span[1] > j {
						t.Errorf("%s of %q: piece %d is %q at %v, want %v", short(c.Part), in, n, u.s, span, want[n])
					}
				}
				n++
				return nil
			})
			if err != nil || n != len(want) {
				t.Errorf("%s of %q: %d pieces, %v, want %v", short(c.Part), in, n, err, want)
			}
		}
		if c.SHA == "" {
			continue
		}
		sum := newDigest()
		for s := range everyCharacter {
			if err := p.split(text{s: s}, false, func(u text) error { sum.add(u.s); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if sum.sum() != c.SHA {
			t.Errorf("%s: some character of Unicode is treated otherwise", short(c.Part))
		}
	}
}

func TestDecoders(t *testing.T) {
	g := loadParts()
	for _, c := range g.Decoders {
		d, err := newDecoder(c.Part)
		if err != nil {
			t.Errorf("%s: %v", short(c.Part), err)
			continue
		}
		var strip struct{ Type string }
		if err := json.Unmarshal(c.Part, &strip); err != nil {
			t.Fatal(err)
		}
		k := 0
		for _, tokens := range g.Tokens {
			if strip.Type == "Strip" && slices.ContainsFunc(tokens, func(s string) bool { return utf8.RuneCountInString(s) < 2 }) {
				continue // the library's own code panics on tokens shorter than what is stripped
			}
			if got := strings.Join(d.decode(slices.Clone(tokens)), ""); got != c.Texts[k] {
				t.Errorf("%s of %q:\n got %q\nwant %q", short(c.Part), tokens, got, c.Texts[k])
			}
			k++
		}
	}
}

// TestWholeTokenizers: post-processors, marks of parts of words, and what is written reads back alike.
func TestWholeTokenizers(t *testing.T) {
	g := loadParts()
	for _, c := range g.Tokenizers {
		b, err := json.Marshal(c.File)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := readTokenizer(strings.NewReader(string(b)))
		if err != nil {
			t.Errorf("%s: %v", b, err)
			continue
		}
		for k, word := range g.Words {
			got, err := tok.Encode(word, true)
			if err != nil || !slices.Equal(got, c.IDs[k]) {
				t.Errorf("%s: %q is %v, %v, want %v", b, word, got, err, c.IDs[k])
			}
			if got := tok.Decode(c.IDs[k], false); len(c.IDs[k]) > 0 && got != c.Texts[k] {
				t.Errorf("%s: %v is %q, want %q", b, c.IDs[k], got, c.Texts[k])
			}
		}
	}
}

// TestGGUFPre: the names of pre-tokenizers cut as the library does with the families' patterns.
func TestGGUFPre(t *testing.T) {
	g := loadParts()
	for name, texts := range g.GGUF {
		family, err := findPre(name)
		if err != nil {
			t.Error(err)
			continue
		}
		p, err := newPreTokenizer(family.json(), true) // leaves the bytes as they are
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for k, in := range append(slices.Clone(g.Texts), g.More...) {
			var got []string
			if err := p.split(text{s: in}, false, func(u text) error { got = append(got, u.s); return nil }); err != nil {
				t.Fatal(err)
			}
			if in != "" && !slices.Equal(got, texts[k]) {
				t.Errorf("%s: %q\n got %q\nwant %q", name, in, got, texts[k])
			}
		}
	}
	seen := map[string]bool{}
	for _, f := range preFamilies {
		if _, err := newPreTokenizer(f.json(), true); err != nil {
			t.Errorf("%s: %v", f.names, err)
		}
		for _, name := range strings.Fields(f.names) {
			if seen[name] {
				t.Errorf("%s stands in two families", name)
			}
			seen[name] = true
		}
	}
	for _, name := range []string{"", "gpt-9", "afmoe", "gemma4", "whitespace"} {
		var refused *fault.Error
		if _, err := findPre(name); !errors.As(err, &refused) || !strings.Contains(refused.Hint(), "tokenizer.json") {
			t.Errorf("%q: %v, want a refusal with the way out", name, err)
		}
	}
}

// TestGrowth: normalizers that multiply a text are stopped before they have.
func TestGrowth(t *testing.T) {
	double := `{"type":"Replace","pattern":{"String":"a"},"content":"` + strings.Repeat("a", 1000) + `"}`
	for _, c := range []string{
		`{"type":"Sequence","normalizers":[` + strings.Repeat(double+",", 4) + double + `]}`,
		`{"type":"Prepend","prepend":"` + strings.Repeat("x", 100_000) + `"}`,
		`{"type":"Sequence","normalizers":[` + strings.Repeat(`{"type":"Prepend","prepend":"`+strings.Repeat("x", 3000)+`"},`, 30) + `{"type":"NFC"}]}`,
		`{"type":"Replace","pattern":{"Regex":""},"content":"` + strings.Repeat("x", 80_000) + `"}`,
		`{"type":"Sequence","normalizers":[` + strings.Repeat(`{"type":"ByteLevel"},`, 24) + `{"type":"NFC"}]}`,
	} {
		n, err := newNormalizer(json.RawMessage(c))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := n.normalize(text{s: "aé", cost: allow(3)}, false); err == nil || !strings.Contains(err.Error(), "more than 64 times as long") {
			t.Errorf("%.80s: %d bytes, error %v", c, len(got.s), err)
		}
	}
	// What Unicode's forms need is far within.
	long := strings.Repeat("\uFDFA", 1000)
	if got, err := unicodeForm(norm.NFKD).normalize(text{s: long, cost: allow(len(long))}, false); err != nil || len(got.s) != 33*1000 {
		t.Errorf("U+FDFA: %d bytes, %v", len(got.s), err)
	}
}

// TestPatternBudget: the steps of a pattern are counted for the whole text, not for each match.
func TestPatternBudget(t *testing.T) {
	for _, c := range []struct{ pattern, text string }{
		{`(?:a+)+$|a`, strings.Repeat(strings.Repeat("a", 30)+"b", 200)},
		{`(a|aa)+\z`, strings.Repeat("a", 60) + "b"},
		{`(?=(a+)+c)a`, strings.Repeat("a", 40)},
		{`(?<=(?:a|aa)*b)x`, strings.Repeat("a", 2000) + strings.Repeat("x", 2000)},
		{`(?:.*?,){15}x`, strings.Repeat("1,2,3,4,5,6,7,8,9,", 20)},
	} {
		quoted, err := json.Marshal(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		n, err := newNormalizer(json.RawMessage(`{"type":"Replace","pattern":{"Regex":` + string(quoted) + `},"content":""}`))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := n.normalize(text{s: c.text, cost: allow(len(c.text))}, false); err == nil || !strings.Contains(err.Error(), "too many steps") {
			t.Errorf("%s: %v after %v", c.pattern, err, time.Since(began))
		}
	}
}

// checkSource: ranges lie in the input and do not run backwards.
func checkSource(t *testing.T, got text, in string) {
	t.Helper()
	end := int32(0)
	for k, s := range got.src {
		if s[0] < 0 || s[1] < s[0] || int(s[1]) > len(in) || s[1] < end {
			t.Errorf("%q of %q: byte %d has range %v after %d", got.s, in, k, s, end)
			return
		}
		end = s[1]
	}
}

// TestPrecompiledDamaged: tables cut short or changed are errors, or at worst replace otherwise: no
// panic, no read outside.
func TestPrecompiledDamaged(t *testing.T) {
	var p struct {
		Charsmap []byte `json:"precompiled_charsmap"`
	}
	if err := json.Unmarshal(loadParts().Normalizers[0].Part, &p); err != nil {
		t.Fatal(err)
	}
	use := func(b []byte) {
		n, err := newPrecompiled(b)
		if err != nil {
			return
		}
		for _, s := range loadParts().Texts {
			n.normalize(text{s: s}, false)
		}
	}
	for n := range 64 {
		use(p.Charsmap[:n*len(p.Charsmap)/64])
	}
	for at := range min(400, len(p.Charsmap)) {
		for _, bit := range []byte{1, 4, 0x80} {
			b := append([]byte(nil), p.Charsmap...)
			b[at*len(b)/min(400, len(b))] ^= bit
			use(b)
		}
	}
	for _, c := range []struct{ json, want string }{
		{`{"type":"Precompiled","precompiled_charsmap":"AA"}`, "base64"},
		{`{"type":"Precompiled","precompiled_charsmap":"AAAA"}`, "too few"},
		{`{"type":"Precompiled","precompiled_charsmap":"/////w=="}`, "a trie of 4294967295 bytes"},
		{`{"type":"Precompiled","precompiled_charsmap":"BAAAAAAAAAD/"}`, "not UTF-8"},
	} {
		if _, err := newNormalizer(json.RawMessage(c.json)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.json, err, c.want)
		}
	}
}
