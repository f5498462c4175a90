package tokenizer

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"lomo/internal/checkpoint/gguf"
)

// throughGGUF is the tokenizer that is read of a file's metadata as GGUF writes it.
func throughGGUF(t *testing.T, tok *Tokenizer, rows int) (*Tokenizer, map[string]any, []string, error) {
	t.Helper()
	kv, notes, err := tok.GGUF(rows)
	if err != nil {
		return nil, nil, nil, err
	}
	header, size, err := gguf.Layout(kv, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse(bytes.NewReader(header), size)
	if err != nil {
		t.Fatal(err)
	}
	again, err := fromGGUF(f)
	if err != nil {
		t.Fatal(err)
	}
	return again, f.KV, notes, nil
}

// TestGGUFOfPipelines: a tokenizer that goes through a GGUF file gives the ids that the tokenizers library gives of the original, or is refused by name.
func TestGGUFOfPipelines(t *testing.T) {
	refused := map[string]string{}
	pre := map[string]string{}
	g := loadGolden()
	for _, test := range g.Tests {
		t.Run(test.Name, func(t *testing.T) {
			tok := pipeline(t, test.Name)
			again, kv, notes, err := throughGGUF(t, tok, tok.VocabSize())
			if err != nil {
				refused[test.Name] = err.Error()
				return
			}
			pre[test.Name], _ = kv["tokenizer.ggml.pre"].(string)
			differ := 0
			for i, want := range test.Encodings {
				got, err := again.Encode(g.Texts[i], false)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want.IDs) {
					if differ++; differ == 1 && len(notes) == 0 {
						t.Errorf("%q:\n got %v\nwant %v", g.Texts[i], spell(again, got), spell(tok, want.IDs))
					}
				}
			}
			t.Logf("%d of %d texts have other ids; notes %q", differ, len(test.Encodings), notes)
		})
	}
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		t.Logf("refused %s: %s", name, refused[name])
	}
	t.Logf("pre %v", pre)
}

var _ = strings.Contains
