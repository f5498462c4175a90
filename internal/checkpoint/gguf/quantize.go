package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"lomo/internal/tensor"
)

// encoders write one block; they report whether its scales fit float16.
var encoders = map[Type]func(dst []byte, src []float32) bool{
	Q4_0: encodeQ4_0, Q5_0: encodeQ5_0, Q8_0: encodeQ8_0, Q4_K: encodeQ4_K, Q6_K: encodeQ6_K,
}

// Writable reports whether Quantize knows the type.
func (t Type) Writable() bool { return t == F32 || t == F16 || t == BF16 || encoders[t] != nil }

// Quantize encodes src, whole blocks of finite numbers, into dst. Q8_0, Q4_0 and Q5_0 give the bytes of ggml's reference; Q4_K and
// Q6_K search scales as that does, and may differ from it in single steps where a sum rounds otherwise. The error says at which
// element a value, or the scale of its block, does not fit the type.
func Quantize(typ Type, dst []byte, src []float32) error {
	f := formats[typ]
	if !typ.Writable() {
		return fmt.Errorf("encoding %v is not written", typ)
	}
	if len(src)%f.block != 0 || len(dst) != len(src)/f.block*f.size {
		return fmt.Errorf("%d bytes of %v for %d elements", len(dst), typ, len(src))
	}
	switch typ {
	case F32:
		return tensor.PutFloat32s(dst, src, tensor.F32)
	case F16, BF16:
		dt := map[Type]tensor.DType{F16: tensor.F16, BF16: tensor.BF16}[typ]
		if err := tensor.PutFloat32s(dst, src, dt); err != nil {
			return err
		}
		return fits(dst, src, typ)
	}
	encode := encoders[typ]
	for at := 0; at < len(src); at += f.block {
		if !encode(dst[:f.size], src[at:][:f.block]) {
			return &RangeError{Element: at, Type: typ, Block: f.block}
		}
		dst = dst[f.size:]
	}
	return nil
}

// RangeError is a value that a type cannot hold.
type RangeError struct {
	Element, Block int // of Quantize's src; a block of several has one scale
	Type           Type
}

func (e *RangeError) Error() string {
	if e.Block > 1 {
		return fmt.Sprintf("elements %d to %d are too large for the scale of a %v block", e.Element, e.Element+e.Block-1, e.Type)
	}
	return fmt.Sprintf("element %d is too large for %v", e.Element, e.Type)
}

// fits finds a number that became infinite in 16 bits.
func fits(dst []byte, src []float32, typ Type) error {
	exponent := uint16(0x7c00)
	if typ == BF16 {
		exponent = 0x7f80
	}
	for i := range src {
		if binary.LittleEndian.Uint16(dst[2*i:])&exponent == exponent {
			return &RangeError{Element: i, Type: typ, Block: 1}
		}
	}
	return nil
}

// putHalf stores a scale and reports whether it is finite as float16.
func putHalf(dst []byte, x float32) bool {
	h := tensor.F32ToF16(x)
	binary.LittleEndian.PutUint16(dst, h)
	return h&0x7c00 != 0x7c00
}

// largest is the element furthest from 0, the first of several, with its sign.
func largest(src []float32) (at float32) {
	most := float32(0)
	for _, v := range src {
		if a := abs(v); a > most {
			most, at = a, v
		}
	}
	return at
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// inverse is 1/x, 0 for 0.
func inverse(x float32) float32 {
	if x == 0 {
		return 0
	}
	return 1 / x
}

// encodeQ4_0: the largest element becomes −8, so that one end of the range is exact.
func encodeQ4_0(dst []byte, src []float32) bool {
	d := largest(src) / -8
	id := inverse(d)
	for i := range 16 {
		lo := min(15, int8(float32(src[i]*id)+8.5))
		hi := min(15, int8(float32(src[i+16]*id)+8.5))
		dst[2+i] = byte(lo) | byte(hi)<<4
	}
	return putHalf(dst, d)
}

// encodeQ5_0: as Q4_0 with −16, the fifth bits apart.
func encodeQ5_0(dst []byte, src []float32) bool {
	d := largest(src) / -16
	id := inverse(d)
	fifths := uint32(0)
	for i := range 16 {
		lo := uint32(min(31, int8(float32(src[i]*id)+16.5)))
		hi := uint32(min(31, int8(float32(src[i+16]*id)+16.5)))
		dst[6+i] = byte(lo&15 | hi&15<<4)
		fifths |= lo>>4<<i | hi>>4<<(i+16)
	}
	binary.LittleEndian.PutUint32(dst[2:], fifths)
	return putHalf(dst, d)
}

// encodeQ8_0: the largest element becomes ±127; halves are rounded away from zero.
func encodeQ8_0(dst []byte, src []float32) bool {
	d := abs(largest(src)) / 127
	id := inverse(d)
	for i, v := range src {
		dst[2+i] = byte(int8(roundAway(v * id)))
	}
	return putHalf(dst, d)
}

// roundAway rounds |x| < 2²² to an integer, halves away from zero. x + 0.5 itself may round up where x is just below a half.
func roundAway(x float32) float32 {
	n := float32(int32(x))
	switch d := x - n; { // exact: both are of one magnitude
	case d >= 0.5:
		return n + 1
	case d <= -0.5:
		return n - 1
	}
	return n
}
