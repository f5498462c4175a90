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
		return replace{pattern, p.Content}, err
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
	}
	return nil, unsupported(p.Type, "Sequence", "Prepend", "Replace", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "Precompiled")
}

// newPreTokenizer reads the "pre_tokenizer" of tokenizer.json.
func newPreTokenizer(raw json.RawMessage) (preTokenizers, error) {
	ps, err := appendPreTokenizers(nil, raw)
	if err != nil {
		return nil, err
	}
	if n := len(ps) - 1; n >= 0 {
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
		metaspaceJSON
	}{UseRegex: true}
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
			return nil, err
		}
		switch p.Behavior {
		case "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous":
		default:
			return nil, fmt.Errorf("Split: unknown behavior %q", p.Behavior)
		}
		return append(ps, &splitter{pattern, p.Behavior, p.Invert}), nil
	case "ByteLevel":
		return append(ps, byteLevel{addPrefixSpace: p.AddPrefixSpace == nil || *p.AddPrefixSpace, useRegex: p.UseRegex}), nil
	case "Digits":
		return append(ps, digits{p.IndividualDigits}), nil
	case "Metaspace":
		m, err := p.metaspace(p.AddPrefixSpace)
		return append(ps, m), err
	}
	return nil, unsupported(p.Type, "Sequence", "Split", "ByteLevel", "Digits", "Metaspace")
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
		return decoders{decodeReplace{pattern, p.Content}}, err
	case "Strip":
		if utf8.RuneCountInString(p.Content) != 1 {
			return nil, fmt.Errorf("Strip: content %q is not one character", p.Content)
		}
		return decoders{decodeStrip{p.Content, p.Start, p.Stop}}, nil
	case "Metaspace":
		m, err := p.metaspace(p.AddPrefixSpace)
		return decoders{decodeMetaspace{m.replacement, m.scheme != "never"}}, err
	}
	return nil, unsupported(p.Type, "Sequence", "ByteLevel", "ByteFallback", "Fuse", "Replace", "Strip", "Metaspace")
}

func unsupported(kind string, known ...string) error {
	return fmt.Errorf("type %q is not supported (%s are)", kind, strings.Join(known, ", "))
}
