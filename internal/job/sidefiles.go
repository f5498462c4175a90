package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/fault"
	"lomo/internal/tokenizer"
)

// tokenizerDir holds, during a run, what a saved model has beside its weights: tokenizer, templates, generation_config.json.
const tokenizerDir = ".tokenizer"

// keepSideFiles brings the files beside the model's weights into the output folder now, so that the run does not depend on the
// model's folder later, and returns what copies them beside a checkpoint. A tokenizer that came in another format, in a GGUF file
// or as tokenizer.model, or whose tokens stand partly in other files, is written as tokenizer.json. What is not the file that its name says is left out, and said.
func keepSideFiles(m *Model, tok *tokenizer.Tokenizer, c *config.Config, note func(string, ...any)) (func(string) error, error) {
	kept := filepath.Join(c.OutputDir, tokenizerDir)
	if err := os.RemoveAll(kept); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return nil, err
	}
	if err := sideFiles(m, tok, kept, note); err != nil {
		return nil, err
	}
	if tok != nil {
		have, err := filesOf(kept)
		if err != nil {
			return nil, err
		}
		if err := keepTemplate(have, kept, tok, c); err != nil {
			return nil, err
		}
	}
	return func(to string) error { return copyTree(to, kept) }, nil
}

// sideFiles writes what stands beside a model's weights into the folder dir, but for config.json.
func sideFiles(m *Model, tok *tokenizer.Tokenizer, dir string, note func(string, ...any)) error {
	files := m.Source.AuxFiles()
	if tok != nil && (!tok.AsRead() || files["tokenizer.json"] == "") { // a GGUF file may have taken the tokenizer.json beside it
		if err := tok.WriteFiles(dir); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := readsAs(name, files[name]); err != nil {
			note("left out of the saved model: %s: %v", files[name], err)
			continue
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Stat(to); err == nil {
			continue // made from this one and the others
		}
		if err := copyTo(to, files[name]); err != nil {
			return err
		}
	}
	return makeGeneration(m, tok, filepath.Join(dir, generationConfig))
}

// filesOf are the files of a folder by their names.
func filesOf(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	files := map[string]string{}
	for _, e := range entries {
		if e.Type().IsRegular() {
			files[e.Name()] = filepath.Join(dir, e.Name())
		}
	}
	return files, err
}

// maxSide bounds a file beside the weights: a tokenizer.json of the largest vocabularies has 34 MB.
const maxSide = 96 << 20

// readsAs checks that a file is what its name says, as far as can be told without its meaning.
func readsAs(name, path string) error {
	if err := fault.InsteadOf(path); err != nil {
		return err
	}
	raw, err := fault.Read(path, maxSide)
	if err != nil {
		return fault.Bare(err, path)
	}
	switch filepath.Ext(name) {
	case ".json":
		var object map[string]json.RawMessage
		if !json.Valid(raw) {
			return errors.New("it is not JSON")
		}
		if json.Unmarshal(raw, &object) != nil {
			return errors.New("it is no JSON object")
		}
	case ".txt":
		if !isText(raw) {
			return errors.New("it is no text")
		}
		if n := notMerges(raw); name == "merges.txt" && n > 0 {
			return fmt.Errorf("line %d is no merge of two tokens", n)
		}
	case ".model": // SentencePiece's begins with a piece, tiktoken's is text
		if !bytes.HasPrefix(raw, []byte{0x0a}) && !isText(raw) {
			return errors.New("it is no tokenizer")
		}
	default:
		if !isText(raw) {
			return errors.New("it is no text")
		}
	}
	return nil
}

// notMerges is the first line that is no merge of two tokens, 0 for none.
func notMerges(raw []byte) int {
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		line = bytes.TrimRight(line, "\r\n")
		if len(line) > 0 && !bytes.HasPrefix(line, []byte("#version")) && bytes.Count(line, []byte(" ")) != 1 {
			return n
		}
	}
	return 0
}

func isText(raw []byte) bool { return utf8.Valid(raw) && !bytes.ContainsRune(raw, 0) }

// makeGeneration writes the generation_config.json of a model that has none: which tokens begin and end a text, so that the
// saved model stops where this program stops it.
func makeGeneration(m *Model, tok *tokenizer.Tokenizer, path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made := map[string]any{}
	if tok != nil {
		for key, id := range map[string]int32{"bos_token_id": tok.BOS(), "pad_token_id": tok.PAD()} {
			if id >= 0 {
				made[key] = id
			}
		}
		switch stops := tok.EOSIDs(); len(stops) {
		case 0:
		case 1:
			made["eos_token_id"] = stops[0]
		default:
			made["eos_token_id"] = stops
		}
	} else {
		for _, key := range []string{"bos_token_id", "eos_token_id", "pad_token_id"} {
			if v, ok := m.Config.Raw[key]; ok && string(v) != "null" {
				made[key] = v
			}
		}
	}
	if made["eos_token_id"] == nil {
		return nil
	}
	raw, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// copyTree copies the files below from into the folder to.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyTo(filepath.Join(to, rel), path)
	})
}

// copyTo copies a file; the folder is made.
func copyTo(to, from string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := checkpoint.CopyFile(to, from); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}
