package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(tilePacks, amxProducts)

// AMX: eight tile registers of 16 rows × 64 bytes. Each function configures them, uses them and releases them, so that neither the
// scheduler nor a signal ever meets a goroutine that holds tiles. The Go assembler knows none of the instructions: they are emitted as
// bytes, each under a comment in the words of objdump, which a test compares (Intel's manual, volume 2; all are VEX.128.0F38.W0).

// tileOperand is base + index + disp, as tile loads and stores want it: the index is the distance of rows.
type tileOperand struct {
	base, index reg.GPPhysical
	disp        int
}

var gpNames = map[reg.GPPhysical]struct {
	name   string
	number int
}{reg.RAX: {"rax", 0}, reg.RCX: {"rcx", 1}, reg.RDX: {"rdx", 2}, reg.RBX: {"rbx", 3}, reg.RSI: {"rsi", 6}, reg.RDI: {"rdi", 7},
	reg.R8: {"r8", 8}, reg.R9: {"r9", 9}, reg.R10: {"r10", 10}, reg.R11: {"r11", 11}, reg.R12: {"r12", 12}, reg.R13: {"r13", 13}}

func (o tileOperand) String() string {
	disp := ""
	if o.disp != 0 || gpNames[o.base].number&7 == 5 { // these bases have no form without
		disp = fmt.Sprintf("%#x", o.disp)
	}
	return fmt.Sprintf("%s(%%%s,%%%s,1)", disp, gpNames[o.base].name, gpNames[o.index].name)
}

// The prefixes that VEX folds into two bits.
const (
	ppNone, pp66, ppF3, ppF2 = 0, 1, 2, 3
)

// amx emits VEX.128.pp.0F38.W0 op with its ModRM and what follows; r, x and b are the fourth bits of the registers there, v is the one in vvvv.
func amx(text string, pp, op, r, x, b, v int, rest ...int) {
	Comment(text)
	code := append([]int{0xc4, (1-r)<<7 | (1-x)<<6 | (1-b)<<5 | 2, (15-v)<<3 | pp, op}, rest...)
	for _, c := range code {
		Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(c)}, ISA: []string{"AMX"}})
	}
}

// tileMemory emits a tile load or store.
func tileMemory(text string, pp, tile int, o tileOperand) {
	base, index := gpNames[o.base].number, gpNames[o.index].number
	sib := index&7<<3 | base&7
	switch {
	case o.disp == 0 && base&7 != 5:
		amx(text, pp, 0x4b, 0, index>>3, base>>3, 0, tile<<3|4, sib)
	case o.disp >= 0 && o.disp < 128:
		amx(text, pp, 0x4b, 0, index>>3, base>>3, 0, 1<<6|tile<<3|4, sib, o.disp)
	default:
		amx(text, pp, 0x4b, 0, index>>3, base>>3, 0, 2<<6|tile<<3|4, sib, o.disp&255, o.disp>>8&255, o.disp>>16&255, o.disp>>24&255)
	}
}

func tileLoad(o tileOperand, tile int) {
	tileMemory(fmt.Sprintf("tileloadd %v,%%tmm%d", o, tile), ppF2, tile, o)
}

// tileLoadOnce hints that the lines will not be needed again soon.
func tileLoadOnce(o tileOperand, tile int) {
	tileMemory(fmt.Sprintf("tileloaddt1 %v,%%tmm%d", o, tile), pp66, tile, o)
}

func tileStore(tile int, o tileOperand) {
	tileMemory(fmt.Sprintf("tilestored %%tmm%d,%v", tile, o), ppF3, tile, o)
}

func tileZero(tile int) {
	amx(fmt.Sprintf("tilezero %%tmm%d", tile), ppF2, 0x49, 0, 0, 0, 0, 0xc0|tile<<3)
}

// tileProduct is c += a·b by pairs of BF16.
func tileProduct(b, a, c int) {
	amx(fmt.Sprintf("tdpbf16ps %%tmm%d,%%tmm%d,%%tmm%d", b, a, c), ppF3, 0x5c, 0, 0, 0, b, 0xc0|c<<3|a)
}

func tileConfigure(at reg.GPPhysical) {
	amx(fmt.Sprintf("ldtilecfg (%%%s)", gpNames[at].name), ppNone, 0x49, 0, 0, 0, 0, gpNames[at].number)
}

func tileRelease() { amx("tilerelease", ppNone, 0x49, 0, 0, 0, 0, 0xc0) }

// wholeTiles is the configuration: all eight registers in their full size.
func wholeTiles() Mem {
	if m, ok := constants["wholeTiles"]; ok {
		return m
	}
	m := GLOBL("wholeTiles", 8|16)
	DATA(0, U64(1)) // the palette
	DATA(8, U64(0))
	for i := range 4 {
		DATA(16+4*i, U32(64<<16|64)) // bytes of a row
	}
	for i := range 4 {
		DATA(32+4*i, U32(0))
	}
	DATA(48, U64(0x1010101010101010)) // rows
	DATA(56, U64(0))
	constants["wholeTiles"] = m
	return m
}

// amxProducts writes the matrix product on tiles and the loop that measures the peak.
func amxProducts() {
	tilesAMX()
	blocksAMX()
	spinAMX()
	TEXT("xgetbv", NOSPLIT, "func() uint32")
	Doc("xgetbv is the low word of XCR0: the parts of the processor's state that the system keeps for a thread.")
	XORL(reg.ECX, reg.ECX)
	XGETBV()
	Store(reg.EAX, ReturnIndex(0))
	RET()
}

// tilesAMX holds 32 × 32 sums in four tiles: two of A times two of B a step. A panel of B stays in the first-level cache while the panels
// of A pass by.
func tilesAMX() {
	TEXT("tilesAMX", NOSPLIT, "func(c, a, b *float32, ldc, panels, steps, lda, stepA, nextA int, acc bool)")
	Doc("tilesAMX is C = A·Bᵀ (with acc, C += A·Bᵀ) for panels of 32 rows of A and one of B, packed by packTilesB, over steps of 32 positions. A's rows",
		"lie lda bytes apart, its steps stepA, and nextA bytes after a panel's last step the next panel begins. The processor takes subnormal",
		"numbers for zero here.")
	a, lda, a16, stepA, ldc := reg.RSI, reg.RAX, reg.RDI, reg.R10, reg.R8
	row, row16, panels, k, b := reg.R9, reg.R11, reg.R12, reg.RCX, reg.R13
	LEAQ(wholeTiles(), k)
	tileConfigure(reg.RCX)
	Load(Param("a"), a)
	Load(Param("lda"), lda)
	Load(Param("stepA"), stepA)
	Load(Param("c"), row)
	Load(Param("ldc"), ldc)
	SHLQ(Imm(2), ldc)
	Load(Param("panels"), panels)
	MOVQ(U32(128), reg.RBX)

	Label("row")
	MOVQ(lda, a16)
	SHLQ(Imm(4), a16)
	ADDQ(a, a16)
	MOVQ(ldc, row16)
	SHLQ(Imm(4), row16)
	ADDQ(row, row16)
	sumTiles(tileLoadOnce, k, func() { Load(Param("b"), b) })
	Load(Param("nextA"), k)
	ADDQ(k, a)
	MOVQ(ldc, k)
	SHLQ(Imm(5), k)
	ADDQ(k, row)
	DECQ(panels)
	JNZ(LabelRef("row"))
	tileRelease()
	RET()
}

// sumTiles makes 32 × 32 sums in tiles 0 to 3, zero or with acc what stands in C, over steps of A and B, and stores them. A's rows lie RAX
// bytes apart, the first sixteen from RSI on and the others from RDI, and its steps R10; B's from R13, 128 apart; C's from R9 and R11, R8
// apart. loadA loads a tile of A, begin sets what steps change, k counts them.
func sumTiles(loadA func(tileOperand, int), k reg.GPPhysical, begin func()) {
	tile := [4]tileOperand{{reg.R9, reg.R8, 0}, {reg.R9, reg.R8, 64}, {reg.R11, reg.R8, 0}, {reg.R11, reg.R8, 64}}
	Load(Param("acc"), reg.CL)
	TESTB(reg.CL, reg.CL)
	JZ(LabelRef("zero"))
	for i, o := range tile {
		tileLoad(o, i)
	}
	JMP(LabelRef("multiply"))
	Label("zero")
	for i := range tile {
		tileZero(i)
	}
	Label("multiply")
	begin()
	Load(Param("steps"), k)
	Label("step")
	tileLoad(tileOperand{reg.R13, reg.RBX, 0}, 6)
	loadA(tileOperand{reg.RSI, reg.RAX, 0}, 4)
	tileProduct(6, 4, 0)
	loadA(tileOperand{reg.RDI, reg.RAX, 0}, 5)
	tileProduct(6, 5, 2)
	tileLoad(tileOperand{reg.R13, reg.RBX, 64}, 7)
	tileProduct(7, 4, 1)
	tileProduct(7, 5, 3)
	ADDQ(reg.R10, reg.RSI)
	ADDQ(reg.R10, reg.RDI)
	ADDQ(U32(2048), reg.R13)
	DECQ(k)
	JNZ(LabelRef("step"))
	for i, o := range tile {
		tileStore(i, o)
	}
}

// blocksAMX is a row of 32 × 32 blocks, for attention: its left factor is read in place, and the configuration is the caller's. It costs as
// much as several products, so it is made once for the row.
func blocksAMX() {
	TEXT("blocksAMX", NOSPLIT, "func(config *byte, steps int, a *float32, lda, stepA int, b *float32, nextB int, c *float32, ldc, cols int, acc bool)")
	Doc("blocksAMX is C = A·Bᵀ (with acc, C += A·Bᵀ) for 32 rows of A and cols panels of pairs of B over steps of positions: tiles 4 and 5 are A's rows,",
		"lda bytes apart and stepA bytes from one step to the next, 6 and 7 two neighbouring columns of a panel, and nextB bytes after its last step",
		"the next panel begins. The sizes of tiles are config's.")
	a, lda, b, ldc := reg.RSI, reg.RAX, reg.R13, reg.R8
	row, row16, k, stepA, a16, cols := reg.R9, reg.R11, reg.RDX, reg.R10, reg.RDI, reg.R12
	Load(Param("config"), reg.RCX)
	tileConfigure(reg.RCX)
	Load(Param("lda"), lda)
	Load(Param("stepA"), stepA)
	Load(Param("b"), b)
	Load(Param("c"), row)
	Load(Param("ldc"), ldc)
	SHLQ(Imm(2), ldc)
	MOVQ(ldc, row16)
	SHLQ(Imm(4), row16)
	ADDQ(row, row16)
	Load(Param("cols"), cols)
	MOVQ(U32(128), reg.RBX)

	Label("column")
	Load(Param("a"), a)
	MOVQ(lda, a16)
	SHLQ(Imm(4), a16)
	ADDQ(a, a16)
	sumTiles(tileLoad, k, func() {})
	Load(Param("nextB"), k)
	ADDQ(k, b)
	ADDQ(U32(128), row)
	ADDQ(U32(128), row16)
	DECQ(cols)
	JNZ(LabelRef("column"))
	tileRelease()
	RET()
}

// spinAMX has four chains, as tilesAMX does: a product's result can be added to 52 cycles later, and one begins every 16.
func spinAMX() {
	TEXT("spinAMX", NOSPLIT, "func(n int)")
	Doc("spinAMX multiplies tiles, four products n times, and nothing else.")
	n := reg.RDX
	LEAQ(wholeTiles(), reg.RCX)
	tileConfigure(reg.RCX)
	for i := range 8 {
		tileZero(i)
	}
	Load(Param("n"), n)
	Label("loop")
	for i := range 4 {
		tileProduct(6+i%2, 4+i/2, i)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	tileRelease()
	RET()
}

// tilePacks writes the packing of A's panels in whole steps: 16 of a panel's 32 rows.
func tilePacks() {
	packTileRows()
	packTileColumns()
	packAlong16()
}

// sixteen are the rows of a block at ld, 3·ld and four bases that are 4·ld apart.
func sixteen(src, ld, ld3 reg.GPVirtual) (rows [16]Mem) {
	bases := [4]reg.GPVirtual{src, GP64(), GP64(), GP64()}
	for i := range 3 {
		LEAQ(Mem{Base: bases[i], Index: ld, Scale: 4}, bases[i+1])
	}
	for i := range rows {
		rows[i] = Mem{Base: bases[i/4]}
		switch i % 4 {
		case 1:
			rows[i].Index, rows[i].Scale = ld, 1
		case 2:
			rows[i].Index, rows[i].Scale = ld, 2
		case 3:
			rows[i].Index, rows[i].Scale = ld3, 1
		}
	}
	return rows
}

func packTileRows() {
	TEXT("packTileRows", NOSPLIT, "func(dst *float32, src *uint16, ld, steps int)")
	Doc("packTileRows copies 32 positions of 16 rows, src[i·ld + 32s …], to the 16 lines at dst[512s …], for s < steps.")
	dst, src, ld, steps := ptr("dst"), ptr("src"), ptr("ld"), ptr("steps")
	SHLQ(Imm(1), ld)
	ld3 := GP64()
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	Label("loop")
	for i, m := range sixteen(src, ld, ld3) {
		z := ZMM()
		VMOVUPS(m, z)
		VMOVUPS(z, at(dst, 64*i))
	}
	ADDQ(U32(64), src)
	ADDQ(U32(2048), dst)
	DECQ(steps)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func packTileColumns() {
	TEXT("packTileColumns", NOSPLIT, "func(dst *float32, src *uint16, ld, steps int)")
	Doc("packTileColumns is packTileRows for a transposed source: position k of row i is src[k·ld + i].")
	dst, src, ld, steps := ptr("dst"), ptr("src"), ptr("ld"), ptr("steps")
	SHLQ(Imm(1), ld)
	Label("loop")
	var r [16]reg.VecVirtual
	for p := range r {
		low, high := ZMM(), ZMM()
		VPMOVZXWD(at(src, 0), low)
		VPMOVZXWD(Mem{Base: src, Index: ld, Scale: 1}, high)
		LEAQ(Mem{Base: src, Index: ld, Scale: 2}, src)
		VPSLLD(Imm(16), high, high)
		r[p] = ZMM()
		VPORD(low, high, r[p])
	}
	for i, z := range transpose16(r) {
		VMOVUPS(z, at(dst, 64*i))
	}
	ADDQ(U32(2048), dst)
	DECQ(steps)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func packAlong16() {
	TEXT("packAlong16", NOSPLIT, "func(dst, src *float32, ld, depth, width int)")
	Doc("packAlong16 is dst[k·width+i] = src[i·ld+k] for i < 16, k < depth, a multiple of 16.")
	dst, src, ld, depth, width := ptr("dst"), ptr("src"), ptr("ld"), ptr("depth"), ptr("width")
	SHLQ(Imm(2), ld)
	SHLQ(Imm(2), width)
	ld3 := GP64()
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	Label("loop")
	var r [16]reg.VecVirtual
	for i, m := range sixteen(src, ld, ld3) {
		r[i] = ZMM()
		VMOVUPS(m, r[i])
	}
	for _, z := range transpose16(r) {
		VMOVUPS(z, at(dst, 0))
		ADDQ(width, dst)
	}
	ADDQ(U32(64), src)
	SUBQ(Imm(16), depth)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// transpose16 is the transpose of a 16 × 16 block of 32-bit elements in registers: pairs, fours, then lanes of 128 bits.
func transpose16(r [16]reg.VecVirtual) [16]reg.VecVirtual {
	var t, u, v [16]reg.VecVirtual
	for i := 0; i < 16; i += 2 {
		t[i], t[i+1] = ZMM(), ZMM()
		VUNPCKLPS(r[i+1], r[i], t[i])
		VUNPCKHPS(r[i+1], r[i], t[i+1])
	}
	for i := 0; i < 16; i += 4 {
		for j := range 2 {
			low, high := ZMM(), ZMM()
			VUNPCKLPD(t[i+2+j], t[i+j], low)
			VUNPCKHPD(t[i+2+j], t[i+j], high)
			u[i+2*j], u[i+2*j+1] = low, high
		}
	}
	for c := range 4 { // column 4·lane + c of the four rows of each u
		for i, imm := range []uint8{evenLanes, oddLanes} {
			x, y := shuffleLanes(imm, u[c], u[4+c]), shuffleLanes(imm, u[8+c], u[12+c])
			v[4*i+c], v[8+4*i+c] = shuffleLanes(evenLanes, x, y), shuffleLanes(oddLanes, x, y)
		}
	}
	return v
}

const evenLanes, oddLanes = 0x88, 0xdd // of the four lanes of each source

// shuffleLanes is two lanes of 128 bits of a and two of b.
func shuffleLanes(imm uint8, a, b reg.VecVirtual) reg.VecVirtual {
	z := ZMM()
	VSHUFI32X4(Imm(uint64(imm)), b, a, z)
	return z
}
