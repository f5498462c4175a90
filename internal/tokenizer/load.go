package tokenizer

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"

	"lomo/internal/fault"
)

// Limits on a tokenizer.json. The largest in use have 262144 tokens, a million merges and 34 MB.
const (
	maxFile      = 96 << 20 // bytes
	maxMerges    = 1 << 22
	maxComponent = 4 << 20 // bytes of a normalizer, pre-tokenizer, …
	maxDepth     = 32      // of their nesting
)

// maxTokens bounds the ids. A variable for tests.
var maxTokens = 1 << 20

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
	prefix, suffix                      string // of the characters of a word but the first, and of the last

	pieces []string // of a Unigram model, by id
	scores []float64
	unkID  *int

	pad string // pad_token of "padding": transformers takes it for the tokenizer's where nothing else names one
	// named are the tokens that stand for roles in the tokenizer's own file (tokenizer.model), or by its class.
	named map[string]string
	stops []int32 // tokens besides eos that end a text
}

// openJSON reads a tokenizer.json.
func openJSON(path string) (*file, error) {
	f, size, err := openFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	read, err := readJSON(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, told(err, size))
	}
	return read, nil
}

// told says of a file of size bytes what package json says in words of Go.
func told(err error, size int64) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.Damaged("the JSON ends in the middle, at byte %d", size)
	case errors.As(err, &syntax):
		return fault.Damaged("no JSON at byte %d of %d", syntax.Offset, size)
	case errors.As(err, &kind):
		want := "an object"
		switch kind.Type.Kind() {
		case reflect.String:
			want = "a text"
		case reflect.Bool:
			want = "true or false"
		case reflect.Slice:
			want = "a list"
		case reflect.Int, reflect.Int32, reflect.Int64:
			want = "a whole number"
		}
		return errors.New(strings.Replace(err.Error(), kind.Error(), kind.Value+" found, want "+want, 1))
	}
	return err
}

// readTokenizer is the tokenizer of a tokenizer.json alone.
func readTokenizer(r io.Reader) (*Tokenizer, error) {
	f, err := readJSON(r)
	if err != nil {
		return nil, err
	}
	return f.tokenizer()
}

// readJSON reads a tokenizer.json token by token: a vocabulary as one Go value would need several
// times its final size.
func readJSON(r io.Reader) (*file, error) {
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
		case "padding":
			return object(d, func(key string) error {
				if key == "pad_token" {
					return d.Decode(&f.pad)
				}
				return skip(d)
			})
		}
		return skip(d)
	})
	if err != nil {
		return nil, err
	}
	return &f, nil
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
		case "unk_id":
			return d.Decode(&f.unkID)
		case "continuing_subword_prefix":
			// A merge leaves the prefix of its second token out, so that merges wait for it where it comes late.
			if f.merges != nil {
				return errors.New("stands behind the merges; put it before them")
			}
			return decodeText(d, &f.prefix)
		case "end_of_word_suffix":
			return decodeText(d, &f.suffix)
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

// readVocab reads {"token": id, …}, or the [["token", score], …] of a Unigram model.
func (f *file) readVocab(d *json.Decoder) error {
	if f.kind != "" && f.kind != "BPE" && f.kind != "Unigram" {
		return unsupportedModel(f.kind)
	}
	start, err := d.Token()
	switch {
	case err != nil:
		return err
	case start == json.Delim('{') && f.kind != "Unigram":
		f.ids = make(map[string]int32)
		return members(d, func(token string) error {
			var id int64
			if err := d.Decode(&id); err != nil {
				return err
			}
			if id < 0 || id >= int64(maxTokens) {
				return fmt.Errorf("id %d is outside [0, %d)", id, maxTokens)
			}
			if f.ids[token] = int32(id); len(f.ids) > maxTokens {
				return fmt.Errorf("more than %d", maxTokens)
			}
			return nil
		})
	case start == json.Delim('[') && f.kind != "BPE":
		f.kind = "Unigram"
		return elements(d, func(n int) error {
			if n >= maxTokens {
				return fmt.Errorf("more than %d", maxTokens)
			}
			token, score, err := readPiece(d)
			f.pieces, f.scores = append(f.pieces, token), append(f.scores, score)
			return err
		})
	}
	if f.kind == "Unigram" {
		return fmt.Errorf("%s found, want the list of tokens and scores of a Unigram model", shown(start))
	}
	return fmt.Errorf("%s found, want the object of tokens and ids of a %s model", shown(start), cmp.Or(f.kind, "BPE"))
}

// readPiece reads ["token", score].
func readPiece(d *json.Decoder) (token string, score float64, err error) {
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return "", 0, fmt.Errorf("%v is not a pair of token and score", start)
	}
	if err := d.Decode(&token); err != nil {
		return "", 0, err
	}
	var number json.Number
	if err := d.Decode(&number); err != nil {
		return "", 0, err
	}
	if score, err = serdeFloat(string(number)); err != nil {
		return "", 0, fmt.Errorf("score of %q: %w", token, err)
	}
	if end, err := d.Token(); err != nil || end != json.Delim(']') {
		return "", 0, fmt.Errorf("more than token and score, after %q", token)
	}
	return token, score, nil
}

// serdeFloat reads a number as the tokenizers library does, with serde_json: digits as an integer, then one multiplication or division by a power of ten. The
// result may be off by the last bit, and which of two equally good ways through a text wins hangs on it.
func serdeFloat(s string) (float64, error) {
	digits, exp, err := strings.TrimPrefix(s, "-"), 0, error(nil)
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		if exp, err = strconv.Atoi(digits[i+1:]); err != nil {
			return 0, err
		}
		digits = digits[:i]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	var n uint64
	full := false // more digits do not fit
	for i, c := range whole + fraction {
		switch d := uint64(c - '0'); {
		case !full && n <= (math.MaxUint64-d)/10:
			n = n*10 + d
			if i >= len(whole) {
				exp--
			}
		case i < len(whole):
			full = true
			exp++
		default:
			full = true
		}
	}
	f := float64(n)
	for ; exp < -308 && f != 0; exp += 308 {
		f /= 1e308
	}
	switch {
	case f == 0:
	case exp < 0:
		f /= math.Pow10(-exp)
	case exp <= 308:
		f *= math.Pow10(exp)
	default:
		f = math.Inf(1)
	}
	if math.IsInf(f, 0) {
		return 0, fmt.Errorf("%s is too large", s)
	}
	if strings.HasPrefix(s, "-") {
		f = -f
	}
	return f, nil
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
		return addMerge(f.merges, f.ids, left, right, f.prefix, n)
	})
}

// decodeText reads a string or null.
func decodeText(d *json.Decoder, to *string) error {
	var s *string
	err := d.Decode(&s)
	if s != nil {
		*to = *s
	}
	return err
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
