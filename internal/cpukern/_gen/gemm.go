package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(microAVX2, microAVX512)

const microSignature = "func(k int, a, b, c *float32, ldc int, acc bool)"

// microAVX2 keeps a 6 × 16 tile of C in twelve registers; two hold a row of B, two take turns with elements of A.
func microAVX2() {
	TEXT("microAVX2", NOSPLIT, microSignature)
	Doc("microAVX2 is microGeneric for 6 × 16 elements with fused multiply-adds.")
	const rows, cols, width = 6, 2, 8
	a, b, k := ptr("a"), ptr("b"), ptr("k")
	var c [rows][cols]reg.VecVirtual
	for i := range c {
		for j := range c[i] {
			c[i][j] = YMM()
			VXORPS(c[i][j], c[i][j], c[i][j])
		}
	}
	step := func(u int) {
		b0, b1 := YMM(), YMM()
		VMOVUPS(at(b, 4*u*cols*width), b0)
		VMOVUPS(at(b, 4*u*cols*width+32), b1)
		for i := range c {
			x := YMM()
			VBROADCASTSS(at(a, 4*(u*rows+i)), x)
			VFMADD231PS(b0, x, c[i][0])
			VFMADD231PS(b1, x, c[i][1])
		}
	}
	depthLoop(k, a, b, rows, cols*width, step)
	storeTile(rows, cols, 32, func(m Mem, i, j int) { VADDPS(m, c[i][j], c[i][j]) }, func(m Mem, i, j int) { VMOVUPS(c[i][j], m) })
}

// microAVX512 keeps 12 × 32 in twenty-four registers.
func microAVX512() {
	TEXT("microAVX512", NOSPLIT, microSignature)
	Doc("microAVX512 is microGeneric for 12 × 32 elements with fused multiply-adds.")
	const rows, cols, width = 12, 2, 16
	a, b, k := ptr("a"), ptr("b"), ptr("k")
	var c [rows][cols]reg.VecVirtual
	for i := range c {
		for j := range c[i] {
			c[i][j] = ZMM()
			VPXORD(c[i][j], c[i][j], c[i][j])
		}
	}
	step := func(u int) {
		b0, b1 := ZMM(), ZMM()
		VMOVUPS(at(b, 4*u*cols*width), b0)
		VMOVUPS(at(b, 4*u*cols*width+64), b1)
		for i := range c {
			x := ZMM() // not broadcast by the multiply-adds: two loads each would be more than two a cycle
			VBROADCASTSS(at(a, 4*(u*rows+i)), x)
			VFMADD231PS(b0, x, c[i][0])
			VFMADD231PS(b1, x, c[i][1])
		}
	}
	depthLoop(k, a, b, rows, cols*width, step)
	storeTile(rows, cols, 64, func(m Mem, i, j int) { VADDPS(m, c[i][j], c[i][j]) }, func(m Mem, i, j int) { VMOVUPS(c[i][j], m) })
}

// depthLoop runs step for every position of the sum, four at a time.
func depthLoop(k, a, b reg.GPVirtual, rows, cols int, step func(u int)) {
	advance := func(n int) {
		ADDQ(U32(4*rows*n), a)
		ADDQ(U32(4*cols*n), b)
	}
	fourAtATime(k, step, advance)
}

// fourAtATime runs step for k positions, unrolled by four: step u reads what lies u positions ahead, advance moves on by n positions.
func fourAtATime(k reg.GPVirtual, step, advance func(n int)) {
	const unroll = 4
	SUBQ(Imm(unroll), k)
	JLT(LabelRef("rest"))
	Label("four")
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	SUBQ(Imm(unroll), k)
	JGE(LabelRef("four"))
	Label("rest")
	ADDQ(Imm(unroll), k)
	JZ(LabelRef("done"))
	Label("one")
	step(0)
	advance(1)
	DECQ(k)
	JNZ(LabelRef("one"))
	Label("done")
}

// storeTile writes the registers to C, after adding what is there when acc is set.
func storeTile(rows, cols, bytes int, add, store func(m Mem, i, j int)) {
	c, ldc := ptr("c"), ptr("ldc")
	SHLQ(Imm(2), ldc)
	acc := Load(Param("acc"), GP8())
	each := func(f func(m Mem, i, j int)) {
		p := GP64()
		MOVQ(c, p)
		for i := range rows {
			for j := range cols {
				f(at(p, j*bytes), i, j)
			}
			if i < rows-1 {
				ADDQ(ldc, p)
			}
		}
	}
	TESTB(acc, acc)
	JZ(LabelRef("store"))
	each(add)
	Label("store")
	each(store)
	VZEROUPPER()
	RET()
}
