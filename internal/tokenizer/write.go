package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"lomo/internal/fault"
	"lomo/internal/strictjson"
)

// source is where a tokenizer came from, as far as WriteFiles needs it.
type source struct {
	json, dir string              // files to copy; json "" for a tokenizer made here, dir "" for a lone tokenizer.json
	config    []strictjson.Member // tokenizer_config.json, for a tokenizer made here of a folder
	// The parts of tokenizer.json for a tokenizer made here.
	normalizer, preTokenizer, postProcessor, decoder json.RawMessage
}

func (f *file) source() source {
	return source{normalizer: f.normalizer, preTokenizer: f.preTokenizer, postProcessor: f.postProcessor, decoder: f.decoder}
}

// besides are the files beside tokenizer.json that belong to a tokenizer.
var besides = []string{"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
	"vocab.json", "merges.txt", "tokenizer.model"}

// AsRead tells whether the tokenizer is that of the tokenizer.json it was read from, byte for byte: nothing beside it changed it.
func (t *Tokenizer) AsRead() bool { return t.source.json != "" }

// WriteFiles writes the tokenizer into dir so that transformers' AutoTokenizer opens it: a tokenizer
// read from files is copied byte for byte, any other becomes tokenizer.json, tokenizer_config.json
// and special_tokens_map.json.
func (t *Tokenizer) WriteFiles(dir string) error {
	if t.source.json != "" {
		return t.copyFiles(dir)
	}
	if err := writeFile(filepath.Join(dir, "tokenizer.json"), t.writeJSON); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	names := map[string]any{}
	for key, id := range map[string]int32{"bos_token": t.names.bos, "eos_token": t.names.eos, "pad_token": t.names.pad, "unk_token": t.names.unk} {
		if id >= 0 {
			names[key] = t.Token(id)
		}
	}
	if err := writeIndented(filepath.Join(dir, "special_tokens_map.json"), names); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	if err := writeIndented(filepath.Join(dir, "tokenizer_config.json"), t.config(names)); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	return nil
}

// config adds to names the rest of a tokenizer_config.json.
func (t *Tokenizer) config(names map[string]any) map[string]any {
	c := map[string]any{"clean_up_tokenization_spaces": false,
		"model_max_length": json.RawMessage("1000000000000000019884624838656")} // transformers' "no limit"
	for _, m := range t.source.config {
		if !slices.Contains([]string{"bos_token", "eos_token", "pad_token", "unk_token"}, m.Name) { // they may be named elsewhere
			c[m.Name] = m.Value
		}
	}
	maps.Copy(c, names)
	c["tokenizer_class"] = "PreTrainedTokenizerFast" // whatever tokenizer.json says, nothing added
	decoder := map[string]any{}
	for id := range t.added {
		a := t.written(id)
		decoder[strconv.Itoa(int(id))] = map[string]any{"content": a.Content, "lstrip": a.LStrip, "rstrip": a.RStrip,
			"single_word": a.SingleWord, "normalized": a.Normalized, "special": a.Special}
	}
	c["added_tokens_decoder"] = decoder
	if s := t.chat["default"]; s != "" && len(t.chat) == 1 {
		c["chat_template"] = s
	} else if len(t.chat) > 0 {
		list := []map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(t.chat)) {
			list = append(list, map[string]string{"name": name, "template": t.chat[name]})
		}
		c["chat_template"] = list
	}
	return c
}

// written is an added token with the flags that give a reader of the file what this tokenizer does: a token that was special once stays so, and whether it
// is looked for in the normalized text was decided first.
func (t *Tokenizer) written(id int32) addedToken {
	a := t.added[id]
	a.Special = t.specials[a.Content]
	a.Normalized = t.firstNormalized[a.Content]
	return a
}

// writeJSON writes a tokenizer.json.
func (t *Tokenizer) writeJSON(out io.Writer) error {
	w := &jsonFile{w: out}
	w.raw(`{"version":"1.0","truncation":null,"padding":null,"added_tokens":[`)
	for n, id := range slices.Sorted(maps.Keys(t.added)) {
		w.comma(n)
		w.value(t.written(id))
	}
	w.raw("],\n")
	for _, part := range []struct {
		key   string
		value json.RawMessage
	}{{"normalizer", t.source.normalizer}, {"pre_tokenizer", t.source.preTokenizer},
		{"post_processor", t.source.postProcessor}, {"decoder", t.source.decoder}} {
		if isNull(part.value) {
			part.value = json.RawMessage("null")
		}
		w.raw(`"` + part.key + `":` + string(part.value) + ",\n")
	}
	t.model.write(w)
	return w.err
}

// orNull is nil for a text that is not there.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (m *bpe) write(w *jsonFile) {
	var unk any
	if m.unk >= 0 {
		unk = m.tokens[m.unk]
	}
	w.raw(`"model":{"type":"BPE","dropout":null,"unk_token":`)
	w.value(unk)
	w.raw(`,"continuing_subword_prefix":`)
	w.value(orNull(m.prefix))
	w.raw(`,"end_of_word_suffix":`)
	w.value(orNull(m.suffix))
	w.raw(fmt.Sprintf(`,"fuse_unk":%v,"byte_fallback":%v,"ignore_merges":%v,`, m.fuseUnk, m.byteFallback, m.ignoreMerges))
	w.raw("\n" + `"vocab":{`)
	n := 0
	for id, token := range m.tokens {
		if m.ids[token] != int32(id) || token == "" {
			continue // a hole, or a second id of one token
		}
		w.comma(n)
		w.value(token)
		w.raw(":" + strconv.Itoa(id))
		n++
	}
	w.raw("},\n" + `"merges":[`)
	for n, pair := range m.ranked() {
		w.comma(n)
		w.value([2]string{m.tokens[pair[0]], m.tokens[pair[1]]})
	}
	w.raw("]}}\n")
}

// ranked are the merges as pairs of ids in the order of their ranks.
func (m *bpe) ranked() [][2]int {
	type entry struct {
		pair [2]int
		rank int
	}
	entries := make([]entry, 0, len(m.merges))
	for pair, v := range m.merges {
		entries = append(entries, entry{pair, v.Rank})
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.rank - b.rank })
	pairs := make([][2]int, len(entries))
	for i, e := range entries {
		pairs[i] = e.pair
	}
	return pairs
}

// jsonFile writes JSON piece by piece; the first error sticks.
type jsonFile struct {
	w   io.Writer
	b   bytes.Buffer
	err error
}

func (w *jsonFile) raw(s string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.w, s)
	}
}

func (w *jsonFile) comma(n int) {
	if n > 0 {
		w.raw(",\n")
	}
}

func (w *jsonFile) value(v any) {
	w.b.Reset()
	e := json.NewEncoder(&w.b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil && w.err == nil {
		w.err = err
	}
	w.raw(string(bytes.TrimSuffix(w.b.Bytes(), []byte("\n"))))
}

func writeIndented(path string, v any) error {
	return writeFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}

// writeFile creates path and lets fill write it.
func writeFile(path string, fill func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	err = fill(w)
	if flushed := w.Flush(); err == nil {
		err = flushed
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// copyFiles copies the files the tokenizer was read from.
func (t *Tokenizer) copyFiles(dir string) error {
	if err := copyFile(filepath.Join(dir, "tokenizer.json"), t.source.json); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	if t.source.dir == "" {
		return nil
	}
	for _, name := range besides {
		err := copyFile(filepath.Join(dir, name), filepath.Join(t.source.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("tokenizer: %w", err)
		}
	}
	return nil
}

// copyFile copies one file; copying a file onto itself does nothing.
func copyFile(to, from string) error {
	in, _, err := fault.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if old, err := os.Stat(to); err == nil && os.SameFile(info, old) {
		return nil
	}
	return writeFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
