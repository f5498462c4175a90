package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"lomo/internal/checkpoint/safetensors"
)

// Spec declares a tensor that a Writer will be given.
type Spec = Info

// WriterOptions says how the tensors are spread over files.
type WriterOptions struct {
	MaxShardSize int64             // bytes of tensors in one file; 0 is 50 GB
	Index        bool              // also beside a single file, for readers that would take every *.safetensors of the folder for weights
	Metadata     map[string]string // of every file; nil is {"format": "pt"}, which transformers requires

	// Several writers may fill the same files, each some of the rows: one has Shared set, begins the files and ends them with
	// Close when all have written (see Written); the others have Join set, come after it, and their Close only makes durable
	// what they wrote.
	Shared, Join bool
}

const (
	defaultShardSize = 50_000_000_000
	tempSuffix       = ".tmp"
)

// Writer writes a fixed set of tensors in any order. The files have temporary names, their full size and their
// headers from the start; Close gives them their names. Different tensors may be written from several goroutines.
type Writer struct {
	dir     string
	shards  []*shard
	tensors map[string]*target
	index   []byte // model.safetensors.index.json, nil for none
	indexed bool   // it has been written
	clean   bool   // Close removes the model files of an earlier save
	shared  bool   // others write too: what is missing here is theirs
	join    bool   // another writer begins and ends the files
	written atomic.Int64
	done    bool
}

// shard is one file being written.
type shard struct {
	name  string
	file  *os.File
	start int64 // of the data
	named bool  // it has its final name
}

// target is one tensor being written.
type target struct {
	shard    *shard
	entry    safetensors.Entry
	rows     int
	rowBytes int64
	written  spans
}

// NewWriter starts a model in dir, which must exist: model.safetensors, or when the tensors exceed MaxShardSize
// model-0000i-of-0000N.safetensors with an index. The space is reserved, so that a full disk fails here.
func NewWriter(dir string, specs []Spec, o WriterOptions) (*Writer, error) {
	if o.MaxShardSize == 0 {
		o.MaxShardSize = defaultShardSize
	}
	if o.MaxShardSize < 0 {
		return nil, fmt.Errorf("max_shard_size %d must be positive", o.MaxShardSize)
	}
	parts, err := split(specs, o.MaxShardSize)
	if err != nil {
		return nil, err
	}
	w := &Writer{dir: dir, tensors: map[string]*target{}, clean: true, shared: o.Shared, join: o.Join}
	if len(parts) > 1 || o.Index {
		w.index = indexJSON(parts)
	}
	for i, part := range parts {
		if err := w.create(shardName(i, len(parts)), part, o.Metadata); err != nil {
			w.Abort()
			return nil, err
		}
	}
	return w, nil
}

// NewFileWriter starts a single safetensors file at path, of any tensors.
func NewFileWriter(path string, specs []Spec, o WriterOptions) (*Writer, error) {
	w := &Writer{dir: filepath.Dir(path), tensors: map[string]*target{}, shared: o.Shared, join: o.Join}
	if err := w.create(filepath.Base(path), specs, o.Metadata); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// create starts one file: header written, size reserved.
func (w *Writer) create(name string, specs []Spec, meta map[string]string) error {
	entries := make([]safetensors.Entry, len(specs))
	for i, s := range specs {
		if w.tensors[s.Name] != nil {
			return fmt.Errorf("tensor %q occurs twice", s.Name)
		}
		entries[i] = safetensors.Entry{Name: s.Name, DType: s.DType, Shape: s.Shape}
	}
	if meta == nil {
		meta = map[string]string{"format": "pt"}
	}
	header, err := safetensors.Layout(entries, meta)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	sh := &shard{name: name, start: int64(len(header))}
	for _, e := range entries {
		rows, cols := dims(e.Shape)
		w.tensors[e.Name] = &target{shard: sh, entry: e, rows: rows, rowBytes: int64(cols * e.DType.Size())}
	}
	size := sh.start
	if n := len(entries); n > 0 {
		size += entries[n-1].End
	}
	return w.allocate(sh, header, size)
}

func (w *Writer) allocate(sh *shard, header []byte, size int64) (err error) {
	if w.join {
		sh.file, err = os.OpenFile(w.temp(sh.name), os.O_RDWR, 0)
		w.shards = append(w.shards, sh)
		return err
	}
	if sh.file, err = os.Create(w.temp(sh.name)); err != nil {
		return err
	}
	w.shards = append(w.shards, sh)
	if err := failpoint("allocate"); err != nil {
		return writeError(sh.name, size, err)
	}
	if err := preallocate(sh.file, size); err != nil {
		return writeError(sh.name, size, err)
	}
	if _, err := sh.file.WriteAt(header, 0); err != nil {
		return writeError(sh.name, size, err)
	}
	return nil
}

func (w *Writer) temp(name string) string { return filepath.Join(w.dir, name+tempSuffix) }

// WriteRows writes whole rows of a tensor from row r0 on, in the dtype of its Spec. A scalar is one row.
func (w *Writer) WriteRows(name string, r0 int, data []byte) error {
	t := w.tensors[name]
	if t == nil {
		return fmt.Errorf("write %q: no such tensor was declared", name)
	}
	n := 0
	if t.rowBytes > 0 {
		n = int(int64(len(data)) / t.rowBytes)
	}
	if r0 < 0 || n > t.rows-r0 || int64(n)*t.rowBytes != int64(len(data)) {
		return fmt.Errorf("write %q: %d bytes at row %d: want whole rows of %d bytes within %d rows", name, len(data), r0, t.rowBytes, t.rows)
	}
	if i := firstNonFinite(data, t.entry.DType); i >= 0 { // no model could be read from the file
		cols := int(t.rowBytes) / t.entry.DType.Size()
		return fmt.Errorf("write %q: %w", name, &NonFiniteError{r0 + i/cols, i % cols, t.entry.DType})
	}
	if err := failpoint("write"); err != nil {
		return writeError(t.shard.name, int64(len(data)), err)
	}
	if _, err := t.shard.file.WriteAt(data, t.shard.start+t.entry.Begin+int64(r0)*t.rowBytes); err != nil {
		return writeError(t.shard.name, int64(len(data)), err)
	}
	t.written.add(r0, r0+n)
	w.written.Add(int64(len(data)))
	return nil
}

// Written is the bytes of tensors given to this writer.
func (w *Writer) Written() int64 { return w.written.Load() }

// Size is the bytes of all tensors.
func (w *Writer) Size() int64 {
	n := int64(0)
	for _, t := range w.tensors {
		n += int64(t.rows) * t.rowBytes
	}
	return n
}

// Close makes the files durable and gives them their names, the index last; files of an earlier model in the same
// folder that would be read instead or beside them are then removed. If it fails, nothing of this save remains.
func (w *Writer) Close() error {
	if w.done {
		return nil
	}
	if err := w.finish(); err != nil {
		w.Abort()
		return err
	}
	w.done = true
	if w.clean && !w.join {
		return w.removeStale()
	}
	return nil
}

func (w *Writer) finish() error {
	for name, t := range w.tensors {
		if !w.shared && !w.join && !t.written.covers(t.rows) && t.rowBytes > 0 {
			return fmt.Errorf("tensor %q: only rows %v of %d were written", name, &t.written, t.rows)
		}
	}
	for _, sh := range w.shards {
		if err := syncClose(sh); err != nil {
			return writeError(sh.name, 0, err)
		}
	}
	if w.join {
		return nil
	}
	return w.install()
}

// install gives the files their names, the index last.
func (w *Writer) install() error {
	if err := w.beginIndex(); err != nil {
		return err
	}
	for _, sh := range w.shards {
		if err := rename(w.temp(sh.name), filepath.Join(w.dir, sh.name)); err != nil {
			return err
		}
		sh.named = true
	}
	if w.index != nil {
		if err := rename(w.temp(indexName), filepath.Join(w.dir, indexName)); err != nil {
			return err
		}
		w.indexed = true
	}
	return syncDir(w.dir)
}

func syncClose(sh *shard) error {
	if err := failpoint("sync"); err != nil {
		return err
	}
	if err := fsync(sh.file); err != nil {
		return err
	}
	err := sh.file.Close()
	sh.file = nil
	return err
}

// Abort gives up: temporary files are removed, files that were there before stay. After Close it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	for _, sh := range w.shards {
		if sh.file != nil {
			sh.file.Close()
		}
		if w.join {
			continue
		}
		if !sh.named {
			os.Remove(w.temp(sh.name))
		} else if w.index != nil {
			os.Remove(filepath.Join(w.dir, sh.name)) // no use without the others
		}
	}
	if w.index != nil && !w.join {
		os.Remove(w.temp(indexName))
	}
	if w.indexed {
		os.Remove(filepath.Join(w.dir, indexName))
	}
}
