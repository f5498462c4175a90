package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"lomo/internal/fault"
	"lomo/internal/strictjson"
)

// maxConfig bounds the small JSON files beside a tokenizer, templates included.
const maxConfig = 4 << 20

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

// idList is one id, several, or null.
type idList []int32

func (l *idList) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return strictjson.Unmarshal(b, (*[]int32)(l))
	}
	var id *int32
	if err := strictjson.Unmarshal(b, &id); err != nil || id == nil {
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

// setRoles gives t the tokens that the side files name for roles, where they name none the ids of generation_config.json, then of config.json.
func (t *Tokenizer) setRoles(s *sides, generation, model ids) {
	n := &t.names
	n.bos = t.choose(s, "bos_token", generation.BOS, model.BOS)
	n.eos = t.choose(s, "eos_token", generation.EOS, model.EOS)
	n.pad = t.choose(s, "pad_token", generation.PAD, model.PAD)
	if n.unk = t.choose(s, "unk_token"); n.unk < 0 {
		n.unk = t.vocab.unk
	}
	n.addEOS(n.eos)
	for _, id := range slices.Concat(generation.EOS, model.EOS) {
		if t.known(id) {
			n.addEOS(id)
		} else {
			t.note("eos_token_id %d is outside the tokenizer's %d tokens: left out", id, t.size)
		}
	}
	for _, id := range t.stops {
		n.addEOS(id)
	}
}

// choose is the id of the token named for a role, else the first id that is one, else -1.
func (t *Tokenizer) choose(s *sides, role string, lists ...idList) int32 {
	if token := s.roles[role]; token != nil {
		if id, ok := t.ID(token.Content); ok && token.Content != "" {
			return id
		}
		return -1
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
	if err := strictjson.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readSmall is the content of a file of at most maxConfig bytes.
func readSmall(path string) ([]byte, error) {
	f, size, err := openFile(path, maxConfig)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, size))
	if err == nil && filepath.Ext(path) == ".json" {
		if err := strictjson.FewNames(b); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return b, err
}

// openFile opens an ordinary file of at most limit bytes, if nothing else stands in its place: a pointer, a page, an archive.
func openFile(path string, limit int64) (*os.File, int64, error) {
	f, size, err := fault.Open(path)
	if err != nil {
		return nil, 0, err
	}
	if size > limit {
		f.Close()
		return nil, 0, fmt.Errorf("%s: %d bytes, at most %d are read", path, size, limit)
	}
	if err := fault.Instead(fault.Head(f), size); err != nil && !(size == 0 && filepath.Ext(path) == ".jinja") { // an empty template is none
		f.Close()
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	return f, size, nil
}
