package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(sums)

// sums writes the reductions.
func sums() {
	dot("dotVec", "dotVec is dotGeneric for n > 0, a multiple of 32, with fused multiply-adds and 32 partial sums.", false)
	dot("dot16Vec", "dot16Vec is dot16Generic for n > 0, a multiple of 32, with fused multiply-adds and 32 partial sums.", true)
	dot3()
	sumSq()
	absMax()
	maximum()
}

func dot(name, doc string, half bool) {
	_, element, size := suffix(half)
	TEXT(name, NOSPLIT, "func(x *float32, y *"+element+", n int) float32")
	Doc(doc)
	x, y, n := ptr("x"), ptr("y"), ptr("n")
	var s [4]reg.VecVirtual
	for i := range s {
		s[i] = zero()
	}
	Label("loop")
	for i := range s {
		if half {
			VFMADD231PS(at(x, 32*i), loadHalves(at(y, 16*i)), s[i])
		} else {
			VFMADD231PS(at(x, 32*i), load(at(y, 32*i)), s[i])
		}
	}
	ADDQ(U32(128), x)
	ADDQ(U32(32*size), y)
	SUBQ(Imm(32), n)
	JNZ(LabelRef("loop"))
	VADDPS(s[1], s[0], s[0])
	VADDPS(s[3], s[2], s[2])
	VADDPS(s[2], s[0], s[0])
	returnSum(s[0])
}

func zero() reg.VecVirtual {
	y := YMM()
	VXORPS(y, y, y)
	return y
}

// returnSum returns the sum of the eight lanes: halves, then quarters, then pairs.
func returnSum(s reg.VecVirtual) {
	x := XMM()
	VEXTRACTF128(Imm(1), s, x)
	VADDPS(s.AsX(), x, x)
	t := XMM()
	VMOVHLPS(x, x, t)
	VADDPS(x, t, x)
	VMOVSHDUP(x, t)
	VADDSS(x, t, x)
	VZEROUPPER()
	Store(x, ReturnIndex(0))
	RET()
}

func dot3() {
	TEXT("dot3Vec", NOSPLIT, "func(x, y, z *float32, n int) float32")
	Doc("dot3Vec is dot3Generic for n > 0, a multiple of 8, with fused multiply-adds and eight partial sums.")
	x, y, z, n := ptr("x"), ptr("y"), ptr("z"), ptr("n")
	s := zero()
	Label("loop")
	v := load(at(x, 0))
	VMULPS(at(y, 0), v, v)
	VFMADD231PS(at(z, 0), v, s)
	for _, p := range []reg.GPVirtual{x, y, z} {
		ADDQ(Imm(32), p)
	}
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	returnSum(s)
}

func sumSq() {
	TEXT("sumSqVec", NOSPLIT, "func(x *float32, n int, lanes *[8]float64)")
	Pragma("noescape") // else every call would allocate the lanes
	Doc("sumSqVec is the eight partial sums of sumSqGeneric for n > 0, a multiple of 8. Squares are exact, so fusing changes nothing.")
	x, n, lanes := ptr("x"), ptr("n"), ptr("lanes")
	low, high := zero(), zero()
	Label("loop")
	a, b := YMM(), YMM()
	VCVTPS2PD(at(x, 0), a)
	VCVTPS2PD(at(x, 16), b)
	VFMADD231PD(a, a, low)
	VFMADD231PD(b, b, high)
	ADDQ(Imm(32), x)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	VMOVUPD(low, at(lanes, 0))
	VMOVUPD(high, at(lanes, 32))
	VZEROUPPER()
	RET()
}

func absMax() {
	TEXT("absMaxVec", NOSPLIT, "func(x *float32, n int) uint32")
	Doc("absMaxVec is absMaxGeneric for n > 0, a multiple of 8.")
	x, n := ptr("x"), ptr("n")
	magnitude, m := inRegister(constant("magnitudeBits", U32(0x7fffffff))), zero()
	Label("loop")
	v := YMM()
	VPAND(at(x, 0), magnitude, v)
	VPMAXUD(v, m, m)
	ADDQ(Imm(32), x)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	returnMax(m)

	TEXT("absMax16Vec", NOSPLIT, "func(x *uint16, n int) uint32")
	Doc("absMax16Vec is the greatest magnitude pattern of n > 0 BF16 elements, a multiple of 16, in the upper or lower half of the result.")
	x, n = ptr("x"), ptr("n")
	magnitude, m = inRegister(constant("magnitudeBits16", U32(0x7fff7fff))), zero()
	Label("loop")
	v = YMM()
	VPAND(at(x, 0), magnitude, v)
	VPMAXUW(v, m, m)
	ADDQ(Imm(32), x)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("loop"))
	// Each half of a lane is a maximum of its own: both go to the upper half, where comparing whole lanes compares them.
	lower := YMM()
	VPSLLD(Imm(16), m, lower)
	VPMAXUW(lower, m, m)
	VPSRLD(Imm(16), m, m)
	VPSLLD(Imm(16), m, m)
	returnMax(m)
}

func returnMax(m reg.VecVirtual) {
	x, t := XMM(), XMM()
	VEXTRACTI128(Imm(1), m, x)
	VPMAXUD(m.AsX(), x, x)
	VPSHUFD(Imm(0x4e), x, t)
	VPMAXUD(t, x, x)
	VPSHUFD(Imm(0xb1), x, t)
	VPMAXUD(t, x, x)
	r := GP32()
	VMOVD(x, r)
	VZEROUPPER()
	Store(r, ReturnIndex(0))
	RET()
}

func maximum() {
	TEXT("maximumVec", NOSPLIT, "func(x *float32, n int) float32")
	Doc("maximumVec is maximumGeneric for n > 0, a multiple of 8.")
	x, n := ptr("x"), ptr("n")
	m := inRegister(constant("minusInf", U32(0xff800000)))
	Label("loop")
	v := load(at(x, 0))
	VMAXPS(m, v, m) // of a NaN and a number the second operand, the maximum so far
	ADDQ(Imm(32), x)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	r, t := XMM(), XMM()
	VEXTRACTF128(Imm(1), m, r)
	VMAXPS(m.AsX(), r, r)
	VMOVHLPS(r, r, t)
	VMAXPS(r, t, r)
	VMOVSHDUP(r, t)
	VMAXSS(r, t, r)
	VZEROUPPER()
	Store(r, ReturnIndex(0))
	RET()
}
