package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// KV is one key of the metadata with its value, of the types that File.KV has.
type KV struct {
	Key   string
	Value any
}

// maxTensorName is the longest name of a tensor that ggml loads.
const maxTensorName = 63

// Layout returns the bytes of a file of version 3 before its tensors, and sets the tensors' Offset, from the start of the file; size
// is the file's. Tensors lie in the order given, each at a multiple of 32 bytes; the gaps are to be zero.
func Layout(kv []KV, tensors []Tensor) (header []byte, size int64, err error) {
	b := binary.LittleEndian.AppendUint32(nil, magic)
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(kv)))
	seen := map[string]bool{}
	for _, e := range kv {
		if seen[e.Key] || e.Key == "" || len(e.Key) > maxName || !utf8.ValidString(e.Key) {
			return nil, 0, fmt.Errorf("metadata key %q cannot be stored, or twice", e.Key)
		}
		seen[e.Key] = true
		if b, err = appendKV(b, e); err != nil {
			return nil, 0, fmt.Errorf("metadata key %q: %w", e.Key, err)
		}
	}
	clear(seen)
	at := int64(0) // from the start of the tensors
	for i := range tensors {
		t := &tensors[i]
		if seen[t.Name] || t.Name == "" || len(t.Name) > maxTensorName {
			return nil, 0, fmt.Errorf("tensor name %q cannot be stored: %d bytes, at most %d, no name twice", t.Name, len(t.Name), maxTensorName)
		}
		seen[t.Name] = true
		if err := t.storable(); err != nil {
			return nil, 0, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		b = appendString(b, t.Name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Shape)))
		for _, d := range slices.Backward(t.Shape) {
			b = binary.LittleEndian.AppendUint64(b, uint64(d))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(t.Type))
		b = binary.LittleEndian.AppendUint64(b, uint64(at))
		t.Offset = at
		at = padded(at + t.Bytes())
	}
	if len(b) > maxHeader {
		return nil, 0, fmt.Errorf("%d bytes of metadata and names, at most %d are read again", len(b), maxHeader)
	}
	b = append(b, make([]byte, padded(int64(len(b)))-int64(len(b)))...)
	for i := range tensors {
		tensors[i].Offset += int64(len(b))
	}
	return b, int64(len(b)) + at, nil
}

// padded is n rounded up to the alignment of tensors.
func padded(n int64) int64 { return (n + defaultAlignment - 1) / defaultAlignment * defaultAlignment }

// storable reports what ggml would not load.
func (t *Tensor) storable() error {
	f, known := formats[t.Type]
	if !known || len(t.Shape) < 1 || len(t.Shape) > maxDims {
		return fmt.Errorf("%v with shape %v cannot be stored", t.Type, t.Shape)
	}
	for _, d := range t.Shape {
		if d < 1 || d > math.MaxInt32 {
			return fmt.Errorf("shape %v cannot be stored", t.Shape)
		}
	}
	if t.Shape[len(t.Shape)-1]%f.block != 0 {
		return fmt.Errorf("%v with shape %v: rows must be a multiple of %d elements", t.Type, t.Shape, f.block)
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendKV appends a key, the type of its value and the value.
func appendKV(b []byte, e KV) ([]byte, error) {
	b = appendString(b, e.Key)
	switch v := e.Value.(type) {
	case uint8:
		return appendOne(b, kvUint8, v)
	case int8:
		return appendOne(b, kvInt8, v)
	case uint16:
		return appendOne(b, kvUint16, v)
	case int16:
		return appendOne(b, kvInt16, v)
	case uint32:
		return appendOne(b, kvUint32, v)
	case int32:
		return appendOne(b, kvInt32, v)
	case float32:
		return appendOne(b, kvFloat32, v)
	case bool:
		return appendOne(b, kvBool, v)
	case uint64:
		return appendOne(b, kvUint64, v)
	case int64:
		return appendOne(b, kvInt64, v)
	case float64:
		return appendOne(b, kvFloat64, v)
	case string:
		return appendString(binary.LittleEndian.AppendUint32(b, kvString), v), nil
	case []string:
		b = appendArray(b, kvString, len(v))
		for _, s := range v {
			b = appendString(b, s)
		}
		return b, nil
	case []uint8:
		return append(appendArray(b, kvUint8, len(v)), v...), nil
	case []int8:
		return binary.Append(appendArray(b, kvInt8, len(v)), binary.LittleEndian, v)
	case []uint16:
		return binary.Append(appendArray(b, kvUint16, len(v)), binary.LittleEndian, v)
	case []int16:
		return binary.Append(appendArray(b, kvInt16, len(v)), binary.LittleEndian, v)
	case []uint32:
		return binary.Append(appendArray(b, kvUint32, len(v)), binary.LittleEndian, v)
	case []int32:
		return binary.Append(appendArray(b, kvInt32, len(v)), binary.LittleEndian, v)
	case []float32:
		return binary.Append(appendArray(b, kvFloat32, len(v)), binary.LittleEndian, v)
	case []bool:
		return binary.Append(appendArray(b, kvBool, len(v)), binary.LittleEndian, v)
	case []uint64:
		return binary.Append(appendArray(b, kvUint64, len(v)), binary.LittleEndian, v)
	case []int64:
		return binary.Append(appendArray(b, kvInt64, len(v)), binary.LittleEndian, v)
	case []float64:
		return binary.Append(appendArray(b, kvFloat64, len(v)), binary.LittleEndian, v)
	}
	return nil, fmt.Errorf("a value of a kind that cannot be stored: %v", e.Value)
}

func appendOne(b []byte, kind uint32, v any) ([]byte, error) {
	return binary.Append(binary.LittleEndian.AppendUint32(b, kind), binary.LittleEndian, v)
}

func appendArray(b []byte, kind uint32, n int) []byte {
	b = binary.LittleEndian.AppendUint32(b, kvArray)
	b = binary.LittleEndian.AppendUint32(b, kind)
	return binary.LittleEndian.AppendUint64(b, uint64(n))
}

// The keys of a split model, for what writes one.
const (
	SplitNumber  = splitNumber
	SplitCount   = splitCount
	SplitTensors = splitTensors
)
