package tokenizer

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"lomo/internal/onig"
)

// mustPattern is a pattern for package onig even where there is a scanner.
func mustPattern(t testing.TB, source string) *pattern {
	t.Helper()
	re, err := onig.Compile(source)
	if err != nil {
		t.Fatal(err)
	}
	return &pattern{re: re}
}

// FuzzLoad: no tokenizer.json makes the loader or the loaded tokenizer panic.
func FuzzLoad(f *testing.F) {
	// The components of every pipeline around a tiny model: large seeds would only slow the fuzzer down.
	for _, test := range loadGolden().Tests {
		file := maps.Clone(test.File)
		file["model"] = json.RawMessage(`{"type":"BPE","unk_token":"a","byte_fallback":true,"vocab":{"a":0,"▁":1,"a▁":2,"Ġ":3,"aĠ":4},"merges":["a ▁",["a","Ġ"]]}`)
		delete(file, "post_processor")
		file["added_tokens"] = json.RawMessage(`[{"id":9,"content":"<x>","lstrip":true,"rstrip":true,"single_word":true,"normalized":true}]`)
		b, err := json.Marshal(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add(tinyJSON)
	f.Add(strings.Replace(tinyJSON, `"normalizer":null`, `"normalizer":{"type":"Replace","pattern":{"Regex":"(a+)+$"},"content":"b"}`, 1))
	f.Add(strings.Replace(tinyJSON, `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Metaspace","replacement":"▁"}`, 1))
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := readTokenizer(strings.NewReader(s))
		if err != nil {
			return
		}
		ids, _, err := tok.EncodeOffsets("ab a\xff▁ <x>'s é\n", true)
		if err != nil {
			return
		}
		tok.Decode(ids, false)
	})
}

// FuzzByteLevel: byte-level encoding loses nothing, and its ranges follow each other.
func FuzzByteLevel(f *testing.F) {
	for _, s := range loadGolden().Texts[:40] {
		f.Add(s)
	}
	f.Add("\xff\xc3(\xe2\x82")
	toks := []*Tokenizer{pipeline(f, "smollm"), pipeline(f, "llama3"), NewByteLevel()}
	f.Fuzz(func(t *testing.T, s string) {
		for _, tok := range toks {
			ids, offsets, err := tok.EncodeOffsets(s, false)
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Decode(ids, false); got != lossy([]byte(s)) {
				t.Fatalf("%q decodes to %q", s, got)
			}
			end := 0
			for i, at := range offsets {
				if at[0] != end || at[1] <= at[0] {
					t.Fatalf("%q: token %d has %v after byte %d", s, i, at, end)
				}
				end = at[1]
			}
			if end != len(s) {
				t.Fatalf("%q: ranges end at %d of %d", s, end, len(s))
			}
		}
	})
}

// FuzzLossy: the result is UTF-8, valid input is unchanged, and no character is lost.
func FuzzLossy(f *testing.F) {
	f.Add([]byte("a\xe2\x82\xf0\x9f\x98\xffz"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := lossy(b)
		if !utf8.ValidString(s) || utf8.Valid(b) && s != string(b) {
			t.Fatalf("%q becomes %q", b, s)
		}
		if strings.Count(s, "\uFFFD") > utf8.RuneCount(b) {
			t.Fatalf("%q becomes %q: more marks than bytes", b, s)
		}
	})
}

// FuzzTemplate: no template panics, hangs or writes without end.
func FuzzTemplate(f *testing.F) {
	var g chatGolden
	golden(f, "chat.json", &g)
	for _, s := range g.Templates {
		f.Add(s)
	}
	for _, c := range hostileTemplates {
		f.Add(c.template)
	}
	tok := NewByteLevel()
	msgs := []Message{{Role: "user", Content: "a b"}, {Role: "assistant", Content: "c"}}
	f.Fuzz(func(t *testing.T, source string) {
		const most = 64 << 20 // jinja's limit and more
		if r, err := tok.ChatTokens(msgs, ChatOptions{Template: source + "{{ '' }}"}); err == nil && len(r.IDs) > most {
			t.Fatalf("%d tokens", len(r.IDs))
		}
	})
}
