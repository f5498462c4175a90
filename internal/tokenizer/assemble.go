package tokenizer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// model puts the parts of the "model" object together.
func (f *file) model() (*bpe, error) {
	if f.kind != "" && f.kind != "BPE" {
		return nil, unsupportedModel(f.kind)
	}
	if f.ids == nil || f.merges == nil {
		return nil, errors.New("model: no vocabulary or no merges: not a BPE model")
	}
	size := int32(-1)
	for _, id := range f.ids {
		size = max(size, id)
	}
	// Ids may have gaps, but a file that only pretends to be large costs nothing.
	if int(size) > 16*len(f.ids)+1<<16 {
		return nil, fmt.Errorf("model: highest id %d with only %d tokens", size, len(f.ids))
	}
	tokens := make([]string, size+1)
	for token, id := range f.ids {
		tokens[id] = token
	}
	m := newBPE(tokens, f.ids, f.merges)
	m.fuseUnk, m.byteFallback, m.ignoreMerges = f.fuseUnk, f.byteFallback, f.ignoreMerges
	if f.unk != nil {
		if m.unk = m.id(*f.unk); m.unk < 0 {
			return nil, fmt.Errorf("model: unk_token %q is not in the vocabulary", *f.unk)
		}
	}
	m.setWords()
	return m, nil
}

func unsupportedModel(kind string) error {
	return fmt.Errorf("model type %q is not supported: LLaMA-family models use BPE", kind)
}

// tokenizer puts the whole together.
func (f *file) tokenizer() (*Tokenizer, error) {
	model, err := f.model()
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{model: model, names: noSpecial}
	if err := t.setAdded(f.added); err != nil {
		return nil, err
	}
	if t.normalizer, err = newNormalizer(f.normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if t.pre, err = newPreTokenizer(f.preTokenizer); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if t.decoder, err = newDecoder(f.decoder); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	if t.post, err = newPost(f.postProcessor, func(id int32) bool { return t.Token(id) != "" }); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	return t, t.setMatchers()
}

// setAdded registers the added tokens. As in Hugging Face's library a token that the model knows
// keeps the model's id, whatever the file says.
func (t *Tokenizer) setAdded(added []addedToken) error {
	t.added = make(map[int32]addedToken, len(added))
	t.addedID = make(map[string]int32, len(added))
	t.specials = make(map[string]bool)
	t.size = len(t.model.tokens)
	for _, a := range added {
		if a.Content == "" {
			continue
		}
		if id, ok := t.model.ids[a.Content]; ok {
			a.ID = id
		}
		if a.ID < 0 || a.ID >= maxTokens {
			return fmt.Errorf("added token %q: id %d is outside [0, %d)", a.Content, a.ID, maxTokens)
		}
		if int(a.ID) < len(t.model.tokens) && t.model.tokens[a.ID] != a.Content && t.model.tokens[a.ID] != "" {
			return fmt.Errorf("added token %q: id %d is %q in the vocabulary", a.Content, a.ID, t.model.tokens[a.ID])
		}
		t.added[a.ID] = a
		t.addedID[a.Content] = a.ID
		if a.Special {
			t.specials[a.Content] = true
		}
		t.size = max(t.size, int(a.ID)+1)
	}
	return nil
}

// setMatchers prepares the search for added tokens; the normalizer must be set.
func (t *Tokenizer) setMatchers() error {
	var raw, normalized []addedPattern
	t.spelling = make(map[int32]string)
	for _, id := range slices.Sorted(maps.Keys(t.added)) {
		a := t.added[id]
		if !a.Normalized {
			raw = append(raw, addedPattern{a.Content, a})
			continue
		}
		n, err := t.normalizer.normalize(text{s: a.Content}, false)
		if err != nil {
			return fmt.Errorf("added token %q: %w", a.Content, err)
		}
		normalized = append(normalized, addedPattern{n.s, a})
		if n.s != a.Content {
			t.spelling[id] = n.s
		}
	}
	t.raw, t.normalized = newMatcher(raw), newMatcher(normalized)
	return nil
}
