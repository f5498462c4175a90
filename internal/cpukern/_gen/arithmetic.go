package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(arithmetic)

// arithmetic writes the rows of plain arithmetic. None fuses: they give the bits of their generic twins.
func arithmetic() {
	widths[0].axpy(widths[0].float32s())

	TEXT("scaleVec", NOSPLIT, "func(x *float32, n int, a float32)")
	Doc("scaleVec is scaleGeneric for n > 0, a multiple of 8.")
	x, n := ptr("x"), ptr("n")
	a := scalar("a")
	vectors(n, []reg.GPVirtual{x}, []int{4}, func() {
		v := YMM()
		VMULPS(at(x, 0), a, v)
		VMOVUPS(v, at(x, 0))
	})

	norms()
}

// norms writes the rows of RMSNorm's backward pass.
func norms() {
	TEXT("normInputVec", NOSPLIT, "func(dx, dy, w, x *float32, n int, r, back float32)")
	Doc("normInputVec is normInputGeneric for n > 0, a multiple of 8.")
	dx, dy, w, x, n := ptr("dx"), ptr("dy"), ptr("w"), ptr("x"), ptr("n")
	r, back := scalar("r"), scalar("back")
	vectors(n, []reg.GPVirtual{dx, dy, w, x}, []int{4, 4, 4, 4}, func() {
		u, v := load(at(dy, 0)), YMM()
		VMULPS(at(w, 0), u, u)
		VMULPS(r, u, u)
		VMULPS(at(x, 0), back, v)
		VSUBPS(v, u, u)
		VADDPS(at(dx, 0), u, u)
		VMOVUPS(u, at(dx, 0))
	})

	TEXT("normWeightVec", NOSPLIT, "func(sum, dy, x *float32, n int, r float32)")
	Doc("normWeightVec is normWeightGeneric for n > 0, a multiple of 8.")
	sum, dy, x, n := ptr("sum"), ptr("dy"), ptr("x"), ptr("n")
	r = scalar("r")
	vectors(n, []reg.GPVirtual{sum, dy, x}, []int{4, 4, 4}, func() {
		v := YMM()
		VMULPS(at(x, 0), r, v)
		VMULPS(at(dy, 0), v, v)
		VADDPS(at(sum, 0), v, v)
		VMOVUPS(v, at(sum, 0))
	})
}
