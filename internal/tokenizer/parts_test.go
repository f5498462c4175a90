package tokenizer

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
)

// parts is testdata/tokenizer/parts.json: what single parts of Hugging Face's tokenizers library do.
type parts struct {
	MadeBy      map[string]string `json:"made_by"`
	Texts       []string
	Normalizers []struct {
		Part  json.RawMessage
		Texts []string
	}
}

var loadParts = sync.OnceValue(func() (g parts) {
	golden(new(testing.T), "parts.json", &g)
	return g
})

func TestNormalizers(t *testing.T) {
	g := loadParts()
	for _, c := range g.Normalizers {
		n, err := newNormalizer(c.Part)
		if err != nil {
			t.Errorf("%.80s: %v", c.Part, err)
			continue
		}
		for k, in := range g.Texts {
			for _, track := range []bool{false, true} {
				got, err := n.normalize(text{s: in}, track)
				if err != nil || got.s != c.Texts[k] {
					t.Errorf("%.80s of %q (offsets: %v):\n got %q, %v\nwant %q", c.Part, in, track, got.s, err, c.Texts[k])
				}
				checkSource(t, got, in)
			}
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
