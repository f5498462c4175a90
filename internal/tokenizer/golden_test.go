package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// encodings is testdata/tokenizer/encodings.json: what Hugging Face's tokenizers library says.
type encodings struct {
	MadeBy map[string]string `json:"made_by"`
	Models map[string]map[string]json.RawMessage
	Texts  []string
	Tests  []encodingTest
}

// encodingTest is one pipeline.
type encodingTest struct {
	Name      string
	File      map[string]json.RawMessage
	Encodings []struct {
		IDs     []int32
		Offsets []int // start, end, start, …
	}
	Decodings []struct {
		IDs         []int32
		Text, Plain string
	}
	BOS []int32
}

var loadGolden = sync.OnceValue(func() (g encodings) {
	golden(new(testing.T), "encodings.json", &g)
	return g
})

// file is the tokenizer.json of test n, its model filled in.
func (g *encodings) file(n int) string {
	var model struct {
		Name    string
		Changes map[string]json.RawMessage
	}
	if err := json.Unmarshal(g.Tests[n].File["model"], &model); err != nil {
		panic(err)
	}
	parts := maps.Clone(g.Models[model.Name])
	maps.Copy(parts, model.Changes)
	file := maps.Clone(g.Tests[n].File)
	file["model"], _ = json.Marshal(parts)
	b, err := json.Marshal(file)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// pipeline is the tokenizer of this name in the golden file.
func pipeline(t testing.TB, name string) *Tokenizer {
	t.Helper()
	g := loadGolden()
	for n, test := range g.Tests {
		if test.Name == name {
			tok, err := readTokenizer(strings.NewReader(g.file(n)))
			if err != nil {
				t.Fatal(err)
			}
			return tok
		}
	}
	t.Fatalf("no pipeline %q", name)
	return nil
}

// TestGoldenIsCurrent: the golden files come from the scripts as they are now.
func TestGoldenIsCurrent(t *testing.T) {
	var chat struct {
		MadeBy map[string]string `json:"made_by"`
	}
	pieces, folders, masks := chat, chat, chat
	golden(t, "chat.json", &chat)
	golden(t, "pieces.json", &pieces)
	patterns := struct {
		MadeBy map[string]string `json:"made_by"`
	}{}
	golden(t, "patterns.json", &patterns)
	golden(t, "folders.json", &folders)
	golden(t, "masks.json", &masks)
	for _, c := range []struct {
		madeBy  map[string]string
		scripts []string
	}{
		{loadGolden().MadeBy, []string{"tokenizer.py", "tokenizer_lines.py"}},
		{chat.MadeBy, []string{"tokenizer_chat.py"}},
		{masks.MadeBy, []string{"chat_masks.py"}},
		{loadParts().MadeBy, []string{"tokenizer_parts.py"}},
		{patterns.MadeBy, []string{"tokenizer_patterns.py"}},
		{folders.MadeBy, []string{"tokenizer_folders.py", "tokenizer.py", "tokenizer_lines.py"}},
		{pieces.MadeBy, []string{"tokenizer_pieces.py", "tokenizer.py", "tokenizer_lines.py"}},
	} {
		h := sha256.New()
		for _, name := range c.scripts {
			b, err := os.ReadFile(filepath.Join("..", "..", "scripts", "golden", name))
			if err != nil {
				t.Fatal(err)
			}
			h.Write(b)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != c.madeBy["script_sha256"] {
			t.Errorf("%v have hash %s, their golden file was made by %s: run them again", c.scripts, got, c.madeBy["script_sha256"])
		}
	}
}

func TestGolden(t *testing.T) {
	g := loadGolden()
	if len(g.Tests) < 19 || len(g.Texts) < 200 {
		t.Fatalf("%d pipelines, %d texts: the golden file is not the whole", len(g.Tests), len(g.Texts))
	}
	for _, test := range g.Tests {
		t.Run(test.Name, func(t *testing.T) {
			tok := pipeline(t, test.Name)
			for i, want := range test.Encodings {
				text := g.Texts[i]
				got, err := tok.Encode(text, false)
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				if !slices.Equal(got, want.IDs) {
					t.Errorf("%q:\n got %v\nwant %v", text, spell(tok, got), spell(tok, want.IDs))
				}
				tracked, offsets, err := tok.EncodeOffsets(text, false)
				if err != nil || !slices.Equal(got, tracked) {
					t.Errorf("%q: with offsets %v, without %v (%v)", text, tracked, got, err)
				}
				if want.Offsets != nil {
					compareOffsets(t, text, offsets, want.Offsets)
				}
			}
			for _, d := range test.Decodings {
				if got := tok.Decode(d.IDs, false); got != d.Text {
					t.Errorf("decode %v:\n got %q\nwant %q", spell(tok, d.IDs), got, d.Text)
				}
				if got := tok.Decode(d.IDs, true); got != d.Plain {
					t.Errorf("decode %v without special tokens:\n got %q\nwant %q", spell(tok, d.IDs), got, d.Plain)
				}
			}
			if got, _ := tok.Encode("", true); !slices.Equal(got, test.BOS) {
				t.Errorf("added tokens %v, want %v", got, test.BOS)
			}
		})
	}
}

// compareOffsets wants each range inside Hugging Face's, which is widened to whole characters and, for
// inserted characters, to the neighbour.
func compareOffsets(t *testing.T, text string, got [][2]int, want []int) {
	t.Helper()
	if len(got)*2 != len(want) {
		t.Errorf("%q: %d ranges, want %d", text, len(got), len(want)/2)
		return
	}
	for i, span := range got {
		if span[0] < want[2*i] || span[1] > want[2*i+1] || span[0] > span[1] {
			t.Errorf("%q: token %d has %v, want a part of %v", text, i, span, want[2*i:2*i+2])
			return
		}
		// No input is lost: what Hugging Face's ranges cover, these cover together.
		if i > 0 && want[2*i] == want[2*i-1] && got[i-1][1] < span[0] {
			t.Errorf("%q: nothing covers [%d,%d)", text, got[i-1][1], span[0])
		}
	}
}

func spell(tok *Tokenizer, ids []int32) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = fmt.Sprintf("%d %q", id, tok.Token(id))
	}
	return out
}
