package checkpoint

import (
	"encoding/binary"
	"fmt"

	"lomo/internal/tensor"
)

// NonFiniteError is a weight that is NaN or infinite, or becomes so in the type that is wanted.
type NonFiniteError struct {
	Row, Col int
	DType    tensor.DType // wanted
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("row %d, column %d: not a finite number as %v", e.Row, e.Col, e.DType)
}

// Hint says what to do.
func (e *NonFiniteError) Hint() string {
	return "the file is damaged, or the model had diverged when it was saved: take another copy, or an earlier checkpoint"
}

// firstNonFinite is the index of the first element of b that is a NaN or an infinity, −1 when there is none or dt is
// not a floating-point type. It looks at eight bytes at a time: a number is not finite when its exponent bits are
// all ones, and exactly then adding one to the exponent carries into the sign's place.
func firstNonFinite(b []byte, dt tensor.DType) int {
	var exponent, one uint64 // of each element in a word
	switch dt {
	case tensor.BF16:
		exponent, one = 0x7f80, 0x0080
	case tensor.F16:
		exponent, one = 0x7c00, 0x0400
	case tensor.F32:
		exponent, one = 0x7f800000, 0x00800000
	case tensor.F64:
		exponent, one = 0x7ff0000000000000, 0x0010000000000000
	default:
		return -1
	}
	size := dt.Size()
	words, ones := repeat(exponent, size), repeat(one, size)
	sign := repeat(1<<(8*size-1), size)
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if (binary.LittleEndian.Uint64(b[i:])&words+ones)&sign != 0 {
			break
		}
	}
	for ; i+size <= len(b); i += size {
		if element(b[i:], size)&exponent == exponent {
			return i / size
		}
	}
	return -1
}

// repeat fills a word with copies of an element of size bytes.
func repeat(v uint64, size int) uint64 {
	for n := size; n < 8; n *= 2 {
		v |= v << (8 * n)
	}
	return v
}

func element(b []byte, size int) uint64 {
	switch size {
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}
