package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(softCapBackward)

// The constants of cpukern's gate.go.
const (
	geluA    = 1.5957691216057308
	geluB    = 0.07135481627260025
	geluMost = 256
)

func (l lanes) gelu(e element) {
	TEXT("gelu"+e.name+l.suffix, NOSPLIT, "func(dst, gate, up *"+e.element+", n int)")
	l.doc("gelu"+e.name, "gelu"+e.name+"Generic")
	dst, gate, up, n := ptr("dst"), ptr("gate"), ptr("up"), ptr("n")
	limits := l.limits()
	l.vectors(n, []reg.GPVirtual{dst, gate, up}, []int{e.bytes, e.bytes, e.bytes}, func() {
		g := e.load(at(gate, 0))
		_, u := l.geluArgument(g)
		d := l.onePlusExpNeg(u, limits)
		VDIVPS(d, g, d)
		VMULPS(e.load(at(up, 0)), d, d)
		e.store(d, at(dst, 0))
	})
	finish()
}

// geluArgument is the square of g, bounded, and what gelu's σ takes.
func (l lanes) geluArgument(g reg.VecVirtual) (square, u reg.VecVirtual) {
	square, u = l.reg(), l.reg()
	VMULPS(g, g, square)
	l.with(float("geluMost", geluMost), square, square, VMINPS, VMINPS_BCST)
	l.mul(float("geluB", geluB), square, u)
	l.add(float("geluA", geluA), u, u)
	VMULPS(g, u, u)
	return square, u
}

func (l lanes) geluBackward(e element) {
	TEXT("geluBackward"+e.name+l.suffix, NOSPLIT, "func(dgate, dup, dact, gate, up *"+e.element+", n int)")
	l.doc("geluBackward"+e.name, "geluBackward"+e.name+"Generic")
	dgate, dup, dact, gate, up, n := ptr("dgate"), ptr("dup"), ptr("dact"), ptr("gate"), ptr("up"), ptr("n")
	limits := l.limits()
	one := l.every(float("floatOne", 1))
	l.vectors(n, []reg.GPVirtual{dgate, dup, dact, gate, up}, []int{e.bytes, e.bytes, e.bytes, e.bytes, e.bytes}, func() {
		g := e.load(at(gate, 0))
		square, arg := l.geluArgument(g)
		rest, s, t := l.expNeg(arg, limits), l.reg(), l.reg()
		VADDPS(one, rest, s)
		VDIVPS(s, one, s)
		l.with(float("floatMost", math.MaxFloat32), rest, rest, VMINPS, VMINPS_BCST)
		VMULPS(s, rest, rest)
		l.mul(float("gelu3B", 3*geluB), square, square)
		l.add(float("geluA", geluA), square, square)
		VMULPS(square, rest, rest)
		VMULPS(s, g, t)
		VMULPS(t, rest, rest)
		VADDPS(s, rest, rest)
		d, u := e.load(at(dact, 0)), e.load(at(up, 0))
		VMULPS(d, t, t)
		e.store(t, at(dup, 0))
		VMULPS(d, u, u)
		VMULPS(rest, u, u)
		e.store(u, at(dgate, 0))
	})
	finish()
}

// tanhPoly are the coefficients of (tanh(x)−x)/x³ in x² for |x| < tanhSmall, the highest first: those of Cephes tanhf.
var tanhPoly = []float32{-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1}

func (l lanes) softCap() {
	TEXT("softCap"+l.suffix, NOSPLIT, "func(z *float32, n int, inverse, limit float32)")
	l.doc("softCap", "softCapGeneric")
	z, n := ptr("z"), ptr("n")
	inverse, limit, limits := l.argument("inverse"), l.argument("limit"), l.limits()
	l.vectors(n, []reg.GPVirtual{z}, []int{4}, func() {
		x, size, sign, square, p := l.load(at(z, 0)), l.reg(), l.reg(), l.reg(), l.reg()
		VMULPS(inverse, x, x)
		l.with(constant("magnitudeBits", U32(0x7fffffff)), x, size, VANDPS, VPANDD_BCST)
		l.with(constant("signBit", U32(0x80000000)), x, sign, VANDPS, VPANDD_BCST)
		VMULPS(x, x, square)
		VBROADCASTSS(float("tanhPoly0", tanhPoly[0]), p)
		for i, c := range tanhPoly[1:] {
			VMULPS(square, p, p)
			l.add(float("tanhPoly"+string(rune('1'+i)), c), p, p)
		}
		VMULPS(square, p, p)
		VMULPS(x, p, p)
		VADDPS(x, p, p)
		twice, t := l.reg(), l.reg()
		VADDPS(size, size, twice)
		e := l.exp(twice, limits)
		l.add(float("floatOne", 1), e, e)
		VBROADCASTSS(float("floatTwo", 2), t)
		VDIVPS(e, t, e)
		VBROADCASTSS(float("floatOne", 1), t)
		VSUBPS(e, t, t)
		small := float("tanhSmall", 0.625)
		if l.n == 16 {
			VPORD(sign, t, t)
			mask := K()
			VCMPPS_BCST(Imm(1), small, size, mask)
			VMOVAPS(p, mask, t)
		} else {
			VORPS(sign, t, t)
			mask := YMM()
			VCMPPS(Imm(1), small, size, mask)
			VBLENDVPS(mask, p, t, t)
		}
		VMULPS(limit, t, t)
		VMOVUPS(t, at(z, 0))
	})
	finish()
}

// softCapBackward is bound by memory at 256 bits.
func softCapBackward() {
	TEXT("softCapBackwardVec", NOSPLIT, "func(dz, z *float32, n int, inverse float32)")
	Doc("softCapBackwardVec is softCapBackwardGeneric for n > 0, a multiple of 8.")
	dz, z, n := ptr("dz"), ptr("z"), ptr("n")
	inverse, one := scalar("inverse"), inRegister(float("floatOne", 1))
	vectors(n, []reg.GPVirtual{dz, z}, []int{4, 4}, func() {
		v := YMM()
		VMULPS(at(z, 0), inverse, v)
		VMULPS(v, v, v)
		VSUBPS(v, one, v)
		VMULPS(at(dz, 0), v, v)
		VMOVUPS(v, at(dz, 0))
	})
}
