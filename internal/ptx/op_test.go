package ptx

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"
	"testing"
)

// opKernel wraps instructions: each thread reads A, B, C of 64 bits, with a, b, c their low 32 and ha, hb, hc their low 16
// bits, and stores D, d, hd as sizes 64, 32 and 16 say.
const opKernel = `
.version 7.8
.target sm_86
.address_size 64
.visible .entry k(.param .u64 in, .param .u64 out)
{
	.reg .b64 %%rd<9>, A, B, C, D;
	.reg .b32 %%r<9>, a, b, c, d, e;
	.reg .b16 ha, hb, hc, hd;
	.reg .pred p, q;
	ld.param.u64 %%rd0, [in];
	ld.param.u64 %%rd1, [out];
	mov.u32 %%r0, %%tid.x;
	mad.wide.u32 %%rd2, %%r0, 24, %%rd0;
	mad.wide.u32 %%rd3, %%r0, 8, %%rd1;
	ld.global.u64 A, [%%rd2];
	ld.global.u64 B, [%%rd2+8];
	ld.global.u64 C, [%%rd2+16];
	cvt.u32.u64 a, A;
	cvt.u32.u64 b, B;
	cvt.u32.u64 c, C;
	cvt.u16.u64 ha, A;
	cvt.u16.u64 hb, B;
	cvt.u16.u64 hc, C;
	mov.u64 D, 0;
	mov.u32 d, 0;
	mov.u16 hd, 0;
	setp.ne.u32 p, a, a;
	setp.ne.u32 q, a, a;
	%s
	%s
	st.global.u64 [%%rd3], D;
	ret;
}`

// evaluate runs instructions for each triple of operands.
func evaluate(t *testing.T, text string, width int, in [][3]uint64) []uint64 {
	t.Helper()
	widen := map[int]string{64: "", 32: "cvt.u64.u32 D, d;", 16: "cvt.u64.u16 D, hd;"}[width]
	m, err := Parse(fmt.Sprintf(opKernel, text, widen))
	if err != nil {
		t.Fatal(err)
	}
	h := &heap{}
	var out []uint64
	for len(in) > 0 {
		part := in[:min(len(in), 1024)]
		in = in[len(part):]
		pi, po := upload(h, part), upload(h, make([]uint64, len(part)))
		run(t, m, "k", h, 1, len(part), 0, pi, po)
		out = append(out, read[uint64](h, po, len(part))...)
	}
	return out
}

// edges are integers at which arithmetic turns.
var edges = []uint64{0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
	0x100000000, 0x123456789abcdef, 0x7fffffffffffffff, 0x8000000000000000, 0xfedcba9876543210, 0xffffffffffffffff}

// triples are all pairs of values with a third that varies.
func triples(v []uint64) [][3]uint64 {
	var list [][3]uint64
	for i, a := range v {
		for j, b := range v {
			list = append(list, [3]uint64{a, b, v[(i*7+j*3+1)%len(v)]})
		}
	}
	return list
}

func s32(v uint64) int64 { return int64(int32(v)) }

func bigS(v uint64) *big.Int { return big.NewInt(int64(v)) }
func bigU(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

// low is the low 64 bits of x >> n in two's complement.
func low(x *big.Int, n uint) uint64 {
	m := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 64), big.NewInt(1))
	return new(big.Int).And(new(big.Int).Rsh(x, n), m).Uint64()
}

func TestIntegers(t *testing.T) {
	u32 := func(f func(a, b, c uint32) uint32) func(a, b, c uint64) uint64 {
		return func(a, b, c uint64) uint64 { return uint64(f(uint32(a), uint32(b), uint32(c))) }
	}
	product := func(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }
	for _, c := range []struct {
		text  string
		width int
		want  func(a, b, c uint64) uint64
	}{
		{"add.s32 d, a, b;", 32, u32(func(a, b, c uint32) uint32 { return a + b })},
		{"add.s32 d, a, -5;", 32, u32(func(a, b, c uint32) uint32 { return a - 5 })},
		{"add.s64 D, A, B;", 64, func(a, b, c uint64) uint64 { return a + b }},
		{"add.s16 hd, ha, hb;", 16, func(a, b, c uint64) uint64 { return uint64(uint16(a + b)) }},
		{"sub.u32 d, a, b;", 32, u32(func(a, b, c uint32) uint32 { return a - b })},
		{"add.sat.s32 d, a, b;", 32, func(a, b, c uint64) uint64 {
			return uint64(uint32(max(min(s32(a)+s32(b), math.MaxInt32), math.MinInt32)))
		}},
		{"add.cc.u32 d, a, b; addc.u32 d, c, 0;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(c + (a&mask(32)+b&mask(32))>>32)) }},
		{"sub.cc.u64 D, A, B; subc.u64 D, C, 0;", 64, func(a, b, c uint64) uint64 { _, k := bits.Sub64(a, b, 0); return c - k }},
		{"mad.lo.cc.u32 d, a, b, c; madc.hi.u32 d, a, b, 0;", 32, func(a, b, c uint64) uint64 { return (a&mask(32)*(b&mask(32)) + c&mask(32)) >> 32 }},
		{"mul.lo.s32 d, a, b;", 32, u32(func(a, b, c uint32) uint32 { return a * b })},
		{"mul.hi.u32 d, a, b;", 32, func(a, b, c uint64) uint64 { return a & mask(32) * (b & mask(32)) >> 32 }},
		{"mul.hi.s32 d, a, b;", 32, func(a, b, c uint64) uint64 { return uint64(s32(a)*s32(b)>>32) & mask(32) }},
		{"mul.hi.u64 D, A, B;", 64, func(a, b, c uint64) uint64 { return low(product(bigU(a), bigU(b)), 64) }},
		{"mul.hi.s64 D, A, B;", 64, func(a, b, c uint64) uint64 { return low(product(bigS(a), bigS(b)), 64) }},
		{"mul.wide.s32 D, a, b;", 64, func(a, b, c uint64) uint64 { return uint64(s32(a) * s32(b)) }},
		{"mul.wide.u32 D, a, b;", 64, func(a, b, c uint64) uint64 { return a & mask(32) * (b & mask(32)) }},
		{"mul.wide.s16 d, ha, hb;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(int32(int16(a)) * int32(int16(b)))) }},
		{"mad.lo.s32 d, a, b, c;", 32, u32(func(a, b, c uint32) uint32 { return a*b + c })},
		{"mad.wide.s32 D, a, b, C;", 64, func(a, b, c uint64) uint64 { return uint64(s32(a)*s32(b)) + c }},
		{"mad.hi.u32 d, a, b, c;", 32, func(a, b, c uint64) uint64 { return (a&mask(32)*(b&mask(32))>>32 + c) & mask(32) }},
		{"min.s32 d, a, b;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(min(s32(a), s32(b)))) }},
		{"max.u64 D, A, B;", 64, func(a, b, c uint64) uint64 { return max(a, b) }},
		{"abs.s32 d, a;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(max(s32(a), -s32(a)))) }},
		{"neg.s64 D, A;", 64, func(a, b, c uint64) uint64 { return -a }},
		{"div.s32 d, a, b;", 32, func(a, b, c uint64) uint64 {
			if uint32(b) == 0 {
				return mask(32)
			}
			return uint64(uint32(s32(a) / s32(b)))
		}},
		{"rem.u64 D, A, B;", 64, func(a, b, c uint64) uint64 {
			if b == 0 {
				return a
			}
			return a % b
		}},
		{"and.b32 d, a, b;", 32, func(a, b, c uint64) uint64 { return a & b & mask(32) }},
		{"xor.b64 D, A, B;", 64, func(a, b, c uint64) uint64 { return a ^ b }},
		{"not.b16 hd, ha;", 16, func(a, b, c uint64) uint64 { return ^a & 0xffff }},
		{"lop3.b32 d, a, b, c, 0x96;", 32, func(a, b, c uint64) uint64 { return (a ^ b ^ c) & mask(32) }},
		{"lop3.b32 d, a, b, c, 0xCA;", 32, func(a, b, c uint64) uint64 { return (a&b | ^a&c) & mask(32) }},
		{"shl.b32 d, a, b;", 32, func(a, b, c uint64) uint64 { return a << min(b&mask(32), 32) & mask(32) }},
		{"shr.u32 d, a, b;", 32, func(a, b, c uint64) uint64 { return a & mask(32) >> min(b&mask(32), 32) }},
		{"shr.s32 d, a, b;", 32, func(a, b, c uint64) uint64 { return uint64(s32(a)>>min(b&mask(32), 31)) & mask(32) }},
		{"shl.b64 D, A, b;", 64, func(a, b, c uint64) uint64 { return a << (b & mask(32)) }},
		{"shf.l.wrap.b32 d, a, b, c;", 32, func(a, b, c uint64) uint64 { return (b<<32 | a&mask(32)) << (c & 31) >> 32 }},
		{"shf.r.clamp.b32 d, a, b, c;", 32, func(a, b, c uint64) uint64 { return (b<<32 | a&mask(32)) >> min(c&mask(32), 32) & mask(32) }},
		{"prmt.b32 d, a, b, 0x7610;", 32, func(a, b, c uint64) uint64 { return a&0xffff | b&0xffff0000 }},
		{"prmt.b32 d, a, b, 0x9148;", 32, func(a, b, c uint64) uint64 {
			sign := func(v uint64) uint64 { return uint64(int8(v)>>7) & 255 }
			return sign(a) | b&255<<8 | (a>>8&255)<<16 | sign(a>>8)<<24
		}},
		{"bfe.u32 d, a, 5, 9;", 32, func(a, b, c uint64) uint64 { return a & mask(32) >> 5 & 511 }},
		{"bfe.s32 d, a, 5, 9;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(int32(a) << 18 >> 23)) }},
		{"bfe.s32 d, a, 28, 9;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(int32(a) >> 28)) }},
		{"bfe.u64 D, A, 40, 30;", 64, func(a, b, c uint64) uint64 { return a >> 40 }},
		{"bfi.b32 d, a, b, 8, 4;", 32, func(a, b, c uint64) uint64 { return (b&^0xf00 | a&15<<8) & mask(32) }},
		{"bfi.b64 D, A, B, 32, 32;", 64, func(a, b, c uint64) uint64 { return a<<32 | b&mask(32) }},
		{"popc.b32 d, a;", 32, func(a, b, c uint64) uint64 { return uint64(bits.OnesCount32(uint32(a))) }},
		{"clz.b64 d, A;", 32, func(a, b, c uint64) uint64 { return uint64(bits.LeadingZeros64(a)) }},
		{"brev.b32 d, a;", 32, func(a, b, c uint64) uint64 { return uint64(bits.Reverse32(uint32(a))) }},
		{"bfind.u32 d, a;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(bits.Len32(uint32(a)) - 1)) }},
		{"bfind.shiftamt.s32 d, a;", 32, func(a, b, c uint64) uint64 {
			n := bits.Len32(uint32(a) ^ uint32(int32(a)>>31))
			if n == 0 {
				return mask(32)
			}
			return uint64(32 - n)
		}},
		{"setp.lt.s32 p, a, b; selp.b32 d, 1, 0, p;", 32, func(a, b, c uint64) uint64 { return truth(s32(a) < s32(b)) }},
		{"setp.ge.u64 p, A, B; selp.b32 d, 1, 0, p;", 32, func(a, b, c uint64) uint64 { return truth(a >= b) }},
		{"setp.hi.u32 p, a, b; selp.b32 d, 1, 0, p;", 32, func(a, b, c uint64) uint64 { return truth(uint32(a) > uint32(b)) }},
		{"setp.eq.u32 p, c, 1; setp.lt.or.u32 p|q, a, b, p; selp.b32 d, 1, 0, p; selp.b32 e, 2, 0, q; or.b32 d, d, e;", 32,
			func(a, b, c uint64) uint64 {
				one := uint32(c) == 1
				return truth(uint32(a) < uint32(b) || one) | truth(uint32(a) >= uint32(b) || one)<<1
			}},
		{"setp.lt.u32 p, a, b; @!p mov.u32 d, c;", 32, func(a, b, c uint64) uint64 { return (1 - truth(uint32(a) < uint32(b))) * (c & mask(32)) }},
		{"set.lt.u32.s32 d, a, b;", 32, func(a, b, c uint64) uint64 { return -truth(s32(a) < s32(b)) & mask(32) }},
		{"slct.u32.s32 d, a, b, c;", 32, u32(func(a, b, c uint32) uint32 {
			if int32(c) >= 0 {
				return a
			}
			return b
		})},
		{"cvt.s32.s8 d, a;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(int32(int8(a)))) }},
		{"cvt.s8.s32 d, a;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(int32(int8(a)))) }},
		{"cvt.u8.u32 d, a;", 32, func(a, b, c uint64) uint64 { return a & 255 }},
		{"cvt.sat.s8.s32 d, a;", 32, func(a, b, c uint64) uint64 { return uint64(uint32(max(min(s32(a), 127), -128))) }},
		{"cvt.sat.u8.s32 d, a;", 32, func(a, b, c uint64) uint64 { return uint64(max(min(s32(a), 255), 0)) }},
		{"cvt.s64.s32 D, a;", 64, func(a, b, c uint64) uint64 { return uint64(s32(a)) }},
		{"mov.b64 {d, e}, A; xor.b32 d, d, e;", 32, func(a, b, c uint64) uint64 { return (a ^ a>>32) & mask(32) }},
		{"mov.b32 d, {ha, hb};", 32, func(a, b, c uint64) uint64 { return a&0xffff | b&0xffff<<16 }},
		{"sad.s32 d, a, b, c;", 32, func(a, b, c uint64) uint64 {
			return (c + uint64(max(s32(a)-s32(b), s32(b)-s32(a)))) & mask(32)
		}},
		{"dp4a.u32.u32 d, a, b, c;", 32, func(a, b, c uint64) uint64 {
			for i := range 4 {
				c += a >> (8 * i) & 255 * (b >> (8 * i) & 255)
			}
			return c & mask(32)
		}},
	} {
		in := triples(edges)
		for i, got := range evaluate(t, c.text, c.width, in) {
			if want := c.want(in[i][0], in[i][1], in[i][2]); got != want {
				t.Errorf("%s: of %#x: %#x, want %#x", c.text, in[i], got, want)
				break
			}
		}
	}
}

// floats are float32 at which arithmetic turns.
func floats() []uint64 {
	var v []uint64
	for _, f := range []float32{0, 1, 3, 0.1, 1 + 0x1p-23, 1 - 0x1p-24, 0x1p24 + 2, 1e-20, 3e38, 0x1p-126, 0x1p-149, 3 * 0x1p-140, 65504, 65520, 6e-8, 1.5,
		2.5, 3.5, 0x1p31, 0x1.fep-1, 0x1.ff8p0, 5.9604645e-08, float32(math.Inf(1)), 123456.789} {
		v = append(v, fbits(f), fbits(-f))
	}
	return append(v, 0x7fffffff, 0xffc00001)
}

// rounded is an exact value in so many bits of fraction by a mode, with float32's subnormals.
func rounded(x *big.Float, mode big.RoundingMode) float64 {
	if x.Sign() == 0 {
		f, _ := x.Float64()
		return f
	}
	prec := uint(24)
	if e := x.MantExp(nil); e < -125 {
		if e < -149 {
			prec = 0
		} else {
			prec = uint(24 - (-125 - e))
		}
	}
	if prec == 0 { // half of the smallest number or less
		tiny := new(big.Float).SetMantExp(big.NewFloat(0.5), -149)
		up := new(big.Float).Abs(x).Cmp(tiny) > 0
		switch {
		case mode == big.ToNearestEven && up, mode == big.ToPositiveInf && x.Sign() > 0, mode == big.ToNegativeInf && x.Sign() < 0:
			return math.Copysign(0x1p-149, float64(x.Sign()))
		}
		return math.Copysign(0, float64(x.Sign()))
	}
	y := new(big.Float).SetPrec(prec).SetMode(mode).Set(x)
	f, _ := y.Float64()
	return f
}

func TestFloat32(t *testing.T) {
	exact := func(op string, a, b, c float64) *big.Float {
		z := new(big.Float).SetPrec(1000).SetMode(big.ToNearestEven)
		A, B, C := big.NewFloat(a), big.NewFloat(b), big.NewFloat(c)
		switch op {
		case "add":
			return z.Add(A, B)
		case "sub":
			return z.Sub(A, B)
		case "mul":
			return z.Mul(A, B)
		}
		return z.Add(z.Mul(A, B), C)
	}
	for _, op := range []string{"add", "sub", "mul", "fma"} {
		for mode, m := range map[string]big.RoundingMode{"rn": big.ToNearestEven, "rz": big.ToZero, "rm": big.ToNegativeInf, "rp": big.ToPositiveInf} {
			args := "d, a, b"
			if op == "fma" {
				args += ", c"
			}
			in := triples(floats())
			for i, got := range evaluate(t, op+"."+mode+".f32 "+args+";", 32, in) {
				a, b, c := float64(f32(in[i][0])), float64(f32(in[i][1])), float64(f32(in[i][2]))
				if math.IsNaN(a+b+c) || math.IsInf(a+b+c, 0) {
					continue // invalid operations are in TestSpecialFloats
				}
				x := exact(op, a, b, c)
				want := rounded(x, m)
				if math.Abs(want) > math.MaxFloat32 {
					want = math.Inf(x.Sign())
					if m == big.ToZero || m == big.ToNegativeInf && x.Sign() > 0 || m == big.ToPositiveInf && x.Sign() < 0 {
						want = math.Copysign(math.MaxFloat32, want)
					}
				}
				if float64(f32(got)) != want {
					t.Errorf("%s.%s of %g %g %g: %g, want %g", op, mode, a, b, c, f32(got), want)
					break
				}
			}
		}
	}
}

func TestSpecialFloats(t *testing.T) {
	inf, nan := fbits(float32(math.Inf(1))), uint64(0x7fc00000)
	minus := fbits(float32(math.Inf(-1)))
	negZero := uint64(1) << 31
	for _, c := range []struct {
		text          string
		a, b, c, want uint64
	}{
		{"add.f32 d, a, b;", inf, minus, 0, 0x7fffffff},
		{"mul.f32 d, a, b;", inf, 0, 0, 0x7fffffff},
		{"min.f32 d, a, b;", nan, fbits(2), 0, fbits(2)},
		{"min.NaN.f32 d, a, b;", nan, fbits(2), 0, 0x7fffffff},
		{"max.f32 d, a, b;", nan, nan, 0, 0x7fffffff},
		{"max.f32 d, a, b;", negZero, 0, 0, 0},
		{"min.f32 d, a, b;", 0, negZero, 0, negZero},
		{"abs.f32 d, a;", fbits(-3), 0, 0, fbits(3)},
		{"neg.f32 d, a;", fbits(3), 0, 0, fbits(-3)},
		{"copysign.f32 d, a, b;", fbits(-1), fbits(7), 0, fbits(-7)},
		{"add.ftz.f32 d, a, b;", fbits(0x1p-130), fbits(0x1p-126), 0, fbits(0x1p-126)},
		{"mul.ftz.f32 d, a, b;", fbits(0x1p-100), fbits(-0x1p-30), 0, negZero},
		{"add.sat.f32 d, a, b;", fbits(3), fbits(4), 0, fbits(1)},
		{"add.sat.f32 d, a, b;", nan, fbits(4), 0, 0},
		{"div.rn.f32 d, a, b;", fbits(1), fbits(3), 0, fbits(float32(1) / 3)},
		{"div.full.f32 d, a, b;", fbits(7), fbits(0), 0, inf},
		{"rcp.approx.ftz.f32 d, a;", fbits(4), 0, 0, fbits(0.25)},
		{"sqrt.rn.f32 d, a;", fbits(2), 0, 0, fbits(float32(math.Sqrt2))},
		{"sqrt.rn.f32 d, a;", fbits(-2), 0, 0, 0x7fffffff},
		{"rsqrt.approx.f32 d, a;", fbits(16), 0, 0, fbits(0.25)},
		{"ex2.approx.f32 d, a;", fbits(-3), 0, 0, fbits(0.125)},
		{"ex2.approx.ftz.f32 d, a;", minus, 0, 0, 0},
		{"lg2.approx.f32 d, a;", fbits(8), 0, 0, fbits(3)},
		{"lg2.approx.f32 d, a;", 0, 0, 0, minus},
		{"sin.approx.f32 d, a;", 0, 0, 0, 0},
		{"cos.approx.f32 d, a;", 0, 0, 0, fbits(1)},
		{"tanh.approx.f32 d, a;", inf, 0, 0, fbits(1)},
		{"setp.lt.f32 p, a, b; selp.b32 d, 1, 0, p;", nan, 0, 0, 0},
		{"setp.ltu.f32 p, a, b; selp.b32 d, 1, 0, p;", nan, 0, 0, 1},
		{"setp.ne.f32 p, a, b; selp.b32 d, 1, 0, p;", nan, 0, 0, 0},
		{"setp.neu.f32 p, a, b; selp.b32 d, 1, 0, p;", nan, 0, 0, 1},
		{"setp.nan.f32 p, a, b; selp.b32 d, 1, 0, p;", nan, 0, 0, 1},
		{"setp.num.f32 p, a, b; selp.b32 d, 1, 0, p;", fbits(1), 0, 0, 1},
		{"testp.subnormal.f32 p, a; selp.b32 d, 1, 0, p;", 5, 0, 0, 1},
		{"testp.finite.f32 p, a; selp.b32 d, 1, 0, p;", inf, 0, 0, 0},
		{"cvt.rni.s32.f32 d, a;", fbits(2.5), 0, 0, 2},
		{"cvt.rzi.s32.f32 d, a;", fbits(-2.5), 0, 0, 0xfffffffe},
		{"cvt.rmi.s32.f32 d, a;", fbits(-2.5), 0, 0, 0xfffffffd},
		{"cvt.rpi.s32.f32 d, a;", fbits(2.1), 0, 0, 3},
		{"cvt.rzi.s32.f32 d, a;", fbits(3e9), 0, 0, 0x7fffffff},
		{"cvt.rzi.u32.f32 d, a;", fbits(-3), 0, 0, 0},
		{"cvt.rzi.s32.f32 d, a;", nan, 0, 0, 0},
		{"cvt.rni.f32.f32 d, a;", fbits(-0.25), 0, 0, negZero},
		{"cvt.rzi.f32.f32 d, a;", fbits(7.9), 0, 0, fbits(7)},
		{"cvt.sat.f32.f32 d, a;", fbits(7.9), 0, 0, fbits(1)},
		{"cvt.rn.f32.s32 d, a;", 0xffffffff, 0, 0, fbits(-1)},
		{"cvt.rn.f32.u32 d, a;", 0xffffffff, 0, 0, fbits(0x1p32)},
		{"cvt.rz.f32.u32 d, a;", 0xffffffff, 0, 0, fbits(0x1.fffffep31)},
		{"cvt.rn.f32.u64 d, A;", 1<<63 + 1, 0, 0, fbits(0x1p63)},
		{"mov.u16 hd, 0x8000; cvt.f32.f16 d, ha;", 0x3c01, 0, 0, fbits(1 + 0x1p-10)},
		{"cvt.f32.f16 d, ha;", 0x8001, 0, 0, fbits(-0x1p-24)},
		{"cvt.rn.bf16x2.f32 d, a, b;", fbits(1.5), fbits(-2), 0, 0x3fc0c000},
		{"cvt.rn.f16x2.f32 d, a, b;", fbits(1.5), fbits(-2), 0, 0x3e00c000},
		{"cvt.rn.relu.bf16x2.f32 d, a, b;", fbits(1.5), fbits(-2), 0, 0x3fc00000},
		{"fma.rn.bf16x2 d, a, b, c;", 0x3fc0c000, 0x40004000, 0x3f803f80, 0x4080c040},
		{"fma.rn.f16x2 d, a, b, c;", 0x3e00c000, 0x40004000, 0x3c003c00, 0x4400c200},
		{"max.bf16x2 d, a, b;", 0x3fc0c000, 0x40007fff, 0, 0x4000c000},
		{"neg.bf16x2 d, a;", 0x3fc0c000, 0, 0, 0xbfc04000},
		{"abs.f16x2 d, a;", 0xbc00c000, 0, 0, 0x3c004000},
		{"set.lt.f32.f32 d, a, b;", fbits(1), fbits(2), 0, fbits(1)},
		{"slct.f32.f32 d, a, b, c;", fbits(1), fbits(2), fbits(-1), fbits(2)},
		{"fma.rn.f32 d, a, 0f40000000, 0f3F800000;", fbits(3), 0, 0, fbits(7)},
	} {
		if got := evaluate(t, c.text, 32, [][3]uint64{{c.a, c.b, c.c}})[0]; got != c.want {
			t.Errorf("%s of %#x %#x %#x: %#x, want %#x", c.text, c.a, c.b, c.c, got, c.want)
		}
	}
}

func TestFloat64(t *testing.T) {
	d := math.Float64bits
	for _, c := range []struct {
		text string
		want float64
	}{
		{"add.f64 D, A, B;", 0.1 + 3}, {"sub.f64 D, A, B;", 0.1 - 3}, {"mul.f64 D, A, B;", 0.1 * 3.0}, {"fma.rn.f64 D, A, B, C;", math.FMA(0.1, 3, 1e-17)},
		{"div.rn.f64 D, A, B;", 0.1 / 3.0}, {"sqrt.rn.f64 D, B;", math.Sqrt(3)}, {"rcp.rn.f64 D, B;", 1 / 3.0}, {"max.f64 D, A, B;", 3},
		{"neg.f64 D, A;", -0.1}, {"cvt.rn.f32.f64 d, A; cvt.f64.f32 D, d;", float64(float32(0.1))}, {"cvt.rn.f64.s64 D, A; ", float64(int64(d(0.1)))},
		{"cvt.rzi.s64.f64 D, B; cvt.rn.f64.s64 D, D;", 3},
	} {
		a, b, k := 0.1, 3.0, 1e-17
		got := math.Float64frombits(evaluate(t, c.text, 64, [][3]uint64{{d(a), d(b), d(k)}})[0])
		if got != float64(c.want) && !strings.HasPrefix(c.text, "mul") {
			t.Errorf("%s: %v, want %v", c.text, got, c.want)
		}
		if want := a * b; strings.HasPrefix(c.text, "mul") && got != want {
			t.Errorf("%s: %v, want %v", c.text, got, want)
		}
	}
}

// TestNarrow compares every conversion of the 65536 values of a 16-bit format, and of values between two of them, with nearest
// even as it is defined.
func TestNarrow(t *testing.T) {
	for name, f := range map[string]format{"f16": halfFormat, "bf16": brainFormat} {
		var in [][3]uint64
		var want []uint64
		for v := range uint64(0x7fff) {
			x, next := f.widen(v), f.widen(v+1)
			if math.IsNaN(next) || math.IsInf(x, 0) {
				break
			}
			if math.IsInf(next, 0) {
				next = 2*x - f.widen(v-1)
			}
			mid := (x + next) / 2
			for _, c := range []struct {
				x float64
				v uint64
			}{{x, v}, {mid, v + v&1}, {float64(math.Nextafter32(float32(mid), 0)), v}, {float64(math.Nextafter32(float32(mid), float32(math.Inf(1)))), v + 1}} {
				if float64(float32(c.x)) != c.x || c.x < 0x1p-130 {
					continue
				}
				in = append(in, [3]uint64{fbits(float32(c.x))}, [3]uint64{fbits(float32(-c.x))})
				want = append(want, c.v, c.v|0x8000)
			}
		}
		for i, got := range evaluate(t, "cvt.rn."+name+".f32 hd, a;", 16, in) {
			if got != want[i] {
				t.Fatalf("%s of %g: %#x, want %#x", name, f32(in[i][0]), got, want[i])
			}
		}
	}
}
