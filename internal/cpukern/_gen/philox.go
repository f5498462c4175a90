package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(philox)

// philox runs eight counters at once, one a lane: 64 draws a turn.
func philox() {
	TEXT("philoxVec", NOSPLIT, "func(dst *uint16, key uint64, c0, c1, c2, c3 uint32, n int)")
	Doc("philoxVec fills dst with the n draws, a multiple of 64, of the counters {c0, c1, c2, c3}, {c0+1, …}, …; c0 must not overflow.")
	dst, n := ptr("dst"), ptr("n")
	first := broadcast("c0")
	lanes := GLOBL("laneNumbers", 8|16)
	for i := range 8 {
		DATA(4*i, U32(i))
	}
	VPADDD(lanes, first, first)
	second, third, fourth := broadcast("c1"), broadcast("c2"), broadcast("c3")
	key0, key1 := YMM(), YMM()
	key := ptr("key")
	x := XMM()
	VMOVQ(key, x)
	VPBROADCASTD(x, key0)
	SHRQ(Imm(32), key)
	VMOVQ(key, x)
	VPBROADCASTD(x, key1)
	mul0, mul1 := constant("philoxMul0", U32(0xD2511F53)), constant("philoxMul1", U32(0xCD9E8D57))
	add0, add1 := constant("philoxAdd0", U32(0x9E3779B9)), constant("philoxAdd1", U32(0xBB67AE85))
	eight := constant("intEight", U32(8))

	Label("loop")
	c := [4]reg.VecVirtual{YMM(), YMM(), YMM(), YMM()}
	for i, v := range []reg.VecVirtual{first, second, third, fourth} {
		VMOVDQA(v, c[i])
	}
	k0, k1 := YMM(), YMM()
	VMOVDQA(key0, k0)
	VMOVDQA(key1, k1)
	for round := range 10 {
		high0, low0 := product(c[0], mul0)
		high1, low1 := product(c[2], mul1)
		VPXOR(c[1], high1, high1)
		VPXOR(k0, high1, high1)
		VPXOR(c[3], high0, high0)
		VPXOR(k1, high0, high0)
		c = [4]reg.VecVirtual{high1, low1, high0, low0}
		if round < 9 {
			VPADDD(add0, k0, k0)
			VPADDD(add1, k1, k1)
		}
	}
	storeBlocks(c, dst)
	VPADDD(eight, first, first)
	ADDQ(U32(128), dst)
	SUBQ(Imm(64), n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func broadcast(name string) reg.VecVirtual {
	g := Load(Param(name), GP32())
	x, y := XMM(), YMM()
	VMOVD(g, x)
	VPBROADCASTD(x, y)
	return y
}

// product is the high and low words of eight 32 × 32 bit products, made as four of the even and four of the odd lanes.
func product(x reg.VecVirtual, m Mem) (high, low reg.VecVirtual) {
	even, odd := YMM(), YMM()
	high, low = YMM(), YMM()
	VPMULUDQ(m, x, even)
	VPSRLQ(Imm(32), x, odd)
	VPMULUDQ(m, odd, odd)
	VPSLLQ(Imm(32), odd, low)
	VPBLENDD(Imm(0xaa), low, even, low)
	VPSRLQ(Imm(32), even, even)
	VPBLENDD(Imm(0xaa), odd, even, high)
	return high, low
}

// storeBlocks puts the four words of each lane beside each other.
func storeBlocks(c [4]reg.VecVirtual, dst reg.GPVirtual) {
	var t, b [4]reg.VecVirtual
	for i := range 4 {
		t[i], b[i] = YMM(), YMM()
	}
	VPUNPCKLDQ(c[1], c[0], t[0])
	VPUNPCKHDQ(c[1], c[0], t[1])
	VPUNPCKLDQ(c[3], c[2], t[2])
	VPUNPCKHDQ(c[3], c[2], t[3])
	VPUNPCKLQDQ(t[2], t[0], b[0])
	VPUNPCKHQDQ(t[2], t[0], b[1])
	VPUNPCKLQDQ(t[3], t[1], b[2])
	VPUNPCKHQDQ(t[3], t[1], b[3])
	for i := range b { // lane i in the lower half, lane i+4 in the upper
		VMOVDQU(b[i].AsX(), at(dst, 16*i))
		VEXTRACTI128(Imm(1), b[i], at(dst, 64+16*i))
	}
}
