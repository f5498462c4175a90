package checkpoint

import (
	"fmt"
	"slices"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/fault"
	"lomo/internal/tensor"
)

// ggufSource is a model in a GGUF file under its Hugging Face names, shapes and row order.
type ggufSource struct {
	table
	file   *gguf.File
	config []byte
}

func (g *ggufSource) Config() []byte              { return g.config }
func (g *ggufSource) AuxFiles() map[string]string { return nil }
func (g *ggufSource) Close() error                { return g.file.Close() }

// ReadFrom reports whether the file at path is one of those that the model is read from.
func (g *ggufSource) ReadFrom(path string) bool { return g.file.ReadFrom(path) }

// GGUFName is general.name, what the file calls the model.
func (g *ggufSource) GGUFName() string {
	name, _ := g.file.String("general.name")
	return name
}

func openGGUF(path string) (Source, error) {
	file, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	g, err := newGGUFSource(file, path)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

func newGGUFSource(file *gguf.File, path string) (*ggufSource, error) {
	m, err := readGGUFModel(file)
	if err != nil {
		return nil, err
	}
	if err := file.Readable(); err != nil {
		return nil, err
	}
	g := &ggufSource{table: table{path: path, tensors: map[string]*stored{}}, file: file}
	var unknown []string
	for _, t := range file.Tensors {
		if name, fused := m.Fused(t.Name); fused {
			if err := g.addFused(m, t, name); err != nil {
				return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
			}
			continue
		}
		name, known := m.HF(t.Name)
		switch {
		case !known:
			unknown = append(unknown, t.Name)
		case name != "":
			s := fromGGUF(file, t, name, 0, t.Rows())
			if s.head, err = m.headOf(name, s.rows); err != nil {
				return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
			}
			s.less(m.Offset(name))
			g.add(s)
		}
	}
	if len(unknown) > 0 {
		return nil, fault.Refuse("this build trains models without further parts: "+useFolder, "%s %q not part of a %s model, would be lost",
			fault.Count(len(unknown), "tensor"), fault.Line(unknown[0]), m.Name)
	}
	g.config, err = m.configJSON()
	return g, err
}

// useFolder is the way out of a GGUF file that cannot be trained.
const useFolder = "take the model's Hugging Face folder, or another GGUF file made from it"

// addFused adds the three parts of a fused matrix.
func (g *ggufSource) addFused(m *ggufModel, t gguf.Tensor, format string) error {
	q, kv := m.heads*m.headDim, m.kvHeads*m.headDim
	if t.Rows() != q+2*kv {
		return fault.Refuse(useFolder, "%d rows, want %d: %d query, %d key and %d value heads of %d", t.Rows(), q+2*kv, m.heads, m.kvHeads, m.kvHeads, m.headDim)
	}
	for _, part := range []struct {
		letter   string
		from, to int
	}{{"q", 0, q}, {"k", q, q + kv}, {"v", q + kv, q + 2*kv}} {
		s := fromGGUF(g.file, t, fmt.Sprintf(format, part.letter), part.from, part.to)
		s.head, _ = m.headOf(s.info.Name, s.rows) // the rows are as many as its heads have
		g.add(s)
	}
	return nil
}

// fromGGUF is the rows [r0, r1) of a tensor.
func fromGGUF(file *gguf.File, t gguf.Tensor, name string, r0, r1 int) *stored {
	shape := slices.Clone(t.Shape)
	shape[0] = r1 - r0
	rows, cols := dims(shape)
	block, size := t.Type.Block()
	start := int64(r0) * t.RowBytes()
	packed := ""
	if t.Type.Quantized() {
		packed = t.Type.String()
	}
	return &stored{
		packed: packed,
		info:   Info{name, ggufDType(t.Type), shape}, rows: rows, cols: cols,
		block: block, size: size, exact: !t.Type.Quantized(),
		read:   func(off int64, dst []byte) error { return file.ReadRaw(t, start+off, dst) },
		decode: func(dst []float32, src []byte) error { return gguf.Dequantize(t.Type, dst, src) },
		file:   t.Handle(), position: t.Offset + start,
	}
}

// less makes the values less by what the file has more than config.json's family.
func (s *stored) less(offset float32) {
	if offset == 0 {
		return
	}
	decode := s.decode
	s.exact = false
	s.decode = func(dst []float32, src []byte) error {
		err := decode(dst, src)
		for i := range dst {
			dst[i] -= offset
		}
		return err
	}
}

// ggufDType is the dtype that a tensor decodes to without loss of what it holds.
func ggufDType(t gguf.Type) tensor.DType {
	switch t {
	case gguf.F16:
		return tensor.F16
	case gguf.BF16:
		return tensor.BF16
	}
	return tensor.F32
}
