package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/fault"
)

// Token types of tokenizer.ggml.token_type.
const (
	typeNormal      = 1
	typeUnknown     = 2
	typeControl     = 3
	typeUserDefined = 4
	typeByte        = 6
)

// openGGUF builds the tokenizer that a GGUF file carries in its metadata.
func openGGUF(path string) (*Tokenizer, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := fromGGUF(f)
	if err != nil {
		if t, err = besideGGUF(f, path, err); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return t, nil
}

// besideGGUF is the tokenizer.json beside a GGUF file whose own tokenizer cannot be read for the reason why. Its tokens must be those
// that the GGUF file has, as far as that has any.
func besideGGUF(f *gguf.File, path string, why error) (*Tokenizer, error) {
	dir := filepath.Dir(path)
	if err := fault.Dangling(filepath.Join(dir, "tokenizer.json")); err != nil {
		return nil, fmt.Errorf("%w; and of what lies beside it: %w", why, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tokenizer.json")); err != nil {
		return nil, why
	}
	t, err := openFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("%w; and of what lies beside it: %w", why, err)
	}
	tokens := f.Strings("tokenizer.ggml.tokens")
	for id, token := range tokens {
		if have := t.Token(int32(id)); have != token && have != "" { // rows that only fill up have a name in GGUF files
			return nil, fault.Refuse("put the original model's own tokenizer.json there", "%w; the tokenizer.json beside it is another's: token %d is %.40q there and %.40q in the file", why, id, have, token)
		}
	}
	for _, role := range []string{"eos", "eot", "eom"} {
		t.names.addEOS(roleOf(f, role, t.size))
	}
	t.note("%v; the tokenizer.json beside it is used", why)
	return t, nil
}

// fromGGUF reads the keys tokenizer.ggml.*: the vocabulary of a byte-level ("gpt2") or SentencePiece
// ("llama") model. The rest of the pipeline is what Hugging Face's files of such models say.
func fromGGUF(f *gguf.File) (*Tokenizer, error) {
	tokens := f.Strings("tokenizer.ggml.tokens")
	if len(tokens) == 0 {
		return nil, fault.Refuse(besideHint, "no tokenizer.ggml.tokens: the file has no tokenizer")
	}
	if len(tokens) > maxTokens {
		return nil, fmt.Errorf("%d tokens, at most %d are read", len(tokens), maxTokens)
	}
	types, _ := f.KV["tokenizer.ggml.token_type"].([]int32)
	if types != nil && len(types) != len(tokens) {
		return nil, fmt.Errorf("%d tokens but %d token types", len(tokens), len(types))
	}
	d := file{kind: "BPE", ids: make(map[string]int32, len(tokens))}
	for id, token := range tokens {
		if types != nil && types[id] == typeUnused && token == padName(id) {
			continue // a row of the embedding without a token
		}
		if _, twice := d.ids[token]; !twice {
			d.ids[token] = int32(id)
		}
		if types == nil {
			continue
		}
		switch k := types[id]; k {
		case typeUnknown, typeControl, typeUserDefined:
			d.added = append(d.added, addedToken{ID: int32(id), Content: token, Special: k != typeUserDefined})
		}
	}
	g := ggufTokenizer{gguf: f, file: &d, tokens: tokens, types: types}
	g.addNamed()
	g.stripBehind()
	var err error
	switch model, _ := f.String("tokenizer.ggml.model"); model {
	case "gpt2":
		err = g.byteLevel()
	case "llama":
		err = g.sentencePiece()
	case "t5":
		err = g.unigram()
	default:
		err = fault.Refuse(besideHint, "tokenizer.ggml.model %.100q is not supported (gpt2, llama and t5 are)", model)
	}
	if err != nil {
		return nil, err
	}
	return g.finish()
}

// ggufTokenizer is a tokenizer on its way from metadata to a file.
type ggufTokenizer struct {
	gguf   *gguf.File
	file   *file
	tokens []string
	types  []int32

	eosByDefault bool
}

// addNamed makes added tokens of those that begin and end texts and turns, also where the file's types call them ordinary ones or there are no
// types: what is named for a role is that token wherever its text stands, as with eos_token in transformers.
func (g *ggufTokenizer) addNamed() {
	for _, role := range []string{"bos", "eos", "eot", "eom"} {
		id := g.token(role)
		if id < 0 || g.types != nil && g.types[id] != typeNormal || slices.ContainsFunc(g.file.added, func(a addedToken) bool { return a.ID == id }) {
			continue
		}
		g.file.added = append(g.file.added, addedToken{ID: id, Content: g.tokens[id], Special: true})
	}
}

// stripBehind lets Phi-3's special tokens take the white space behind them, which files do not tell; llama.cpp too knows them by the model's name.
func (g *ggufTokenizer) stripBehind() {
	name, _ := g.gguf.String("general.name")
	if name = strings.ToLower(name); !strings.Contains(name, "phi-3") && !strings.Contains(name, "phi3") {
		return
	}
	for i := range g.file.added {
		a := &g.file.added[i]
		a.RStrip = !slices.Contains([]string{"<unk>", "<s>", "<|endoftext|>"}, a.Content)
	}
}

// The pre-tokenizers that the values of tokenizer.ggml.pre stand for.
const (
	jsonByteLevel      = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	jsonByteLevelPlain = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`
	jsonDigits         = `{"type":"Digits","individual_digits":true}`
)

// byteLevel fills in a byte-level BPE model.
func (g *ggufTokenizer) byteLevel() error {
	g.file.decoder = json.RawMessage(jsonByteLevel)
	name, _ := g.gguf.String("tokenizer.ggml.pre")
	pre, err := findPre(name)
	if err != nil {
		return err
	}
	g.file.preTokenizer, g.file.ignoreMerges = pre.json(), pre.ignoreMerges
	if pre.nfc {
		g.file.normalizer = json.RawMessage(`{"type":"NFC"}`)
	}
	merges := g.gguf.Strings("tokenizer.ggml.merges")
	if len(merges) > maxMerges {
		return fmt.Errorf("%d merges, at most %d are read", len(merges), maxMerges)
	}
	if len(merges) == 0 && slices.ContainsFunc(g.tokens, g.joined) {
		return fault.Refuse(besideHint, "tokenizer.ggml.merges is missing, so how letters join into tokens is unknown")
	}
	g.file.merges = make(bpemodel.MergeMap, len(merges))
	for rank, s := range merges {
		left, right, ok := strings.Cut(s, " ")
		if !ok {
			return fmt.Errorf("merge %d: %q is not two tokens", rank, s)
		}
		if err := addMerge(g.file.merges, g.file.ids, left, right, "", rank); err != nil {
			return err
		}
	}
	return g.addTemplate(pre.bos)
}

// joined reports whether an ordinary token has several letters, which only merges make.
func (g *ggufTokenizer) joined(token string) bool {
	id, ok := g.file.ids[token]
	return ok && utf8.RuneCountInString(token) > 1 && (g.types == nil || g.types[id] == typeNormal) &&
		!slices.ContainsFunc(g.file.added, func(a addedToken) bool { return a.ID == id })
}

// sentencePiece fills in a SentencePiece BPE model: its scores become merges.
func (g *ggufTokenizer) sentencePiece() error {
	scores, _ := g.gguf.KV["tokenizer.ggml.scores"].([]float32)
	if len(scores) != len(g.tokens) {
		return fmt.Errorf("%d tokens but %d scores", len(g.tokens), len(scores))
	}
	g.file.byteFallback, g.file.fuseUnk = true, true
	for _, a := range g.file.added {
		if g.types != nil && g.types[a.ID] == typeUnknown {
			g.file.unk = &a.Content
		}
	}
	g.file.merges = g.scoredMerges(scores)
	replace := `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	prefix, given := g.gguf.KV["tokenizer.ggml.add_space_prefix"].(bool)
	strip := ""
	if prefix || !given {
		replace = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` + replace + `]}`
		strip = `,{"type":"Strip","content":" ","start":1,"stop":0}`
	}
	g.file.normalizer = json.RawMessage(replace)
	g.file.decoder = json.RawMessage(`{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},` +
		`{"type":"ByteFallback"},{"type":"Fuse"}` + strip + `]}`)
	return g.addTemplate(true)
}

// unigram fills in a SentencePiece Unigram model with its table of normalization.
func (g *ggufTokenizer) unigram() error {
	scores, _ := g.gguf.KV["tokenizer.ggml.scores"].([]float32)
	if len(scores) != len(g.tokens) {
		return fmt.Errorf("%d tokens but %d scores", len(g.tokens), len(scores))
	}
	if g.types == nil {
		return fmt.Errorf("no tokenizer.ggml.token_type: which tokens are bytes or special is not known")
	}
	yes := func(key string) bool { // true where the file does not say
		v, given := g.gguf.KV["tokenizer.ggml."+key].(bool)
		return v || !given
	}
	p := &pieceFile{tokens: g.tokens, scores: scores, types: g.types, kind: kindUnigram, prefix: yes("add_space_prefix"), removeSpaces: yes("remove_extra_whitespaces"),
		escape: true, unk: int64(g.token("unknown")), bos: -1, eos: -1, byteFallback: slices.Contains(g.types, typeByte)}
	switch table := g.gguf.KV["tokenizer.ggml.precompiled_charsmap"].(type) {
	case []uint8:
		p.charsmap = table
	case []int8:
		for _, b := range table {
			p.charsmap = append(p.charsmap, byte(b))
		}
	}
	f, err := p.file(asFile, newSides(""))
	if err != nil {
		return err
	}
	// User-defined pieces are cut out by the pre-tokenizer, behind the ▁ of a text.
	f.added = slices.DeleteFunc(g.file.added, func(a addedToken) bool { return !a.Special })
	*g.file, g.eosByDefault = *f, true
	return g.addTemplate(false)
}

// scoredMerges are the merges equivalent to SentencePiece's scores: every way to write a piece as two
// pieces, the best score first, then the longer left and right parts (generate_merges of
// transformers' convert_slow_tokenizer.py).
func (g *ggufTokenizer) scoredMerges(scores []float32) bpemodel.MergeMap {
	normal := func(id int32) bool {
		return g.types == nil || g.types[id] == typeNormal || g.types[id] == typeUserDefined
	}
	ids := g.file.ids
	var splits []split
	for id, piece := range g.tokens {
		if !normal(int32(id)) || ids[piece] != int32(id) {
			continue
		}
		from := len(splits)
		splits = append(splits, splitsOf(piece, ids, normal)...)
		slices.SortFunc(splits[from:], func(a, b split) int {
			return cmp.Or(cmp.Compare(ids[a.left], ids[b.left]), cmp.Compare(ids[a.right], ids[b.right]))
		})
	}
	slices.SortStableFunc(splits, func(a, b split) int {
		return cmp.Or(cmp.Compare(scores[b.both], scores[a.both]), cmp.Compare(b.leftSize, a.leftSize), cmp.Compare(b.rightSize, a.rightSize))
	})
	return ranked(splits, ids)
}

// maxPiece bounds the pieces that merges are made for: real ones have at most 16 characters or so,
// runs of spaces included, and the work is quadratic in the length.
const maxPiece = 512 // bytes

// addTemplate makes the post-processor of add_bos_token (with its default) and add_eos_token.
func (g *ggufTokenizer) addTemplate(bosByDefault bool) error {
	bos, given := g.gguf.KV["tokenizer.ggml.add_bos_token"].(bool)
	eos, said := g.gguf.KV["tokenizer.ggml.add_eos_token"].(bool)
	eos = eos || !said && g.eosByDefault
	var p postBuilder
	add := func(key string, typeID int) {
		if id := g.token(key); id >= 0 {
			p.special(g.tokens[id], id, typeID)
		}
	}
	for typeID := range 2 {
		if bos || !given && bosByDefault {
			add("bos", typeID)
		}
		p.sequence(typeID)
		if eos {
			add("eos", typeID)
		}
	}
	var err error
	g.file.postProcessor, err = p.json()
	return err
}

// token is the id in the key tokenizer.ggml.<role>_token_id, -1 if there is none.
func (g *ggufTokenizer) token(role string) int32 { return roleOf(g.gguf, role, len(g.tokens)) }

func roleOf(f *gguf.File, role string, tokens int) int32 {
	id, ok := f.Int("tokenizer.ggml." + role + "_token_id")
	if !ok || id < 0 || id >= tokens {
		return -1
	}
	return int32(id)
}

// finish builds the tokenizer and gives it its special tokens and chat template.
func (g *ggufTokenizer) finish() (*Tokenizer, error) {
	t, err := g.file.tokenizer()
	if err != nil {
		return nil, err
	}
	// The end of a turn may be another token than the end of a text (Llama-3: <|eot_id|>).
	t.names = special{bos: g.token("bos"), eos: g.token("eos"), pad: g.token("padding"), unk: g.token("unknown")}
	t.names.addEOS(t.names.eos)
	t.names.addEOS(g.token("eot"))
	t.names.addEOS(g.token("eom")) // of a message that awaits a tool's answer
	if t.names.unk < 0 {
		t.names.unk = t.vocab.unk
	}
	for _, role := range []string{"bos", "eos", "eot", "eom", "unknown", "padding"} {
		if id, given := g.gguf.Int("tokenizer.ggml." + role + "_token_id"); given && g.token(role) < 0 && id != -1 && int64(id) != math.MaxUint32 { // which stand for none
			t.note("tokenizer.ggml.%s_token_id is %d, and there are %d tokens: it is left out", role, id, len(g.tokens))
		}
	}
	t.source = g.file.source()
	if chat, ok := g.gguf.String("tokenizer.chat_template"); ok {
		t.chat = chatTemplates{"default": chat}
	}
	for _, name := range g.gguf.Strings("tokenizer.chat_templates") {
		if chat, ok := g.gguf.String("tokenizer.chat_template." + name); ok {
			if t.chat == nil {
				t.chat = chatTemplates{}
			}
			t.chat[name] = chat
		}
	}
	return t, nil
}
