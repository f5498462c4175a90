package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(optimizers)

// seen is what an optimizer sees of a gradient: clamp(g·scale, ±clip)·coef.
type seen struct{ scale, clip, least, coef reg.VecVirtual }

func loadSeen() seen {
	s := seen{scalar("scale"), scalar("clip"), YMM(), scalar("coef")}
	VXORPS(constant("signBit", U32(0x80000000)), s.clip, s.least)
	return s
}

func (s seen) gradient(m Mem) reg.VecVirtual {
	h := YMM()
	VMULPS(m, s.scale, h)
	VMAXPS(s.least, h, h)
	VMINPS(s.clip, h, h)
	VMULPS(s.coef, h, h)
	return h
}

// optimizers writes the rows of updates, unfused.
func optimizers() {
	TEXT("updateVec", NOSPLIT, "func(w, grad *float32, n int, scale, clip, coef, keep, lr float32)")
	Doc("updateVec is updateGeneric for n > 0, a multiple of 8.")
	w, g, n := ptr("w"), ptr("grad"), ptr("n")
	s, keep, lr := loadSeen(), scalar("keep"), scalar("lr")
	vectors(n, []reg.GPVirtual{w, g}, []int{4, 4}, func() {
		h, x := s.gradient(at(g, 0)), YMM()
		VMULPS(lr, h, h)
		VMULPS(at(w, 0), keep, x)
		VSUBPS(h, x, x)
		VMOVUPS(x, at(w, 0))
	})
	adamVec()
	factors()
}

func adamVec() {
	TEXT("adamVec", NOSPLIT, "func(w, m, v, grad *float32, n int, scale, clip, coef, keep, one1, beta2, one2, root, eps, rate float32)")
	Doc("adamVec is adamGeneric for n > 0, a multiple of 8.")
	w, m, v, g, n := ptr("w"), ptr("m"), ptr("v"), ptr("grad"), ptr("n")
	s, keep := loadSeen(), scalar("keep")
	one1, beta2, one2 := scalar("one1"), scalar("beta2"), scalar("one2")
	root, eps, rate := scalar("root"), scalar("eps"), scalar("rate")
	vectors(n, []reg.GPVirtual{w, m, v, g}, []int{4, 4, 4, 4}, func() {
		h, first, second := s.gradient(at(g, 0)), YMM(), YMM()
		VSUBPS(at(m, 0), h, first)
		VMULPS(one1, first, first)
		VADDPS(at(m, 0), first, first)
		VMOVUPS(first, at(m, 0))
		VMULPS(h, h, h)
		VMULPS(one2, h, h)
		VMULPS(at(v, 0), beta2, second)
		VADDPS(h, second, second)
		VMOVUPS(second, at(v, 0))
		VSQRTPS(second, second)
		VDIVPS(root, second, second)
		VADDPS(eps, second, second)
		VDIVPS(second, first, first)
		VMULPS(rate, first, first)
		VMULPS(at(w, 0), keep, h)
		VSUBPS(first, h, h)
		VMOVUPS(h, at(w, 0))
	})
}

// factors writes the rows of AdaLomo's matrices.
func factors() {
	TEXT("squaresVec", NOSPLIT, "func(grad *float32, n int, scale, clip, coef, eps float32) float32")
	Doc("squaresVec is squaresGeneric for n > 0, a multiple of 8, with eight partial sums.")
	g, n := ptr("grad"), ptr("n")
	s, eps, sum := loadSeen(), scalar("eps"), zero()
	Label("loop")
	h := s.gradient(at(g, 0))
	VMULPS(h, h, h)
	VADDPS(eps, h, h)
	VADDPS(h, sum, sum)
	ADDQ(Imm(32), g)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("loop"))
	returnSum(sum)

	TEXT("addSquaresVec", NOSPLIT, "func(sum, grad *float32, n int, scale, clip, coef, eps float32)")
	Doc("addSquaresVec is addSquaresGeneric for n > 0, a multiple of 8.")
	total, g, n := ptr("sum"), ptr("grad"), ptr("n")
	s, eps = loadSeen(), scalar("eps")
	vectors(n, []reg.GPVirtual{total, g}, []int{4, 4}, func() {
		h := s.gradient(at(g, 0))
		VMULPS(h, h, h)
		VADDPS(eps, h, h)
		VADDPS(at(total, 0), h, h)
		VMOVUPS(h, at(total, 0))
	})

	TEXT("unitVec", NOSPLIT, "func(u, grad, cf *float32, n int, scale, clip, coef, rf float32)")
	Doc("unitVec is unitGeneric for n > 0, a multiple of 8.")
	u, g, cf, n := ptr("u"), ptr("grad"), ptr("cf"), ptr("n")
	s, rf, none := loadSeen(), scalar("rf"), zero()
	vectors(n, []reg.GPVirtual{u, g, cf}, []int{4, 4, 4}, func() {
		h, f, nothing := s.gradient(at(g, 0)), YMM(), YMM()
		VMULPS(at(cf, 0), rf, f)
		VMULPS(h, f, f)
		VCMPPS(Imm(0), none, h, nothing)
		VBLENDVPS(nothing, h, f, f)
		VMOVUPS(f, at(u, 0))
	})

	TEXT("rsqrtVec", NOSPLIT, "func(dst, x *float32, n int)")
	Doc("rsqrtVec is rsqrtGeneric for n > 0, a multiple of 8.")
	dst, x, n := ptr("dst"), ptr("x"), ptr("n")
	one := inRegister(float("floatOne", 1))
	vectors(n, []reg.GPVirtual{dst, x}, []int{4, 4}, func() {
		y := YMM()
		VSQRTPS(at(x, 0), y)
		VDIVPS(y, one, y)
		VMOVUPS(y, at(dst, 0))
	})
}
