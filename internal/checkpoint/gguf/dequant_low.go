package gguf

import "encoding/binary"

// The formats of few bits. Q2_K and Q3_K pack 256 elements in sub-blocks of 16: element i = 128h + 32k + l has its two low bits in byte
// 32h + l, at bit 2k. IQ4_NL and IQ4_XS name values of a table that lie closer to each other near 0.

// decodeQ2_K: 16 bytes of scales and minima, 64 bytes of bit pairs, d, dmin float16; x = (d·sc)·q − dmin·mn.
func decodeQ2_K(dst []float32, src []byte) {
	scales, qs, d, dmin := src[:16], src[16:80], half(src[80:]), half(src[82:])
	for i := range dst[:256] {
		s := scales[i/16]
		a, b := d*float32(s&15), dmin*float32(s>>4)
		dst[i] = float32(a*float32(bitPair(qs, i))) - b
	}
}

// decodeQ3_K: 32 bytes of third bits, 64 of bit pairs, 12 of scales, d float16; x = (d·(sc − 32))·(q − 4), the third bit counting as 4.
func decodeQ3_K(dst []float32, src []byte) {
	third, qs, scales, d := src[:32], src[32:96], src[96:108], half(src[108:])
	for i := range dst[:256] {
		j := i / 16 // four bits of its scale in the first eight bytes, two in the last four
		sc := scales[j%8]>>(4*(j/8))&15 | scales[8+j%4]>>(2*(j/4))&3<<4
		q := int(bitPair(qs, i)) + 4*int(third[i%32]>>(i/32)&1) - 4
		dst[i] = float32(d*float32(int(sc)-32)) * float32(q)
	}
}

// bitPair is the two low bits of element i.
func bitPair(qs []byte, i int) byte { return qs[32*(i/128)+i%32] >> (2 * (i / 32 % 4)) & 3 }

// nonLinear is what the nibbles of IQ4_NL and IQ4_XS stand for.
var nonLinear = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// decodeIQ4_NL: d float16, 16 bytes, as Q4_0; x = d·table[q].
func decodeIQ4_NL(dst []float32, src []byte) {
	d, qs := half(src), src[2:18]
	for i, q := range qs {
		dst[i] = d * nonLinear[q&15]
		dst[i+16] = d * nonLinear[q>>4]
	}
}

// decodeIQ4_XS: d float16, eight upper bit pairs of scales, four bytes of their nibbles, 128 bytes; sub-block j of 32 is as IQ4_NL with the
// scale d·(sc − 32).
func decodeIQ4_XS(dst []float32, src []byte) {
	d, high, low, qs := half(src), binary.LittleEndian.Uint16(src[2:]), src[4:8], src[8:136]
	for j := range 8 {
		sc := int(low[j/2]>>(4*(j&1))&15) | int(high>>(2*j)&3)<<4
		a := d * float32(sc-32)
		for i, q := range qs[16*j:][:16] {
			dst[32*j+i] = a * nonLinear[q&15]
			dst[32*j+i+16] = a * nonLinear[q>>4]
		}
	}
}
