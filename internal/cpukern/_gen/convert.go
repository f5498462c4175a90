package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(conversions)

// conversions writes the rows that change between float32 and BF16.
func conversions() {
	TEXT("widenVec", NOSPLIT, "func(dst *float32, src *uint16, n int)")
	Doc("widenVec is widenGeneric for n > 0, a multiple of 8.")
	dst, src, n := ptr("dst"), ptr("src"), ptr("n")
	vectors(n, []reg.GPVirtual{dst, src}, []int{4, 2}, func() { VMOVUPS(loadHalves(at(src, 0)), at(dst, 0)) })

	stochasticVec()
}

// storeHighHalves stores the upper 16 bits of each lane.
func storeHighHalves(v reg.VecVirtual, m Mem) {
	VPSRLD(Imm(16), v, v)
	VPACKUSDW(v, v, v)
	VPERMQ(Imm(0x08), v, v)
	VMOVUPS(v.AsX(), m)
}

func stochasticVec() {
	TEXT("stochasticVec", NOSPLIT, "func(dst *uint16, src *float32, noise *uint16, n int)")
	Doc("stochasticVec is stochasticGeneric for n > 0, a multiple of 8.")
	dst, src, noise, n := ptr("dst"), ptr("src"), ptr("noise"), ptr("n")
	exponent := inRegister(constant("exponentBits", U32(0x7f800000)))
	quiet := inRegister(constant("quietBit", U32(0x400000)))
	vectors(n, []reg.GPVirtual{dst, src, noise}, []int{2, 4, 2}, func() {
		storeStochastic(load(at(src, 0)), exponent, quiet, at(noise, 0), at(dst, 0))
	})
}

// storeStochastic stores u rounded with noise; exponent and quiet are constants, in registers or memory.
func storeStochastic(u reg.VecVirtual, exponent, quiet Op, noise, dst Mem) {
	v, a, b, nan := YMM(), YMM(), YMM(), YMM()
	VPMOVZXWD(noise, v)
	VPADDD(u, v, v)
	VPAND(exponent, u, a) // infinities and NaN keep their bits, and nothing finite becomes one
	VPCMPEQD(exponent, a, a)
	VPAND(exponent, v, b)
	VPCMPEQD(exponent, b, b)
	VPOR(a, b, b)
	VBLENDVPS(b, u, v, v)
	VCMPPS(Imm(3), u, u, nan)
	VPAND(quiet, nan, nan)
	VPOR(nan, v, v)
	storeHighHalves(v, dst)
}
