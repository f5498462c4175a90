package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func float(name string, v float32) Mem { return constant(name, U32(math.Float32bits(v))) }

// exp emits the steps of exp32, unfused, for eight lanes. limits holds the registers of expMax and expMin.
func exp(x reg.VecVirtual, limits [2]reg.VecVirtual) reg.VecVirtual {
	y, n, t, p := YMM(), YMM(), YMM(), YMM()
	VMINPS(x, limits[0], y) // a NaN comes through: the second operand is returned
	VMAXPS(y, limits[1], y)
	VMULPS(float("expLog2e", 1.44269504088896341), y, n)
	VADDPS(float("expRound", 12582912), n, n)
	VSUBPS(float("expRound", 12582912), n, n)
	VMULPS(float("expLn2Hi", 0.693359375), n, t)
	VSUBPS(t, y, y)
	VMULPS(float("expLn2Lo", -2.12194440e-4), n, t)
	VSUBPS(t, y, y)
	VMOVUPS(float("expPoly0", 1.9875691500e-4), p)
	for i, c := range []float32{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		VMULPS(y, p, p)
		VADDPS(float("expPoly"+string(rune('1'+i)), c), p, p)
	}
	VMULPS(y, p, p)
	VMULPS(y, p, p)
	VADDPS(y, p, p)
	VADDPS(float("floatOne", 1), p, p)
	half := YMM()
	VCVTTPS2DQ(n, n)
	VPSRAD(Imm(1), n, half)
	VPSUBD(half, n, n)
	for _, e := range []reg.VecVirtual{half, n} {
		VPADDD(constant("exponentBias", U32(127)), e, e)
		VPSLLD(Imm(23), e, e)
		VMULPS(e, p, p)
	}
	return p
}

func expLimits() [2]reg.VecVirtual {
	return [2]reg.VecVirtual{inRegister(float("expMax", 89)), inRegister(float("expMin", -105))}
}

func exponentials() {
	TEXT("expSumVec", NOSPLIT, "func(x *float32, n int, scale, shift float32) float32")
	Doc("expSumVec is expSumGeneric for n > 0, a multiple of 8, with eight partial sums.")
	x, n := ptr("x"), ptr("n")
	scale, shift, limits, sum := scalar("scale"), scalar("shift"), expLimits(), zero()
	Label("loop")
	v := YMM()
	VMULPS(at(x, 0), scale, v)
	VSUBPS(shift, v, v)
	e := exp(v, limits)
	VMOVUPS(e, at(x, 0))
	VADDPS(e, sum, sum)
	ADDQ(Imm(32), x)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	returnSum(sum)

	TEXT("siluVec", NOSPLIT, "func(dst, gate, up *float32, n int)")
	Doc("siluVec is siluGeneric for n > 0, a multiple of 8.")
	dst, gate, up, n := ptr("dst"), ptr("gate"), ptr("up"), ptr("n")
	limits = expLimits()
	vectors(n, []reg.GPVirtual{dst, gate, up}, []int{32, 32, 32}, func() {
		g := load(at(gate, 0))
		d := onePlusExpNeg(g, limits)
		VDIVPS(d, g, d)
		VMULPS(at(up, 0), d, d)
		VMOVUPS(d, at(dst, 0))
	})
	siluBackward()
}

// onePlusExpNeg is 1 + exp(−g).
func onePlusExpNeg(g reg.VecVirtual, limits [2]reg.VecVirtual) reg.VecVirtual {
	v := YMM()
	VXORPS(constant("signBit", U32(0x80000000)), g, v)
	e := exp(v, limits)
	VADDPS(float("floatOne", 1), e, e)
	return e
}

func siluBackward() {
	TEXT("siluBackwardVec", NOSPLIT, "func(dgate, dup, dact, gate, up *float32, n int)")
	Doc("siluBackwardVec is siluBackwardGeneric for n > 0, a multiple of 8.")
	dgate, dup, dact, gate, up, n := ptr("dgate"), ptr("dup"), ptr("dact"), ptr("gate"), ptr("up"), ptr("n")
	limits := expLimits()
	one := inRegister(float("floatOne", 1))
	vectors(n, []reg.GPVirtual{dgate, dup, dact, gate, up}, []int{32, 32, 32, 32, 32}, func() {
		g, u, d := load(at(gate, 0)), load(at(up, 0)), load(at(dact, 0))
		s, t, v := YMM(), YMM(), YMM()
		VDIVPS(onePlusExpNeg(g, limits), one, s)
		VMULPS(s, g, t)
		VMULPS(d, t, t)
		VMOVUPS(t, at(dup, 0))
		VSUBPS(s, one, v)
		VMULPS(g, v, v)
		VADDPS(one, v, v)
		VMULPS(s, v, v)
		VMULPS(d, u, u)
		VMULPS(v, u, u)
		VMOVUPS(u, at(dgate, 0))
	})
}
