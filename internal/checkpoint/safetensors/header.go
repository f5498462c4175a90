package safetensors

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"lomo/internal/fault"
	"lomo/internal/strictjson"
	"lomo/internal/tensor"
)

const metadataKey = "__metadata__"

// What a header may hold. Its bytes are bounded too, but a tensor of 50 bytes of JSON takes several times as much in memory.
const (
	maxTensors  = 1 << 17 // the largest mixtures of experts have some 90,000, over all their files
	maxName     = 512     // bytes
	maxEntry    = 4096    // bytes of one tensor's dtype, shape and offsets
	maxMetadata = 1 << 16 // entries
)

// info is the JSON form of an entry.
type info struct {
	DType   string  `json:"dtype"`
	Shape   *[]int  `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// ParseHeader reads the JSON table of a file with dataSize bytes after it. The entries come in the order of their
// bytes. Rejected: duplicate names, unknown dtypes, a length that is not that of the shape, overlaps, holes, and
// data that ends before or after the file does.
func ParseHeader(header []byte, dataSize int64) ([]Entry, map[string]string, error) {
	if len(header) == 0 || header[0] != '{' || !utf8.Valid(header) {
		return nil, nil, fault.Damaged("its header is not a JSON object")
	}
	entries, meta, err := parseTable(header)
	if err != nil {
		return nil, nil, err
	}
	return entries, meta, checkLayout(entries, 8+int64(len(header)), dataSize)
}

func parseTable(header []byte) (entries []Entry, meta map[string]string, err error) {
	err = strictjson.Each(header, func(m strictjson.Member) error {
		switch {
		case len(m.Name) > maxName:
			return fault.Damaged("its header has a name of %d bytes, at most %d are read", len(m.Name), maxName)
		case m.Name == metadataKey:
			meta, err = parseMetadata(m.Value)
			return err
		case len(entries) == maxTensors:
			return fault.Damaged("its header has more than %d tensors", maxTensors)
		}
		e, err := parseEntry(m)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", m.Name, err)
		}
		entries = append(entries, e)
		return nil
	})
	var bad *strictjson.Error
	if errors.As(err, &bad) {
		return nil, nil, fault.Damaged("its header, at byte %d: %s", 8+bad.Offset, bad.Msg)
	}
	return entries, meta, err
}

// parseMetadata reads texts under names.
func parseMetadata(raw []byte) (map[string]string, error) {
	meta := map[string]string{}
	err := strictjson.Each(raw, func(m strictjson.Member) error {
		var text string
		if len(meta) == maxMetadata {
			return fault.Damaged("its header's %s has more than %d entries", metadataKey, maxMetadata)
		}
		if err := strictjson.Unmarshal(m.Value, &text); err != nil {
			return err
		}
		meta[m.Name] = text
		return nil
	})
	if bad := (*strictjson.Error)(nil); errors.As(err, &bad) {
		err = fault.Damaged("its header's %s are no texts under names", metadataKey)
	}
	return meta, err
}

func parseEntry(m strictjson.Member) (Entry, error) {
	name := m.Name
	var in info
	if len(m.Value) > maxEntry {
		return Entry{}, fault.Damaged("its entry in the header has %d bytes, at most %d are read", len(m.Value), maxEntry)
	}
	if err := strictjson.Unmarshal(m.Value, &in); err != nil {
		return Entry{}, fault.Damaged("its entry in the header is no dtype, shape and data_offsets")
	}
	if len(in.DType) > 64 {
		return Entry{}, fault.Damaged("its dtype has %d letters", len(in.DType))
	}
	if in.Shape == nil || len(in.Offsets) != 2 {
		return Entry{}, fault.Damaged("its entry in the header lacks its shape or its two data_offsets")
	}
	dt, err := parseDType(in.DType)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Name: name, DType: dt, Shape: *in.Shape, Begin: in.Offsets[0], End: in.Offsets[1]}
	n, err := Bytes(e.DType, e.Shape)
	if err != nil {
		return Entry{}, err
	}
	if e.Begin < 0 || e.End < e.Begin || e.End-e.Begin != n {
		return Entry{}, fault.Damaged("data_offsets [%d, %d]: %v with shape %v takes %d bytes", e.Begin, e.End, dt, e.Shape, n)
	}
	return e, nil
}

// Bytes is the size of a tensor, or an error when a dimension is negative or the size exceeds an int64.
func Bytes(dt tensor.DType, shape []int) (int64, error) {
	n := int64(dt.Size())
	for _, d := range shape {
		if d < 0 {
			return 0, fault.Damaged("shape %v: negative dimension", shape)
		}
		if d > 0 && n > math.MaxInt64/int64(d) {
			return 0, fault.Damaged("shape %v: size overflows", shape)
		}
		n *= int64(d)
	}
	return n, nil
}

// checkLayout sorts the entries by their bytes, which must fill dataSize exactly; the data begins at start.
func checkLayout(entries []Entry, start, dataSize int64) error {
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.End, b.End), cmp.Compare(a.Name, b.Name))
	})
	end := int64(0)
	for _, e := range entries {
		if e.Begin < end {
			return fault.Damaged("tensor %q begins at byte %d and overlaps the one before, which ends at %d", e.Name, e.Begin, end)
		}
		if e.Begin > end {
			return fault.Damaged("tensor %q begins at byte %d, a hole after byte %d", e.Name, e.Begin, end)
		}
		end = e.End
	}
	if end > dataSize {
		return fault.Short(start+dataSize, start+end)
	}
	if end < dataSize {
		return fault.Damaged("%d bytes follow the last tensor", dataSize-end)
	}
	return nil
}
