package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"lomo/internal/checkpoint/safetensors"
	"lomo/internal/fault"
	"lomo/internal/hub"
	"lomo/internal/tensor"
)

const (
	configName = "config.json"
	singleName = "model.safetensors"
	indexName  = "model.safetensors.index.json"
	maxConfig  = 2 << 20
	maxIndex   = 4 << 20 // bytes: a model of a thousand layers has one
)

// auxNames are the files beside the weights that a trained model keeps.
var auxNames = []string{
	"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "tekken.json",
	"chat_template.jinja", "chat_template.json", generationName, "vocab.json", "merges.txt",
}

const (
	templatesDir   = "additional_chat_templates"
	generationName = "generation_config.json"
)

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
	if err := refuseAdapter(dir); err != nil {
		return nil, err
	}
	if f.config, err = readConfig(dir); err != nil {
		return nil, err
	}
	if f.aux, err = findAux(dir); err != nil {
		return nil, err
	}
	if err = f.addWeights(dir); err != nil {
		return nil, err
	}
	if err = f.refuseTensors(); err != nil {
		return nil, err
	}
	if err = f.canonical(); err != nil {
		return nil, err
	}
	if err = f.splitExperts(); err != nil {
		return nil, err
	}
	f.tieToHead()
	return f, nil
}

// addWeights adds the tensors of the files that transformers would take, in its order, or of shards without an index.
func (f *folder) addWeights(dir string) error {
	for _, name := range []string{singleName, indexName, torchName, torchIndexName} {
		if err := dangling(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	switch {
	case exists(filepath.Join(dir, singleName)):
		return f.addFile(filepath.Join(dir, singleName), nil)
	case exists(filepath.Join(dir, indexName)):
		return f.addShards(dir)
	case exists(filepath.Join(dir, torchName)):
		return f.addTorch(filepath.Join(dir, torchName))
	case exists(filepath.Join(dir, torchIndexName)):
		return f.addTorchShards(dir)
	}
	for _, kind := range []struct {
		stem, ending string
		add          func(path string) error
	}{{"model", ".safetensors", func(path string) error { return f.addFile(path, nil) }}, {"pytorch_model", ".bin", f.addTorch}} {
		paths, err := loose(dir, kind.stem, kind.ending)
		if err != nil {
			return err
		}
		for i, path := range paths {
			if err := kind.add(path); err != nil {
				return fmt.Errorf("shard %d of %d: %w", i+1, len(paths), err)
			}
		}
		if len(paths) > 0 {
			return nil
		}
	}
	return without(dir, "weights ("+singleName+")")
}

var shardFile = regexp.MustCompile(`-(\d{5})-of-(\d{5})\.`)

// loose finds the shards of a model that has no index: all of one set, by their names.
func loose(dir, stem, ending string) ([]string, error) {
	found := hub.Glob(dir, stem+"-?????-of-?????"+ending)
	total := ""
	for _, path := range found {
		m := shardFile.FindStringSubmatch(filepath.Base(path))
		if m == nil {
			continue
		}
		if total != "" && m[2] != total {
			return nil, fault.Refuse("remove those of the other model, or add its index", "%s: shards of two models, -of-%s and -of-%s, and no index that chooses", dir, total, m[2])
		}
		total = m[2]
	}
	if total == "" {
		return nil, nil
	}
	if exists(filepath.Join(dir, indexName+tempSuffix)) {
		return nil, fault.Refuse("save the model again, or take the newest checkpoint", "%s: no %s: a save into this folder was cut short, its shards may be of two models", dir, indexName)
	}
	n, _ := strconv.Atoi(total) // five digits
	var paths, names []string
	for i := range n {
		name := fmt.Sprintf("%s-%05d-of-%s%s", stem, i+1, total, ending)
		paths, names = append(paths, filepath.Join(dir, name)), append(names, name)
	}
	return paths, allThere(dir, dir, names)
}

// allThere names the shards that are missing of those that where, an index or the folder, tells of.
func allThere(where, dir string, names []string) error {
	n, first := 0, ""
	for _, name := range names {
		if !exists(filepath.Join(dir, name)) {
			if n++; n == 1 {
				first = fault.Line(name)
			}
		}
	}
	if n == 0 {
		return nil
	}
	return fault.Refuse("download what is missing into the folder", "%s: %d of %d shards missing, first %s", where, n, len(names), first)
}

// findAux finds the files beside the weights. A link that leads out of the folder is refused: what it names would be copied
// into the trained model.
func findAux(dir string) (map[string]string, error) {
	aux := map[string]string{}
	names := slices.Clone(auxNames)
	if err := fault.Dangling(filepath.Join(dir, templatesDir)); err != nil {
		return nil, err
	}
	more := hub.Glob(dir, templatesDir+"/*.jinja")
	for _, path := range more {
		names = append(names, templatesDir+"/"+filepath.Base(path))
	}
	for _, name := range names {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := dangling(p); err != nil {
			return nil, err
		}
		if !exists(p) {
			continue
		}
		if !hub.Inside(dir, p) {
			return nil, fault.Refuse("copy the file into the folder, or remove the link", "%s: a link out of the model's folder; it would be copied into the trained model", p)
		}
		aux[name] = p
	}
	return aux, nil
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
			return fault.Refuse(oneModel, "%s: tensor %q is not listed there by %s", path, fault.Line(e.Name), indexName)
		}
		delete(want, e.Name)
		if f.tensors[e.Name] != nil {
			return fault.Refuse(oneModel, "%s: tensor %q is in another shard too", path, fault.Line(e.Name))
		}
		f.add(fromSafetensors(file, e))
	}
	if len(want) > 0 {
		left := slices.Sorted(maps.Keys(want))
		return fault.Refuse(oneModel, "%s: %s %q missing, which %s places there", path, fault.Count(len(left), "tensor"), fault.Line(left[0]), indexName)
	}
	return nil
}

// oneModel is the way out of files that are not of one save.
const oneModel = "the index and its shards are of different models, or saves: download all of one again"

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
	raw, err := readObject(path, maxIndex)
	if err != nil {
		return err
	}
	shards, err := parseIndex(raw, ".safetensors")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	names := slices.Sorted(maps.Keys(shards))
	if err := allThere(path, dir, names); err != nil {
		return err
	}
	for i, name := range names {
		if err := f.addFile(filepath.Join(dir, name), shards[name]); err != nil {
			return fmt.Errorf("shard %d of %d: %w", i+1, len(names), err)
		}
	}
	return nil
}

// parseIndex reads an index: file name → the tensors in it.
func parseIndex(raw []byte, ending string) (map[string]map[string]bool, error) {
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := fault.JSON(raw, &index); err != nil {
		return nil, err
	}
	if len(index.WeightMap) == 0 {
		return nil, fault.Refuse("download the file again", "weight_map is missing or empty")
	}
	shards := map[string]map[string]bool{}
	for name, file := range index.WeightMap {
		if file != filepath.Base(file) || !filepath.IsLocal(file) || filepath.Ext(file) != ending {
			return nil, fault.Refuse("put the files and the index into one folder", "tensor %q is placed in %q, want the name of a %s file in the same folder", fault.Line(name), fault.Line(file), ending)
		}
		if shards[file] == nil {
			shards[file] = map[string]bool{}
		}
		shards[file][name] = true
	}
	return shards, nil
}

// exists reports whether path leads to a regular file; symbolic links, as in the hub's cache, are followed.
func exists(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}
