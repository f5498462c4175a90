package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Open loads the tokenizer at path: a folder in Hugging Face's layout (tokenizer.json is enough;
// tokenizer_config.json, special_tokens_map.json, chat_template.jinja, generation_config.json and
// config.json add special tokens and the chat template), a folder with SentencePiece's tokenizer.model instead (Meta's), one of these files, or
// a GGUF file.
func Open(path string) (*Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var t *Tokenizer
	switch {
	case info.IsDir():
		t, err = openFolder(path)
	case strings.EqualFold(filepath.Ext(path), ".gguf"):
		t, err = openGGUF(path)
	case strings.EqualFold(filepath.Ext(path), ".model"):
		t, err = openSentencePiece(path)
	default:
		t, err = openJSON(path)
		if err == nil {
			t.names.unk = t.model.unk
			t.source = source{json: path}
		}
	}
	return t, err
}

func openFolder(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	t, err := openJSON(path)
	if errors.Is(err, fs.ErrNotExist) {
		pieces := filepath.Join(dir, "tokenizer.model")
		if _, err := os.Stat(pieces); err != nil {
			return nil, fmt.Errorf("%s: no tokenizer.json, and no tokenizer.model", dir)
		}
		t, err := openSentencePiece(pieces)
		if err != nil {
			return nil, fmt.Errorf("%w; with transformers it can be converted: AutoTokenizer.from_pretrained(dir).save_pretrained(dir)", err)
		}
		own := t.names
		if err := t.readSpecial(dir); err != nil {
			return nil, err
		}
		t.names.orElse(own)
		return t, t.readTemplates(dir)
	}
	if err != nil {
		return nil, err
	}
	t.source = source{json: path, dir: dir}
	if err := t.readSpecial(dir); err != nil {
		return nil, err
	}
	return t, t.readTemplates(dir)
}
