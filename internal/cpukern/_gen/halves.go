package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// element is a type of a tensor: how a vector of it becomes float32, and how such a vector is stored.
type element struct {
	name, element string // of functions and their arguments
	bytes         int
	load          func(m Mem) reg.VecVirtual
	store         func(v reg.VecVirtual, m Mem) // may change v
}

func (l lanes) float32s() element {
	return element{"", "float32", 4, l.load, func(v reg.VecVirtual, m Mem) { VMOVUPS(v, m) }}
}

// halves are BF16, stored rounded to nearest, of two the even one.
func (l lanes) halves() element {
	return element{"Halves", "uint16", 2, l.loadHalves, l.storeNearest}
}

func (l lanes) loadHalves(m Mem) reg.VecVirtual {
	if l.n == 16 {
		return loadHalves512(m)
	}
	return loadHalves(m)
}

// storeNearest is narrowGeneric.
func (l lanes) storeNearest(v reg.VecVirtual, m Mem) {
	u, quiet := l.reg(), constant("quietBit", U32(0x400000))
	VPSRLD(Imm(16), v, u)
	l.with(constant("intOne", U32(1)), u, u, VANDPS, VPANDD_BCST)
	l.with(constant("nearestBias", U32(0x7fff)), u, u, VPADDD, VPADDD_BCST)
	VPADDD(v, u, u)
	if l.n == 16 {
		nan := K()
		VCMPPS(Imm(3), v, v, nan)
		VPORD_BCST(quiet, v, nan, u)
		storeHighHalves512(u, m)
		return
	}
	nan := YMM()
	VCMPPS(Imm(3), v, v, nan)
	VPOR(quiet, v, v)
	VBLENDVPS(nan, v, u, u)
	storeHighHalves(u, m)
}

// advance moves pointers to elements of so many bytes on by a vector.
func (l lanes) advance(bytes int, pointers ...reg.GPVirtual) {
	for _, p := range pointers {
		ADDQ(U32(bytes*l.n), p)
	}
}

// fused writes the rows that read and write BF16 in one pass: their float32 twins between a widening and a narrowing.
func fused() {
	for _, l := range widths {
		l.narrow()
		l.rotateHalves()
		l.mulScaleHalves()
	}
}

func (l lanes) narrow() {
	TEXT("narrow"+l.suffix, NOSPLIT, "func(dst *uint16, src *float32, n int)")
	l.doc("narrow", "narrowGeneric")
	dst, src, n := ptr("dst"), ptr("src"), ptr("n")
	Label("loop")
	l.storeNearest(l.load(at(src, 0)), at(dst, 0))
	l.advance(2, dst)
	l.advance(4, src)
	SUBQ(Imm(uint64(l.n)), n)
	JNZ(LabelRef("loop"))
	finish()
}

func (l lanes) rotateHalves() {
	TEXT("rotateHalves"+l.suffix, NOSPLIT, "func(a, b *uint16, cos, sin *float32, n int, sign float32)")
	l.doc("rotateHalves", "rotateHalvesGeneric")
	a, b, cos, sin, n := ptr("a"), ptr("b"), ptr("cos"), ptr("sin"), ptr("n")
	sign := l.argument("sign")
	Label("loop")
	x, y, c, s := l.loadHalves(at(a, 0)), l.loadHalves(at(b, 0)), l.load(at(cos, 0)), l.reg()
	VMULPS(at(sin, 0), sign, s)
	xc, ys, yc, xs := l.reg(), l.reg(), l.reg(), l.reg()
	VMULPS(x, c, xc)
	VMULPS(y, s, ys)
	VMULPS(y, c, yc)
	VMULPS(x, s, xs)
	VSUBPS(ys, xc, xc)
	VADDPS(xs, yc, yc)
	l.storeNearest(xc, at(a, 0))
	l.storeNearest(yc, at(b, 0))
	l.advance(2, a, b)
	l.advance(4, cos, sin)
	SUBQ(Imm(uint64(l.n)), n)
	JNZ(LabelRef("loop"))
	finish()
}

func (l lanes) mulScaleHalves() {
	TEXT("mulScaleHalves"+l.suffix, NOSPLIT, "func(dst *uint16, x, w *float32, n int, a float32)")
	l.doc("mulScaleHalves", "mulScaleHalvesGeneric")
	dst, x, w, n := ptr("dst"), ptr("x"), ptr("w"), ptr("n")
	a := l.argument("a")
	Label("loop")
	v := l.load(at(x, 0))
	VMULPS(a, v, v)
	VMULPS(at(w, 0), v, v)
	l.storeNearest(v, at(dst, 0))
	l.advance(2, dst)
	l.advance(4, x, w)
	SUBQ(Imm(uint64(l.n)), n)
	JNZ(LabelRef("loop"))
	finish()
}
