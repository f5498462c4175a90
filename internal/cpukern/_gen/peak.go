package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(peaks)

// peaks writes the loops that measure what the processor can do at most: multiply-adds of registers, in more chains than any processor's
// latency times its units.
func peaks() {
	for i, name := range []string{"spinAVX2", "spinAVX512"} {
		l := widths[i]
		spin(name, 12+12*i, fmt.Sprint(l.n, " lanes"), func(sums int) func(i int) {
			x, acc := l.reg(), make([]reg.VecVirtual, sums)
			l.clear(x)
			for i := range acc {
				acc[i] = l.reg()
				l.clear(acc[i])
			}
			return func(i int) { VFMADD231PS(x, x, acc[i]) }
		})
	}
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
