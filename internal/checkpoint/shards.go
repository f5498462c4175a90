package checkpoint

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"lomo/internal/checkpoint/safetensors"
)

func shardName(i, n int) string {
	if n == 1 {
		return singleName
	}
	return fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
}

// split spreads tensors over files as huggingface_hub does: in their order, a new file when the next one would
// exceed limit; a tensor above the limit gets a file of its own, before the one being filled.
func split(specs []Spec, limit int64) ([][]Spec, error) {
	var parts [][]Spec
	var part []Spec
	var size int64
	for _, s := range specs {
		n, err := safetensors.Bytes(s.DType, s.Shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", s.Name, err)
		}
		if n > limit {
			parts = append(parts, []Spec{s})
			continue
		}
		if size+n > limit {
			parts = append(parts, part)
			part, size = nil, 0
		}
		part = append(part, s)
		size += n
	}
	if len(part) > 0 || len(parts) == 0 {
		parts = append(parts, part)
	}
	return parts, nil
}

// indexJSON is model.safetensors.index.json; its keys are sorted, as the reference writer does.
func indexJSON(parts [][]Spec) []byte {
	var index struct {
		Metadata struct {
			Parameters int64 `json:"total_parameters"`
			Size       int64 `json:"total_size"`
		} `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}
	index.WeightMap = map[string]string{}
	for i, part := range parts {
		for _, s := range part {
			n, _ := safetensors.Bytes(s.DType, s.Shape) // checked by split
			index.Metadata.Size += n
			index.Metadata.Parameters += n / int64(s.DType.Size())
			index.WeightMap[s.Name] = shardName(i, len(parts))
		}
	}
	raw, _ := json.MarshalIndent(index, "", "  ") // strings and numbers cannot fail
	return append(raw, '\n')
}

// beginIndex writes the index under its temporary name, whose presence says that a save is not finished: shards that lie
// beside it may be of two models. The index of an earlier save goes when shards of it are about to be replaced: between the
// first rename and the last, a reader must not take some shards of the one model and some of the other.
func (w *Writer) beginIndex() error {
	if w.index == nil {
		return nil
	}
	temp := w.temp(indexName)
	err := failpoint("write")
	if err == nil {
		err = os.WriteFile(temp, w.index, 0o644)
	}
	if err == nil {
		err = syncFile(temp)
	}
	if err != nil {
		return writeError(indexName, int64(len(w.index)), err)
	}
	for _, sh := range w.shards {
		if !exists(filepath.Join(w.dir, sh.name)) {
			continue
		}
		if err := os.Remove(filepath.Join(w.dir, indexName)); err != nil && !os.IsNotExist(err) {
			return err
		}
		break
	}
	return syncDir(w.dir)
}

var modelFile = regexp.MustCompile(`^model(-\d{5}-of-\d{5})?\.safetensors(\.tmp)?$`)

// removeStale removes what an earlier save with another number of files, or a killed one, left in the folder:
// model.safetensors would be read instead of the shards, an old index beside model.safetensors would mislead other
// readers.
func (w *Writer) removeStale() error {
	mine := map[string]bool{}
	for _, sh := range w.shards {
		mine[sh.name] = true
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	removed := false
	for _, e := range entries {
		stale := modelFile.MatchString(e.Name()) && !mine[e.Name()] || (e.Name() == indexName || e.Name() == indexName+tempSuffix) && w.index == nil
		if !stale {
			continue
		}
		if err := os.Remove(filepath.Join(w.dir, e.Name())); err != nil {
			return fmt.Errorf("remove the file of an earlier save: %w", err)
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return syncDir(w.dir)
}
