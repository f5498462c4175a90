package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// newNormalizer reads the "normalizer" of tokenizer.json.
func newNormalizer(raw json.RawMessage) (normalizer, error) {
	var p struct {
		Type        string
		Normalizers []json.RawMessage
		Prepend     string
		Pattern     json.RawMessage
		Content     string
		StripLeft   bool            `json:"strip_left"`
		StripRight  bool            `json:"strip_right"`
		Charsmap    json.RawMessage `json:"precompiled_charsmap"`
		bertJSON
	}
	if isNull(raw) {
		return normalizers(nil), nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	switch p.Type {
	case "Sequence":
		var all normalizers
		for _, raw := range p.Normalizers {
			n, err := newNormalizer(raw)
			if err != nil {
				return nil, err
			}
			all = append(all, n)
		}
		return all, nil
	case "Prepend":
		return prepend(p.Prepend), nil
	case "Replace":
		pattern, err := newPattern(p.Pattern)
		if err != nil {
			return nil, fmt.Errorf("Replace: %w", err)
		}
		return replace{pattern, p.Content}, nil
	case "NFC":
		return unicodeForm(norm.NFC), nil
	case "NFD":
		return unicodeForm(norm.NFD), nil
	case "NFKC":
		return unicodeForm(norm.NFKC), nil
	case "NFKD":
		return unicodeForm(norm.NFKD), nil
	case "Lowercase":
		return lowercase{}, nil
	case "Strip":
		return strip{p.StripLeft, p.StripRight}, nil
	case "Precompiled":
		return readPrecompiled(p.Charsmap)
	case "StripAccents":
		return stripAccents{}, nil
	case "Nmt":
		return nmt{}, nil
	case "ByteLevel":
		return alphabetNormalizer{}, nil
	case "BertNormalizer", "Bert":
		return p.bert()
	}
	return nil, unsupported(p.Type, "Sequence", "Prepend", "Replace", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Nmt", "BertNormalizer", "ByteLevel", "Precompiled")
}

// newPreTokenizer reads the "pre_tokenizer" of tokenizer.json. bytes: the model takes the bytes that a
// last ByteLevel would write out.
func newPreTokenizer(raw json.RawMessage, bytes bool) (preTokenizers, error) {
	ps, err := appendPreTokenizers(nil, raw)
	if err != nil {
		return nil, err
	}
	if n := len(ps) - 1; n >= 0 && bytes {
		if b, ok := ps[n].(byteLevel); ok {
			b.last = true
			ps[n] = b
		}
	}
	return ps, nil
}

// appendPreTokenizers appends what raw describes, sequences flattened.
func appendPreTokenizers(ps preTokenizers, raw json.RawMessage) (preTokenizers, error) {
	p := struct {
		Type             string
		Pretokenizers    []json.RawMessage
		Pattern          json.RawMessage
		Behavior         string
		Invert           bool
		IndividualDigits bool  `json:"individual_digits"`
		AddPrefixSpace   *bool `json:"add_prefix_space"`
		UseRegex         bool  `json:"use_regex"`
		Delimiter        string
		Length           int
		metaspaceJSON
	}{UseRegex: true, Length: 5}
	if isNull(raw) {
		return ps, nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	switch p.Type {
	case "Sequence":
		for _, raw := range p.Pretokenizers {
			var err error
			if ps, err = appendPreTokenizers(ps, raw); err != nil {
				return nil, err
			}
		}
		return ps, nil
	case "Split":
		pattern, err := newPattern(p.Pattern)
		if err != nil {
			return nil, fmt.Errorf("Split: %w", err)
		}
		if err := checkBehavior("Split", p.Behavior); err != nil {
			return nil, err
		}
		return append(ps, &splitter{pattern, p.Behavior, p.Invert}), nil
	case "ByteLevel":
		return append(ps, byteLevel{addPrefixSpace: p.AddPrefixSpace == nil || *p.AddPrefixSpace, useRegex: p.UseRegex}), nil
	case "Digits":
		return append(ps, digits{p.IndividualDigits}), nil
	case "Metaspace":
		m, err := p.metaspace(p.AddPrefixSpace)
		return append(ps, m), err
	case "Whitespace":
		return append(ps, words{}), nil
	case "WhitespaceSplit":
		return append(ps, splitClass{isSpace, "Removed"}), nil
	case "BertPreTokenizer":
		return append(ps, splitClass{isSpace, "Removed"}, splitClass{isPunctuation, "Isolated"}), nil
	case "Punctuation":
		if p.Behavior == "" {
			p.Behavior = "Isolated"
		}
		return append(ps, splitClass{isPunctuation, p.Behavior}), checkBehavior("Punctuation", p.Behavior)
	case "CharDelimiterSplit":
		if utf8.RuneCountInString(p.Delimiter) != 1 {
			return nil, fmt.Errorf("CharDelimiterSplit: delimiter %q is not one character", p.Delimiter)
		}
		delimiter, _ := utf8.DecodeRuneInString(p.Delimiter)
		return append(ps, splitClass{func(r rune) bool { return r == delimiter }, "Removed"}), nil
	case "FixedLength":
		if p.Length < 1 {
			return nil, fmt.Errorf("FixedLength: length %d is not positive", p.Length)
		}
		return append(ps, fixedLength(p.Length)), nil
	}
	return nil, unsupported(p.Type, "Sequence", "Split", "ByteLevel", "Digits", "Metaspace", "Punctuation", "Whitespace", "WhitespaceSplit",
		"BertPreTokenizer", "CharDelimiterSplit", "FixedLength")
}

func checkBehavior(kind, behavior string) error {
	switch behavior {
	case "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous":
		return nil
	}
	return fmt.Errorf("%s: unknown behavior %q", kind, behavior)
}

// metaspaceJSON is the description that pre-tokenizer and decoder share.
type metaspaceJSON struct {
	Replacement   string
	PrependScheme string `json:"prepend_scheme"`
	Split         *bool
}

// metaspace reads the description; old files say add_prefix_space instead of prepend_scheme.
func (p metaspaceJSON) metaspace(addPrefixSpace *bool) (metaspace, error) {
	m := metaspace{replacement: p.Replacement, scheme: p.PrependScheme, cut: p.Split == nil || *p.Split}
	if addPrefixSpace != nil && !*addPrefixSpace && (m.scheme == "first" || m.scheme == "always") {
		return m, fmt.Errorf("Metaspace: add_prefix_space false contradicts prepend_scheme %q; take one of them away", m.scheme)
	}
	if m.scheme == "" {
		m.scheme = "always"
		if addPrefixSpace != nil && !*addPrefixSpace {
			m.scheme = "never"
		}
	}
	if utf8.RuneCountInString(m.replacement) != 1 {
		return m, fmt.Errorf("Metaspace: replacement %q is not one character", m.replacement)
	}
	if m.scheme != "first" && m.scheme != "always" && m.scheme != "never" {
		return m, fmt.Errorf("Metaspace: prepend_scheme %q is none of first, always, never", m.scheme)
	}
	return m, nil
}

// newDecoder reads the "decoder" of tokenizer.json; nil if there is none.
func newDecoder(raw json.RawMessage) (decoders, error) {
	var p struct {
		Type           string
		Decoders       []json.RawMessage
		Pattern        json.RawMessage
		Content        string
		Start, Stop    int
		Suffix         *string // of BPEDecoder
		Prefix         *string // of WordPiece
		Cleanup        *bool
		AddPrefixSpace *bool `json:"add_prefix_space"`
		metaspaceJSON
	}
	if isNull(raw) {
		return nil, nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	switch p.Type {
	case "Sequence":
		all := decoders{}
		for _, raw := range p.Decoders {
			d, err := newDecoder(raw)
			if err != nil {
				return nil, err
			}
			all = append(all, d...)
		}
		return all, nil
	case "ByteLevel":
		return decoders{decodeByteLevel{}}, nil
	case "ByteFallback":
		return decoders{decodeByteFallback{}}, nil
	case "Fuse":
		return decoders{decodeFuse{}}, nil
	case "Replace":
		pattern, err := newPattern(p.Pattern)
		if err != nil {
			return nil, fmt.Errorf("Replace: %w", err)
		}
		return decoders{decodeReplace{pattern, p.Content}}, nil
	case "Strip":
		if utf8.RuneCountInString(p.Content) != 1 {
			return nil, fmt.Errorf("Strip: content %q is not one character", p.Content)
		}
		return decoders{decodeStrip{p.Content, p.Start, p.Stop}}, nil
	case "Metaspace":
		m, err := p.metaspace(p.AddPrefixSpace)
		return decoders{decodeMetaspace{m.replacement, m.scheme != "never"}}, err
	case "BPEDecoder":
		d := decodeBPE("</w>")
		if p.Suffix != nil {
			d = decodeBPE(*p.Suffix)
		}
		return decoders{d}, nil
	case "WordPiece":
		d := decodeWordPiece{prefix: "##", cleanup: p.Cleanup == nil || *p.Cleanup}
		if p.Prefix != nil {
			d.prefix = *p.Prefix
		}
		return decoders{d}, nil
	}
	return nil, unsupported(p.Type, "Sequence", "ByteLevel", "ByteFallback", "Fuse", "Replace", "Strip", "Metaspace", "BPEDecoder", "WordPiece")
}

func unsupported(kind string, known ...string) error {
	return fmt.Errorf("type %q is not supported (%s are)", kind, strings.Join(known, ", "))
}
