package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"

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
	const spm = "the tokenizer has no tokens <0x00> to <0xFF>"
	const merges = `the tokenizer lacks 41 merges that a SentencePiece model has, first "▁t + he"`
	refused := map[string]string{
		"bytes first": spm, "metaspace never": spm, "no unk": spm, "llama2": merges, "llama2 odd": merges, "metaspace always": merges, "metaspace first": merges,
		"cased": "the tokenizer cuts texts at", "contiguous": "by a Split of behavior Contiguous", "gpt2 prefix": "by a ByteLevel with add_prefix_space",
		"inverted": "by a Split of behavior Isolated", "next": "by a Split of behavior MergedWithNext", "previous": "by a Split of behavior MergedWithPrevious",
		"nfd": "changes texts before it cuts them (NFD)", "nfkc lower": "changes texts before it cuts them (NFKC)",
	}
	pre := map[string]string{"gpt2": "gpt-2", "llama3": "llama-bpe", "qwen2": "qwen2", "smollm": "smollm"}
	differ := map[string]int{"qwen2": 16, "gpt2": 2} // texts with added tokens that take in spaces, which is said
	g := loadGolden()
	for _, test := range g.Tests {
		t.Run(test.Name, func(t *testing.T) {
			tok := pipeline(t, test.Name)
			again, kv, notes, err := throughGGUF(t, tok, tok.VocabSize())
			if want := refused[test.Name]; want != "" {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if kv["tokenizer.ggml.pre"] != pre[test.Name] {
				t.Errorf("pre %v, want %q", kv["tokenizer.ggml.pre"], pre[test.Name])
			}
			n := 0
			for i, want := range test.Encodings {
				got, err := again.Encode(g.Texts[i], false)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want.IDs) {
					if n++; n > differ[test.Name] {
						t.Errorf("%q:\n got %v\nwant %v", g.Texts[i], spell(again, got), spell(tok, want.IDs))
					}
				}
			}
			if said := strings.Contains(strings.Join(notes, "\n"), "added tokens with spaces beside"); said != (differ[test.Name] > 0) {
				t.Errorf("%d texts differ, notes %q", n, notes)
			}
		})
	}
}

// piecesTokenizer is a SentencePiece-like tokenizer whose merges are all that scores would make.
func piecesTokenizer(t *testing.T, change func(f *file)) *Tokenizer {
	t.Helper()
	f := &file{kind: "BPE", ids: map[string]int32{}, byteFallback: true, fuseUnk: true, merges: bpemodel.MergeMap{}}
	for _, s := range []string{"<unk>", "<s>", "</s>"} {
		f.added = append(f.added, addedToken{ID: int32(len(f.ids)), Content: s, Special: true})
		f.ids[s] = int32(len(f.ids))
	}
	f.unk = &f.added[0].Content
	for b := range 256 {
		f.ids[fmt.Sprintf("<0x%02X>", b)] = int32(len(f.ids))
	}
	for _, s := range []string{"▁", "a", "b", "n", "ab", "an", "ban", "▁a", "▁an", "anab", "▁ban"} {
		f.ids[s] = int32(len(f.ids))
	}
	for rank, pair := range [][2]string{{"▁", "a"}, {"a", "n"}, {"▁a", "n"}, {"▁", "an"}, {"a", "b"}, {"b", "an"}, {"an", "ab"}, {"▁", "ban"}} {
		if err := addMerge(f.merges, f.ids, pair[0], pair[1], "", rank); err != nil {
			t.Fatal(err)
		}
	}
	f.normalizer = json.RawMessage(`{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` + jsonMarks + `]}`)
	f.decoder = json.RawMessage(`{"type":"Sequence","decoders":[` + jsonFromMarks + `,{"type":"Strip","content":" ","start":1,"stop":0}]}`)
	if change != nil {
		change(f)
	}
	tok, err := f.tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	tok.names = special{bos: 1, eos: 2, pad: -1, unk: 0, eosIDs: []int32{2}}
	tok.source = f.source()
	return tok
}

// TestGGUFOfPieces: merges become scores, spaces, bytes and added tokens keep their meaning, and merges that are not those of scores are refused.
func TestGGUFOfPieces(t *testing.T) {
	texts := []string{"", "a", "banana", "a banab", " ban", "ananab  an", "x", "é\n", "<s>ban</s> an", "ban<tool>an", "a [x] b"}
	for name, change := range map[string]func(f *file){
		"plain": nil,
		"no prefix": func(f *file) {
			f.normalizer, f.decoder = json.RawMessage(jsonMarks), json.RawMessage(`{"type":"Sequence","decoders":[`+jsonFromMarks+`]}`)
		},
		"metaspace": func(f *file) {
			f.decoder = json.RawMessage(`{"type":"Sequence","decoders":[` + jsonFromMarks + `]}`)
			f.normalizer, f.preTokenizer = nil, json.RawMessage(`{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":false}`)
		},
		"added": func(f *file) {
			f.added = append(f.added, addedToken{ID: int32(len(f.ids)), Content: "<tool>"}, addedToken{ID: int32(len(f.ids) + 1), Content: "[x]"})
		},
	} {
		tok := piecesTokenizer(t, change)
		again, kv, notes, err := throughGGUF(t, tok, tok.VocabSize()+2)
		if err != nil {
			t.Fatal(name, err)
		}
		if kv["tokenizer.ggml.model"] != "llama" || len(notes) > 0 {
			t.Errorf("%s: %v, notes %q", name, kv["tokenizer.ggml.model"], notes)
		}
		if tokens := kv["tokenizer.ggml.tokens"].([]string); tokens[len(tokens)-1] != fmt.Sprintf("[PAD%d]", len(tokens)-1) {
			t.Errorf("%s: the last row is %q", name, tokens[len(tokens)-1])
		}
		for _, text := range texts {
			want, _ := tok.Encode(text, false)
			got, err := again.Encode(text, false)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q: %v, want %v (%v)", name, text, spell(again, got), spell(tok, want), err)
			}
			if again.Decode(got, false) != tok.Decode(want, false) {
				t.Errorf("%s: %q is decoded as %q, was %q", name, text, again.Decode(got, false), tok.Decode(want, false))
			}
		}
	}
	for want, change := range map[string]func(f *file){
		`lacks 1 merge that a SentencePiece model has, first "▁ + ban"`: func(f *file) { delete(f.merges, [2]int{int(f.ids["▁"]), int(f.ids["ban"])}) },
		`those of "▁an" stand in two places`: func(f *file) {
			f.merges.Set(int(f.ids["▁a"]), int(f.ids["n"]), bpemodel.MergeValue{Rank: 100, ID: int(f.ids["▁an"])})
		},
		"no tokens <0x00> to <0xFF>": func(f *file) { f.byteFallback = false },
		"by a Prepend of":            func(f *file) { f.normalizer = json.RawMessage(`{"type":"Prepend","prepend":"_"}`) },
		"(NFKC)":                     nil,
	} {
		if change == nil {
			change, want = func(f *file) { f.normalizer = json.RawMessage(`{"type":"NFKC"}`) }, "changes texts by NFKC"
		}
		tok := piecesTokenizer(t, change)
		if _, _, err := tok.GGUF(tok.VocabSize()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestGGUFOfRoles: stops beyond eos become eot and eom, rows that the model lacks are left out and said, and what stands around texts is told.
func TestGGUFOfRoles(t *testing.T) {
	tok := NewByteLevel()
	again, kv, notes, err := throughGGUF(t, tok, 300)
	if err != nil || len(notes) > 0 {
		t.Fatal(err, notes)
	}
	if kv["tokenizer.ggml.eos_token_id"] != uint32(256) || kv["tokenizer.ggml.eot_token_id"] != uint32(258) || kv["tokenizer.ggml.add_bos_token"] != false {
		t.Errorf("%v", kv["tokenizer.ggml.eot_token_id"])
	}
	if got := again.EOSIDs(); !slices.Equal(got, tok.EOSIDs()) {
		t.Errorf("stops %v, want %v", got, tok.EOSIDs())
	}
	if again.chat["default"] != tok.chat["default"] {
		t.Error("the chat template has changed")
	}
	if _, _, notes, err := throughGGUF(t, tok, 257); err != nil || !strings.Contains(strings.Join(notes, "\n"), `left out of the tokenizer: 2 tokens for which the model has no row, first "<|im_start|>" (257)`) {
		t.Error(err, notes)
	}
	four := NewByteLevel()
	four.names.eosIDs = []int32{256, 257, 258, 10}
	if _, notes, err := four.GGUF(259); err != nil || !strings.Contains(strings.Join(notes, "\n"), "1 stop of the model left out") {
		t.Error(err, notes)
	}
	none := NewByteLevel()
	none.names.eos, none.names.eosIDs = -1, nil
	if _, notes, err := none.GGUF(259); err != nil || !strings.Contains(strings.Join(notes, "\n"), "names no token that ends a text") {
		t.Error(err, notes)
	}
}

// TestGGUFOfWholeTokens: a tokenizer that takes whole tokens before it merges is written only under a name that llama.cpp does that for, unless merges
// come to the same.
func TestGGUFOfWholeTokens(t *testing.T) {
	for _, c := range []struct {
		pattern, pre, refused string
		whole, reached        bool
	}{
		{llama3Pattern, "llama-bpe", "", true, false}, {llama3Pattern, "dbrx", "", false, false}, {llama3Pattern, "llama-bpe", "", true, true},
		{qwen2Pattern, "", "the tokenizer has ignore_merges true, and no pre-tokenizer of llama.cpp", true, false}, {qwen2Pattern, "qwen2", "", true, true},
	} {
		f := bytesFile()
		f.ids["ab"], f.ids["abc"], f.ignoreMerges = 256, 257, c.whole
		quoted, _ := json.Marshal(c.pattern)
		f.preTokenizer = json.RawMessage(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` + string(quoted) + `},"behavior":"Isolated","invert":false},` + jsonByteLevelPlain + `]}`)
		merges := [][2]string{{"a", "b"}}
		if c.reached {
			merges = append(merges, [2]string{"ab", "c"})
		}
		for rank, pair := range merges {
			if err := addMerge(f.merges, f.ids, pair[0], pair[1], "", rank); err != nil {
				t.Fatal(err)
			}
		}
		tok, err := f.tokenizer()
		if err != nil {
			t.Fatal(err)
		}
		again, kv, _, err := throughGGUF(t, tok, tok.VocabSize())
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%v, want %q", err, c.refused)
			}
			continue
		}
		if err != nil || kv["tokenizer.ggml.pre"] != c.pre {
			t.Errorf("pre %v, want %q (%v)", kv["tokenizer.ggml.pre"], c.pre, err)
			continue
		}
		want, _ := tok.Encode("abc ab", false)
		if got, _ := again.Encode("abc ab", false); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}
