package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"lomo/internal/fault"
	"lomo/internal/hub"
)

// Open loads the tokenizer at path: a folder in Hugging Face's layout, one of the files below, or a GGUF file. A folder has tokenizer.json, or else
// tokenizer.model (SentencePiece's, or tiktoken's as Llama-3 has it), tekken.json or tiktoken.model. Beside them tokenizer_config.json,
// special_tokens_map.json and added_tokens.json give tokens, roles and settings with the precedence that transformers 5 has, generation_config.json and
// config.json the ids of tokens that end a text, chat_template.jinja the chat template.
func Open(path string) (*Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if path, err = hub.Resolve(path); err != nil {
			return nil, err
		}
		if err := instead(path); err != nil {
			return nil, err
		}
		return openFolder(path)
	}
	name := strings.ToLower(filepath.Base(path))
	switch {
	case strings.HasSuffix(name, ".gguf"):
		return openGGUF(path)
	case strings.HasSuffix(name, ".model"), strings.Contains(name, ".model."), strings.HasSuffix(name, ".tiktoken"), isTekken(name):
		s := newSides(filepath.Dir(path))
		f, err := openVocabulary(path, asFile, s)
		if err != nil {
			return nil, err
		}
		return f.alone(s)
	}
	f, err := openJSON(path)
	if err != nil {
		return nil, err
	}
	t, err := f.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.source = source{json: path}
	return t, nil
}

// instead tells a pointer, a page or an archive that stands in place of the tokenizer's file.
func instead(dir string) error {
	for _, name := range append([]string{"tokenizer.json"}, vocabularies...) {
		path := filepath.Join(dir, name)
		if err := fault.InsteadOf(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if _, err := os.Stat(path); err == nil {
			return nil // the others are not read beside it
		}
	}
	return nil
}

func isTekken(name string) bool {
	return strings.Contains(name, "tekken") && strings.HasSuffix(name, ".json")
}

// vocabularies are the files that hold a tokenizer's vocabulary without a tokenizer.json, the first found is read.
var vocabularies = []string{"tokenizer.model", "tekken.json", "tiktoken.model"}

func openFolder(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	f, err := openJSON(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return openWithoutJSON(dir)
	case err != nil:
		return nil, err
	}
	s, err := readSides(dir)
	if err != nil {
		return nil, err
	}
	c := chooseClass(s.class, s.modelType, f.byteLevel())
	unigram := c.pipeline != nil && f.kind == "Unigram"
	if unigram {
		c = asFile
	}
	s.complete(f, c, true)
	before := *f
	if c.pipeline != nil {
		c.pipeline(f, s)
		f.added = nil // s has them, unless tokenizer_config.json's own list replaces them
	}
	t, changed, err := f.beside(s, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if unigram {
		t.note("tokenizer_class %s: transformers 5 would make a BPE of this Unigram tokenizer.json; it is read as it stands", s.class)
	}
	t.source = source{json: path, dir: dir}
	if changed || c.pipeline != nil && !f.samePipeline(&before) {
		t.source = f.source()
	}
	return t.fromFolder(s)
}

// byteLevel reports whether a tokenizer.json works on bytes.
func (f *file) byteLevel() bool {
	for _, part := range [][]byte{f.normalizer, f.preTokenizer, f.postProcessor, f.decoder} {
		if bytes.Contains(part, []byte(`"ByteLevel"`)) {
			return true
		}
	}
	return false
}

// samePipeline reports whether two files that differ in their components mean the same, as far as can be seen.
func (f *file) samePipeline(o *file) bool {
	if f.fuseUnk != o.fuseUnk || f.byteFallback != o.byteFallback || f.ignoreMerges != o.ignoreMerges || !reflect.DeepEqual(f.unk, o.unk) {
		return false
	}
	for _, p := range []struct{ a, b json.RawMessage }{{f.normalizer, o.normalizer}, {f.preTokenizer, o.preTokenizer}, {f.decoder, o.decoder}} {
		if isNull(p.a) != isNull(p.b) {
			return false
		}
		var a, b any
		if isNull(p.a) || json.Unmarshal(p.a, &a) == nil && json.Unmarshal(p.b, &b) == nil && reflect.DeepEqual(a, b) {
			continue
		}
		return false
	}
	return true
}

// beside is the tokenizer of a file and what stands beside it, and whether that has other added tokens than the file.
func (f *file) beside(s *sides, c *tokenizerClass) (_ *Tokenizer, changed bool, err error) {
	t, err := f.with(func(t *Tokenizer) error {
		before := maps.Clone(t.added)
		err := s.addTo(t, c)
		changed = !maps.Equal(before, t.added)
		return err
	})
	if t != nil {
		t.cleanUp = s.cleanUp && f.kind == "Unigram" // transformers leaves it out for BPE, where it would spoil texts
	}
	return t, changed, err
}

// openWithoutJSON opens a folder that has a vocabulary in another form.
func openWithoutJSON(dir string) (*Tokenizer, error) {
	for _, name := range vocabularies {
		path := filepath.Join(dir, name)
		if err := fault.Dangling(path); err != nil {
			return nil, err
		}
		if _, err := os.Stat(path); err != nil {
			continue
		}
		s, err := readSides(dir)
		if err != nil {
			return nil, err
		}
		c := chooseClass(s.class, s.modelType, false)
		f, err := openVocabulary(path, c, s)
		if err != nil {
			return nil, err
		}
		return f.madeFrom(s, c)
	}
	for _, name := range []string{"vocab.json", "vocab.txt", "spiece.model", "spm.model", "sentencepiece.bpe.model"} {
		if err := fault.Dangling(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return nil, fmt.Errorf("%s: no tokenizer.json, and no %s, but %s; %s", dir, strings.Join(vocabularies, ", "), name, convertHint)
		}
	}
	return nil, fmt.Errorf("%s: no tokenizer.json, and no %s", dir, strings.Join(vocabularies, ", "))
}

const convertHint = "with transformers it can be converted: AutoTokenizer.from_pretrained(dir).save_pretrained(dir)"

// alone is the tokenizer of a vocabulary file without a folder.
func (f *file) alone(s *sides) (*Tokenizer, error) {
	t, err := f.made(s, asFile)
	if err != nil {
		return nil, err
	}
	t.setRoles(s, ids{}, ids{})
	return t, nil
}

// madeFrom is the tokenizer of a vocabulary file in a folder.
func (f *file) madeFrom(s *sides, c *tokenizerClass) (*Tokenizer, error) {
	t, err := f.made(s, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.dir, err)
	}
	return t.fromFolder(s)
}

func (f *file) made(s *sides, c *tokenizerClass) (*Tokenizer, error) {
	s.complete(f, c, false)
	if c.pipeline != nil {
		c.pipeline(f, s)
	}
	// transformers adds bos and eos only where it is told so. Folders without its files are Meta's, whose own code begins every text with bos.
	bos, eos := s.addBOS != nil && *s.addBOS, s.addEOS != nil && *s.addEOS
	if !s.hasConfig && f.kind == "BPE" {
		bos = true
	}
	t, _, err := f.beside(s, c)
	if err != nil {
		return nil, err
	}
	if f.postProcessor, err = t.around(s, bos, eos); err != nil {
		return nil, err
	}
	if t.post, err = newPost(f.postProcessor, func(id int32) bool { return t.Token(id) != "" }); err != nil {
		return nil, err
	}
	t.stops = f.stops
	t.source = f.source()
	return t, nil
}

// around is the post-processor that puts bos before and eos behind a text; null for neither.
func (t *Tokenizer) around(s *sides, bos, eos bool) (json.RawMessage, error) {
	var p postBuilder
	for typeID := range 2 {
		if token := s.roles["bos_token"]; bos && token != nil && token.Content != "" {
			id, _ := t.ID(token.Content)
			p.special(token.Content, id, typeID)
		}
		p.sequence(typeID)
		if token := s.roles["eos_token"]; eos && token != nil && token.Content != "" {
			id, _ := t.ID(token.Content)
			p.special(token.Content, id, typeID)
		}
	}
	return p.json()
}

// fromFolder gives t the roles and chat templates of a folder.
func (t *Tokenizer) fromFolder(s *sides) (*Tokenizer, error) {
	var generation, model ids
	if err := readConfig(filepath.Join(s.dir, "generation_config.json"), &generation); err != nil {
		return nil, err
	}
	if err := readConfig(filepath.Join(s.dir, "config.json"), &model); err != nil {
		return nil, err
	}
	t.setRoles(s, generation, model)
	if !t.AsRead() {
		t.source.config = s.config
	}
	return t, t.readTemplates(s.dir)
}

// openVocabulary reads a vocabulary that is no tokenizer.json.
func openVocabulary(path string, c *tokenizerClass, s *sides) (*file, error) {
	raw, err := readVocabulary(path)
	if err != nil {
		return nil, err
	}
	var f *file
	name := filepath.Base(path)
	switch {
	case isTekken(strings.ToLower(name)):
		f, err = readTekken(raw, s)
	case name == "tiktoken.model" || strings.HasSuffix(name, ".tiktoken") || looksLikeTiktoken(raw):
		f, err = readTiktoken(raw, s)
	default:
		var p *pieceFile
		if p, err = readPieces(raw); err == nil {
			f, err = p.file(c, s)
		}
		if err != nil {
			err = fmt.Errorf("%w; %s", err, convertHint)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}
