package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lomo/internal/fault"
	"lomo/internal/tensor"
)

// order is the reference implementation's order of dtypes; files hold the later ones first (so that wide elements
// are aligned), equal ones by name.
var order = []tensor.DType{tensor.Bool, tensor.U8, tensor.I8, tensor.I16, tensor.F16, tensor.BF16, tensor.I32, tensor.F32, tensor.F64, tensor.I64}

func parseDType(name string) (tensor.DType, error) {
	for _, dt := range order {
		if dt.String() == name {
			return dt, nil
		}
	}
	what, known := foreign[name]
	if !known {
		what = "unknown to this build"
	}
	return tensor.Invalid, fault.Refuse("take the model's files in bf16, f16 or f32: training needs all bits of the weights", "dtype %q (%s) is not supported", fault.Line(name), what)
}

// foreign are the dtypes of the format that no weight of a model that trains has.
var foreign = map[string]string{
	"F8_E4M3": "8-bit floats, quantised", "F8_E5M2": "8-bit floats, quantised", "F8_E8M0": "scales of a quantised model", "F8_E4M3FNUZ": "8-bit floats, quantised",
	"F8_E5M2FNUZ": "8-bit floats, quantised", "F6_E2M3": "6-bit floats, quantised", "F6_E3M2": "6-bit floats, quantised", "F4": "4-bit floats, quantised",
	"U16": "integers", "U32": "packed integers, quantised", "U64": "integers", "C64": "complex numbers",
}

// Layout places tensors as the reference implementation does and returns the bytes before the data: the length, the
// JSON table, and the spaces that make their sum a multiple of 8. entries is sorted and its positions are set.
func Layout(entries []Entry, meta map[string]string) ([]byte, error) {
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(slices.Index(order, b.DType), slices.Index(order, a.DType)), strings.Compare(a.Name, b.Name))
	})
	pos := int64(0)
	seen := make(map[string]bool, len(entries))
	for i := range entries {
		e := &entries[i]
		if err := checkName(e.Name); err != nil {
			return nil, err
		}
		if seen[e.Name] {
			return nil, fmt.Errorf("tensor %q occurs twice", e.Name)
		}
		seen[e.Name] = true
		if !slices.Contains(order, e.DType) {
			return nil, fmt.Errorf("tensor %q: dtype %v cannot be stored", e.Name, e.DType)
		}
		n, err := Bytes(e.DType, e.Shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", e.Name, err)
		}
		e.Begin, e.End = pos, pos+n
		pos = e.End
	}
	table := encode(entries, meta)
	if len(table) > MaxHeader {
		return nil, fmt.Errorf("header of %d bytes exceeds %d", len(table), MaxHeader)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(table))), table...), nil
}

func checkName(name string) error {
	if name == metadataKey || !utf8.ValidString(name) {
		return fmt.Errorf("tensor name %q cannot be stored", name)
	}
	return nil
}

// encode writes the table byte for byte as serde_json does; encoding/json would escape <, > and &.
func encode(entries []Entry, meta map[string]string) []byte {
	b := []byte{'{'}
	if len(meta) > 0 {
		b = append(appendString(b, metadataKey), ":{"...)
		for _, k := range sortedKeys(meta) {
			b = append(append(appendString(b, k), ':'), quoted(meta[k])...)
			b = append(b, ',')
		}
		b = append(b[:len(b)-1], "},"...)
	}
	for _, e := range entries {
		b = append(appendString(b, e.Name), `:{"dtype":"`...)
		b = append(append(b, e.DType.String()...), `","shape":[`...)
		for i, d := range e.Shape {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(d), 10)
		}
		b = append(b, `],"data_offsets":[`...)
		b = append(strconv.AppendInt(b, e.Begin, 10), ',')
		b = append(strconv.AppendInt(b, e.End, 10), "]},"...)
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	return b
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func quoted(s string) []byte { return appendString(nil, s) }

// appendString appends s as a JSON string: quotes, backslashes and control characters escaped, all else as it is.
func appendString(b []byte, s string) []byte {
	const short = "\b\t\n\f\r"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 && strings.IndexByte(short, c) >= 0:
			b = append(b, '\\', "btnfr"[strings.IndexByte(short, c)])
		case c < 0x20:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
