package tokenizer

import (
	"errors"
	"fmt"
	"slices"
)

// model puts the parts of the "model" object together.
func (f *file) model() (model, error) {
	switch {
	case f.kind != "" && f.kind != "BPE" && f.kind != "Unigram":
		return nil, unsupportedModel(f.kind)
	case f.kind == "Unigram":
		if f.unkID == nil || *f.unkID < 0 {
			return nil, errors.New("model: unk_id is missing: a Unigram model needs a token for unknown characters")
		}
		return newUnigram(f.pieces, f.scores, *f.unkID, f.byteFallback)
	case f.ids == nil || f.merges == nil:
		return nil, errors.New("model: no vocabulary or no merges: not a BPE model")
	}
	v, err := newVocabulary(f.ids)
	if err != nil {
		return nil, err
	}
	m := newBPE(v, f.merges)
	m.fuseUnk, m.byteFallback, m.ignoreMerges, m.prefix, m.suffix = f.fuseUnk, f.byteFallback, f.ignoreMerges, f.prefix, f.suffix
	if m.byteFallback && m.prefix+m.suffix != "" {
		return nil, errors.New("model: byte_fallback beside continuing_subword_prefix or end_of_word_suffix is not supported; set byte_fallback to false")
	}
	if f.unk != nil {
		if m.unk = m.id(*f.unk); m.unk < 0 {
			return nil, fmt.Errorf("model: unk_token %q is not in the vocabulary", *f.unk)
		}
	}
	m.setWords()
	return m, nil
}

func unsupportedModel(kind string) error {
	return fmt.Errorf("model type %q is not supported: models of the LLaMA family use BPE or Unigram; check that the tokenizer's files belong to this model", kind)
}

// tokenizer puts the whole together.
func (f *file) tokenizer() (*Tokenizer, error) {
	return f.with(func(*Tokenizer) error { return nil })
}

// with is tokenizer, with more tokens that add adds.
func (f *file) with(add func(*Tokenizer) error) (*Tokenizer, error) {
	model, err := f.model()
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{model: model, vocab: model.vocab(), names: noSpecial, added: map[int32]addedToken{}, addedID: map[string]int32{}, specials: map[string]bool{}, firstNormalized: map[string]bool{}, highestAdded: -1}
	t.size = len(t.vocab.tokens)
	if err := t.setAdded(f.added); err != nil {
		return nil, err
	}
	if err := add(t); err != nil {
		return nil, err
	}
	if t.normalizer, err = newNormalizer(f.normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	// Marks of parts of words belong to characters, so that the bytes must be written out before them.
	if t.pre, err = newPreTokenizer(f.preTokenizer, f.prefix+f.suffix == ""); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	t.trackStart = !isNull(f.normalizer) && slices.ContainsFunc(t.pre, func(p preTokenizer) bool { m, ok := p.(metaspace); return ok && m.scheme == "first" })
	if t.decoder, err = newDecoder(f.decoder); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	if t.post, err = newPost(f.postProcessor, func(id int32) bool { return t.Token(id) != "" }); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	t.names.unk = t.vocab.unk
	return t, t.setMatchers()
}

// setAdded adds the tokens of a file, which names their ids.
func (t *Tokenizer) setAdded(added []addedToken) error {
	for _, a := range added {
		if a.ID < 0 || int(a.ID) >= maxTokens {
			return fmt.Errorf("added token %q: id %d is outside [0, %d)", a.Content, a.ID, maxTokens)
		}
		id := int(a.ID)
		if _, known := t.vocab.ids[a.Content]; !known && a.Content != "" && id < len(t.vocab.tokens) && t.vocab.tokens[id] != "" {
			return fmt.Errorf("added token %q: id %d is %q in the vocabulary", a.Content, id, t.vocab.tokens[id])
		}
		if err := t.add(a); err != nil {
			return err
		}
		if got, ok := t.ID(a.Content); ok && got != a.ID && a.Content != "" {
			t.note("added token %q has id %d in the file; as in the tokenizers library it is %d", a.Content, a.ID, got)
		}
	}
	return nil
}

// add makes a the added token of its content, as the tokenizers library's add_tokens does: a token that the vocabulary knows keeps its id, a new one
// gets the next behind all others, whatever a says; flags given later replace earlier ones. setMatchers must follow.
func (t *Tokenizer) add(a addedToken) error {
	if a.Content == "" {
		return nil
	}
	t.addSpecial(a)
	id, ok := t.ID(a.Content)
	if !ok {
		// Holes of the vocabulary count as if they were filled from the end, so that the id may be another token's.
		if id = int32(len(t.vocab.ids)); t.highestAdded >= len(t.vocab.ids) {
			id = int32(t.highestAdded) + 1
		}
		if int(id) >= maxTokens {
			return fmt.Errorf("added token %q: more than %d tokens", a.Content, maxTokens)
		}
		if s := t.Token(id); s != "" {
			return fmt.Errorf("added token %q: its id would be %d, which is %q in the vocabulary", a.Content, id, s)
		}
	}
	a.ID = id
	if old, ok := t.added[id]; ok && old == a {
		return nil
	}
	t.added[id] = a
	t.addedID[a.Content] = id
	t.highestAdded = max(t.highestAdded, int(id))
	t.size = max(t.size, int(id)+1)
	if !t.specials[a.Content] {
		t.plainOrder = append(t.plainOrder, a)
		if _, again := t.firstNormalized[a.Content]; !again {
			t.firstNormalized[a.Content] = a.Normalized
		}
	}
	return nil
}

// addSpecial puts a into the order of special tokens if it is one and new there.
func (t *Tokenizer) addSpecial(a addedToken) {
	if a.Special && a.Content != "" && !t.specials[a.Content] {
		t.specials[a.Content] = true
		t.specialOrder = append(t.specialOrder, a)
		t.firstNormalized[a.Content] = a.Normalized
	}
}

// setMatchers prepares the search for added tokens; the normalizer must be set.
func (t *Tokenizer) setMatchers() error {
	var raw, normalized []addedPattern
	t.spelling = make(map[int32]string)
	// As in the library, whether a token is looked for in the normalized text is what was said of it first, the other flags what was said last.
	for k, list := range [][]addedToken{t.specialOrder, t.plainOrder} {
		if k == 0 && t.splitSpecial {
			continue
		}
		for _, first := range list {
			a := t.added[t.addedID[first.Content]]
			if !first.Normalized {
				raw = append(raw, addedPattern{a.Content, a})
				continue
			}
			n, err := t.normalizer.normalize(text{s: a.Content}, false)
			if err != nil {
				return fmt.Errorf("added token %q: %w", a.Content, err)
			}
			normalized = append(normalized, addedPattern{n.s, a})
			if n.s != a.Content {
				t.spelling[a.ID] = n.s
			}
		}
	}
	t.raw, t.normalized = newMatcher(raw), newMatcher(normalized)
	return nil
}

// Notes are what a user should know of how the tokenizer's files were read.
func (t *Tokenizer) Notes() []string { return t.notes }

func (t *Tokenizer) note(format string, args ...any) {
	const most = 8
	note := fmt.Sprintf(format, args...)
	if len(t.notes) < most && !slices.Contains(t.notes, note) {
		t.notes = append(t.notes, note)
	}
}
