package gguf

import (
	"fmt"
	"math"

	"lomo/internal/fault"
)

// The value types of the metadata.
const (
	kvUint8 = iota
	kvInt8
	kvUint16
	kvInt16
	kvUint32
	kvInt32
	kvFloat32
	kvBool
	kvString
	kvArray
	kvUint64
	kvInt64
	kvFloat64
)

const (
	minKV   = 8 + 4 + 1 // the least a key with its value takes: a length, a type, one byte
	maxKeys = 1 << 16   // real files have some 40

	maxStrings = 1 << 21 // of all arrays: a vocabulary of 256k tokens with its merges has under a million; each takes 16 bytes beside its text
	maxName    = 4096    // bytes of a key, or of a tensor's name; the format wants at most 64 for the latter
)

func readKV(s *scanner, count uint64) (map[string]any, error) {
	if count > maxKeys || !s.fits(count, minKV) {
		return nil, fault.Damaged("%d metadata keys: at most %d, in the %d bytes left", count, maxKeys, s.left())
	}
	kv := make(map[string]any)
	for i := range count {
		key := s.name()
		typ := s.uint32()
		if s.err != nil {
			return nil, fmt.Errorf("metadata key %d of %d: %w", i+1, count, s.err)
		}
		if _, dup := kv[key]; dup {
			return nil, fault.Damaged("metadata key %q occurs twice", fault.Line(key))
		}
		v, err := readValue(s, typ)
		if err != nil {
			return nil, fmt.Errorf("metadata key %q: %w", fault.Line(key), err)
		}
		kv[key] = v
	}
	return kv, nil
}

func readValue(s *scanner, typ uint32) (any, error) {
	if typ != kvArray {
		v, err := readArray(s, typ, 1)
		if err != nil {
			return nil, err
		}
		return first(v), nil
	}
	elem, n := s.uint32(), s.uint64()
	if s.err != nil {
		return nil, s.err
	}
	return readArray(s, elem, n)
}

// readArray reads n values of one type into a typed slice.
func readArray(s *scanner, typ uint32, n uint64) (any, error) {
	switch typ {
	case kvUint8:
		return numbers[uint8](s, n)
	case kvInt8:
		return numbers[int8](s, n)
	case kvUint16:
		return numbers[uint16](s, n)
	case kvInt16:
		return numbers[int16](s, n)
	case kvUint32:
		return numbers[uint32](s, n)
	case kvInt32:
		return numbers[int32](s, n)
	case kvFloat32:
		return numbers[float32](s, n)
	case kvBool:
		return numbers[bool](s, n)
	case kvUint64:
		return numbers[uint64](s, n)
	case kvInt64:
		return numbers[int64](s, n)
	case kvFloat64:
		return numbers[float64](s, n)
	case kvString:
		return s.strings(n)
	case kvArray:
		return nil, fault.Refuse(convert, "arrays of arrays are not supported")
	}
	return nil, fault.Damaged("unknown value type %d", typ)
}

func first(slice any) any {
	switch v := slice.(type) {
	case []uint8:
		return v[0]
	case []int8:
		return v[0]
	case []uint16:
		return v[0]
	case []int16:
		return v[0]
	case []uint32:
		return v[0]
	case []int32:
		return v[0]
	case []float32:
		return v[0]
	case []bool:
		return v[0]
	case []uint64:
		return v[0]
	case []int64:
		return v[0]
	case []float64:
		return v[0]
	}
	return slice.([]string)[0]
}

// String is the string stored under key; ok is false when there is none.
func (f *File) String(key string) (s string, ok bool) {
	s, ok = f.KV[key].(string)
	return s, ok
}

// Int is the integer stored under key, whatever its width; ok is false when there is none or it exceeds an int.
func (f *File) Int(key string) (n int, ok bool) {
	switch v := f.KV[key].(type) {
	case uint8:
		return int(v), true
	case int8:
		return int(v), true
	case uint16:
		return int(v), true
	case int16:
		return int(v), true
	case uint32:
		return int(v), true
	case int32:
		return int(v), true
	case int64:
		return int(v), true
	case uint64:
		return int(v), v <= math.MaxInt
	}
	return 0, false
}

// Float is the float32 or float64 stored under key; ok is false when there is none.
func (f *File) Float(key string) (x float64, ok bool) {
	switch v := f.KV[key].(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Strings is the array of strings stored under key, nil when there is none.
func (f *File) Strings(key string) []string {
	s, _ := f.KV[key].([]string)
	return s
}
