package tokenizer

import (
	"encoding/json"
	"fmt"
)

// template is the post-processor for one text: what stands before and after it.
type template []templatePart

// templatePart is the text itself or fixed tokens.
type templatePart struct {
	text bool
	ids  []int32
}

// maxTemplateParts bounds a post-processor; templates in a Sequence multiply.
const maxTemplateParts = 64

// plainText is the template of a tokenizer that adds nothing.
var plainText = template{{text: true}}

// newPost reads "post_processor": TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel
// (which only trims Hugging Face's offsets), or a Sequence of those.
func newPost(raw json.RawMessage, valid func(id int32) bool) (template, error) {
	var p struct {
		Type       string
		Processors []json.RawMessage
		Single     []struct {
			SpecialToken, Sequence *struct{ ID string }
		}
		SpecialTokens map[string]struct{ IDs []int32 } `json:"special_tokens"`
		CLS, SEP      json.RawMessage                  // of BERT's and RoBERTa's
	}
	if isNull(raw) {
		return plainText, nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	switch p.Type {
	case "ByteLevel":
		return plainText, nil
	case "Sequence":
		result := plainText
		for _, raw := range p.Processors {
			t, err := newPost(raw, valid)
			if err != nil {
				return nil, err
			}
			if result = result.around(t); len(result) > maxTemplateParts {
				return nil, fmt.Errorf("more than %d parts", maxTemplateParts)
			}
		}
		return result, nil
	case "BertProcessing", "RobertaProcessing":
		before, err := readSpecial("cls", p.CLS, valid)
		if err != nil {
			return nil, err
		}
		after, err := readSpecial("sep", p.SEP, valid)
		return template{before, {text: true}, after}, err
	case "TemplateProcessing":
	default:
		return nil, unsupported(p.Type, "TemplateProcessing", "ByteLevel", "BertProcessing", "RobertaProcessing", "Sequence")
	}
	var t template
	if len(p.Single) > maxTemplateParts {
		return nil, fmt.Errorf("more than %d parts", maxTemplateParts)
	}
	for _, piece := range p.Single {
		switch {
		case piece.SpecialToken != nil:
			token, ok := p.SpecialTokens[piece.SpecialToken.ID]
			if !ok {
				return nil, fmt.Errorf("special token %q is used but not defined", piece.SpecialToken.ID)
			}
			for _, id := range token.IDs {
				if !valid(id) {
					return nil, fmt.Errorf("special token %q: id %d is not in the vocabulary", piece.SpecialToken.ID, id)
				}
			}
			t = append(t, templatePart{ids: token.IDs})
		case piece.Sequence != nil:
			t = append(t, templatePart{text: true})
		}
	}
	return t, nil
}

// readSpecial reads ["token", id].
func readSpecial(key string, raw json.RawMessage, valid func(id int32) bool) (templatePart, error) {
	var token string
	var id int32
	if err := json.Unmarshal(raw, &[]any{&token, &id}); err != nil {
		return templatePart{}, fmt.Errorf("%s is not a token with its id", key)
	}
	if !valid(id) {
		return templatePart{}, fmt.Errorf("%s: %q has id %d, which is not in the vocabulary", key, token, id)
	}
	return templatePart{ids: []int32{id}}, nil
}

// around is t applied first and outer to its result.
func (t template) around(outer template) template {
	var out template
	for _, part := range outer {
		if part.text {
			out = append(out, t...)
		} else {
			out = append(out, part)
		}
	}
	return out
}

// postBuilder writes a TemplateProcessing for one text and for two.
type postBuilder struct {
	single, pair []any
	tokens       map[string]any
}

func (p *postBuilder) add(piece any, typeID int) {
	if p.pair = append(p.pair, piece); typeID == 0 {
		p.single = append(p.single, piece)
	}
}

func (p *postBuilder) special(token string, id int32, typeID int) {
	if p.tokens == nil {
		p.tokens = map[string]any{}
	}
	p.tokens[token] = map[string]any{"id": token, "ids": []int32{id}, "tokens": []string{token}}
	p.add(map[string]any{"SpecialToken": map[string]any{"id": token, "type_id": typeID}}, typeID)
}

func (p *postBuilder) sequence(typeID int) {
	p.add(map[string]any{"Sequence": map[string]any{"id": string("AB"[typeID]), "type_id": typeID}}, typeID)
}

// json is the post-processor, null if it adds nothing.
func (p *postBuilder) json() (json.RawMessage, error) {
	if len(p.tokens) == 0 {
		return nil, nil
	}
	return json.Marshal(map[string]any{"type": "TemplateProcessing", "single": p.single, "pair": p.pair, "special_tokens": p.tokens})
}
