package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(packs, func() { packPairs(12) }, func() { packPairs(32) }, prefetchRows)

// packs writes the packing of full panels, for each width a level uses, from F32 and BF16.
func packs() {
	for _, width := range []int{6, 16, 12, 32} {
		for _, half := range []bool{false, true} {
			packAcross(width, half)
		}
	}
	for _, rows := range []int{4, 6, 8} {
		for _, half := range []bool{false, true} {
			packAlong(rows, half)
		}
	}
}

func suffix(half bool) (name, element string, size int) {
	if half {
		return "16", "uint16", 2
	}
	return "32", "float32", 4
}

// packAcross copies depth rows of width neighbours. Six of eight lanes are loaded and stored without touching what lies beyond
// them: the next panel may be another thread's. Four are a smaller vector.
func packAcross(width int, half bool) {
	bits, element, size := suffix(half)
	name := fmt.Sprintf("packAcross%dx%s", width, bits)
	TEXT(name, NOSPLIT, fmt.Sprintf("func(dst *float32, src *%s, ld, depth int)", element))
	Doc(fmt.Sprintf("%s is dst[k·%d+i] = src[k·ld+i] for i < %d, k < depth.", name, width, width))
	dst, src, ld, depth := ptr("dst"), ptr("src"), ptr("ld"), ptr("depth")
	if half {
		SHLQ(Imm(1), ld)
	} else {
		SHLQ(Imm(2), ld)
	}
	var mask reg.VecVirtual
	if width%8 == 6 && !half {
		mask = load(firstSix())
	}
	Label("loop")
	for i := 0; i < width; i += 8 {
		y := YMM()
		m := at(src, i*size)
		switch {
		case width-i == 4:
			x := XMM()
			if half {
				VPMOVZXWD(m, x)
				VPSLLD(Imm(16), x, x)
			} else {
				VMOVUPS(m, x)
			}
			VMOVUPS(x, at(dst, 4*i))
			continue
		case width-i >= 8 && half:
			y = loadHalves(m)
		case width-i >= 8:
			VMOVUPS(m, y)
		case half:
			x := XMM()
			VMOVQ(m, x)
			VPINSRD(Imm(2), at(src, i*size+8), x, x)
			VPMOVZXWD(x, y)
			VPSLLD(Imm(16), y, y)
		default:
			VMASKMOVPS(m, mask, y)
		}
		if width-i == 6 {
			storeSix(y, at(dst, 4*i), at(dst, 4*i+16))
			continue
		}
		VMOVUPS(y, at(dst, 4*i))
	}
	ADDQ(ld, src)
	ADDQ(U32(4*width), dst)
	DECQ(depth)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// storeSix stores the first six lanes of y, four and two.
func storeSix(y reg.VecVirtual, four, two Mem) {
	x := XMM()
	VEXTRACTF128(Imm(1), y, x)
	VMOVUPS(y.AsX(), four)
	VMOVLPS(x, two)
}

// firstSix is a mask of six lanes.
func firstSix() Mem {
	if m, ok := constants["firstSix"]; ok {
		return m
	}
	m := GLOBL("firstSix", 8|16)
	for i := range 6 {
		DATA(4*i, U32(0xffffffff))
	}
	DATA(24, U64(0))
	constants["firstSix"] = m
	return m
}

// packAlong transposes rows × 8 blocks, which become columns of a panel of any width.
func packAlong(rows int, half bool) {
	bits, element, size := suffix(half)
	name := fmt.Sprintf("packAlong%dx%s", rows, bits)
	TEXT(name, NOSPLIT, fmt.Sprintf("func(dst *float32, src *%s, ld, depth, width int)", element))
	Doc(fmt.Sprintf("%s is dst[k·width+i] = src[i·ld+k] for i < %d, k < depth, a multiple of 8.", name, rows))
	dst, src, ld, depth, width := ptr("dst"), ptr("src"), ptr("ld"), ptr("depth"), ptr("width")
	if half {
		SHLQ(Imm(1), ld)
	} else {
		SHLQ(Imm(2), ld)
	}
	SHLQ(Imm(2), width)
	ld3 := GP64()
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	Label("loop")
	low, high := src, GP64()
	LEAQ(Mem{Base: src, Index: ld, Scale: 4}, high)
	var r [8]reg.VecVirtual
	for i := range r {
		base := low
		if i >= 4 {
			base = high
		}
		m := Mem{Base: base}
		switch i % 4 {
		case 1:
			m.Index, m.Scale = ld, 1
		case 2:
			m.Index, m.Scale = ld, 2
		case 3:
			m.Index, m.Scale = ld3, 1
		}
		switch {
		case i >= rows:
			r[i] = YMM()
			VXORPS(r[i], r[i], r[i])
		case half:
			r[i] = loadHalves(m)
		default:
			r[i] = load(m)
		}
	}
	for _, y := range transpose8(r) {
		switch rows {
		case 4:
			VMOVUPS(y.AsX(), at(dst, 0))
		case 6:
			storeSix(y, at(dst, 0), at(dst, 16))
		default:
			VMOVUPS(y, at(dst, 0))
		}
		ADDQ(width, dst)
	}
	ADDQ(U32(8*size), src)
	SUBQ(Imm(8), depth)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// transpose8 is the transpose of an 8 × 8 block of float32 in registers.
func transpose8(r [8]reg.VecVirtual) [8]reg.VecVirtual {
	var t, u, v [8]reg.VecVirtual
	for i := range 8 {
		t[i], u[i], v[i] = YMM(), YMM(), YMM()
	}
	for i := 0; i < 8; i += 2 {
		VUNPCKLPS(r[i+1], r[i], t[i])
		VUNPCKHPS(r[i+1], r[i], t[i+1])
	}
	for i := 0; i < 8; i += 4 {
		VSHUFPS(Imm(0x44), t[i+2], t[i], u[i])
		VSHUFPS(Imm(0xee), t[i+2], t[i], u[i+1])
		VSHUFPS(Imm(0x44), t[i+3], t[i+1], u[i+2])
		VSHUFPS(Imm(0xee), t[i+3], t[i+1], u[i+3])
	}
	for i := range 4 {
		VPERM2F128(Imm(0x20), u[i+4], u[i], v[i])
		VPERM2F128(Imm(0x31), u[i+4], u[i], v[i+4])
	}
	return v
}

// prefetchRows asks for lines to be written.
func prefetchRows() {
	TEXT("prefetchRows", NOSPLIT, "func(p *byte, bytes, stride, rows int)")
	Doc("prefetchRows brings rows of so many bytes > 0, stride bytes apart, into the caches, for writing.")
	p, bytes, stride, rows := reg.RSI, reg.RDI, reg.RCX, reg.RDX
	Load(Param("p"), p)
	Load(Param("bytes"), bytes)
	Load(Param("stride"), stride)
	Load(Param("rows"), rows)
	ADDQ(p, bytes) // the end
	Label("row")
	q := reg.RAX // by name: the assembler does not know PREFETCHW, so it is written as bytes
	MOVQ(p, q)
	Label("line")
	Comment("prefetchw (%rax)")
	for _, b := range []uint8{0x0f, 0x0d, 0x08} {
		Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(b)}})
	}
	ADDQ(Imm(64), q)
	CMPQ(q, bytes)
	JCS(LabelRef("line"))
	ADDQ(stride, p)
	ADDQ(stride, bytes)
	DECQ(rows)
	JNZ(LabelRef("row"))
	RET()
}
