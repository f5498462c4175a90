package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func float(name string, v float32) Mem { return constant(name, U32(math.Float32bits(v))) }

// lanes is a width of vectors for the exponentials: eight or sixteen float32.
type lanes struct {
	suffix string
	n      int
}

var widths = []lanes{{"Vec", 8}, {"Vec512", 16}}

func (l lanes) reg() reg.VecVirtual {
	if l.n == 16 {
		return ZMM()
	}
	return YMM()
}

func (l lanes) load(m Mem) reg.VecVirtual {
	v := l.reg()
	VMOVUPS(m, v)
	return v
}

// every is a constant or an argument in every lane.
func (l lanes) every(m Op) reg.VecVirtual {
	v := l.reg()
	VBROADCASTSS(m, v)
	return v
}

func (l lanes) argument(name string) reg.VecVirtual { return l.every(Load(Param(name), XMM())) }

// with is a binary operation with a constant as its last operand: 512-bit instructions broadcast it themselves.
func (l lanes) with(c Mem, x, y reg.VecVirtual, plain, broadcast func(ops ...Op)) {
	if l.n == 16 {
		broadcast(c, x, y)
	} else {
		plain(c, x, y)
	}
}

func (l lanes) mul(c Mem, x, y reg.VecVirtual) { l.with(c, x, y, VMULPS, VMULPS_BCST) }
func (l lanes) add(c Mem, x, y reg.VecVirtual) { l.with(c, x, y, VADDPS, VADDPS_BCST) }
func (l lanes) sub(c Mem, x, y reg.VecVirtual) { l.with(c, x, y, VSUBPS, VSUBPS_BCST) }

// vectors is the loop over n/l.n vectors, as the function of that name.
func (l lanes) vectors(n reg.Register, pointers []reg.GPVirtual, body func()) {
	Label("loop")
	body()
	for _, p := range pointers {
		ADDQ(U32(4*l.n), p)
	}
	SUBQ(Imm(uint64(l.n)), n)
	JNZ(LabelRef("loop"))
}

func finish() {
	VZEROUPPER()
	RET()
}

// exp emits the steps of exp32, unfused. limits holds the registers of expMax and expMin.
func (l lanes) exp(x reg.VecVirtual, limits [2]reg.VecVirtual) reg.VecVirtual {
	y, n, t, p := l.reg(), l.reg(), l.reg(), l.reg()
	VMINPS(x, limits[0], y) // a NaN comes through: the second operand is returned
	VMAXPS(y, limits[1], y)
	l.mul(float("expLog2e", 1.44269504088896341), y, n)
	l.add(float("expRound", 12582912), n, n)
	l.sub(float("expRound", 12582912), n, n)
	l.mul(float("expLn2Hi", 0.693359375), n, t)
	VSUBPS(t, y, y)
	l.mul(float("expLn2Lo", -2.12194440e-4), n, t)
	VSUBPS(t, y, y)
	VBROADCASTSS(float("expPoly0", 1.9875691500e-4), p)
	for i, c := range []float32{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		VMULPS(y, p, p)
		l.add(float("expPoly"+string(rune('1'+i)), c), p, p)
	}
	VMULPS(y, p, p)
	VMULPS(y, p, p)
	VADDPS(y, p, p)
	l.add(float("floatOne", 1), p, p)
	half := l.reg()
	VCVTTPS2DQ(n, n)
	VPSRAD(Imm(1), n, half)
	VPSUBD(half, n, n)
	for _, e := range []reg.VecVirtual{half, n} {
		l.with(constant("exponentBias", U32(127)), e, e, VPADDD, VPADDD_BCST)
		VPSLLD(Imm(23), e, e)
		VMULPS(e, p, p)
	}
	return p
}

func (l lanes) limits() [2]reg.VecVirtual {
	return [2]reg.VecVirtual{l.every(float("expMax", 89)), l.every(float("expMin", -105))}
}

func exponentials() {
	for _, l := range widths {
		l.expSum()
		l.silu()
		l.siluBackward()
	}
}

func (l lanes) doc(name, generic string) {
	Doc(fmt.Sprintf("%s%s is %s for n > 0, a multiple of %d.", name, l.suffix, generic, l.n))
}

func (l lanes) expSum() {
	TEXT("expSum"+l.suffix, NOSPLIT, "func(x *float32, n int, scale, shift float32) float32")
	Doc(fmt.Sprintf("expSum%s is expSumGeneric for n > 0, a multiple of %d, with as many partial sums.", l.suffix, l.n))
	x, n := ptr("x"), ptr("n")
	scale, shift, limits, sum := l.argument("scale"), l.argument("shift"), l.limits(), l.reg()
	l.clear(sum)
	l.vectors(n, []reg.GPVirtual{x}, func() {
		v := l.reg()
		VMULPS(at(x, 0), scale, v)
		VSUBPS(shift, v, v)
		e := l.exp(v, limits)
		VMOVUPS(e, at(x, 0))
		VADDPS(e, sum, sum)
	})
	if l.n == 16 {
		high := YMM()
		VEXTRACTF64X4(Imm(1), sum, high)
		VADDPS(sum.AsY(), high, high)
		returnSum(high)
		return
	}
	returnSum(sum)
}

func (l lanes) clear(v reg.VecVirtual) {
	if l.n == 16 {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

func (l lanes) silu() {
	TEXT("silu"+l.suffix, NOSPLIT, "func(dst, gate, up *float32, n int)")
	l.doc("silu", "siluGeneric")
	dst, gate, up, n := ptr("dst"), ptr("gate"), ptr("up"), ptr("n")
	limits := l.limits()
	l.vectors(n, []reg.GPVirtual{dst, gate, up}, func() {
		g := l.load(at(gate, 0))
		d := l.onePlusExpNeg(g, limits)
		VDIVPS(d, g, d)
		VMULPS(at(up, 0), d, d)
		VMOVUPS(d, at(dst, 0))
	})
	finish()
}

// onePlusExpNeg is 1 + exp(−g).
func (l lanes) onePlusExpNeg(g reg.VecVirtual, limits [2]reg.VecVirtual) reg.VecVirtual {
	v := l.reg()
	l.with(constant("signBit", U32(0x80000000)), g, v, VXORPS, VPXORD_BCST)
	e := l.exp(v, limits)
	l.add(float("floatOne", 1), e, e)
	return e
}

func (l lanes) siluBackward() {
	TEXT("siluBackward"+l.suffix, NOSPLIT, "func(dgate, dup, dact, gate, up *float32, n int)")
	l.doc("siluBackward", "siluBackwardGeneric")
	dgate, dup, dact, gate, up, n := ptr("dgate"), ptr("dup"), ptr("dact"), ptr("gate"), ptr("up"), ptr("n")
	limits := l.limits()
	one := l.every(float("floatOne", 1))
	l.vectors(n, []reg.GPVirtual{dgate, dup, dact, gate, up}, func() {
		g, u, d := l.load(at(gate, 0)), l.load(at(up, 0)), l.load(at(dact, 0))
		s, t, v := l.reg(), l.reg(), l.reg()
		VDIVPS(l.onePlusExpNeg(g, limits), one, s)
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
	finish()
}
