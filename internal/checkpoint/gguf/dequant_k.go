package gguf

// The K formats pack 256 elements: sub-blocks of 32 (Q4_K, Q5_K) or 16 (Q6_K) with small integer scales of their
// own under one float16 scale.

// decodeQ4_K: d, dmin float16, 12 bytes of scales, 128 bytes of nibbles; x = (d·sc)·q − dmin·mn.
func decodeQ4_K(dst []float32, src []byte) {
	d, dmin, scales, qs := half(src), half(src[2:]), src[4:16], src[16:144]
	for j := range 8 {
		sc, mn := scaleMin(scales, j)
		a, b := d*float32(sc), dmin*float32(mn)
		shift := 4 * (j & 1) // two sub-blocks share 32 bytes
		for l, q := range qs[32*(j/2):][:32] {
			dst[32*j+l] = float32(a*float32(q>>shift&15)) - b
		}
	}
}

// decodeQ5_K: as Q4_K with 32 bytes before the nibbles; bit j of byte l is the fifth bit of element l of sub-block j.
func decodeQ5_K(dst []float32, src []byte) {
	d, dmin, scales, high, qs := half(src), half(src[2:]), src[4:16], src[16:48], src[48:176]
	for j := range 8 {
		sc, mn := scaleMin(scales, j)
		a, b := d*float32(sc), dmin*float32(mn)
		shift := 4 * (j & 1)
		for l, q := range qs[32*(j/2):][:32] {
			v := q>>shift&15 | (high[l]>>j&1)<<4
			dst[32*j+l] = float32(a*float32(v)) - b
		}
	}
}

// scaleMin unpacks the 6-bit scale and minimum of sub-block j from the 12 bytes s: the first four lie in the low
// bits of bytes 0-3 and 4-7, the last four in the nibbles of bytes 8-11 with their upper bits on top of the first.
func scaleMin(s []byte, j int) (scale, minimum byte) {
	if j < 4 {
		return s[j] & 63, s[j+4] & 63
	}
	return s[j+4]&15 | s[j-4]>>6<<4, s[j+4]>>4 | s[j]>>6<<4
}

// decodeQ6_K: 128 bytes of low nibbles, 64 of upper bit pairs, 16 int8 scales, d float16; x = (d·scale)·(q−32).
func decodeQ6_K(dst []float32, src []byte) {
	low, high, scales, d := src[:128], src[128:192], src[192:208], half(src[208:])
	for i := range dst[:256] {
		h, k, l := i/128, i/32%4, i%32
		lo := low[64*h+32*(k&1)+l] >> (4 * (k / 2)) & 15
		hi := high[32*h+l] >> (2 * k) & 3
		dst[i] = float32(d*float32(int8(scales[i/16]))) * float32(int(lo|hi<<4)-32)
	}
}
