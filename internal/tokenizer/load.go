package tokenizer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
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
