package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// tinyJSON is a complete tokenizer of two letters.
const tinyJSON = `{"version":"1.0","added_tokens":[{"id":3,"content":"<x>","special":true}],"normalizer":null,"pre_tokenizer":null,` +
	`"post_processor":null,"decoder":null,"model":{"type":"BPE","unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unigram with ids", `"type":"BPE"`, `"type":"Unigram"`, `want the list of tokens and scores`},
		{"list for a BPE", `"vocab":{"a":0,"b":1,"ab":2}`, `"vocab":[["a",-1.5]]`, "want the object of tokens and ids"},
		{"unigram without unk", `"type":"BPE","unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, `"type":"Unigram","vocab":[["a",-1.5]]`, "unk_id is missing"},
		{"unk_id null", `"type":"BPE","unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, `"unk_id":null,"vocab":[["a",-1.5]]`, "unk_id is missing"},
		{"unk_id too large", `"type":"BPE","unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, `"type":"Unigram","unk_id":7,"vocab":[["a",-1.5]]`, "unk_id 7 is outside"},
		{"empty unigram", `"type":"BPE","unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, `"type":"Unigram","unk_id":0,"vocab":[]`, "no vocabulary"},
		{"piece without score", `"type":"BPE","unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, `"type":"Unigram","unk_id":0,"vocab":[["a"]]`, "vocab"},
		{"piece of three", `"type":"BPE","unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, `"type":"Unigram","unk_id":0,"vocab":[["a",1,2]]`, "more than token and score"},
		{"score is text", `"type":"BPE","unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, `"type":"Unigram","unk_id":0,"vocab":[["a","b"]]`, "vocab"},
		{"wordlevel", `"type":"BPE"`, `"type":"WordLevel"`, `models of the LLaMA family use BPE or Unigram; check`},
		{"wordpiece", `"type":"BPE"`, `"type":"WordPiece"`, `model type "WordPiece"`},
		{"no vocabulary", `"vocab":{"a":0,"b":1,"ab":2},`, ``, "no vocabulary"},
		{"truncated", `"merges":["a b"]}}`, `"merges":["a b"`, "EOF"},
		{"not JSON", `{"version"`, `xyz`, "invalid character"},
		{"not an object", tinyJSON, `[1]`, "want an object"},
		{"id too large", `"ab":2`, `"ab":2000000000`, "id 2000000000 is outside"},
		{"negative id", `"ab":2`, `"ab":-2`, "id -2 is outside"},
		{"sparse ids", `"ab":2`, `"ab":1000000`, "highest id 1000000 with only 3 tokens"},
		{"id is text", `"ab":2`, `"ab":"2"`, "ab"},
		{"merge of three", `["a b"]`, `["a b c"]`, "is not two tokens"},
		{"merge of one", `["a b"]`, `[["a"]]`, "merges"},
		{"merge of numbers", `["a b"]`, `[1]`, "is not a pair"},
		{"unknown part of a merge", `["a b"]`, `["a c"]`, `"c" is not in the vocabulary`},
		{"unknown merge", `["a b"]`, `["b a"]`, `"ba" is not in the vocabulary`},
		{"unk", `"unk_token":null`, `"unk_token":"?"`, `unk_token "?" is not in the vocabulary`},
		{"dropout", `"unk_token":null`, `"dropout":0.1`, "must not be random"},
		{"suffix", `"type":"BPE"`, `"type":"BPE","byte_fallback":true,"end_of_word_suffix":"</w>"`, "byte_fallback beside"},
		{"added id of another", `"id":3`, `"id":1`, `id 1 is "b" in the vocabulary`},
		{"added id too large", `"id":3`, `"id":99999999`, "is outside"},
		{"normalizer", `"normalizer":null`, `"normalizer":{"type":"Casefold"}`, `normalizer: type "Casefold" is not supported`},
		{"pre-tokenizer", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"UnicodeScripts"}`, `pre_tokenizer: type "UnicodeScripts"`},
		{"behavior", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Lost"}`, `unknown behavior "Lost"`},
		{"pattern", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"}`, `pattern "("`},
		{"no pattern", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Split","behavior":"Isolated"}`, "pattern"},
		{"decoder", `"decoder":null`, `"decoder":{"type":"CTC"}`, `decoder: type "CTC"`},
		{"post-processor", `"post_processor":null`, `"post_processor":{"type":"PairProcessing"}`, `post_processor: type "PairProcessing"`},
		{"undefined token", `"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}}]}`, "used but not defined"},
		{"unknown id", `"post_processor":null`, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}}],"special_tokens":{"s":{"ids":[77]}}}`, "id 77"},
		{"metaspace", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Metaspace","replacement":"__"}`, "is not one character"},
		{"nesting", `"normalizer":null`, `"normalizer":` + strings.Repeat(`{"type":"Sequence","normalizers":[`, 200) + strings.Repeat(`]}`, 200), "nested more than"},
	} {
		s := strings.Replace(tinyJSON, c.old, c.new, 1)
		if s == tinyJSON {
			t.Fatalf("%s: nothing replaced", c.name)
		}
		_, err := readTokenizer(strings.NewReader(s))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// TestPostProcessorDoesNotGrow: templates inside each other multiply.
func TestPostProcessorDoesNotGrow(t *testing.T) {
	twice := `{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},{"Sequence":{"id":"A"}}]}`
	all := strings.Repeat(twice+",", 40) + twice
	s := strings.Replace(tinyJSON, `"post_processor":null`, `"post_processor":{"type":"Sequence","processors":[`+all+`]}`, 1)
	if _, err := readTokenizer(strings.NewReader(s)); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("error %v, want a refusal", err)
	}
}

func TestMergesBeforeVocabulary(t *testing.T) {
	s := strings.Replace(tinyJSON, `"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, `"merges":[["a","b"]],"vocab":{"a":0,"b":1,"ab":2}`, 1)
	tok, err := readTokenizer(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	if ids, _ := tok.Encode("ab<x>cb", false); !slices.Equal(ids, []int32{2, 3, 1}) {
		t.Errorf("got %v", ids)
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOpenFolder(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "no tokenizer.json") {
		t.Errorf("empty folder: %v", err)
	}
	write(t, dir, "tokenizer.model", "x")
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "can be converted") {
		t.Errorf("folder with a tokenizer.model: %v", err)
	}
	write(t, dir, "tokenizer.json", tinyJSON)
	tok, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tok.BOS() != -1 || tok.EOS() != -1 || tok.PAD() != -1 || tok.UNK() != -1 || len(tok.EOSIDs()) != 0 || tok.HasChatTemplate() {
		t.Errorf("a lone tokenizer.json has no special tokens: %+v", tok.names)
	}
	write(t, dir, "config.json", `{"eos_token_id":[3,1],"bos_token_id":0}`)
	write(t, dir, "generation_config.json", `{"eos_token_id":2,"pad_token_id":null}`)
	write(t, dir, "tokenizer_config.json", `{"eos_token":{"content":"<x>","special":true},"pad_token":null,"chat_template":[{"name":"default","template":"d"},{"name":"rag","template":"{{ 'r' }}"}]}`)
	write(t, dir, "special_tokens_map.json", `{"bos_token":"b","eos_token":"a"}`)
	if tok, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	if tok.BOS() != 1 || tok.EOS() != 0 || tok.PAD() != -1 || !slices.Equal(tok.EOSIDs(), []int32{0, 2, 3, 1}) {
		t.Errorf("special tokens %+v", tok.names)
	}
	if s, err := tok.RenderChat(nil, "", false); err != nil || s != "d" {
		t.Errorf("template of tokenizer_config.json: %q, %v", s, err)
	}
	write(t, dir, "chat_template.jinja", "j")
	if tok, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	if s, err := tok.RenderChat(nil, "", false); err != nil || s != "j" {
		t.Errorf("chat_template.jinja: %q, %v", s, err)
	}
	if tok.VocabSize() != 4 || tok.Token(3) != "<x>" || tok.Token(2) != "ab" || tok.Token(9) != "" || tok.Token(-1) != "" {
		t.Errorf("vocabulary of %d: %q %q", tok.VocabSize(), tok.Token(3), tok.Token(2))
	}
	write(t, dir, "tokenizer_config.json", `{`)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "tokenizer_config.json") {
		t.Errorf("broken tokenizer_config.json: %v", err)
	}
}

// TestCleanUp: clean_up_tokenization_spaces takes out spaces of a Unigram tokenizer alone, as in transformers; of a BPE one it would spoil texts.
func TestCleanUp(t *testing.T) {
	const bpe = `{"model":{"type":"BPE","vocab":{"a":0," .":1," 's":2," ?":3},"merges":[]},"decoder":{"type":"Fuse"}}`
	const unigram = `{"model":{"type":"Unigram","unk_id":0,"vocab":[["a",0],[" .",-1],[" 's",-1],[" ?",-1]]},"decoder":{"type":"Fuse"}}`
	for _, c := range []struct{ file, config, want string }{
		{bpe, `{"clean_up_tokenization_spaces":true}`, "a . 's ?a"},
		{bpe, `{"clean_up_tokenization_spaces":false}`, "a . 's ?a"},
		{bpe, `{}`, "a . 's ?a"},
		{unigram, `{"clean_up_tokenization_spaces":true}`, "a.'s?a"},
		{unigram, `{"clean_up_tokenization_spaces":false}`, "a . 's ?a"},
		{unigram, `{}`, "a . 's ?a"},
	} {
		dir := t.TempDir()
		write(t, dir, "tokenizer.json", c.file)
		write(t, dir, "tokenizer_config.json", c.config)
		tok, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Decode([]int32{0, 1, 2, 3, 0}, true); got != c.want {
			t.Errorf("%s with %s: %q, want %q", c.file[:24], c.config, got, c.want)
		}
	}
}

// TestOutside: an id is refused from the first on for which the model has no row.
func TestOutside(t *testing.T) {
	tok := NewByteLevel()
	for _, c := range []struct {
		ids  []int32
		size int
		want string // of the error, "" for none
	}{
		{[]int32{0, 9, 4}, 10, ""},
		{[]int32{0, 10}, 10, "token 1, "},
		{[]int32{10}, 10, "id 10, and the model's vocabulary has 10"},
		{[]int32{3, 11, 12}, 10, "token 1, "},
		{nil, 0, ""},
		{[]int32{0}, 0, "id 0"},
	} {
		if err := tok.Outside(c.ids, c.size); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v of %d: %v, want %q", c.ids, c.size, err, c.want)
		}
	}
}

// TestWriteFilesRoundTrip: a tokenizer that was made here encodes the same after WriteFiles and Open.
func TestWriteFilesRoundTrip(t *testing.T) {
	dir, again := t.TempDir(), t.TempDir()
	made := NewByteLevel()
	if err := made.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	read, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := read.WriteFiles(again); err != nil {
		t.Fatal(err)
	}
	if err := read.WriteFiles(dir); err != nil { // onto itself
		t.Fatal(err)
	}
	copied, err := Open(again)
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []*Tokenizer{read, copied} {
		if tok.VocabSize() != 259 || tok.EOS() != 256 || tok.PAD() != 256 || !slices.Equal(tok.EOSIDs(), []int32{256}) {
			t.Errorf("%d tokens, %+v", tok.VocabSize(), tok.names)
		}
		for _, s := range loadGolden().Texts {
			s += "<|im_end|>"
			want, _ := made.Encode(s, true)
			if got, err := tok.Encode(s, true); err != nil || !slices.Equal(got, want) {
				t.Fatalf("%q: %v, want %v (%v)", s, got, want, err)
			}
		}
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"} {
		b, err := os.ReadFile(filepath.Join(again, name))
		if err != nil || !json.Valid(b) {
			t.Errorf("%s: not JSON (%v)", name, err)
		}
	}
}

// TestLoadedSize bounds the memory of a vocabulary: SmolLM2's 49152 tokens and 48900 merges took
// 6.0 MB; this one has 60000 of each.
func TestLoadedSize(t *testing.T) {
	s := largeJSON(60000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tok, err := readTokenizer(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 15e6 {
		t.Errorf("%.1f MB for %d tokens, want at most 15", float64(used)/1e6, tok.VocabSize())
	}
	runtime.KeepAlive(tok)
	runtime.KeepAlive(s)
}

// largeJSON is a byte-level tokenizer whose merges make every string of letters up to some length.
func largeJSON(size int) string {
	tokens := []string{}
	for c := 'a'; c <= 'z'; c++ {
		tokens = append(tokens, string(c))
	}
	merges := [][2]string{}
	for n := 0; len(tokens) < size; n++ {
		for c := 0; c < 26 && len(tokens) < size; c++ {
			merges = append(merges, [2]string{tokens[n], tokens[c]})
			tokens = append(tokens, tokens[n]+tokens[c])
		}
	}
	ids := map[string]int{}
	for i, s := range tokens {
		ids[s] = i
	}
	b, _ := json.Marshal(map[string]any{"model": map[string]any{"type": "BPE", "vocab": ids, "merges": merges}})
	return string(b)
}
