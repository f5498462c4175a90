package tokenizer

import "fmt"

// model turns a piece of text into tokens of its vocabulary.
type model interface {
	vocab() *vocabulary
	// tokenize appends the symbols of a piece to dst.
	tokenize(dst []symbol, piece text, e *encoder) []symbol
	// write writes the "model" of a tokenizer.json.
	write(w *jsonFile)
}

// vocabulary is the tokens of a model.
type vocabulary struct {
	tokens []string         // by id; "" where there is a hole
	ids    map[string]int32 // inverse of tokens
	unk    int32            // id for unknown characters, -1: they vanish
}

func (v *vocabulary) vocab() *vocabulary { return v }

// id is the id of a token, or -1.
func (v *vocabulary) id(token string) int32 {
	if id, ok := v.ids[token]; ok {
		return id
	}
	return -1
}

// newVocabulary is the vocabulary of these ids, which may have holes. A file that only pretends to be large costs nothing.
func newVocabulary(ids map[string]int32) (vocabulary, error) {
	size := int32(-1)
	for _, id := range ids {
		size = max(size, id)
	}
	if int(size) > 16*len(ids)+1<<16 {
		return vocabulary{}, fmt.Errorf("model: highest id %d with only %d tokens", size, len(ids))
	}
	tokens := make([]string, size+1)
	for token, id := range ids {
		tokens[id] = token
	}
	return vocabulary{tokens: tokens, ids: ids, unk: -1}, nil
}

// symbol is a token of a piece: its id and the bytes [i,j) of the piece that it covers.
type symbol struct{ id, i, j int32 }
