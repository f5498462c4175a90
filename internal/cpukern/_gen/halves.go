package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(fused)

// element is a type of a tensor: how a vector of it becomes float32, and how such a vector is stored.
type element struct {
	name, element string // of functions and their arguments
	bytes         int
	load          func(m Mem) reg.VecVirtual
	store         func(v reg.VecVirtual, m Mem)
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

// nearest is v with the BF16 that narrowGeneric makes of it in the upper half of each lane, and anything in the lower.
func (l lanes) nearest(v reg.VecVirtual) reg.VecVirtual {
	u, quiet := l.reg(), constant("quietBit", U32(0x400000))
	VPSRLD(Imm(16), v, u)
	l.with(constant("intOne", U32(1)), u, u, VANDPS, VPANDD_BCST)
	l.with(constant("nearestBias", U32(0x7fff)), u, u, VPADDD, VPADDD_BCST)
	VPADDD(v, u, u)
	if l.n == 16 {
		nan := K()
		VCMPPS(Imm(3), v, v, nan)
		VPORD_BCST(quiet, v, nan, u)
		return u
	}
	nan, loud := YMM(), YMM()
	VCMPPS(Imm(3), v, v, nan)
	VPOR(quiet, v, loud)
	VBLENDVPS(nan, loud, u, u)
	return u
}

func (l lanes) storeNearest(v reg.VecVirtual, m Mem) {
	if l.n == 16 {
		storeHighHalves512(l.nearest(v), m)
	} else {
		storeHighHalves(l.nearest(v), m)
	}
}

// fused writes the rows that read or write BF16 in one pass, and the float32 twins of two of them, which memory bounds at 256 bits already.
func fused() {
	for _, l := range widths {
		l.narrow()
		l.axpy(l.halves())
		l.rotate(l.halves())
		l.mulScale(l.halves())
	}
	l := widths[0]
	l.rotate(l.float32s())
	l.mulScale(l.float32s())
}

func (l lanes) narrow() {
	TEXT("narrow"+l.suffix, NOSPLIT, "func(dst *uint16, src *float32, n int)")
	l.doc("narrow", "narrowGeneric")
	dst, src, n := ptr("dst"), ptr("src"), ptr("n")
	l.vectors(n, []reg.GPVirtual{dst, src}, []int{2, 4}, func() { l.storeNearest(l.load(at(src, 0)), at(dst, 0)) })
	finish()
}

// axpy, rotate and mulScale are of float32 or BF16; what they multiply by is float32.
func (l lanes) axpy(e element) {
	TEXT("axpy"+e.name+l.suffix, NOSPLIT, "func(y *"+e.element+", x *float32, n int, a float32)")
	l.doc("axpy"+e.name, "axpy"+e.name+"Generic")
	y, x, n := ptr("y"), ptr("x"), ptr("n")
	a := l.argument("a")
	l.vectors(n, []reg.GPVirtual{y, x}, []int{e.bytes, 4}, func() {
		v := l.reg()
		VMULPS(at(x, 0), a, v)
		VADDPS(e.load(at(y, 0)), v, v)
		e.store(v, at(y, 0))
	})
	finish()
}

func (l lanes) rotate(e element) {
	TEXT("rotate"+e.name+l.suffix, NOSPLIT, "func(a, b *"+e.element+", cos, sin *float32, n int, sign float32)")
	l.doc("rotate"+e.name, "rotate"+e.name+"Generic")
	a, b, cos, sin, n := ptr("a"), ptr("b"), ptr("cos"), ptr("sin"), ptr("n")
	sign := l.argument("sign")
	l.vectors(n, []reg.GPVirtual{a, b, cos, sin}, []int{e.bytes, e.bytes, 4, 4}, func() {
		x, y, c, s := e.load(at(a, 0)), e.load(at(b, 0)), l.load(at(cos, 0)), l.reg()
		VMULPS(at(sin, 0), sign, s)
		xc, ys, yc, xs := l.reg(), l.reg(), l.reg(), l.reg()
		VMULPS(x, c, xc)
		VMULPS(y, s, ys)
		VMULPS(y, c, yc)
		VMULPS(x, s, xs)
		VSUBPS(ys, xc, xc)
		VADDPS(xs, yc, yc)
		e.store(xc, at(a, 0))
		e.store(yc, at(b, 0))
	})
	finish()
}

func (l lanes) mulScale(e element) {
	TEXT("mulScale"+e.name+l.suffix, NOSPLIT, "func(dst *"+e.element+", x, w *float32, n int, a float32)")
	l.doc("mulScale"+e.name, "mulScale"+e.name+"Generic")
	dst, x, w, n := ptr("dst"), ptr("x"), ptr("w"), ptr("n")
	a := l.argument("a")
	l.vectors(n, []reg.GPVirtual{dst, x, w}, []int{e.bytes, 4, 4}, func() {
		v := l.reg()
		VMULPS(at(x, 0), a, v)
		VMULPS(at(w, 0), v, v)
		e.store(v, at(dst, 0))
	})
	finish()
}
