package tokenizer

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/checkpoint/gguf"
)

// ggufOf is the metadata that a GGUF file of the golden pipeline would carry. Scores, for a
// SentencePiece model, are the ranks of the first merges that make each token.
func ggufOf(t *testing.T, name, model, pre string) map[string]any {
	t.Helper()
	tok := pipeline(t, name)
	n := tok.VocabSize()
	tokens, types, scores := make([]string, n), make([]int32, n), make([]float32, n)
	for id := range n {
		tokens[id], types[id], scores[id] = tok.Token(int32(id)), typeNormal, -1e6
		if a, ok := tok.added[int32(id)]; ok && a.Special {
			types[id] = typeControl
		} else if ok {
			types[id] = typeUserDefined
		} else if _, isByte := byteToken(tokens[id]); isByte {
			types[id] = 6
		}
	}
	merges := []string{}
	for rank, pair := range tok.model.(*bpe).ranked() {
		merges = append(merges, tokens[pair[0]]+" "+tokens[pair[1]])
		both, _ := tok.ID(tokens[pair[0]] + tokens[pair[1]])
		scores[both] = max(scores[both], -float32(rank))
	}
	kv := map[string]any{"tokenizer.ggml.model": model, "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
		"tokenizer.ggml.eos_token_id": uint32(2), "tokenizer.chat_template": "{{ eos_token }}"}
	if model == "gpt2" {
		kv["tokenizer.ggml.merges"] = merges
	} else {
		kv["tokenizer.ggml.scores"] = scores
		kv["tokenizer.ggml.unknown_token_id"] = uint32(0)
		types[0] = typeUnknown
	}
	return kv
}

// TestGGUFEqualsGolden: a vocabulary in GGUF encodes as its tokenizer.json, also after WriteFiles.
func TestGGUFEqualsGolden(t *testing.T) {
	g := loadGolden()
	for _, c := range []struct{ name, model, pre string }{
		{"smollm", "gpt2", "smollm"}, {"llama3", "gpt2", "llama-bpe"}, {"qwen2", "gpt2", "qwen2"}, {"llama2", "llama", "default"},
	} {
		kv := ggufOf(t, c.name, c.model, c.pre)
		kv["tokenizer.ggml.bos_token_id"] = uint32(1)
		made, err := fromGGUF(&gguf.File{KV: kv})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.name == "qwen2" {
			continue // its added tokens have flags that GGUF cannot hold; here only the pre-tokenizer's name counts
		}
		dir := t.TempDir()
		if err := made.WriteFiles(dir); err != nil {
			t.Fatal(err)
		}
		read, err := Open(dir)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if read.EOS() != 2 || read.BOS() != 1 || !read.HasChatTemplate() {
			t.Errorf("%s: %+v", c.name, read.names)
		}
		n := slices.IndexFunc(g.Tests, func(e encodingTest) bool {
			return e.Name == c.name
		})
		for i, want := range g.Tests[n].Encodings {
			for _, tok := range []*Tokenizer{made, read} {
				if got, err := tok.Encode(g.Texts[i], false); err != nil || !slices.Equal(got, want.IDs) {
					t.Errorf("%s %q:\n got %v\nwant %v (%v)", c.name, g.Texts[i], spell(tok, got), spell(tok, want.IDs), err)
				}
			}
		}
		for _, tok := range []*Tokenizer{made, read} {
			if got, _ := tok.Encode("", true); !slices.Equal(got, g.Tests[n].BOS) {
				t.Errorf("%s: added tokens %v, want %v", c.name, got, g.Tests[n].BOS)
			}
		}
	}
}

func TestGGUFTemplateKeys(t *testing.T) {
	kv := ggufOf(t, "llama2", "llama", "")
	kv["tokenizer.ggml.bos_token_id"] = uint32(1)
	kv["tokenizer.ggml.add_bos_token"], kv["tokenizer.ggml.add_eos_token"], kv["tokenizer.ggml.add_space_prefix"] = false, true, false
	kv["tokenizer.chat_templates"], kv["tokenizer.chat_template.tool_use"] = []string{"tool_use", "lost"}, "{{ tools }}"
	tok, err := fromGGUF(&gguf.File{KV: kv})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := tok.TemplateSource("tool_use"); err != nil || s != "{{ tools }}" || len(tok.chat) != 2 {
		t.Errorf("templates %v, %v", tok.chat, err)
	}
	if ids, _ := tok.Encode("a", true); len(ids) != 2 || ids[1] != 2 || tok.Token(ids[0]) != "a" {
		t.Errorf("no bos, no prefix, but eos: got %v", spell(tok, ids))
	}
}

// TestGGUFRolesBeyond: the id of a special token that is no token is said; -1, also as a uint32, stands for none.
func TestGGUFRolesBeyond(t *testing.T) {
	kv := ggufOf(t, "smollm", "gpt2", "smollm")
	kv["tokenizer.ggml.eos_token_id"], kv["tokenizer.ggml.padding_token_id"], kv["tokenizer.ggml.unknown_token_id"] = uint32(99999), uint32(1<<32-1), int32(-1)
	tok, err := fromGGUF(&gguf.File{KV: kv})
	if err != nil {
		t.Fatal(err)
	}
	if notes := tok.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "tokenizer.ggml.eos_token_id is 99999, and there are ") {
		t.Errorf("%q", notes)
	}
}

func TestGGUFRefuses(t *testing.T) {
	good := ggufOf(t, "smollm", "gpt2", "smollm")
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"tokens", nil, "no tokenizer.ggml.tokens"},
		{"token_type", []int32{1}, "1 token types"},
		{"model", "rwkv", `tokenizer.ggml.model "rwkv" is not supported`},
		{"model", "llama", "0 scores"},
		{"pre", "gpt-9", `tokenizer.ggml.pre "gpt-9" is not supported`},
		{"merges", []string{"ab"}, "is not two tokens"},
		{"merges", []string{"a €"}, "is not in the vocabulary"},
	} {
		kv := maps.Clone(good)
		kv["tokenizer.ggml."+c.key] = c.value
		if _, err := fromGGUF(&gguf.File{KV: kv}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v: error %v, want %q", c.key, c.value, err, c.want)
		}
	}
}

// TestGGUFStops: the ends of a text, of a turn and of a message all end a generated text.
// TestGGUFStripsBehind: special tokens of Phi-3's take the white space behind them, and those that begin texts do not; of other models none does.
func TestGGUFStripsBehind(t *testing.T) {
	for name, want := range map[string][]bool{"Phi3": {true, false}, "Phi 3.5 (microsoft/Phi-3.5-mini)": {true, false}, "Phi 4": {false, false}, "": {false, false}} {
		kv := ggufOf(t, "llama2", "llama", "default")
		if name != "" {
			kv["general.name"] = name
		}
		tok, err := fromGGUF(&gguf.File{KV: kv})
		if err != nil {
			t.Fatal(err)
		}
		for i, token := range []string{"</s>", "<s>"} {
			with, err := tok.Encode(token+" \u2003a", false)
			if err != nil {
				t.Fatal(err)
			}
			without, _ := tok.Encode(token+"a", false)
			if slices.Equal(with, without) != want[i] {
				t.Errorf("%q: %s behind which is white space is %v, without it %v, want the same: %v", name, token, with, without, want[i])
			}
		}
	}
}

func TestGGUFStops(t *testing.T) {
	kv := ggufOf(t, "llama2", "llama", "")
	kv["tokenizer.ggml.eot_token_id"], kv["tokenizer.ggml.eom_token_id"] = uint32(5), uint32(4)
	tok, err := fromGGUF(&gguf.File{KV: kv})
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.EOSIDs(); !slices.Equal(got, []int32{2, 5, 4}) {
		t.Errorf("ends %v", got)
	}
}

// TestGGUFUnigram: a Unigram vocabulary in GGUF encodes as the SentencePiece file that it was made of.
func TestGGUFUnigram(t *testing.T) {
	var g foldersGolden
	golden(t, "folders.json", &g)
	for _, base := range []string{"unigram.model", "bytes.model", "plain.model", "fold.model"} {
		n := slices.IndexFunc(g.Tests, func(e folderTest) bool { return e.Name == base+" alone" })
		dir := t.TempDir()
		g.lay(t, n, dir)
		raw, err := readVocabulary(filepath.Join(dir, "tokenizer.model"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := readPieces(raw)
		if err != nil {
			t.Fatal(err)
		}
		table := make([]int8, len(p.charsmap))
		for i, b := range p.charsmap {
			table[i] = int8(b)
		}
		kv := map[string]any{"tokenizer.ggml.model": "t5", "tokenizer.ggml.tokens": p.tokens, "tokenizer.ggml.scores": p.scores, "tokenizer.ggml.token_type": p.types,
			"tokenizer.ggml.unknown_token_id": uint32(p.unk), "tokenizer.ggml.eos_token_id": uint32(p.eos), "tokenizer.ggml.add_space_prefix": p.prefix,
			"tokenizer.ggml.remove_extra_whitespaces": p.removeSpaces, "tokenizer.ggml.precompiled_charsmap": table}
		tok, err := fromGGUF(&gguf.File{KV: kv})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range g.Tests[n].Want.Plain {
			if got, err := tok.Encode(g.Texts[i], true); err != nil || !slices.Equal(got, append(slices.Clone(want), int32(p.eos))) && !strings.Contains(g.Texts[i], "<unk>") {
				t.Errorf("%s: %q is %v (%v), want %v and eos", base, g.Texts[i], spell(tok, got), err, spell(tok, want))
			}
		}
	}
}

// TestGGUFNamedTokens: what is named for a role is a token wherever its text stands, whatever the file's types say of it or if there are none.
func TestGGUFNamedTokens(t *testing.T) {
	for _, types := range []string{"absent", "ordinary"} {
		kv := ggufOf(t, "smollm", "gpt2", "smollm")
		names := kv["tokenizer.ggml.tokens"].([]string)
		if types == "absent" {
			delete(kv, "tokenizer.ggml.token_type")
		} else {
			list := slices.Clone(kv["tokenizer.ggml.token_type"].([]int32))
			for i := range list {
				list[i] = typeNormal
			}
			kv["tokenizer.ggml.token_type"] = list
		}
		kv["tokenizer.ggml.bos_token_id"], kv["tokenizer.ggml.eot_token_id"] = uint32(1), uint32(0)
		tok, err := fromGGUF(&gguf.File{KV: kv})
		if err != nil {
			t.Fatal(err)
		}
		for id := range int32(3) { // eos is 2
			ids, err := tok.Encode("a"+names[id]+"b", false)
			if err != nil || !slices.Contains(ids, id) {
				t.Errorf("types %s: %q is not among %v (%v)", types, names[id], spell(tok, ids), err)
			}
		}
	}
}

// TestGGUFWithoutMerges: a vocabulary of letters and longer tokens without its merges would cut every text into letters.
func TestGGUFWithoutMerges(t *testing.T) {
	kv := ggufOf(t, "smollm", "gpt2", "smollm")
	delete(kv, "tokenizer.ggml.merges")
	if _, err := fromGGUF(&gguf.File{KV: kv}); err == nil || !strings.Contains(err.Error(), "merges is missing") {
		t.Errorf("error %v", err)
	}
	letters := map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": []string{"a", "b", "<s>"},
		"tokenizer.ggml.token_type": []int32{typeNormal, typeNormal, typeControl}}
	tok, err := fromGGUF(&gguf.File{KV: letters})
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := tok.Encode("ba<s>", false); err != nil || !slices.Equal(ids, []int32{1, 0, 2}) {
		t.Errorf("%v, %v", ids, err)
	}
}

// TestBesideGGUF: the tokenizer.json beside a GGUF file stands in for a tokenizer that cannot be read, if it has the same tokens.
func TestBesideGGUF(t *testing.T) {
	kv := ggufOf(t, "smollm", "gpt2", "smollm")
	whole, err := fromGGUF(&gguf.File{KV: kv})
	if err != nil {
		t.Fatal(err)
	}
	kv["tokenizer.ggml.pre"], kv["tokenizer.ggml.eot_token_id"] = "gpt-9", uint32(3)
	f := &gguf.File{KV: kv}
	_, why := fromGGUF(f)
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	if _, err := besideGGUF(f, path, why); err != why {
		t.Errorf("nothing beside it: %v", err)
	}
	if err := whole.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	tok, err := besideGGUF(f, path, why)
	if err != nil {
		t.Fatal(err)
	}
	const text = "Hello world's 123 x"
	want, _ := whole.Encode(text, false)
	if got, err := tok.Encode(text, false); err != nil || !slices.Equal(got, want) || !slices.Contains(tok.EOSIDs(), 3) {
		t.Errorf("%v, want %v (%v); ends %v", got, want, err, tok.EOSIDs())
	}
	if notes := strings.Join(tok.Notes(), "\n"); !strings.Contains(notes, `"gpt-9" is not supported; the tokenizer.json beside it is used`) {
		t.Errorf("notes %q", notes)
	}
	tokens := slices.Clone(kv["tokenizer.ggml.tokens"].([]string))
	tokens[10], tokens[11] = tokens[11], tokens[10]
	kv["tokenizer.ggml.tokens"] = tokens
	if _, err := besideGGUF(f, path, why); err == nil || !strings.Contains(err.Error(), "is another's: token 10 is") {
		t.Errorf("another's tokenizer: %v", err)
	}
}
