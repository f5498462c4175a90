package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(updateHalvesVec, wide)

// wide writes the 512-bit twins of what a product's tiles go through: conversions, noise and the update.
func wide() {
	TEXT("widenVec512", NOSPLIT, "func(dst *float32, src *uint16, n int)")
	Doc("widenVec512 is widenGeneric for n > 0, a multiple of 16.")
	dst, src, n := ptr("dst"), ptr("src"), ptr("n")
	sixteens(n, []reg.GPVirtual{dst, src}, []int{4, 2}, func() { VMOVUPS(loadHalves512(at(src, 0)), at(dst, 0)) })

	updateHalvesVec512()
	philoxVec512()
}

// sixteens is vectors with sixteen elements.
func sixteens(n reg.Register, pointers []reg.GPVirtual, bytes []int, body func()) {
	widths[1].vectors(n, pointers, bytes, body)
	finish()
}

func loadHalves512(m Mem) reg.VecVirtual {
	z := ZMM()
	VPMOVZXWD(m, z)
	VPSLLD(Imm(16), z, z)
	return z
}

// every512 is a constant in sixteen lanes.
func every512(m Mem) reg.VecVirtual {
	z := ZMM()
	VPBROADCASTD(m, z)
	return z
}

func scalar512(name string) reg.VecVirtual {
	z := ZMM()
	VBROADCASTSS(Load(Param(name), XMM()), z)
	return z
}

// storeHighHalves512 stores the upper 16 bits of each lane.
func storeHighHalves512(v reg.VecVirtual, m Mem) {
	y := YMM()
	VPSRLD(Imm(16), v, v)
	VPMOVDW(v, y)
	VMOVUPS(y, m)
}

// updateHalvesVec is the update of BF16 weights with stochastic rounding in one pass: eight at a time, unfused.
func updateHalvesVec() {
	TEXT("updateHalvesVec", NOSPLIT, "func(w *uint16, grad *float32, noise *uint16, n int, scale, clip, coef, keep, lr float32)")
	Doc("updateHalvesVec is updateHalvesGeneric for n > 0, a multiple of 8.")
	w, g, noise, n := ptr("w"), ptr("grad"), ptr("noise"), ptr("n")
	s, keep, lr := loadSeen(), scalar("keep"), scalar("lr")
	exponent, quiet := constant("exponentBits", U32(0x7f800000)), constant("quietBit", U32(0x400000))
	vectors(n, []reg.GPVirtual{w, g, noise}, []int{2, 4, 2}, func() {
		h, x := s.gradient(at(g, 0)), loadHalves(at(w, 0))
		VMULPS(lr, h, h)
		VMULPS(x, keep, x)
		VSUBPS(h, x, x)
		storeStochastic(x, exponent, quiet, at(noise, 0), at(w, 0))
	})
}

func updateHalvesVec512() {
	TEXT("updateHalvesVec512", NOSPLIT, "func(w *uint16, grad *float32, noise *uint16, n int, scale, clip, coef, keep, lr float32)")
	Doc("updateHalvesVec512 is updateHalvesGeneric for n > 0, a multiple of 16.")
	w, g, noise, n := ptr("w"), ptr("grad"), ptr("noise"), ptr("n")
	scale, clip, coef, keep, lr, least := scalar512("scale"), scalar512("clip"), scalar512("coef"), scalar512("keep"), scalar512("lr"), ZMM()
	VPXORD(every512(constant("signBit", U32(0x80000000))), clip, least)
	exponent, quiet := every512(constant("exponentBits", U32(0x7f800000))), every512(constant("quietBit", U32(0x400000)))
	sixteens(n, []reg.GPVirtual{w, g, noise}, []int{2, 4, 2}, func() {
		h, u := ZMM(), loadHalves512(at(w, 0))
		VMULPS(at(g, 0), scale, h)
		VMAXPS(least, h, h)
		VMINPS(clip, h, h)
		VMULPS(coef, h, h)
		VMULPS(lr, h, h)
		VMULPS(u, keep, u)
		VSUBPS(h, u, u)
		v, a, odd, nan := ZMM(), ZMM(), K(), K()
		VPMOVZXWD(at(noise, 0), v)
		VPADDD(u, v, v)
		for _, x := range []reg.VecVirtual{u, v} { // infinities and NaN keep their bits, and nothing finite becomes one
			VPANDD(exponent, x, a)
			VPCMPEQD(exponent, a, odd)
			VMOVDQA32(u, odd, v)
		}
		VCMPPS(Imm(3), u, u, nan)
		VPORD(quiet, v, nan, v)
		storeHighHalves512(v, at(w, 0))
	})
}

// philoxVec512 is philoxVec with sixteen counters at once: 128 draws a turn.
func philoxVec512() {
	TEXT("philoxVec512", NOSPLIT, "func(dst *uint16, key uint64, c0, c1, c2, c3 uint32, n int)")
	Doc("philoxVec512 fills dst with the n draws, a multiple of 128, of the counters {c0, c1, c2, c3}, {c0+1, …}, …; c0 must not overflow.")
	dst, n := ptr("dst"), ptr("n")
	every := func(r Op) reg.VecVirtual {
		z := ZMM()
		VPBROADCASTD(r, z)
		return z
	}
	first := every(Load(Param("c0"), GP32()))
	numbers := GLOBL("laneNumbers512", 8|16)
	for i := range 16 {
		DATA(4*i, U32(i))
	}
	VPADDD(numbers, first, first)
	second, third, fourth := every(Load(Param("c1"), GP32())), every(Load(Param("c2"), GP32())), every(Load(Param("c3"), GP32()))
	key := ptr("key")
	key0 := every(key.As32())
	SHRQ(Imm(32), key)
	key1 := every(key.As32())
	mul0, mul1 := every512(constant("philoxMul0", U32(0xD2511F53))), every512(constant("philoxMul1", U32(0xCD9E8D57)))
	add0, add1 := every512(constant("philoxAdd0", U32(0x9E3779B9))), every512(constant("philoxAdd1", U32(0xBB67AE85)))
	step := every512(constant("intSixteen", U32(16)))
	mask, odd := GP32(), K()
	MOVL(U32(0xaaaa), mask)
	KMOVW(mask, odd)

	Label("loop")
	c := [4]reg.VecVirtual{ZMM(), ZMM(), ZMM(), ZMM()}
	for i, v := range []reg.VecVirtual{first, second, third, fourth} {
		VMOVDQA64(v, c[i])
	}
	k0, k1 := ZMM(), ZMM()
	VMOVDQA64(key0, k0)
	VMOVDQA64(key1, k1)
	for round := range 10 {
		high0, low0 := product512(c[0], mul0, odd)
		high1, low1 := product512(c[2], mul1, odd)
		const xor3 = 0x96
		VPTERNLOGD(Imm(xor3), c[1], k0, high1)
		VPTERNLOGD(Imm(xor3), c[3], k1, high0)
		c = [4]reg.VecVirtual{high1, low1, high0, low0}
		if round < 9 {
			VPADDD(add0, k0, k0)
			VPADDD(add1, k1, k1)
		}
	}
	for i, z := range blocks512(c) {
		VMOVUPS(z, at(dst, 64*i))
	}
	VPADDD(step, first, first)
	ADDQ(U32(256), dst)
	SUBQ(Imm(128), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// product512 is the high and low words of sixteen 32 × 32 bit products, made as eight of the even and eight of the odd lanes.
func product512(x, m reg.VecVirtual, odd reg.OpmaskVirtual) (high, low reg.VecVirtual) {
	even, other, moved := ZMM(), ZMM(), ZMM()
	low = ZMM()
	VPMULUDQ(m, x, even)
	VPSRLQ(Imm(32), x, other)
	VPMULUDQ(m, other, other)
	VPSLLQ(Imm(32), other, moved)
	VMOVDQA64(even, low)
	VMOVDQA32(moved, odd, low)
	VPSRLQ(Imm(32), even, even)
	VMOVDQA32(other, odd, even)
	return even, low
}

// blocks512 puts the four words of each lane beside each other: lane l of a register is that of counter 4·l and so on, so lanes of 128 bits
// are transposed too.
func blocks512(c [4]reg.VecVirtual) (v [4]reg.VecVirtual) {
	var t, b [4]reg.VecVirtual
	for i := range 4 {
		t[i], b[i] = ZMM(), ZMM()
	}
	VPUNPCKLDQ(c[1], c[0], t[0])
	VPUNPCKHDQ(c[1], c[0], t[1])
	VPUNPCKLDQ(c[3], c[2], t[2])
	VPUNPCKHDQ(c[3], c[2], t[3])
	VPUNPCKLQDQ(t[2], t[0], b[0])
	VPUNPCKHQDQ(t[2], t[0], b[1])
	VPUNPCKLQDQ(t[3], t[1], b[2])
	VPUNPCKHQDQ(t[3], t[1], b[3])
	for i, imm := range []uint8{evenLanes, oddLanes} {
		x, y := shuffleLanes(imm, b[0], b[1]), shuffleLanes(imm, b[2], b[3])
		v[i], v[2+i] = shuffleLanes(evenLanes, x, y), shuffleLanes(oddLanes, x, y)
	}
	return v
}
