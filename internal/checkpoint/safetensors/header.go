package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"lomo/internal/fault"
	"lomo/internal/tensor"
)

const metadataKey = "__metadata__"

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
	dec := json.NewDecoder(bytes.NewReader(header))
	if _, err := dec.Token(); err != nil {
		return nil, nil, notJSON(dec)
	}
	seen := map[string]bool{} // encoding/json alone would let the last duplicate win
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, nil, notJSON(dec)
		}
		name := tok.(string) // the decoder accepts nothing else as a key
		if seen[name] {
			return nil, nil, fault.Damaged("tensor %q occurs twice in the header", name)
		}
		seen[name] = true
		if name == metadataKey {
			if err := dec.Decode(&meta); err != nil {
				return nil, nil, fault.Damaged("its header's %s are no texts under names", metadataKey)
			}
			continue
		}
		e, err := parseEntry(dec, name)
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		entries = append(entries, e)
	}
	if atEnd(dec) != nil {
		return nil, nil, notJSON(dec)
	}
	return entries, meta, nil
}

// notJSON says where a header stops to be JSON.
func notJSON(dec *json.Decoder) error {
	return fault.Damaged("its header is not JSON at byte %d", 8+dec.InputOffset())
}

// atEnd wants the closing brace and then white space only.
func atEnd(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("text after the closing brace")
	}
	return nil
}

func parseEntry(dec *json.Decoder, name string) (Entry, error) {
	var in info
	if err := dec.Decode(&in); err != nil {
		return Entry{}, fault.Damaged("its entry in the header is no dtype, shape and data_offsets")
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
