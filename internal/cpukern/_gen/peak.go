package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peaks writes the loops that measure what the processor can do at most: multiply-adds of registers, in more chains than any processor's
// latency times its units.
func peaks() {
	spin("spinAVX2", 12, "8 lanes", func(sums int) func(i int) {
		x, acc := YMM(), make([]reg.VecVirtual, sums)
		VXORPS(x, x, x)
		for i := range acc {
			acc[i] = YMM()
			VXORPS(acc[i], acc[i], acc[i])
		}
		return func(i int) { VFMADD231PS(x, x, acc[i]) }
	})
	spin("spinAVX512", 24, "16 lanes", func(sums int) func(i int) {
		x, acc := ZMM(), make([]reg.VecVirtual, sums)
		VPXORD(x, x, x)
		for i := range acc {
			acc[i] = ZMM()
			VPXORD(acc[i], acc[i], acc[i])
		}
		return func(i int) { VFMADD231PS(x, x, acc[i]) }
	})
	spin("spinBF16", 24, "16 pairs", func(sums int) func(i int) {
		for i := range sums + 3 {
			VPXORD(zmm[i], zmm[i], zmm[i])
		}
		return func(i int) { vdpbf16ps(sums, sums+1+i%2, i) }
	})
}

func spin(name string, sums int, what string, setUp func(sums int) func(i int)) {
	TEXT(name, NOSPLIT, "func(n int)")
	Doc(fmt.Sprintf("%s makes n times %d multiply-adds of %s, and nothing else.", name, sums, what))
	n := ptr("n")
	one := setUp(sums)
	Label("loop")
	for i := range sums {
		one(i)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
