package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"lomo/internal/checkpoint/gguf"
)

// GGUFWriter writes a GGUF file, or several parts of one, tensor by tensor in any order. The files have temporary names, their full
// size and their headers from the start; Close gives them their names. Different tensors may be written from several goroutines.
type GGUFWriter struct {
	parts   []*ggufPart
	tensors map[string]*ggufTarget
	written atomic.Int64
	done    bool
}

type ggufPart struct {
	path  string
	file  *os.File
	named bool
}

type ggufTarget struct {
	part    *ggufPart
	tensor  gguf.Tensor
	written spans
}

// GGUFParts are the paths of the files that tensors take, which NewGGUFWriter makes: path itself, or when the tensors exceed limit
// bytes (0: none) PATH-0000i-of-0000N.gguf, as llama.cpp names them.
func GGUFParts(path string, tensors []gguf.Tensor, limit int64) []string {
	n := len(splitGGUF(tensors, limit))
	if n == 1 {
		return []string{path}
	}
	paths := make([]string, n)
	for i := range paths {
		paths[i] = fmt.Sprintf("%s-%05d-of-%05d.gguf", strings.TrimSuffix(path, filepath.Ext(path)), i+1, n)
	}
	return paths
}

// splitGGUF spreads tensors over files in their order; one above the limit has a file of its own.
func splitGGUF(tensors []gguf.Tensor, limit int64) (parts [][]gguf.Tensor) {
	size := int64(0)
	for _, t := range tensors {
		if len(parts) == 0 || limit > 0 && size+t.Bytes() > limit {
			parts, size = append(parts, nil), 0
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], t)
		size += t.Bytes()
	}
	return parts
}

// NewGGUFWriter starts the file at path, or its parts. The space is reserved, so that a full disk fails here.
func NewGGUFWriter(path string, kv []gguf.KV, tensors []gguf.Tensor, limit int64) (*GGUFWriter, error) {
	w := &GGUFWriter{tensors: map[string]*ggufTarget{}}
	parts, paths := splitGGUF(tensors, limit), GGUFParts(path, tensors, limit)
	for i, part := range parts {
		own := kv
		if i > 0 {
			own = slices.DeleteFunc(slices.Clone(kv), func(k gguf.KV) bool { return !slices.Contains(gguf.PartOf, k.Key) }) // the first has the rest
		}
		if len(parts) > 1 {
			own = append(own[:len(own):len(own)], gguf.KV{Key: gguf.SplitNumber, Value: uint16(i)}, gguf.KV{Key: gguf.SplitCount, Value: uint16(len(parts))},
				gguf.KV{Key: gguf.SplitTensors, Value: int32(len(tensors))})
		}
		if err := w.create(paths[i], own, part); err != nil {
			w.Abort()
			return nil, err
		}
	}
	return w, nil
}

// create starts one file: header written, size reserved.
func (w *GGUFWriter) create(path string, kv []gguf.KV, tensors []gguf.Tensor) (err error) {
	header, size, err := gguf.Layout(kv, tensors)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	p := &ggufPart{path: path}
	for _, t := range tensors {
		if w.tensors[t.Name] != nil {
			return fmt.Errorf("%s: tensor %q occurs twice", path, t.Name)
		}
		w.tensors[t.Name] = &ggufTarget{part: p, tensor: t}
	}
	name := filepath.Base(path)
	if p.file, err = os.Create(path + tempSuffix); err != nil {
		return writeError(name, 0, err)
	}
	w.parts = append(w.parts, p)
	if err = failpoint("allocate"); err == nil {
		err = preallocate(p.file, size)
	}
	if err == nil {
		_, err = p.file.WriteAt(header, 0)
	}
	if err != nil {
		return writeError(name, size, err)
	}
	return nil
}

// WriteRows writes encoded rows of a tensor from row r0 on.
func (w *GGUFWriter) WriteRows(name string, r0 int, data []byte) error {
	t := w.tensors[name]
	if t == nil {
		return fmt.Errorf("write %q: no such tensor was declared", name)
	}
	rows, rowBytes := t.tensor.Rows(), t.tensor.RowBytes()
	if len(t.tensor.Shape) == 1 { // a vector is written as a whole
		rows, rowBytes = 1, t.tensor.Bytes()
	}
	n := int(int64(len(data)) / rowBytes)
	if r0 < 0 || n > rows-r0 || int64(n)*rowBytes != int64(len(data)) {
		return fmt.Errorf("write %q: %d bytes at row %d: want whole rows of %d bytes within %d rows", name, len(data), r0, rowBytes, rows)
	}
	err := failpoint("write")
	if err == nil {
		_, err = t.part.file.WriteAt(data, t.tensor.Offset+int64(r0)*rowBytes)
	}
	if err != nil {
		return writeError(filepath.Base(t.part.path), int64(len(data)), err)
	}
	t.written.add(r0, r0+n)
	w.written.Add(int64(len(data)))
	return nil
}

// Written is the bytes of tensors written so far.
func (w *GGUFWriter) Written() int64 { return w.written.Load() }

// Close makes the files durable and gives them their names, the first part last. If it fails, nothing of them remains but what had its name.
func (w *GGUFWriter) Close() error {
	if w.done {
		return nil
	}
	if err := w.finish(); err != nil {
		w.Abort()
		return err
	}
	w.done = true
	return nil
}

func (w *GGUFWriter) finish() error {
	for name, t := range w.tensors {
		rows := t.tensor.Rows()
		if len(t.tensor.Shape) == 1 {
			rows = 1
		}
		if !t.written.covers(rows) {
			return fmt.Errorf("tensor %q: only rows %v of %d were written", name, &t.written, rows)
		}
	}
	for _, p := range w.parts {
		err := failpoint("sync")
		if err == nil {
			err = fsync(p.file)
		}
		if err == nil {
			err = p.file.Close()
			p.file = nil
		}
		if err != nil {
			return writeError(filepath.Base(p.path), 0, err)
		}
	}
	for i := len(w.parts) - 1; i >= 0; i-- {
		p := w.parts[i]
		if err := rename(p.path+tempSuffix, p.path); err != nil {
			return err
		}
		p.named = true
	}
	return syncDir(filepath.Dir(w.parts[0].path))
}

// Abort gives up: what has a temporary name is removed, and parts that are no use without the others.
func (w *GGUFWriter) Abort() {
	if w.done {
		return
	}
	w.done = true
	whole := !slices.ContainsFunc(w.parts, func(p *ggufPart) bool { return !p.named }) // only that the names are durable is not known
	for _, p := range w.parts {
		if p.file != nil {
			p.file.Close()
		}
		switch {
		case !p.named:
			os.Remove(p.path + tempSuffix)
		case !whole:
			os.Remove(p.path)
		}
	}
}

// GGUFConfig is the config.json that is read of a GGUF file's metadata.
func GGUFConfig(f *gguf.File) ([]byte, error) {
	m, err := readGGUFModel(f)
	if err != nil {
		return nil, err
	}
	return m.configJSON()
}
