package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(microBF16)

// zmm are the registers by number: the instruction below is encoded by hand, so the allocator cannot choose them.
var zmm = []reg.VecPhysical{reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13,
	reg.Z14, reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27}

// microBF16 is microAVX512 for panels whose elements are pairs of BF16: neighbours in the sum, the first in the low half.
func microBF16() {
	TEXT("microBF16", NOSPLIT, microSignature)
	Doc("microBF16 adds the products of k pairs for 12 × 32 elements: c[i·ldc+j] = Σ a.low·b.low + a.high·b.high (with acc, +=).",
		"The processor takes subnormal numbers for zero here.")
	const rows, cols = 12, 2
	a, b, k := ptr("a"), ptr("b"), ptr("k")
	for i := range rows * cols {
		VPXORD(zmm[i], zmm[i], zmm[i])
	}
	const b0, b1, x0 = 24, 25, 26
	step := func(u int) {
		VMOVUPS(at(b, 4*u*32), zmm[b0])
		VMOVUPS(at(b, 4*u*32+64), zmm[b1])
		for i := range rows {
			x := x0 + i%2
			VPBROADCASTD(at(a, 4*(u*rows+i)), zmm[x])
			vdpbf16ps(b0, x, cols*i)
			vdpbf16ps(b1, x, cols*i+1)
		}
	}
	depthLoop(k, a, b, rows, 32, step)
	storeTile(rows, cols, 64,
		func(m Mem, i, j int) { VADDPS(m, zmm[cols*i+j], zmm[cols*i+j]) },
		func(m Mem, i, j int) { VMOVUPS(zmm[cols*i+j], m) })
}

// vdpbf16ps emits VDPBF16PS on 512 bits, EVEX.512.F3.0F38.W0 52 /r, which the Go assembler does not know: acc += x·y by pairs.
func vdpbf16ps(y, x, acc int) {
	not := func(n, bit int) uint32 { return uint32(^n>>bit) & 1 }
	p0 := not(acc, 3)<<7 | not(y, 4)<<6 | not(y, 3)<<5 | not(acc, 4)<<4 | 0b010
	p1 := uint32(^x&15)<<3 | 1<<2 | 0b10
	p2 := uint32(0b10)<<5 | not(x, 4)<<3
	evexBF16(fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", y, x, acc), 0x62|p0<<8|p1<<16|p2<<24, 0x52|uint16(0xc0|acc&7<<3|y&7)<<8)
}

// evexBF16 emits an instruction that the Go assembler does not know: the four bytes of its prefix, then opcode and operands.
func evexBF16(text string, prefix uint32, rest uint16) {
	Comment(text)
	for _, part := range []struct {
		opcode string
		v      Op
	}{{"LONG", U32(prefix)}, {"WORD", U16(rest)}} {
		Instruction(&ir.Instruction{Opcode: part.opcode, Operands: []Op{part.v}, ISA: []string{"AVX512_BF16"}})
	}
}

// packPairs interleaves neighbouring rows of BF16.
func packPairs(width int) {
	name := fmt.Sprintf("packPairs%d", width)
	TEXT(name, NOSPLIT, "func(dst *float32, src *uint16, ld, pairs int)")
	Doc(fmt.Sprintf("%s is dst[p·%d+i] = src[2p·ld+i] | src[(2p+1)·ld+i]<<16 for i < %d, p < pairs, as bits.", name, width, width))
	dst, src, ld, pairs := ptr("dst"), ptr("src"), ptr("ld"), ptr("pairs")
	SHLQ(Imm(1), ld)
	Label("loop")
	next := GP64()
	LEAQ(Mem{Base: src, Index: ld, Scale: 1}, next)
	for i := 0; i < width; i += 8 {
		var low, high reg.VecVirtual = YMM(), YMM()
		if width-i == 4 {
			low, high = XMM(), XMM()
		}
		VPMOVZXWD(at(src, 2*i), low)
		VPMOVZXWD(at(next, 2*i), high)
		VPSLLD(Imm(16), high, high)
		VPOR(low, high, high)
		VMOVUPS(high, at(dst, 4*i))
	}
	LEAQ(Mem{Base: src, Index: ld, Scale: 2}, src)
	ADDQ(U32(4*width), dst)
	DECQ(pairs)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
