package gguf

import (
	"encoding/binary"
	"fmt"

	"lomo/internal/tensor"
)

// Dequantize decodes whole blocks of src into dst, bit for bit as the reference implementation (the gguf Python
// package) does: scales widened from float16, then float32 arithmetic in its order, every product rounded.
func Dequantize(typ Type, dst []float32, src []byte) error {
	f, ok := formats[typ]
	if !ok {
		return fmt.Errorf("encoding %v is not supported", typ)
	}
	if len(dst)%f.block != 0 || len(src) != len(dst)/f.block*f.size {
		return fmt.Errorf("%d bytes of %v for %d elements", len(src), typ, len(dst))
	}
	switch typ {
	case F32:
		return tensor.Float32s(dst, src, tensor.F32)
	case F16:
		return tensor.Float32s(dst, src, tensor.F16)
	case BF16:
		return tensor.Float32s(dst, src, tensor.BF16)
	}
	for len(dst) > 0 {
		f.decode(dst[:f.block], src[:f.size])
		dst, src = dst[f.block:], src[f.size:]
	}
	return nil
}

func half(b []byte) float32 { return tensor.F16ToF32(binary.LittleEndian.Uint16(b)) }

// The 32-element blocks keep element i < 16 in the low nibble of byte i and element 16+i in its high nibble.
// float32(…) around a product keeps the compiler from fusing it with the sum.

// decodeQ4_0: d float16, 16 bytes; x = d·(q−8).
func decodeQ4_0(dst []float32, src []byte) {
	d, qs := half(src), src[2:18]
	for i, q := range qs {
		dst[i] = d * float32(int(q&15)-8)
		dst[i+16] = d * float32(int(q>>4)-8)
	}
}

// decodeQ4_1: d, m float16, 16 bytes; x = d·q + m.
func decodeQ4_1(dst []float32, src []byte) {
	d, m, qs := half(src), half(src[2:]), src[4:20]
	for i, q := range qs {
		dst[i] = float32(d*float32(q&15)) + m
		dst[i+16] = float32(d*float32(q>>4)) + m
	}
}

// decodeQ5_0: d float16, 32 fifth bits, 16 bytes; x = d·(q−16).
func decodeQ5_0(dst []float32, src []byte) {
	d, high, qs := half(src), binary.LittleEndian.Uint32(src[2:]), src[6:22]
	for i, q := range qs {
		dst[i] = d * float32(int(fifth(q&15, high, i))-16)
		dst[i+16] = d * float32(int(fifth(q>>4, high, i+16))-16)
	}
}

// decodeQ5_1: d, m float16, 32 fifth bits, 16 bytes; x = d·q + m.
func decodeQ5_1(dst []float32, src []byte) {
	d, m, high, qs := half(src), half(src[2:]), binary.LittleEndian.Uint32(src[4:]), src[8:24]
	for i, q := range qs {
		dst[i] = float32(d*float32(fifth(q&15, high, i))) + m
		dst[i+16] = float32(d*float32(fifth(q>>4, high, i+16))) + m
	}
}

// fifth adds bit i of high to the nibble q as its fifth bit.
func fifth(q byte, high uint32, i int) byte { return q | byte(high>>i&1)<<4 }

// decodeQ8_0: d float16, 32 int8; x = q·d.
func decodeQ8_0(dst []float32, src []byte) {
	d, qs := half(src), src[2:34]
	for i, q := range qs {
		dst[i] = float32(int8(q)) * d
	}
}
