package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(attention)

// attention writes what attention has beside the matrix products: products whose left factor is read where it lies, and the rows of
// its exponentials.
func attention() {
	directAVX2()
	directAVX512()
	directBF16()
	for _, l := range widths {
		l.softmaxRow("softmaxRow", "softmaxRowGeneric", l.numbers)
		l.gradRow("gradRow", "gradRowGeneric", l.numbers)
		l.softmaxRow("softmaxRowRounded", "softmaxRowRounded", l.rounded)
		l.gradRow("gradRowRounded", "gradRowRounded", l.rounded)
	}
	l := widths[1]
	l.softmaxRow("softmaxRowBF16", "softmaxRowRounded", l.pairs)
	l.gradRow("gradRowBF16", "gradRowRounded", l.pairs)
}

const directSignature = "func(k int, a *float32, lda int, b, c *float32, ldc int, acc bool)"

// rowsAt is the left factor's rows: a pointer to every third, and the others by one or two steps of lda bytes.
type rowsAt struct {
	base []reg.GPVirtual
	lda  reg.GPVirtual
}

func loadRows(rows int) rowsAt {
	r := rowsAt{[]reg.GPVirtual{ptr("a")}, ptr("lda")}
	three := GP64()
	LEAQ(Mem{Base: r.lda, Index: r.lda, Scale: 2}, three)
	for i := 3; i < rows; i += 3 {
		next := GP64()
		LEAQ(Mem{Base: r.base[len(r.base)-1], Index: three, Scale: 1}, next)
		r.base = append(r.base, next)
	}
	return r
}

func (r rowsAt) at(i, disp int) Mem {
	m := Mem{Base: r.base[i/3], Disp: disp}
	if i%3 > 0 {
		m.Index, m.Scale = r.lda, uint8(i%3)
	}
	return m
}

// directLoop is depthLoop for a left factor that is not packed.
func directLoop(k reg.GPVirtual, a rowsAt, b reg.GPVirtual, cols int, step func(u int)) {
	advance := func(n int) {
		for _, p := range a.base {
			ADDQ(U32(4*n), p)
		}
		ADDQ(U32(4*cols*n), b)
	}
	fourAtATime(k, step, advance)
}

func directAVX2() {
	TEXT("directAVX2", NOSPLIT, directSignature)
	Doc("directAVX2 is directGeneric for 6 × 16 elements with fused multiply-adds.")
	direct(6, 32, YMM)
}

func directAVX512() {
	TEXT("directAVX512", NOSPLIT, directSignature)
	Doc("directAVX512 is directGeneric for 12 × 32 elements with fused multiply-adds.")
	direct(12, 64, ZMM)
}

func direct(rows, bytes int, register func() reg.VecVirtual) {
	b, k, a := ptr("b"), ptr("k"), loadRows(rows)
	c := make([][2]reg.VecVirtual, rows)
	for i := range c {
		for j := range c[i] {
			c[i][j] = register()
			if bytes == 64 {
				VPXORD(c[i][j], c[i][j], c[i][j])
			} else {
				VXORPS(c[i][j], c[i][j], c[i][j])
			}
		}
	}
	directLoop(k, a, b, bytes/2, func(u int) {
		b0, b1 := register(), register()
		VMOVUPS(at(b, 2*u*bytes), b0)
		VMOVUPS(at(b, 2*u*bytes+bytes), b1)
		for i := range c {
			x := register()
			VBROADCASTSS(a.at(i, 4*u), x)
			VFMADD231PS(b0, x, c[i][0])
			VFMADD231PS(b1, x, c[i][1])
		}
	})
	storeTile(rows, 2, bytes, func(m Mem, i, j int) { VADDPS(m, c[i][j], c[i][j]) }, func(m Mem, i, j int) { VMOVUPS(c[i][j], m) })
}

func directBF16() {
	TEXT("directBF16", NOSPLIT, directSignature)
	Doc("directBF16 is directGeneric for 12 × 32 elements of pairs of BF16, as microBF16 takes them.")
	const rows, cols, b0, b1, x0 = 12, 2, 24, 25, 26
	b, k, a := ptr("b"), ptr("k"), loadRows(rows)
	for i := range rows * cols {
		VPXORD(zmm[i], zmm[i], zmm[i])
	}
	directLoop(k, a, b, 32, func(u int) {
		VMOVUPS(at(b, 4*u*32), zmm[b0])
		VMOVUPS(at(b, 4*u*32+64), zmm[b1])
		for i := range rows {
			x := x0 + i%2
			VPBROADCASTD(a.at(i, 4*u), zmm[x])
			vdpbf16ps(b0, x, cols*i)
			vdpbf16ps(b1, x, cols*i+1)
		}
	})
	storeTile(rows, cols, 64,
		func(m Mem, i, j int) { VADDPS(m, zmm[cols*i+j], zmm[cols*i+j]) },
		func(m Mem, i, j int) { VMOVUPS(zmm[cols*i+j], m) })
}

// exp2 emits the steps of exp2f, fused: 2^t = 2^n·2^f. On 512 bits one instruction scales by 2^n, through the subnormal numbers; on
// 256 bits results below 2^−126 become 0.
func (l lanes) exp2(t reg.VecVirtual, limits [2]reg.VecVirtual) reg.VecVirtual {
	n, low := l.reg(), l.reg()
	if l.n == 8 {
		VCMPPS(Imm(1), limits[0], t, low) // t < least
		VMINPS(t, limits[1], t)
	}
	VMAXPS(t, limits[0], t) // a NaN comes through: the second operand is returned
	l.round(t, n)
	VSUBPS(n, t, t)
	p := l.exp2Polynomial(t)
	if l.n == 16 {
		VSCALEFPS(n, p, p)
		return p
	}
	VCVTPS2DQ(n, n)
	VPSLLD(Imm(23), n, n)
	VPADDD(n, p, p)
	VANDNPS(p, low, p)
	return p
}

// round is the nearest integer.
func (l lanes) round(x, to reg.VecVirtual) {
	if l.n == 16 {
		VRNDSCALEPS(Imm(0), x, to)
	} else {
		VROUNDPS(Imm(0), x, to)
	}
}

// exp2Polynomial is 2^r for |r| ≤ ½.
func (l lanes) exp2Polynomial(r reg.VecVirtual) reg.VecVirtual {
	p := l.reg()
	VBROADCASTSS(float("exp2Poly0", exp2Poly[0]), p)
	for i, c := range exp2Poly[1:] {
		l.with(float(fmt.Sprintf("exp2Poly%d", i+1), c), r, p, VFMADD213PS, VFMADD213PS_BCST)
	}
	return p
}

// exp2Limits holds the least and the greatest exponent of exp2.
func (l lanes) exp2Limits() [2]reg.VecVirtual {
	if l.n == 16 {
		return [2]reg.VecVirtual{l.every(float("exp2Min", -160))}
	}
	return [2]reg.VecVirtual{l.every(float("exp2MinNormal", -126)), l.every(float("exp2Max", 128))}
}

// exp2Poly are the coefficients of 2^f for |f| ≤ ½, the highest first.
var exp2Poly = []float32{1.5353362e-4, 1.3398875e-3, 9.618437e-3, 5.5503323e-2, 2.4022648e-1, 6.9314718e-1, 1}

// form is how results are stored: the bytes of one, and what stores a vector of them. It may need constants, for which it is called once.
type form func() (bytes int, put func(v reg.VecVirtual, m Mem))

// numbers are float32 as computed.
func (l lanes) numbers() (int, func(reg.VecVirtual, Mem)) {
	return 4, func(v reg.VecVirtual, m Mem) { VMOVUPS(v, m) }
}

// rounded are float32 with the value of the nearest BF16, of two the even one.
func (l lanes) rounded() (int, func(reg.VecVirtual, Mem)) {
	return 4, func(v reg.VecVirtual, m Mem) {
		u := l.nearest(v)
		l.with(constant("upperHalf", U32(0xffff0000)), u, u, VANDPS, VPANDD_BCST)
		VMOVUPS(u, m)
	}
}

// pairs are BF16 as its instructions round: subnormal numbers become zero.
func (l lanes) pairs() (int, func(reg.VecVirtual, Mem)) {
	return 2, func(v reg.VecVirtual, m Mem) {
		VMOVAPS(v, reg.Z15)
		evexBF16("VCVTNEPS2BF16 Z15, Y15", 0x487e5262, 0xff72) // EVEX.512.F3.0F38.W0 72 /r
		VMOVUPS(reg.Y15, m)
	}
}

func (l lanes) softmaxRow(name, generic string, as form) {
	TEXT(name+l.suffix, NOSPLIT, "func(dst, x *float32, n int, scale, top float32) (newTop, sum float32)")
	Doc(fmt.Sprintf("%s%s is %s for n > 0, a multiple of %d, with as many partial sums.", name, l.suffix, generic, 2*l.n))
	dst, x, n := ptr("dst"), ptr("x"), ptr("n")
	scale := l.argument("scale")
	from, left := GP64(), GP64()
	MOVQ(x, from)
	MOVQ(n, left)
	a, b := l.every(constant("minusInf", U32(0xff800000))), l.every(constant("minusInf", U32(0xff800000)))
	Label("greatest")
	VMAXPS(at(from, 0), a, a)
	VMAXPS(at(from, 4*l.n), b, b)
	ADDQ(U32(8*l.n), from)
	SUBQ(U32(2*l.n), left)
	JNZ(LabelRef("greatest"))
	VMAXPS(a, b, a)
	VMULPS(scale, a, a)
	VMAXPS(a, l.argument("top"), a)
	l.fold(a, VMAXPS)
	top := l.reg()
	VBROADCASTSS(a.AsX(), top)
	sum := l.reg()
	l.clear(sum)
	limits := l.exp2Limits()
	bytes, put := as()
	l.vectors(n, []reg.GPVirtual{dst, x}, []int{bytes, 4}, func() {
		v := l.load(at(x, 0))
		VFMSUB213PS(top, scale, v)
		e := l.exp2(v, limits)
		VADDPS(e, sum, sum)
		put(e, at(dst, 0))
	})
	l.fold(sum, VADDPS)
	Store(top.AsX(), ReturnIndex(0))
	Store(sum.AsX(), ReturnIndex(1))
	VZEROUPPER()
	RET()
}

// fold brings all lanes into the first.
func (l lanes) fold(v reg.VecVirtual, with func(ops ...Op)) {
	if l.n == 16 {
		high := YMM()
		VEXTRACTF64X4(Imm(1), v, high)
		with(v.AsY(), high, v.AsY())
	}
	x := XMM()
	VEXTRACTF128(Imm(1), v.AsY(), x)
	with(v.AsX(), x, v.AsX())
	VMOVHLPS(v.AsX(), v.AsX(), x)
	with(v.AsX(), x, v.AsX())
	VMOVSHDUP(v.AsX(), x)
	with(v.AsX(), x, v.AsX())
}

func (l lanes) gradRow(name, generic string, as form) {
	TEXT(name+l.suffix, NOSPLIT, "func(p, ds, s, dp, lse, delta *float32, n int, scale float32)")
	Doc(fmt.Sprintf("%s%s is %s for n > 0, a multiple of %d.", name, l.suffix, generic, l.n))
	p, ds, s, dp, lse, delta, n := ptr("p"), ptr("ds"), ptr("s"), ptr("dp"), ptr("lse"), ptr("delta"), ptr("n")
	scale, limits := l.argument("scale"), l.exp2Limits()
	bytes, put := as()
	l.vectors(n, []reg.GPVirtual{p, ds, s, dp, lse, delta}, []int{bytes, bytes, 4, 4, 4, 4}, func() {
		v := l.load(at(s, 0))
		VFMSUB213PS(at(lse, 0), scale, v)
		e := l.exp2(v, limits)
		d := l.load(at(dp, 0))
		VSUBPS(at(delta, 0), d, d)
		VMULPS(e, d, d)
		put(e, at(p, 0))
		put(d, at(ds, 0))
	})
	finish()
}
