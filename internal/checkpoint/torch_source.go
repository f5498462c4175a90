package checkpoint

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"lomo/internal/checkpoint/meta"
	"lomo/internal/checkpoint/torch"
	"lomo/internal/fault"
	"lomo/internal/hub"
	"lomo/internal/tensor"
)

const (
	torchName      = "pytorch_model.bin"
	torchIndexName = "pytorch_model.bin.index.json"
)

// addTorch adds the tensors of one file of torch.save.
func (f *folder) addTorch(path string) error {
	file, err := torch.Open(path)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, file)
	for i := range file.Tensors {
		t := &file.Tensors[i]
		if f.tensors[t.Name] != nil {
			return fault.Refuse(oneModel, "%s: tensor %q is in another shard too", path, fault.Line(t.Name))
		}
		f.add(fromTorch(file, t))
	}
	return nil
}

func fromTorch(file *torch.File, t *torch.Tensor) *stored {
	rows, cols := dims(t.Shape)
	s := &stored{
		info: Info{t.Name, t.DType, t.Shape}, rows: rows, cols: cols,
		block: 1, size: t.DType.Size(), exact: true,
		read:   func(off int64, dst []byte) error { return file.ReadRaw(t, off, dst) },
		decode: func(dst []float32, src []byte) error { return tensor.Float32s(dst, src, t.DType) },
	}
	if t.Contiguous() {
		s.file, s.position = file.Handle(), t.Position(0)
	}
	return s
}

// addTorchShards opens the files of pytorch_model.bin.index.json in the order of their names.
func (f *folder) addTorchShards(dir string) error {
	path := filepath.Join(dir, torchIndexName)
	raw, err := readObject(path, maxIndex)
	if err != nil {
		return err
	}
	shards, err := parseIndex(raw, ".bin")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	names := slices.Sorted(maps.Keys(shards))
	if err := allThere(path, dir, names); err != nil {
		return err
	}
	for i, name := range names {
		if err := f.addTorch(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("shard %d of %d: %w", i+1, len(names), err)
		}
	}
	var lost []string
	for _, tensors := range shards {
		for name := range tensors {
			if f.tensors[name] == nil {
				lost = append(lost, name)
			}
		}
	}
	if len(lost) > 0 {
		return fault.Refuse(oneModel, "%s: %s %q in no shard", path, fault.Count(len(lost), "tensor"), fault.Line(slices.Min(lost)))
	}
	return nil
}

// isMeta reports whether a folder holds a checkpoint as Meta publishes them.
func isMeta(dir string) bool {
	if len(hub.Glob(dir, meta.Glob)) == 0 || !exists(filepath.Join(dir, "params.json")) {
		return false
	}
	for _, name := range []string{singleName, indexName, torchName, torchIndexName} { // beside such files it is the same model again
		if exists(filepath.Join(dir, name)) {
			return false
		}
	}
	return true
}

// openMeta shows such a folder as a Hugging Face one.
func openMeta(dir string) (Source, error) {
	m, err := meta.Open(dir)
	if err != nil {
		return nil, err
	}
	f := newFolder(dir)
	f.config = m.Config
	f.closers = append(f.closers, m)
	if f.aux, err = findAux(dir); err != nil {
		m.Close()
		return nil, err
	}
	for i := range m.Tensors {
		t := &m.Tensors[i]
		rows, cols := dims(t.Shape)
		f.add(&stored{
			info: Info{t.Name, t.DType, t.Shape}, rows: rows, cols: cols, head: t.Head,
			block: 1, size: t.DType.Size(), exact: true,
			read:   func(off int64, dst []byte) error { return t.Read(off, dst, adviseDontNeed) },
			decode: func(dst []float32, src []byte) error { return tensor.Float32s(dst, src, t.DType) },
		})
	}
	return f, nil
}
