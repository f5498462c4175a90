// Package tokenizer turns text into token ids and back, as Hugging Face's tokenizers library does,
// and renders chat templates.
//
//	tok, err := tokenizer.Open("SmolLM2-135M")          // a folder, a tokenizer.json or a .gguf
//	ids, err := tok.Encode("Hello world", false)
//	text := tok.Decode(ids, true)
//
// A text passes, as in tokenizer.json: added tokens are cut out; the rest is normalized, cut into
// pieces (pre-tokenizer), and each piece is encoded by byte-pair merges; the post-processor adds
// bos and the like. "truncation" and "padding" of the file are not applied. Texts need not be valid
// UTF-8: a wrong byte is a character of its own, which byte-level and byte_fallback models keep.
//
// A Tokenizer does not change after Open, and may be used by several goroutines.
package tokenizer

import (
	"fmt"
	"sync"
)

// Tokenizer is a loaded tokenizer.
type Tokenizer struct {
	model    model
	vocab    *vocabulary // of the model, without added tokens
	added    map[int32]addedToken
	addedID  map[string]int32
	specials map[string]bool
	// Added tokens in the order they came, with the flags they came with first: special ones, others.
	specialOrder, plainOrder []addedToken
	firstNormalized          map[string]bool // of those, by content
	highestAdded             int             // id, -1 before there are any
	splitSpecial             bool            // special tokens in a text are text (split_special_tokens)
	cleanUp                  bool            // Decode takes out spaces before punctuation (clean_up_tokenization_spaces)
	trackStart               bool            // the pre-tokenizer asks where in the input its text begins, and the normalizer may take away what stands there
	notes                    []string
	stops                    []int32          // tokens besides eos that end a text, where the format says so
	spelling                 map[int32]string // normalized contents of added tokens, where they differ
	raw                      *matcher         // added tokens looked for in the text as it is
	normalized               *matcher         // added tokens looked for after normalization
	normalizer               normalizer
	pre                      preTokenizers
	post                     template
	decoder                  decoders // nil: tokens joined by spaces
	size                     int

	names    special // bos, eos, …
	chat     chatTemplates
	source   source
	habits   sync.Map // of chat templates, by source
	encoders sync.Pool
}

// maxText bounds one text: offsets inside are 32 bits.
const maxText = 1 << 30

// Encode is the ids of text. Added tokens found in the text become their ids. special adds what the
// post-processor adds (bos for Llama). The only errors are a text over 1 GiB, a word over
// half a MiB (LongWord), and a pattern of tokenizer.json that backtracks for more than ten seconds.
func (t *Tokenizer) Encode(s string, special bool) ([]int32, error) {
	ids := make([]int32, 0, len(s)/4+8)
	err := t.encode(s, special, false, func(id int32, _ [2]int) { ids = append(ids, id) })
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// EncodeOffsets is Encode with the bytes [start,end) of the text that each token stands for. Tokens
// of the post-processor have {-1,-1}. Without a normalizer the ranges follow each other without
// gaps; unlike Hugging Face's they are not trimmed of white space, nor widened to whole characters
// where a token is part of one.
func (t *Tokenizer) EncodeOffsets(s string, special bool) ([]int32, [][2]int, error) {
	ids := make([]int32, 0, len(s)/4+8)
	offsets := make([][2]int, 0, len(s)/4+8)
	err := t.encode(s, special, true, func(id int32, span [2]int) {
		ids = append(ids, id)
		offsets = append(offsets, span)
	})
	if err != nil {
		return nil, nil, err
	}
	return ids, offsets, nil
}

// encode gives each token of s to emit. Ranges are meaningful only if track is set.
func (t *Tokenizer) encode(s string, special, track bool, emit func(int32, [2]int)) error {
	if len(s) > maxText {
		return fmt.Errorf("tokenize: text of %d bytes, at most %d are encoded at once", len(s), maxText)
	}
	for _, part := range t.post {
		switch {
		case part.text:
			if err := t.encodeText(s, track, emit); err != nil {
				return fmt.Errorf("tokenize: %w", err)
			}
		case special:
			for _, id := range part.ids {
				emit(id, [2]int{-1, -1})
			}
		}
	}
	return nil
}

func (t *Tokenizer) encodeText(s string, track bool, emit func(int32, [2]int)) error {
	e, _ := t.encoders.Get().(*encoder)
	if e == nil {
		e = new(encoder)
	}
	defer t.encoders.Put(e)

	piece := func(p text) error {
		e.symbols = t.model.tokenize(e.symbols[:0], p, e)
		if long := e.long; long != nil {
			e.long = nil
			long.At = p.span(long.At, long.At)[0]
			return long
		}
		for _, k := range e.symbols {
			emit(k.id, p.span(int(k.i), int(k.j)))
		}
		return nil
	}
	found := func(p text, a addedToken) { emit(a.ID, p.span(0, len(p.s))) }
	unnormalized := func(p text) error {
		p, err := t.normalizer.normalize(p, track || t.trackStart)
		if err != nil {
			return err
		}
		return t.normalized.split(p, func(p text) error { return t.pre.split(p, track, piece) }, found)
	}
	return t.raw.split(text{s: s, cost: allow(len(s))}, unnormalized, found)
}

// VocabSize is the highest id plus one, added tokens included.
func (t *Tokenizer) VocabSize() int { return t.size }

// Known says which of the ids below size stand for something: a vocabulary may have gaps, and a model rows beyond it.
func (t *Tokenizer) Known(size int) []bool {
	known := make([]bool, max(0, min(size, t.size)))
	for id := range known {
		_, added := t.added[int32(id)]
		known[id] = added || t.Token(int32(id)) != ""
	}
	return known
}

// SpecialIn is the first special token that a text has written out, "" for none: Encode gives its id.
func (t *Tokenizer) SpecialIn(text string) string {
	ids, err := t.Encode(text, false)
	if err != nil {
		return ""
	}
	for _, id := range ids {
		if s := t.added[id].Content; t.isAdded(id) && t.specials[s] {
			return s
		}
	}
	return ""
}

// NoRow is what to do about a token that the model has no row for.
const NoRow = "leave it out of data and template, give the model a row for it (transformers: resize_token_embeddings), or take the model's own tokenizer"

// Outside says what token of ids a model of size rows has none for; nil if there is none.
func (t *Tokenizer) Outside(ids []int32, size int) error {
	for i, id := range ids {
		if int(id) >= size {
			return fmt.Errorf("token %d, %q: id %d, and the model's vocabulary has %d (vocab_size)", i, t.Token(id), id, size)
		}
	}
	return nil
}

// Beyond says which tokens a model of size rows has none for, "" if there are none.
func (t *Tokenizer) Beyond(size int) string {
	n := t.size - size
	if n <= 0 {
		return ""
	}
	first := size
	for t.Token(int32(first)) == "" && first < t.size-1 {
		first++
	}
	s := fmt.Sprintf("the tokenizer has %d tokens and the model %d (vocab_size): %q (%d) has no row", t.size, size, t.Token(int32(first)), first)
	if n > 1 {
		s = fmt.Sprintf("the tokenizer has %d tokens and the model %d (vocab_size): the last %d have no row, the first of them %q (%d)", t.size, size, n, t.Token(int32(first)), first)
	}
	return s + "; a text that has it is refused"
}

// Token is the token with this id as the vocabulary spells it (Ġ or ▁ for a space), "" if there is
// none.
func (t *Tokenizer) Token(id int32) string {
	if a, ok := t.added[id]; ok {
		return a.Content
	}
	if id < 0 || int(id) >= len(t.vocab.tokens) {
		return ""
	}
	return t.vocab.tokens[id]
}

// ID is the id of a token in the vocabulary's spelling, and whether there is one.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.addedID[token]; ok {
		return id, true
	}
	id, ok := t.vocab.ids[token]
	return id, ok
}
