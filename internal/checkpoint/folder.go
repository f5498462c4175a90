package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"lomo/internal/checkpoint/safetensors"
	"lomo/internal/tensor"
)

const (
	configName = "config.json"
	singleName = "model.safetensors"
	indexName  = "model.safetensors.index.json"
	maxConfig  = 16 << 20
)

// auxNames are the files beside the weights that a trained model keeps.
var auxNames = []string{
	"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
	"chat_template.jinja", "generation_config.json", "vocab.json", "merges.txt",
}

// folder is a Hugging Face folder, Meta's parts seen as one, or with OpenFile one safetensors file.
type folder struct {
	table
	config  []byte
	aux     map[string]string
	files   []*safetensors.File
	closers []io.Closer // of other formats
}

func (f *folder) Config() []byte              { return f.config }
func (f *folder) AuxFiles() map[string]string { return f.aux }

func (f *folder) Close() error {
	var errs []error
	for _, s := range f.files {
		errs = append(errs, s.Close())
	}
	for _, c := range f.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

func newFolder(path string) *folder {
	return &folder{table: table{path: path, tensors: map[string]*stored{}}}
}

// OpenFile opens one safetensors file of any tensors. Its Source has neither Config nor AuxFiles.
func OpenFile(path string) (Source, error) {
	f := newFolder(path)
	file, err := f.open(path)
	if err != nil {
		return nil, err
	}
	for _, e := range file.Entries {
		f.add(fromSafetensors(file, e))
	}
	return f, nil
}

func openFolder(dir string) (_ Source, err error) {
	if isMeta(dir) {
		return openMeta(dir)
	}
	f := newFolder(dir)
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if f.config, err = readSmall(filepath.Join(dir, configName), maxConfig); err != nil {
		return nil, err
	}
	if !json.Valid(f.config) || !bytes.HasPrefix(bytes.TrimSpace(f.config), []byte("{")) {
		return nil, fmt.Errorf("%s: not a JSON object", filepath.Join(dir, configName))
	}
	f.aux = findAux(dir)
	switch {
	case exists(filepath.Join(dir, singleName)): // transformers looks for it first, too
		err = f.addFile(filepath.Join(dir, singleName), nil)
	case exists(filepath.Join(dir, indexName)):
		err = f.addShards(dir)
	case exists(filepath.Join(dir, torchName)):
		err = f.addTorch(filepath.Join(dir, torchName))
	case exists(filepath.Join(dir, torchIndexName)):
		err = f.addTorchShards(dir)
	default:
		err = noWeights(dir)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

func findAux(dir string) map[string]string {
	aux := map[string]string{}
	for _, name := range auxNames {
		if p := filepath.Join(dir, name); exists(p) {
			aux[name] = p
		}
	}
	return aux
}

func (f *folder) open(path string) (*safetensors.File, error) {
	file, err := safetensors.Open(path)
	if err == nil {
		f.files = append(f.files, file)
	}
	return file, err
}

// addFile adds the tensors of one file. want lists those that the index places in it; nil means any.
func (f *folder) addFile(path string, want map[string]bool) error {
	file, err := f.open(path)
	if err != nil {
		return err
	}
	for _, e := range file.Entries {
		if want != nil && !want[e.Name] {
			return fmt.Errorf("%s: tensor %q is not listed there by %s", path, e.Name, indexName)
		}
		delete(want, e.Name)
		f.add(fromSafetensors(file, e))
	}
	for name := range want {
		return fmt.Errorf("%s: tensor %q is missing; %s places it there", path, name, indexName)
	}
	return nil
}

func fromSafetensors(file *safetensors.File, e safetensors.Entry) *stored {
	rows, cols := dims(e.Shape)
	return &stored{
		info: Info{e.Name, e.DType, e.Shape}, rows: rows, cols: cols,
		block: 1, size: e.DType.Size(), exact: true,
		read:   func(off int64, dst []byte) error { return file.ReadRaw(e, off, dst) },
		decode: func(dst []float32, src []byte) error { return tensor.Float32s(dst, src, e.DType) },
		file:   file.Handle(), position: file.Position(e, 0),
	}
}

// addShards opens the files of model.safetensors.index.json in the order of their names.
func (f *folder) addShards(dir string) error {
	path := filepath.Join(dir, indexName)
	raw, err := readSmall(path, safetensors.MaxHeader)
	if err != nil {
		return err
	}
	shards, err := parseIndex(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	names := make([]string, 0, len(shards))
	for name := range shards {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		err := f.addFile(filepath.Join(dir, name), shards[name])
		if os.IsNotExist(err) {
			return fmt.Errorf("%s: shard %d of %d, %s, is missing; download it again", path, i+1, len(names), name)
		}
		if err != nil {
			return fmt.Errorf("shard %d of %d: %w", i+1, len(names), err)
		}
	}
	return nil
}

// parseIndex reads an index: file name → the tensors in it.
func parseIndex(raw []byte) (map[string]map[string]bool, error) {
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, err
	}
	if len(index.WeightMap) == 0 {
		return nil, fmt.Errorf("weight_map is missing or empty")
	}
	shards := map[string]map[string]bool{}
	for name, file := range index.WeightMap {
		if file != filepath.Base(file) || !filepath.IsLocal(file) || filepath.Ext(file) != ".safetensors" {
			return nil, fmt.Errorf("tensor %q is placed in %q, want the name of a .safetensors file in the same folder", name, file)
		}
		if shards[file] == nil {
			shards[file] = map[string]bool{}
		}
		shards[file][name] = true
	}
	return shards, nil
}

// noWeights says what was found instead of safetensors files.
func noWeights(dir string) error {
	for _, c := range []struct{ glob, what string }{
		{"*.gguf", "it holds a GGUF file: give its path"},
		{"pytorch_model*.bin", "it holds shards of pytorch_model.bin without their pytorch_model.bin.index.json"},
		{"consolidated.*.pth", "it holds Meta's parts without their params.json"},
	} {
		if found, _ := filepath.Glob(filepath.Join(dir, c.glob)); len(found) > 0 {
			return fmt.Errorf("%s: no %s: %s", dir, singleName, c.what)
		}
	}
	return fmt.Errorf("%s: neither %s nor %s", dir, singleName, indexName)
}

// exists reports whether path leads to a regular file; symbolic links, as in the hub's cache, are followed.
func exists(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}
