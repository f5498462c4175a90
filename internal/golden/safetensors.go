package golden

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// Tensor is one array of a golden file, row-major. One of F32 and I32 is set.
type Tensor struct {
	Shape []int
	F32   []float32
	I32   []int32
}

// entry is a tensor's description in a safetensors header.
type entry struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// parse reads a safetensors file of F32 and I32 tensors. It shares nothing with internal/checkpoint, so that a mistake in
// reading models cannot also be one in reading what they are compared with.
func parse(raw []byte) (map[string]Tensor, map[string]string, error) {
	if len(raw) < 8 {
		return nil, nil, fmt.Errorf("%d bytes, want a header of at least 8", len(raw))
	}
	n := binary.LittleEndian.Uint64(raw)
	if n > uint64(len(raw)-8) {
		return nil, nil, fmt.Errorf("header of %d bytes in a file of %d", n, len(raw))
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimRight(raw[8:8+n], " "), &header); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	meta := map[string]string{}
	tensors := make(map[string]Tensor, len(header))
	for name, text := range header {
		if name == "__metadata__" {
			if err := json.Unmarshal(text, &meta); err != nil {
				return nil, nil, fmt.Errorf("metadata: %w", err)
			}
			continue
		}
		t, err := decode(text, raw[8+n:])
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		tensors[name] = t
	}
	return tensors, meta, nil
}

// decode turns a header entry and the data part of the file into values.
func decode(text json.RawMessage, data []byte) (Tensor, error) {
	var e entry
	if err := json.Unmarshal(text, &e); err != nil {
		return Tensor{}, err
	}
	b, end := e.Offsets[0], e.Offsets[1]
	if b < 0 || end < b || end > len(data) {
		return Tensor{}, fmt.Errorf("bytes %d to %d of %d", b, end, len(data))
	}
	count := 1
	for _, d := range e.Shape {
		if d < 0 || d > len(data) || count*d > len(data) {
			return Tensor{}, fmt.Errorf("shape %v in %d bytes", e.Shape, end-b)
		}
		count *= d
	}
	if end-b != 4*count {
		return Tensor{}, fmt.Errorf("%d bytes for shape %v", end-b, e.Shape)
	}
	t := Tensor{Shape: e.Shape}
	switch e.DType {
	case "F32":
		t.F32 = make([]float32, count)
		for i := range t.F32 {
			t.F32[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[b+4*i:]))
		}
	case "I32":
		t.I32 = make([]int32, count)
		for i := range t.I32 {
			t.I32[i] = int32(binary.LittleEndian.Uint32(data[b+4*i:]))
		}
	default:
		return Tensor{}, fmt.Errorf("dtype %s, want F32 or I32", e.DType)
	}
	return t, nil
}
