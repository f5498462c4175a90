package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lomo/internal/jinja"
)

// golden reads a file that the scripts in scripts/golden wrote.
func golden(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "tokenizer", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// chatTokenizer has the special tokens that the golden templates name.
func chatTokenizer(t testing.TB, special map[string]string) *Tokenizer {
	t.Helper()
	tok := NewByteLevel()
	added := []addedToken{}
	for _, a := range tok.added {
		added = append(added, a)
	}
	for _, name := range []string{"bos_token", "eos_token", "pad_token", "unk_token"} {
		added = append(added, addedToken{ID: int32(len(added) + 1000), Content: special[name], Special: true})
	}
	if err := tok.setAdded(added); err != nil {
		t.Fatal(err)
	}
	if err := tok.setMatchers(); err != nil {
		t.Fatal(err)
	}
	tok.names.bos = tok.addedID[special["bos_token"]]
	tok.names.eos = tok.addedID[special["eos_token"]]
	tok.names.pad = tok.addedID[special["pad_token"]]
	tok.names.unk = tok.addedID[special["unk_token"]]
	return tok
}

type chatGolden struct {
	Special   map[string]string
	Templates map[string]string
	Cases     []struct {
		Name, Want, Error string
		Messages          []Message
		Prompt            bool
		Spans             [][2]int
	}
}

// TestRenderGolden compares with transformers' rendering, marks included.
func TestRenderGolden(t *testing.T) {
	var g chatGolden
	golden(t, "chat.json", &g)
	tok := chatTokenizer(t, g.Special)
	for _, c := range g.Cases {
		var got string
		var spans [][2]int
		chat, err := tok.newChat(c.Messages, ChatOptions{Template: g.Templates[c.Name]})
		if err == nil {
			var r jinja.Result
			r, err = chat.render(c.Messages, rendering{prompt: c.Prompt, marked: true})
			got, spans = r.Text, r.Generation
		}
		switch {
		case c.Error != "" && err == nil:
			t.Errorf("%s %v: got %q, want the error %q", c.Name, c.Messages, got, c.Error)
		case c.Error != "":
		case err != nil:
			t.Errorf("%s %v: %v", c.Name, c.Messages, err)
		case got != c.Want:
			t.Errorf("%s %v prompt %v:\n got %q\nwant %q", c.Name, c.Messages, c.Prompt, got, c.Want)
		case !slices.Equal(spans, c.Spans):
			t.Errorf("%s %v: generation marks %v, want %v", c.Name, c.Messages, spans, c.Spans)
		}
	}
}
