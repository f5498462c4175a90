package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lomo/internal/strictjson"
)

// sides is what the files beside a tokenizer say, in the order of precedence that transformers 5 has.
type sides struct {
	dir       string
	hasConfig bool // there is a tokenizer_config.json
	config    []strictjson.Member
	class     string
	modelType string // of config.json

	roles map[string]*addedToken // eos_token and the like; nil: named as null
	// more are tokens under names that only this model has (image_token), by name; order are the names in their order.
	more    map[string]*addedToken
	order   []string
	grouped []namedToken // on their way to more

	extra      []addedToken // extra_special_tokens, additional_special_tokens
	extraGiven bool         // the key is there, empty or not
	late       []addedToken // additional_special_tokens of special_tokens_map.json, which a SentencePiece file's own replace

	decoder      map[int32]addedToken // tokens by the id that their file gives them
	decoderGiven bool                 // tokenizer_config.json has added_tokens_decoder, beside which no older file counts

	addBOS, addEOS, legacy, addPrefixSpace *bool
	splitSpecial, cleanUp                  bool
}

type namedToken struct {
	name  string
	token addedToken
}

// roleNames are the keys of tokens that have a role in any tokenizer, in transformers' order.
var roleNames = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

func newSides(dir string) *sides {
	return &sides{dir: dir, roles: map[string]*addedToken{}, more: map[string]*addedToken{}, decoder: map[int32]addedToken{}}
}

// readSides reads tokenizer_config.json, special_tokens_map.json, added_tokens.json and config.json of a folder.
func readSides(dir string) (*sides, error) {
	s := newSides(dir)
	if err := s.file("tokenizer_config.json", func(m []strictjson.Member) error { s.hasConfig, s.config = true, m; return s.readConfig(m) }); err != nil {
		return nil, err
	}
	if !s.decoderGiven {
		if err := s.file("special_tokens_map.json", s.readMap); err != nil {
			return nil, err
		}
		if err := s.file("added_tokens.json", s.readAdded); err != nil {
			return nil, err
		}
	}
	return s, s.file("config.json", func(list []strictjson.Member) error {
		var class *string
		for _, m := range list {
			switch m.Name {
			case "model_type":
				if json.Unmarshal(m.Value, &s.modelType) != nil {
					s.modelType = "" // the model's reader says what is wrong
				}
			case "tokenizer_class":
				if err := valueOf(m, &class); err != nil {
					return err
				}
			}
		}
		if class != nil && s.class == "" {
			s.class = *class
		}
		return nil
	})
}

// file reads one file of the folder, which may be missing.
func (s *sides) file(name string, read func([]strictjson.Member) error) error {
	path := filepath.Join(s.dir, name)
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := strictjson.Members(bytes.TrimPrefix(b, []byte("\ufeff")))
	if err == nil {
		err = read(list)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// valueOf reads a member's value; an error has its line and name.
func valueOf(m strictjson.Member, v any) error {
	if err := strictjson.Unmarshal(m.Value, v); err != nil {
		return fmt.Errorf("line %d: %s: %w", m.Line, m.Name, err)
	}
	return nil
}

// readConfig reads tokenizer_config.json.
func (s *sides) readConfig(list []strictjson.Member) error {
	var extra, additional *tokenList
	for _, m := range list {
		var err error
		switch m.Name {
		case "tokenizer_class":
			var class *string
			if err = valueOf(m, &class); class != nil {
				s.class = *class
			}
		case "add_bos_token":
			err = valueOf(m, &s.addBOS)
		case "add_eos_token":
			err = valueOf(m, &s.addEOS)
		case "legacy":
			err = valueOf(m, &s.legacy)
		case "add_prefix_space":
			err = valueOf(m, &s.addPrefixSpace)
		case "split_special_tokens":
			err = valueOf(m, &s.splitSpecial)
		case "clean_up_tokenization_spaces":
			err = valueOf(m, &s.cleanUp)
		case "extra_special_tokens":
			s.extraGiven = true
			extra, err = s.tokens(m)
		case "additional_special_tokens":
			additional, err = s.tokens(m)
		case "added_tokens_decoder":
			s.decoderGiven = true
			err = s.readDecoder(m)
		default:
			err = s.readToken(m)
		}
		if err != nil {
			return err
		}
	}
	s.addGrouped()
	if additional != nil && extra == nil {
		s.extraGiven, extra = true, additional
	}
	if extra != nil {
		s.extra = *extra
	}
	return nil
}

// readMap reads special_tokens_map.json, whose names win over those of tokenizer_config.json.
func (s *sides) readMap(list []strictjson.Member) error {
	for _, m := range list {
		switch m.Name {
		case "extra_special_tokens":
			more, err := s.tokens(m)
			if err != nil {
				return err
			}
			s.extraGiven = true
			if more != nil {
				s.extra = append(s.extra, *more...)
			}
		case "additional_special_tokens":
			more, err := s.tokens(m)
			if err != nil {
				return err
			}
			if more != nil {
				s.late = *more
			}
		default:
			if err := s.readToken(m); err != nil {
				return err
			}
		}
	}
	s.addGrouped()
	return nil
}

// addGrouped moves the tokens of an object of extra_special_tokens behind those that stand for themselves.
func (s *sides) addGrouped() {
	for _, e := range s.grouped {
		s.addMore(e.name, e.token)
	}
	s.grouped = nil
}

// readToken reads a member whose name ends in _token: a role, or a token of this model's own. Other values than tokens are settings.
func (s *sides) readToken(m strictjson.Member) error {
	if !strings.HasSuffix(m.Name, "_token") {
		return nil
	}
	isRole := slices.Contains(roleNames, m.Name)
	var token *addedToken
	switch m.Value[0] {
	case '"', '{':
		token = new(addedToken)
		if err := token.read(m.Value); err != nil {
			return fmt.Errorf("line %d: %s: %w", m.Line, m.Name, err)
		}
	case 'n':
	default:
		if isRole {
			return fmt.Errorf("line %d: %s is %s, which names no token", m.Line, m.Name, clip(string(m.Value)))
		}
		return nil
	}
	if isRole {
		s.roles[m.Name] = token
	} else if token != nil {
		s.addMore(m.Name, *token)
	}
	return nil
}

func (s *sides) addMore(name string, token addedToken) {
	if s.more[name] == nil {
		s.order = append(s.order, name)
	}
	s.more[name] = &token
}

// tokenList is a list of tokens.
type tokenList []addedToken

// tokens reads extra_special_tokens or additional_special_tokens: a list, or names and tokens. nil: null or empty.
func (s *sides) tokens(m strictjson.Member) (*tokenList, error) {
	failed := func(err error) (*tokenList, error) { return nil, fmt.Errorf("line %d: %s: %w", m.Line, m.Name, err) }
	switch m.Value[0] {
	case 'n':
		return nil, nil
	case '{':
		list, err := strictjson.Members(m.Value)
		if err != nil {
			return failed(err)
		}
		for _, e := range list {
			var token addedToken
			if err := token.read(e.Value); err != nil {
				return failed(fmt.Errorf("%s: %w", e.Name, err))
			}
			s.grouped = append(s.grouped, namedToken{e.Name, token})
		}
		return nil, nil
	}
	list, err := strictjson.Elements(m.Value)
	if err != nil {
		return failed(err)
	}
	var out tokenList
	for _, e := range list {
		var token addedToken
		if err := token.read(e); err != nil {
			return failed(err)
		}
		out = append(out, token)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return &out, nil
}

// readDecoder reads added_tokens_decoder: {"id": {content, flags}, …}.
func (s *sides) readDecoder(m strictjson.Member) error {
	if m.Value[0] == 'n' {
		return nil
	}
	list, err := strictjson.Members(m.Value)
	if err != nil {
		return fmt.Errorf("line %d: %s: %w", m.Line, m.Name, err)
	}
	for _, e := range list {
		id, err := strconv.ParseInt(e.Name, 10, 32)
		if err != nil || id < 0 {
			return fmt.Errorf("line %d: %s: %q is no token id", m.Line+e.Line-1, m.Name, e.Name)
		}
		var token addedToken
		if err := token.read(e.Value); err != nil {
			return fmt.Errorf("line %d: %s: %s: %w", m.Line+e.Line-1, m.Name, e.Name, err)
		}
		if e.Value[0] == '{' && !hasMember(e.Value, "special") {
			token.Special, token.Normalized = false, !hasMember(e.Value, "normalized") || token.Normalized
		}
		token.ID = int32(id)
		s.decoder[token.ID] = token
	}
	return nil
}

// readAdded reads added_tokens.json: {"token": id, …}.
func (s *sides) readAdded(list []strictjson.Member) error {
	special := map[string]bool{}
	for _, name := range roleNames {
		if token := s.roles[name]; token != nil {
			special[token.Content] = true
		}
	}
	for _, token := range s.extra {
		special[token.Content] = true
	}
	for _, m := range list {
		var id *int32
		if err := valueOf(m, &id); err != nil {
			return err
		}
		if id == nil || *id < 0 {
			return fmt.Errorf("line %d: %s: %s is no token id", m.Line, clip(m.Name), clip(string(m.Value)))
		}
		s.decoder[*id] = addedToken{ID: *id, Content: m.Name, Special: special[m.Name], Normalized: !special[m.Name]}
	}
	return nil
}

// read reads a token as side files write it: its text, or an object of text and flags.
func (a *addedToken) read(raw []byte) error {
	var o struct {
		Content                    *string
		SingleWord, LStrip, RStrip bool
		Normalized, Special        *bool
	}
	if raw[0] == '"' {
		*a = addedToken{Special: true}
		return strictjson.Unmarshal(raw, &a.Content)
	}
	list, err := strictjson.Members(raw)
	if err != nil {
		return err
	}
	for _, m := range list {
		var to any
		switch m.Name {
		case "content":
			to = &o.Content
		case "single_word":
			to = &o.SingleWord
		case "lstrip":
			to = &o.LStrip
		case "rstrip":
			to = &o.RStrip
		case "normalized":
			to = &o.Normalized
		case "special":
			to = &o.Special
		default:
			continue
		}
		if err := valueOf(m, to); err != nil {
			return err
		}
	}
	if o.Content == nil {
		return errors.New("a token without content")
	}
	*a = addedToken{Content: *o.Content, SingleWord: o.SingleWord, LStrip: o.LStrip, RStrip: o.RStrip, Special: o.Special == nil || *o.Special}
	a.Normalized = o.Normalized != nil && *o.Normalized || o.Normalized == nil && !a.Special
	return nil
}

func hasMember(raw []byte, name string) bool {
	list, _ := strictjson.Members(raw) // read before without an error
	return slices.ContainsFunc(list, func(m strictjson.Member) bool { return m.Name == name })
}

// role is the token that the files name for a role, nil for none.
func (s *sides) role(name string) *addedToken { return s.roles[name] }

// prefixSpace is add_prefix_space, or what the class does without it.
func (s *sides) prefixSpace(byDefault bool) bool {
	if s.addPrefixSpace == nil {
		return byDefault
	}
	return *s.addPrefixSpace
}

// setDefault names a token for a role that no file mentions.
func (s *sides) setDefault(role, token string) {
	if _, said := s.roles[role]; !said && token != "" {
		s.roles[role] = &addedToken{Content: token, Special: true}
	}
}

// complete takes what the tokenizer's own file and the class add: the tokens of tokenizer.json, defaults of roles.
func (s *sides) complete(f *file, c *tokenizerClass, fromJSON bool) {
	if fromJSON && !s.decoderGiven {
		for _, a := range f.added {
			s.decoder[a.ID] = a
		}
	}
	byContent := map[string]addedToken{}
	for _, id := range slices.Sorted(maps.Keys(s.decoder)) {
		byContent[s.decoder[id].Content] = s.decoder[id]
	}
	for name, token := range s.roles {
		if token == nil {
			continue
		}
		if known, ok := byContent[token.Content]; ok {
			s.roles[name] = &known
		}
	}
	for role, token := range f.named {
		s.setDefault(role, token)
	}
	for role, token := range c.defaults {
		s.setDefault(role, token)
	}
	s.setDefault("pad_token", f.pad)
	if !s.extraGiven && len(s.late) > 0 {
		s.extra = s.late
	}
}

// named are the tokens with a name, in transformers' order: roles, those of this model.
func (s *sides) named() []addedToken {
	var out []addedToken
	for _, name := range roleNames {
		if token := s.roles[name]; token != nil {
			out = append(out, *token)
		}
	}
	for _, name := range s.order {
		out = append(out, *s.more[name])
	}
	return out
}

// addTo adds the side files' tokens to t, as transformers' TokenizersBackend does.
func (s *sides) addTo(t *Tokenizer, c *tokenizerClass) error {
	var tokens []addedToken
	present, isNamed := map[string]bool{}, map[string]bool{}
	for content := range t.addedID {
		present[content] = true
	}
	for _, a := range s.named() {
		isNamed[a.Content] = true
	}
	for _, id := range slices.Sorted(maps.Keys(s.decoder)) {
		a := s.decoder[id]
		a.Special = a.Special || isNamed[a.Content]
		tokens = append(tokens, a)
		present[a.Content] = true
	}
	for _, a := range slices.Concat(s.named(), s.extra) {
		if !present[a.Content] {
			present[a.Content] = true
			a.ID = -1
			a.Special = a.Special || isNamed[a.Content]
			tokens = append(tokens, a)
		}
	}
	if c.again {
		for _, a := range slices.Concat(s.named(), s.extra) {
			if !c.restyle {
				a = addedToken{Content: a.Content}
			}
			a.ID, a.Special = -1, true
			tokens = append(tokens, a)
		}
	}
	// In one call of the library all special tokens come first into the order of search.
	for _, a := range tokens {
		t.addSpecial(a)
	}
	for _, a := range tokens {
		_, known := t.ID(a.Content)
		if err := t.add(a); err != nil {
			return err
		}
		id, _ := t.ID(a.Content)
		switch {
		case a.Content == "":
		case a.ID >= 0 && a.ID != id:
			t.note("added token %q has id %d in its file; as in transformers it is %d", a.Content, a.ID, id)
		case a.ID < 0 && !known:
			t.note("%q is named a special token and stands in no vocabulary; as in transformers it is a new token, %d", a.Content, id)
		}
	}
	t.splitSpecial = s.splitSpecial
	return nil
}
