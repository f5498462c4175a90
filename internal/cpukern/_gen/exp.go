package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var _ = assembly(exponentials)

func float(name string, v float32) Mem { return constant(name, U32(math.Float32bits(v))) }

// lanes is a width of vectors for the exponentials: eight or sixteen float32.
type lanes struct {
	suffix string
	n      int
}

var widths = []lanes{{"Vec", 8}, {"Vec512", 16}}

func (l lanes) reg() reg.VecVirtual {
	if l.n == 16 {
		return ZMM()
	}
	return YMM()
}

func (l lanes) load(m Mem) reg.VecVirtual {
	v := l.reg()
	VMOVUPS(m, v)
	return v
}

// every is a constant or an argument in every lane.
func (l lanes) every(m Op) reg.VecVirtual {
	v := l.reg()
	VBROADCASTSS(m, v)
	return v
}

func (l lanes) argument(name string) reg.VecVirtual { return l.every(Load(Param(name), XMM())) }

// with is a binary operation with a constant as its last operand: 512-bit instructions broadcast it themselves.
func (l lanes) with(c Mem, x, y reg.VecVirtual, plain, broadcast func(ops ...Op)) {
	if l.n == 16 {
		broadcast(c, x, y)
	} else {
		plain(c, x, y)
	}
}

func (l lanes) mul(c Mem, x, y reg.VecVirtual) { l.with(c, x, y, VMULPS, VMULPS_BCST) }
func (l lanes) add(c Mem, x, y reg.VecVirtual) { l.with(c, x, y, VADDPS, VADDPS_BCST) }
func (l lanes) sub(c Mem, x, y reg.VecVirtual) { l.with(c, x, y, VSUBPS, VSUBPS_BCST) }

// vectors repeats body for n/l.n vectors: pointers to elements of bytes[i] move on by one each time.
func (l lanes) vectors(n reg.Register, pointers []reg.GPVirtual, bytes []int, body func()) {
	Label("loop")
	body()
	for i, p := range pointers {
		ADDQ(U32(bytes[i]*l.n), p)
	}
	SUBQ(Imm(uint64(l.n)), n)
	JNZ(LabelRef("loop"))
}

func finish() {
	VZEROUPPER()
	RET()
}

// exp emits e^x = 2^n·2^r with n the integer nearest to x·log₂e and r the rest, of which fused steps lose nothing: the constant is taken in
// two parts. limits holds the registers of expMax and expMin.
func (l lanes) exp(x reg.VecVirtual, limits [2]reg.VecVirtual) reg.VecVirtual {
	y, n, r := l.reg(), l.reg(), l.reg()
	VMINPS(x, limits[0], y) // a NaN comes through: the second operand is returned
	VMAXPS(y, limits[1], y)
	high, low := float("expLog2e", math.Log2E), float("expLog2eRest", float32(math.Log2E-float64(float32(math.Log2E))))
	l.mul(high, y, n)
	l.round(n, n)
	VMOVAPS(y, r)
	l.with(high, n, r, VFMSUB132PS, VFMSUB132PS_BCST)
	l.with(low, y, r, VFMADD231PS, VFMADD231PS_BCST)
	p := l.exp2Polynomial(r)
	if l.n == 16 {
		VSCALEFPS(n, p, p)
		return p
	}
	half := l.reg() // two multiplications: the power of two alone may be no normal number
	VCVTTPS2DQ(n, n)
	VPSRAD(Imm(1), n, half)
	VPSUBD(half, n, n)
	for _, e := range []reg.VecVirtual{half, n} {
		VPADDD(constant("exponentBias", U32(127)), e, e)
		VPSLLD(Imm(23), e, e)
		VMULPS(e, p, p)
	}
	return p
}

func (l lanes) limits() [2]reg.VecVirtual {
	return [2]reg.VecVirtual{l.every(float("expMax", 89)), l.every(float("expMin", -105))}
}

func exponentials() {
	for _, l := range widths {
		l.expSum()
		for _, e := range []element{l.float32s(), l.halves()} {
			l.silu(e)
			l.siluBackward(e)
		}
	}
	for _, l := range widths {
		for _, e := range []element{l.float32s(), l.halves()} {
			l.gelu(e)
			l.geluBackward(e)
		}
		l.softCap()
	}
}

func (l lanes) doc(name, generic string) {
	Doc(fmt.Sprintf("%s%s is %s for n > 0, a multiple of %d.", name, l.suffix, generic, l.n))
}

func (l lanes) expSum() {
	TEXT("expSum"+l.suffix, NOSPLIT, "func(dst, x *float32, n int, shift float32) float32")
	Doc(fmt.Sprintf("expSum%s is expSumGeneric for n > 0, a multiple of %d, with as many partial sums.", l.suffix, l.n))
	dst, x, n := ptr("dst"), ptr("x"), ptr("n")
	shift, limits, sum := l.argument("shift"), l.limits(), l.reg()
	l.clear(sum)
	l.vectors(n, []reg.GPVirtual{dst, x}, []int{4, 4}, func() {
		v := l.load(at(x, 0))
		VSUBPS(shift, v, v)
		e := l.exp(v, limits)
		VMOVUPS(e, at(dst, 0))
		VADDPS(e, sum, sum)
	})
	if l.n == 16 {
		high := YMM()
		VEXTRACTF64X4(Imm(1), sum, high)
		VADDPS(sum.AsY(), high, high)
		returnSum(high)
		return
	}
	returnSum(sum)
}

func (l lanes) clear(v reg.VecVirtual) {
	if l.n == 16 {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

func (l lanes) silu(e element) {
	TEXT("silu"+e.name+l.suffix, NOSPLIT, "func(dst, gate, up *"+e.element+", n int)")
	l.doc("silu"+e.name, "silu"+e.name+"Generic")
	dst, gate, up, n := ptr("dst"), ptr("gate"), ptr("up"), ptr("n")
	limits := l.limits()
	l.vectors(n, []reg.GPVirtual{dst, gate, up}, []int{e.bytes, e.bytes, e.bytes}, func() {
		g := e.load(at(gate, 0))
		d := l.onePlusExpNeg(g, limits)
		VDIVPS(d, g, d)
		VMULPS(e.load(at(up, 0)), d, d)
		e.store(d, at(dst, 0))
	})
	finish()
}

// onePlusExpNeg is 1 + exp(−g).
func (l lanes) onePlusExpNeg(g reg.VecVirtual, limits [2]reg.VecVirtual) reg.VecVirtual {
	e := l.expNeg(g, limits)
	l.add(float("floatOne", 1), e, e)
	return e
}

// expNeg is exp(−g).
func (l lanes) expNeg(g reg.VecVirtual, limits [2]reg.VecVirtual) reg.VecVirtual {
	v := l.reg()
	l.with(constant("signBit", U32(0x80000000)), g, v, VXORPS, VPXORD_BCST)
	return l.exp(v, limits)
}

func (l lanes) siluBackward(e element) {
	TEXT("siluBackward"+e.name+l.suffix, NOSPLIT, "func(dgate, dup, dact, gate, up *"+e.element+", n int)")
	l.doc("siluBackward"+e.name, "siluBackward"+e.name+"Generic")
	dgate, dup, dact, gate, up, n := ptr("dgate"), ptr("dup"), ptr("dact"), ptr("gate"), ptr("up"), ptr("n")
	limits := l.limits()
	one := l.every(float("floatOne", 1))
	l.vectors(n, []reg.GPVirtual{dgate, dup, dact, gate, up}, []int{e.bytes, e.bytes, e.bytes, e.bytes, e.bytes}, func() {
		g, u, d := e.load(at(gate, 0)), e.load(at(up, 0)), e.load(at(dact, 0))
		s, t, v := l.reg(), l.reg(), l.reg()
		VDIVPS(l.onePlusExpNeg(g, limits), one, s)
		VMULPS(s, g, t)
		VMULPS(d, t, t)
		e.store(t, at(dup, 0))
		VSUBPS(s, one, v)
		VMULPS(g, v, v)
		VADDPS(one, v, v)
		VMULPS(s, v, v)
		VMULPS(d, u, u)
		VMULPS(v, u, u)
		e.store(u, at(dgate, 0))
	})
	finish()
}
