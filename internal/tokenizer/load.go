package tokenizer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"
)

// Limits on a tokenizer.json. The largest in use have 262144 tokens, a million merges and 34 MB.
const (
	maxFile      = 256 << 20 // bytes
	maxTokens    = 1 << 22   // ids
	maxMerges    = 1 << 23
	maxComponent = 4 << 20 // bytes of a normalizer, pre-tokenizer, …
	maxDepth     = 32      // of their nesting
)

// file is what a tokenizer.json says, read but not yet put together.
type file struct {
	added                                            []addedToken
	normalizer, preTokenizer, postProcessor, decoder json.RawMessage

	kind                                string // model type
	ids                                 map[string]int32
	merges                              bpemodel.MergeMap
	later                               json.RawMessage // merges that came before the vocabulary
	unk                                 *string
	fuseUnk, byteFallback, ignoreMerges bool
}

// openJSON reads a tokenizer.json.
func openJSON(path string) (*Tokenizer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", path, info.Size(), maxFile)
	}
	t, err := readJSON(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// readJSON reads a tokenizer.json token by token: a vocabulary as one Go value would need several
// times its final size.
func readJSON(r io.Reader) (*Tokenizer, error) {
	var f file
	d := json.NewDecoder(r)
	err := object(d, func(key string) error {
		switch key {
		case "added_tokens":
			return array(d, func(n int) error {
				var a addedToken
				if n >= maxTokens {
					return fmt.Errorf("more than %d", maxTokens)
				}
				if err := d.Decode(&a); err != nil {
					return err
				}
				f.added = append(f.added, a)
				return nil
			})
		case "normalizer":
			return component(d, &f.normalizer)
		case "pre_tokenizer":
			return component(d, &f.preTokenizer)
		case "post_processor":
			return component(d, &f.postProcessor)
		case "decoder":
			return component(d, &f.decoder)
		case "model":
			return f.readModel(d)
		}
		return skip(d)
	})
	if err != nil {
		return nil, err
	}
	return f.tokenizer()
}

// readModel reads the "model" object.
func (f *file) readModel(d *json.Decoder) error {
	err := object(d, func(key string) error {
		switch key {
		case "type":
			return d.Decode(&f.kind)
		case "vocab":
			return f.readVocab(d)
		case "merges":
			if f.ids == nil {
				return d.Decode(&f.later)
			}
			return f.readMerges(d)
		case "unk_token":
			return d.Decode(&f.unk)
		case "fuse_unk":
			return d.Decode(&f.fuseUnk)
		case "byte_fallback":
			return d.Decode(&f.byteFallback)
		case "ignore_merges":
			return d.Decode(&f.ignoreMerges)
		case "continuing_subword_prefix", "end_of_word_suffix":
			var affix *string
			if err := d.Decode(&affix); err != nil {
				return err
			}
			if affix != nil && *affix != "" {
				return fmt.Errorf("%q is not supported: no LLaMA-family tokenizer marks parts of words", *affix)
			}
			return nil
		case "dropout":
			var p *float64
			if err := d.Decode(&p); err != nil {
				return err
			}
			if p != nil && *p != 0 {
				return fmt.Errorf("%g is not supported: encodings must not be random", *p)
			}
			return nil
		}
		return skip(d)
	})
	if err != nil || f.later == nil || f.ids == nil {
		return err
	}
	return f.readMerges(json.NewDecoder(strings.NewReader(string(f.later))))
}

// readVocab reads {"token": id, …}. The array of a Unigram model is refused by name.
func (f *file) readVocab(d *json.Decoder) error {
	if f.kind != "" && f.kind != "BPE" {
		return unsupportedModel(f.kind)
	}
	f.ids = make(map[string]int32)
	return object(d, func(token string) error {
		var id int64
		if err := d.Decode(&id); err != nil {
			return err
		}
		if id < 0 || id >= maxTokens {
			return fmt.Errorf("id %d is outside [0, %d)", id, maxTokens)
		}
		f.ids[token] = int32(id)
		return nil
	})
}

// readMerges reads ["a b", …] or [["a","b"], …].
func (f *file) readMerges(d *json.Decoder) error {
	f.merges = make(bpemodel.MergeMap)
	return array(d, func(n int) error {
		if n >= maxMerges {
			return fmt.Errorf("more than %d", maxMerges)
		}
		first, err := d.Token()
		if err != nil {
			return err
		}
		var left, right string
		switch first := first.(type) {
		case string:
			var ok bool
			if left, right, ok = strings.Cut(first, " "); !ok || strings.Contains(right, " ") {
				return fmt.Errorf("%q is not two tokens", first)
			}
		case json.Delim:
			if first != '[' {
				return fmt.Errorf("%v is not a pair", first)
			}
			if left, right, err = readPair(d); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%v is not a pair", first)
		}
		return addMerge(f.merges, f.ids, left, right, n)
	})
}

// readPair reads the rest of ["a","b"].
func readPair(d *json.Decoder) (left, right string, err error) {
	for _, s := range []*string{&left, &right} {
		if err := d.Decode(s); err != nil {
			return "", "", err
		}
	}
	if end, err := d.Token(); err != nil || end != json.Delim(']') {
		return "", "", fmt.Errorf("a merge of other than two tokens, after %q %q", left, right)
	}
	return left, right, nil
}

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

// object reads {…} or null and calls value for each key; value must read the value.
func object(d *json.Decoder, value func(key string) error) error {
	start, err := d.Token()
	if err != nil || start == nil {
		return err
	}
	if start != json.Delim('{') {
		return fmt.Errorf("got %v, want an object", start)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		if err := value(key.(string)); err != nil { // keys of an object are strings
			return fmt.Errorf("%s: %w", clip(key.(string)), err)
		}
	}
	_, err = d.Token()
	return err
}

// array reads […] or null and calls value for each element; value must read it.
func array(d *json.Decoder, value func(n int) error) error {
	start, err := d.Token()
	if err != nil || start == nil {
		return err
	}
	if start != json.Delim('[') {
		return fmt.Errorf("got %v, want an array", start)
	}
	for n := 0; d.More(); n++ {
		if n == math.MaxInt32 {
			return errors.New("too long")
		}
		if err := value(n); err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
	}
	_, err = d.Token()
	return err
}

// skip reads any value and forgets it.
func skip(d *json.Decoder) error {
	var raw json.RawMessage
	return d.Decode(&raw)
}

// component reads a small value whose meaning depends on its type.
func component(d *json.Decoder, raw *json.RawMessage) error {
	if err := d.Decode(raw); err != nil {
		return err
	}
	if len(*raw) > maxComponent {
		return fmt.Errorf("%d bytes, at most %d are read", len(*raw), maxComponent)
	}
	// Each level is parsed again with its children, so depth is bounded; brackets inside strings
	// count too, which no real file notices.
	depth := 0
	for _, b := range *raw {
		switch b {
		case '{':
			if depth++; depth > 2*maxDepth {
				return fmt.Errorf("nested more than %d deep", 2*maxDepth)
			}
		case '}':
			depth--
		}
	}
	return nil
}

// clip shortens a key for an error message.
func clip(s string) string {
	if len(s) > 64 {
		return fmt.Sprintf("%.64q…", s)
	}
	return s
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
