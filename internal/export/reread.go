package export

import (
	"encoding/binary"
	"io"
	"math"
	"slices"

	"lomo/internal/checkpoint"
	"lomo/internal/checkpoint/gguf"
	"lomo/internal/model"
	"lomo/internal/model/families"
)

// reread is the configuration that is read of the file as it will be.
func (p *Plan) reread() (*model.Config, error) {
	tensors := slices.Clone(p.tensors)
	header, size, err := gguf.Layout(p.kv, tensors)
	if err != nil {
		return nil, err
	}
	r := hollow{{0, header}}
	for _, t := range tensors {
		if values, ok := p.extra[t.Name]; ok {
			r = append(r, island{t.Offset, floats(values)})
		}
	}
	f, err := gguf.Parse(r, size)
	if err != nil {
		return nil, err
	}
	raw, err := checkpoint.GGUFConfig(f)
	if err != nil {
		return nil, err
	}
	return families.Parse(raw)
}

// hollow is a file of zeros but for a few parts.
type hollow []island

type island struct {
	at   int64
	data []byte
}

func (h hollow) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	for _, part := range h {
		if from := off - part.at; from >= 0 && from < int64(len(part.data)) {
			copy(b, part.data[from:])
		} else if from < 0 && -from < int64(len(b)) {
			copy(b[-from:], part.data)
		}
	}
	return len(b), nil
}

var _ io.ReaderAt = hollow{}

// floats are numbers as a file holds them.
func floats(values []float32) []byte {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}
