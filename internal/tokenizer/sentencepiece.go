package tokenizer

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"
)

// maxPieceFile bounds a tokenizer.model: real ones have a few megabytes.
const maxPieceFile = 64 << 20

// readVocabulary reads a file that holds a vocabulary.
func readVocabulary(path string) ([]byte, error) {
	f, size, err := openFile(path, maxPieceFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, size))
}

// The numbers of fields in SentencePiece's sentencepiece_model.proto.
const (
	modelPieces, modelTrainer, modelNormalizer                                     = 1, 2, 3
	pieceText, pieceScore, pieceType                                               = 1, 2, 3
	trainerKind, trainerSuffix, trainerByteFallback                                = 3, 24, 35
	trainerUnk, trainerBOS, trainerEOS                                             = 40, 41, 42
	trainerUnkPiece, trainerBOSPiece, trainerEOSPiece                              = 45, 46, 47
	normalizerCharsmap, normalizerPrefix, normalizerRemoveSpaces, normalizerEscape = 2, 3, 4, 5
	kindUnigram, kindBPE                                                           = 1, 2
)

// pieceFile is a SentencePiece model.
type pieceFile struct {
	tokens []string // by id
	scores []float32
	types  []int32
	kind   uint64

	byteFallback, prefix, removeSpaces, escape bool
	charsmap                                   []byte

	unk, bos, eos                int64 // ids, -1: none
	unkPiece, bosPiece, eosPiece string
}

// readPieces reads a SentencePiece model.
func readPieces(raw []byte) (*pieceFile, error) {
	p := &pieceFile{kind: kindUnigram, prefix: true, removeSpaces: true, escape: true, unk: 0, bos: 1, eos: 2, unkPiece: "<unk>", bosPiece: "<s>", eosPiece: "</s>"}
	suffix := uint64(0)
	err := fields(raw, func(number int, v uint64, body []byte) error {
		switch number {
		case modelPieces:
			text, score, typ := "", float32(0), uint64(typeNormal)
			err := fields(body, func(number int, v uint64, body []byte) error {
				switch number {
				case pieceText:
					text = string(body)
				case pieceScore:
					score = math.Float32frombits(uint32(v))
				case pieceType:
					typ = v
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(p.tokens), err)
			}
			if len(p.tokens) == maxTokens {
				return fmt.Errorf("more than %d pieces", maxTokens)
			}
			p.tokens, p.scores, p.types = append(p.tokens, text), append(p.scores, score), append(p.types, int32(typ))
		case modelTrainer:
			return fields(body, func(number int, v uint64, body []byte) error {
				switch number {
				case trainerKind:
					p.kind = v
				case trainerSuffix:
					suffix = v
				case trainerByteFallback:
					p.byteFallback = v != 0
				case trainerUnk:
					p.unk = int64(int32(v))
				case trainerBOS:
					p.bos = int64(int32(v))
				case trainerEOS:
					p.eos = int64(int32(v))
				case trainerUnkPiece:
					p.unkPiece = string(body)
				case trainerBOSPiece:
					p.bosPiece = string(body)
				case trainerEOSPiece:
					p.eosPiece = string(body)
				}
				return nil
			})
		case modelNormalizer:
			return fields(body, func(number int, v uint64, body []byte) error {
				switch number {
				case normalizerCharsmap:
					p.charsmap = body
				case normalizerPrefix:
					p.prefix = v != 0
				case normalizerRemoveSpaces:
					p.removeSpaces = v != 0
				case normalizerEscape:
					p.escape = v != 0
				}
				return nil
			})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("not a SentencePiece model: %w", err)
	case len(p.tokens) == 0:
		return nil, errors.New("not a SentencePiece model: it has no pieces")
	case p.kind != kindBPE && p.kind != kindUnigram:
		return nil, fmt.Errorf("a SentencePiece model of kind %d: only Unigram (%d) and BPE (%d) are supported", p.kind, kindUnigram, kindBPE)
	case suffix != 0:
		return nil, errors.New("a SentencePiece model that writes spaces behind words (treat_whitespace_as_suffix) is not supported")
	case p.unk >= int64(len(p.tokens)):
		return nil, fmt.Errorf("a SentencePiece model whose unk_id %d is none of its %d pieces", p.unk, len(p.tokens))
	}
	return p, nil
}

// file is the tokenizer.json that transformers 5 makes of the model, with the pipeline of c or, without one, with what the model says of itself.
// Control pieces and user-defined ones are tokens wherever they stand in a text.
func (p *pieceFile) file(c *tokenizerClass, s *sides) (*file, error) {
	if p.unk < 0 && p.kind == kindUnigram {
		return nil, errors.New("a SentencePiece model without a piece for unknown characters is not supported")
	}
	// They take the place of what special_tokens_map.json lists.
	s.late = nil
	for id, token := range p.tokens {
		if t := p.types[id]; t == typeControl || t == typeUserDefined && c.pipeline != nil && p.kind == kindBPE {
			s.late = append(s.late, addedToken{Content: token, Special: t == typeControl})
		}
	}
	if c.pipeline != nil && p.kind == kindBPE {
		f := &file{kind: "BPE", ids: p.ids(nil)}
		f.merges = p.vocabularyMerges(f.ids)
		return f, nil
	}
	f := &file{byteFallback: p.byteFallback, named: map[string]string{}}
	for _, r := range []struct {
		role, piece string
		id          int64
	}{{"unk_token", p.unkPiece, p.unk}, {"bos_token", p.bosPiece, p.bos}, {"eos_token", p.eosPiece, p.eos}} {
		if r.id >= 0 {
			f.named[r.role] = r.piece
		}
	}
	var userDefined []string
	if p.kind == kindBPE {
		names := map[int32]string{}
		for id, a := range s.decoder {
			names[id] = a.Content
		}
		f.kind, f.ids, f.fuseUnk = "BPE", p.ids(names), true
		of := make([]string, len(p.tokens))
		for token, id := range f.ids {
			of[id] = token
		}
		f.merges = p.scoredMerges(of)
		if _, ok := f.ids[p.unkPiece]; ok {
			f.unk = &p.unkPiece
		}
		userDefined = p.userDefined(of)
		f.ignoreMerges = len(userDefined) > 0
	} else {
		unk := int(p.unk)
		f.kind, f.pieces, f.unkID, f.scores = "Unigram", p.tokens, &unk, make([]float64, len(p.scores))
		for i, x := range p.scores {
			f.scores[i] = float64(x)
		}
		userDefined = p.userDefined(p.tokens)
	}
	if p.prefix {
		for id, a := range s.decoder { // each part of a text between added tokens gets its own ▁
			a.Normalized = false
			s.decoder[id] = a
		}
	}
	p.components(f, userDefined, s.legacy == nil || *s.legacy)
	return f, nil
}

// userDefined are the user-defined pieces as the tokenizer names them.
func (p *pieceFile) userDefined(tokens []string) []string {
	var out []string
	for id, t := range p.types {
		if t == typeUserDefined && tokens[id] != "" {
			out = append(out, tokens[id])
		}
	}
	return out
}

// components fills in normalizer, pre-tokenizer and decoder.
func (p *pieceFile) components(f *file, userDefined []string, legacy bool) {
	type part = map[string]any
	replace := func(kind, pattern, content string) part {
		return part{"type": "Replace", "pattern": part{kind: pattern}, "content": content}
	}
	normalizers, pre := []part{}, []part{}
	if len(p.charsmap) > 0 {
		normalizers = append(normalizers, part{"type": "Precompiled", "precompiled_charsmap": p.charsmap})
	}
	if p.removeSpaces {
		normalizers = append(normalizers, replace("Regex", `\A +| +\z`, ""), replace("Regex", " {2,}", " "))
	}
	if p.escape {
		normalizers = append(normalizers, replace("String", " ", wordMark))
	}
	decoders := []part{replace("String", wordMark, " ")}
	if p.byteFallback {
		decoders = append(decoders, part{"type": "ByteFallback"})
	}
	if p.prefix {
		scheme := "first"
		if legacy {
			// Metaspace puts no ▁ before a text that begins with one, SentencePiece does.
			scheme = "always"
			normalizers = append(normalizers, replace("Regex", `\A`+wordMark, wordMark+wordMark))
		}
		pre = append(pre, part{"type": "Metaspace", "replacement": wordMark, "prepend_scheme": scheme, "split": false})
		decoders = append(decoders, part{"type": "Fuse"}, part{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	} else if p.byteFallback {
		decoders = append(decoders, part{"type": "Fuse"})
	}
	if len(userDefined) > 0 {
		slices.SortStableFunc(userDefined, func(a, b string) int { return utf8.RuneCountInString(b) - utf8.RuneCountInString(a) })
		quoted := make([]string, len(userDefined))
		for i, s := range userDefined {
			quoted[i] = regexp.QuoteMeta(s)
		}
		pre = append(pre, part{"type": "Split", "pattern": part{"Regex": strings.Join(quoted, "|")}, "behavior": "Isolated", "invert": false})
	}
	sequence := func(key string, parts []part) json.RawMessage {
		b, _ := json.Marshal(part{"type": "Sequence", key: parts}) // texts and numbers always marshal
		return b
	}
	f.normalizer, f.decoder = sequence("normalizers", normalizers), sequence("decoders", decoders)
	if len(pre) > 0 {
		f.preTokenizer = sequence("pretokenizers", pre)
	}
}

// ids are the pieces' ids, some under another name.
func (p *pieceFile) ids(names map[int32]string) map[string]int32 {
	kept := map[string]bool{}
	for id, token := range p.tokens {
		if _, renamed := names[int32(id)]; !renamed {
			kept[token] = true
		}
	}
	ids := make(map[string]int32, len(p.tokens))
	for id, token := range p.tokens {
		if name, ok := names[int32(id)]; ok && !kept[name] {
			token = name
		}
		ids[token] = int32(id)
	}
	return ids
}

// split is a way to write a token as two.
type split struct {
	left, right         string
	both                int32
	leftSize, rightSize int // characters
}

// splitsOf are the ways to write a token as two others of ids that also ok takes.
func splitsOf(token string, ids map[string]int32, ok func(id int32) bool) []split {
	if len(token) > maxPiece {
		return nil
	}
	var out []split
	k, size := 0, utf8.RuneCountInString(token)
	for i := range token {
		left, okLeft := ids[token[:i]]
		right, okRight := ids[token[i:]]
		if i > 0 && okLeft && okRight && ok(left) && ok(right) {
			out = append(out, split{token[:i], token[i:], ids[token], k, size - k})
		}
		k++
	}
	return out
}

// scoredMerges are the merges equivalent to SentencePiece's scores: every way to write a normal piece as two, the best score first.
func (p *pieceFile) scoredMerges(tokens []string) bpemodel.MergeMap {
	normal := map[string]int32{}
	for id, token := range tokens {
		if p.types[id] == typeNormal && token != "" {
			normal[token] = int32(id)
		}
	}
	var all []split
	for token := range normal {
		all = append(all, splitsOf(token, normal, func(int32) bool { return true })...)
	}
	slices.SortFunc(all, func(a, b split) int {
		return cmp.Or(cmp.Compare(p.scores[b.both], p.scores[a.both]), cmp.Compare(a.both, b.both), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
	})
	return ranked(all, normal)
}

// vocabularyMerges are the merges of classes that do not look at scores: a token of a lower id comes first.
func (p *pieceFile) vocabularyMerges(ids map[string]int32) bpemodel.MergeMap {
	var all []split
	for token := range ids {
		all = append(all, splitsOf(token, ids, func(int32) bool { return true })...)
	}
	slices.SortFunc(all, func(a, b split) int {
		return cmp.Or(cmp.Compare(a.both, b.both), cmp.Compare(a.leftSize, b.leftSize), cmp.Compare(a.rightSize, b.rightSize))
	})
	return ranked(all, ids)
}

// ranked gives splits ranks in their order.
func ranked(all []split, ids map[string]int32) bpemodel.MergeMap {
	merges := make(bpemodel.MergeMap, len(all))
	for rank, s := range all {
		merges.Set(int(ids[s.left]), int(ids[s.right]), bpemodel.MergeValue{Rank: rank, ID: int(s.both)})
	}
	return merges
}

// fields calls f for each field of a message of protocol buffers: with its number, or with the bytes of what has a length.
func fields(b []byte, f func(number int, v uint64, body []byte) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return errors.New("a field without a key")
		}
		b = b[n:]
		var v uint64
		var body []byte
		switch key & 7 {
		case 0:
			if v, n = binary.Uvarint(b); n <= 0 {
				return fmt.Errorf("field %d: a number without an end", key>>3)
			}
		case 1, 5:
			if n = 8; key&7 == 5 {
				n = 4
			}
			if len(b) < n {
				return fmt.Errorf("field %d: %d bytes are left of %d", key>>3, len(b), n)
			}
			for i := n - 1; i >= 0; i-- {
				v = v<<8 | uint64(b[i])
			}
		case 2:
			size, k := binary.Uvarint(b)
			if k <= 0 || size > uint64(len(b)-k) {
				return fmt.Errorf("field %d: it ends behind the message", key>>3)
			}
			body, n = b[k:k+int(size)], k+int(size)
		default:
			return fmt.Errorf("field %d: of type %d, which is none", key>>3, key&7)
		}
		if err := f(int(key>>3), v, body); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
