package tokenizer

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ranksOf is a tiktoken file of all bytes and some pairs.
func ranksOf() string {
	var b strings.Builder
	for i := range 256 {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte{byte(i)}), i)
	}
	for i, s := range []string{"th", "the", " the", "a\xff"} {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(s)), 256+i)
	}
	return b.String()
}

const tinyTekken = `{"config":{"pattern":"[^\\s]+|\\s+","default_vocab_size":9,"default_num_special_tokens":4},` +
	`"vocab":[{"token_bytes":"YQ=="},{"token_bytes":"Yg=="},{"token_bytes":"YWI="},{"token_bytes":"IA=="},{"token_bytes":"/w=="},{"token_bytes":"Yw=="}],` +
	`"special_tokens":[{"rank":1,"token_str":"<s>"},{"rank":0,"token_str":"<unk>"},{"rank":2,"token_str":"</s>"}]}`

// TestVocabularyFilesRefused: what is wrong with a file that holds a vocabulary is said, with the place.
func TestVocabularyFilesRefused(t *testing.T) {
	for _, c := range []struct{ name, file, content, want string }{
		{"rank missing", "tiktoken.model", "YQ==\n", `line 1: YQ== is no token in base64 and its rank`},
		{"rank is text", "tiktoken.model", "YQ== 0\nYg== x\n", "line 2: Yg== x is no token"},
		{"rank negative", "tiktoken.model", "YQ== -1\n", "line 1:"},
		{"no base64", "tiktoken.model", "YQ== 0\n$$$ 1\n", "line 2: $$$ 1 is no token"},
		{"empty token", "tiktoken.model", " 0\n", "line 1:"},
		{"rank twice", "tiktoken.model", "YQ== 0\nYg== 0\n", "its rank 0 stand twice"},
		{"token twice", "tiktoken.model", "YQ== 0\nYQ== 1\n", "stand twice"},
		{"rank too large", "tiktoken.model", "YQ== 90000000\n", "more than"},
		{"nothing", "tiktoken.model", "\n\n", "it has no tokens"},
		{"text in tokenizer.model", "tokenizer.model", "YQ== 0\nYg==\n", "line 2: Yg== is no token"},
		{"not JSON", "tekken.json", "{", "not a tekken.json"},
		{"no pattern", "tekken.json", `{"vocab":[{"token_bytes":"YQ=="}]}`, "no config.pattern"},
		{"no vocabulary", "tekken.json", `{"config":{"pattern":"a"},"vocab":[]}`, "no vocab"},
		{"rank of a special token", "tekken.json", strings.Replace(tinyTekken, `"rank":2`, `"rank":1`, 1), "rank 1 of \"</s>\" is taken"},
		{"bytes", "tekken.json", strings.Replace(tinyTekken, "YWI=", "YW", 1), `token_bytes "YW" of token 2 is no base64`},
		{"sizes", "tekken.json", strings.Replace(tinyTekken, `"default_vocab_size":9`, `"default_vocab_size":3`, 1), "default_vocab_size is 3, of which 4 are special"},
		{"special tokens", "tekken.json", strings.Replace(tinyTekken, `"default_num_special_tokens":4`, `"default_num_special_tokens":1`, 1), "default_num_special_tokens is 1, and 3 have names"},
		{"pattern", "tekken.json", strings.Replace(tinyTekken, `[^\\s]+|`, `(`, 1), "pattern"},
		{"words of BERT", "vocab.txt", "[PAD]\n", "AutoTokenizer.from_pretrained(dir).save_pretrained(dir)"},
		{"vocabulary of GPT-2", "vocab.json", "{}", "but vocab.json"},
	} {
		dir := t.TempDir()
		write(t, dir, c.file, c.content)
		_, err := Open(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestSideFilesRefused: a side file that says what cannot be is refused with file, line and name.
func TestSideFilesRefused(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"tokenizer_config.json", "{\n\"eos_token\": 3}", "tokenizer_config.json: line 2: eos_token is 3, which names no token"},
		{"tokenizer_config.json", `{"eos_token": ["a"]}`, "eos_token is"},
		{"tokenizer_config.json", `{"pad_token": {"lstrip": true}}`, "pad_token: a token without content"},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"x": {"content": "a"}}}`, `"x" is no token id`},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"-1": {"content": "a"}}}`, `"-1" is no token id`},
		{"tokenizer_config.json", "{\n\"added_tokens_decoder\": {\n\"5\": {\"special\": true}}}", "line 3: added_tokens_decoder: 5: a token without content"},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"5": {"content": "a", "lstrip": "yes"}}}`, "lstrip"},
		{"tokenizer_config.json", `{"added_tokens_decoder": 5}`, "added_tokens_decoder"},
		{"tokenizer_config.json", `{"add_bos_token": "true"}`, "add_bos_token"},
		{"tokenizer_config.json", `{"extra_special_tokens": [3]}`, "extra_special_tokens"},
		{"tokenizer_config.json", `{"eos_token": "a", "eos_token": "b"}`, "eos_token"},
		{"tokenizer_config.json", `{"tokenizer_class": 3}`, "tokenizer_class"},
		{"tokenizer_config.json", `[]`, "tokenizer_config.json"},
		{"special_tokens_map.json", `{"eos_token": true}`, "special_tokens_map.json: line 1: eos_token is true"},
		{"special_tokens_map.json", `{"additional_special_tokens": ["a", {}]}`, "a token without content"},
		{"added_tokens.json", `{"<x>": "5"}`, "added_tokens.json: line 1: <x>"},
		{"added_tokens.json", `{"<x>": -5}`, "-5 is no token id"},
		{"added_tokens.json", `{"<x>": null}`, "null is no token id"},
		{"added_tokens.json", `{"<x>": 5.5}`, "<x>"},
		{"added_tokens.json", `{"<x>": 3`, "added_tokens.json"},
	} {
		dir := t.TempDir()
		write(t, dir, "tokenizer.json", tinyJSON)
		write(t, dir, c.file, c.content)
		_, err := Open(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") > 1 {
			t.Errorf("%s %s: %v, want %q", c.file, c.content, err, c.want)
		}
	}
}

// TestSideFilesNotes: what a folder's files say and the ids do not bear out is told.
func TestSideFilesNotes(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"tokenizer_config.json", `{"eos_token": "<end>"}`, `"<end>" is named a special token and stands in no vocabulary; as in transformers it is a new token, 4`},
		{"tokenizer_config.json", `{"pad_token": "[PAD]"}`, `"[PAD]" is named`},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"70": {"content": "<end>"}}}`, `added token "<end>" has id 70 in its file; as in transformers it is 4`},
		{"added_tokens.json", `{"<end>": 5}`, `has id 5 in its file`},
		{"added_tokens.json", `{"<end>": 4}`, ""},
		{"special_tokens_map.json", `{"eos_token": "<x>"}`, ""},
		{"generation_config.json", `{"eos_token_id": [3, 77]}`, "eos_token_id 77 is outside the tokenizer's 4 tokens"},
	} {
		dir := t.TempDir()
		write(t, dir, "tokenizer.json", tinyJSON)
		write(t, dir, c.file, c.content)
		tok, err := Open(dir)
		if err != nil {
			t.Errorf("%s: %v", c.content, err)
			continue
		}
		if got := strings.Join(tok.Notes(), "\n"); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: notes %q, want %q", c.content, got, c.want)
		}
	}
}

// TestLlama3Ranks: Llama-3's tokenizer.model as Meta publishes it has the special tokens of Meta's code, those of 3.1 where params.json is of 3.1.
func TestLlama3Ranks(t *testing.T) {
	var b strings.Builder
	for i := range llama3Ranks {
		s := []byte{byte(i)}
		if i >= 256 {
			s = []byte{byte(i >> 16), byte(i >> 8), byte(i)}
		}
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString(s), i)
	}
	dir := t.TempDir()
	write(t, dir, "tokenizer.model", b.String())
	for _, c := range []struct {
		params string
		tokens map[string]int32
		stops  []int32
	}{
		{`{"dim": 4096}`, map[string]int32{"<|begin_of_text|>": 128000, "<|end_of_text|>": 128001, "<|start_header_id|>": 128006, "<|end_header_id|>": 128007, "<|eot_id|>": 128009,
			"<|reserved_special_token_4|>": 128008, "<|reserved_special_token_5|>": 128010, "<|reserved_special_token_250|>": 128255}, []int32{128001, 128009}},
		{`{"use_scaled_rope": true}`, map[string]int32{"<|finetune_right_pad_id|>": 128004, "<|reserved_special_token_2|>": 128005, "<|eom_id|>": 128008, "<|python_tag|>": 128010,
			"<|reserved_special_token_3|>": 128011, "<|reserved_special_token_247|>": 128255}, []int32{128001, 128008, 128009}},
	} {
		write(t, dir, "params.json", c.params)
		tok, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if tok.VocabSize() != 128256 || tok.BOS() != 128000 || fmt.Sprint(tok.EOSIDs()) != fmt.Sprint(c.stops) {
			t.Errorf("%s: %d tokens, bos %d, ends %v; want %v", c.params, tok.VocabSize(), tok.BOS(), tok.EOSIDs(), c.stops)
		}
		for s, want := range c.tokens {
			if ids, err := tok.Encode("A"+s, true); err != nil || len(ids) != 3 || ids[0] != 128000 || ids[1] != 'A' || ids[2] != want {
				t.Errorf("%s is %v (%v), want 128000 65 %d", s, ids, err, want)
			}
		}
	}
}

// fuzzFile opens a file of the given name and content; what it accepts must encode and decode.
func fuzzFile(t *testing.T, dir, name string, content []byte) {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	tok, err := Open(path)
	if err != nil {
		return
	}
	ids, offsets, err := tok.EncodeOffsets("ab the\xff▁ <s>é\n", true)
	if err != nil {
		return
	}
	for i, id := range ids {
		if id < 0 || int(id) >= tok.VocabSize() || offsets[i][0] > offsets[i][1] {
			t.Fatalf("id %d with %v of %d", id, offsets[i], tok.VocabSize())
		}
	}
	tok.Decode(ids, false)
}

// FuzzTiktoken: no file makes the reader fail otherwise than by an error.
func FuzzTiktoken(f *testing.F) {
	f.Add([]byte(ranksOf()))
	f.Add([]byte("YQ== 0\r\nYg== 7\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) { fuzzFile(t, dir, "tiktoken.model", raw) })
}

// FuzzTekken: no tekken.json makes the reader fail otherwise than by an error.
func FuzzTekken(f *testing.F) {
	f.Add([]byte(tinyTekken))
	f.Add([]byte(`{"config":{"pattern":"a"},"vocab":[{"token_bytes":"YQ=="}]}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) { fuzzFile(t, dir, "tekken.json", raw) })
}

// FuzzUnigram: no Unigram tokenizer.json makes the reader fail otherwise than by an error, and ranges of tokens are those of the text.
func FuzzUnigram(f *testing.F) {
	for _, s := range []string{
		`{"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-1],["ab",-1.5],["▁",-2],["<0xFF>",-3],["th",-1]]}}`,
		`{"model":{"type":"Unigram","byte_fallback":true,"unk_id":1,"vocab":[["a",-1],["u",-1e300],["",3],["a",2]]},"pre_tokenizer":{"type":"ByteLevel"}}`,
		`{"model":{"vocab":[["a",1e308],["b",1e308]],"unk_id":0},"normalizer":{"type":"NFKC"},"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}}`,
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) { fuzzFile(t, dir, "tokenizer.json", raw) })
}

// FuzzSideFiles: no side file makes a folder fail otherwise than by an error.
func FuzzSideFiles(f *testing.F) {
	f.Add([]byte(`{"eos_token":{"content":"<x>","lstrip":true},"added_tokens_decoder":{"5":{"content":"b","normalized":true}},"extra_special_tokens":{"image_token":"i"}}`), []byte(`{"<y>":4}`))
	f.Add([]byte(`{"additional_special_tokens":["a",{"content":"ab"}],"tokenizer_class":"LlamaTokenizer","legacy":false}`), []byte(`{"a":0,"a b":9}`))
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(tinyJSON), 0o644); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, config, added []byte) {
		for name, raw := range map[string][]byte{"tokenizer_config.json": config, "special_tokens_map.json": config, "added_tokens.json": added} {
			if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tok, err := Open(dir)
		if err != nil {
			return
		}
		ids, err := tok.Encode("a <x>b i ab", true)
		if err != nil {
			return
		}
		tok.Decode(ids, true)
	})
}
