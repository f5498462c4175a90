package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// maxConfig bounds the small JSON files beside a tokenizer, templates included.
const maxConfig = 16 << 20

// special names the tokens with a role; -1: none.
type special struct {
	bos, eos, pad, unk int32
	eosIDs             []int32 // every token that ends a text, eos first
}

var noSpecial = special{-1, -1, -1, -1, nil}

// BOS is the id of the token that begins a text, -1 if none is configured.
func (t *Tokenizer) BOS() int32 { return t.names.bos }

// EOS is the id of the token that ends a text, -1 if none is configured.
func (t *Tokenizer) EOS() int32 { return t.names.eos }

// EOSIDs are all tokens that end a generated text: EOS, and the eos_token_id of
// generation_config.json or config.json, which may list several.
func (t *Tokenizer) EOSIDs() []int32 { return slices.Clone(t.names.eosIDs) }

// PAD is the id of the padding token, -1 if none is configured.
func (t *Tokenizer) PAD() int32 { return t.names.pad }

// UNK is the id of the token for unknown characters, -1 if there is none.
func (t *Tokenizer) UNK() int32 { return t.names.unk }

// tokenName is a token as tokenizer_config.json names it: a string, or an object with content.
type tokenName string

func (n *tokenName) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var o struct{ Content string }
		err := json.Unmarshal(b, &o)
		*n = tokenName(o.Content)
		return err
	}
	return json.Unmarshal(b, (*string)(n))
}

// names are the special tokens of tokenizer_config.json and special_tokens_map.json.
type names struct {
	BOS tokenName `json:"bos_token"`
	EOS tokenName `json:"eos_token"`
	PAD tokenName `json:"pad_token"`
	UNK tokenName `json:"unk_token"`
}

// idList is one id, several, or null.
type idList []int32

func (l *idList) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]int32)(l))
	}
	var id *int32
	if err := json.Unmarshal(b, &id); err != nil || id == nil {
		return err
	}
	*l = idList{*id}
	return nil
}

// ids are the special ids of config.json and generation_config.json.
type ids struct {
	BOS idList `json:"bos_token_id"`
	EOS idList `json:"eos_token_id"`
	PAD idList `json:"pad_token_id"`
}

// orElse fills the roles that nothing names in with those of o.
func (s *special) orElse(o special) {
	for _, r := range []struct{ to, from *int32 }{{&s.bos, &o.bos}, {&s.eos, &o.eos}, {&s.pad, &o.pad}, {&s.unk, &o.unk}} {
		if *r.to < 0 {
			*r.to = *r.from
		}
	}
	if len(s.eosIDs) == 0 {
		s.eosIDs = o.eosIDs
	}
}

// readSpecial sets the special tokens from the files in dir: names in tokenizer_config.json win, then
// special_tokens_map.json, then the ids of generation_config.json and config.json.
func (t *Tokenizer) readSpecial(dir string) error {
	var config, mapped names
	if err := readConfig(filepath.Join(dir, "tokenizer_config.json"), &config); err != nil {
		return err
	}
	if err := readConfig(filepath.Join(dir, "special_tokens_map.json"), &mapped); err != nil {
		return err
	}
	var generation, model ids
	if err := readConfig(filepath.Join(dir, "generation_config.json"), &generation); err != nil {
		return err
	}
	if err := readConfig(filepath.Join(dir, "config.json"), &model); err != nil {
		return err
	}
	n := &t.names
	n.bos = t.choose(config.BOS, mapped.BOS, generation.BOS, model.BOS)
	n.eos = t.choose(config.EOS, mapped.EOS, generation.EOS, model.EOS)
	n.pad = t.choose(config.PAD, mapped.PAD, generation.PAD, model.PAD)
	if n.unk = t.choose(config.UNK, mapped.UNK); n.unk < 0 {
		n.unk = t.model.unk
	}
	n.addEOS(n.eos)
	for _, id := range slices.Concat(generation.EOS, model.EOS) {
		if t.known(id) {
			n.addEOS(id)
		}
	}
	return nil
}

// choose is the id of the first name that is a token, else the first id that is one, else -1.
func (t *Tokenizer) choose(config, mapped tokenName, lists ...idList) int32 {
	for _, name := range []tokenName{config, mapped} {
		if id, ok := t.ID(string(name)); ok && name != "" {
			return id
		}
	}
	for _, l := range lists {
		if len(l) > 0 && t.known(l[0]) {
			return l[0]
		}
	}
	return -1
}

func (t *Tokenizer) known(id int32) bool { return id >= 0 && int(id) < t.size }

func (n *special) addEOS(id int32) {
	if id >= 0 && !slices.Contains(n.eosIDs, id) {
		n.eosIDs = append(n.eosIDs, id)
	}
}

// readConfig reads a JSON file into v; a missing file changes nothing.
func readConfig(path string, v any) error {
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readSmall is the content of a file of at most maxConfig bytes.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxConfig {
		return nil, fmt.Errorf("%s: %d bytes, at most %d are read", path, info.Size(), maxConfig)
	}
	return os.ReadFile(path)
}
