package cpukern

import (
	"math"
	"unsafe"

	"lomo/internal/tensor"
)

// tileKernels is what attention's tiles are made with, for factors of one type. Their elements lie in float32 slots of unit positions
// each: a number, or a pair of BF16 neighbours (pairs_amd64.go).
type tileKernels struct {
	unit   int
	mr, nr int
	pack   func(dst []float32, o *operand, width, i0, i1, k0, k1 int)
	micro  func(k int, a, b, c *float32, ldc int, acc bool)
	// packLeft packs micro's left factor where pack does not (nil), to panels whose depth is a multiple of step slots (0: any).
	packLeft func(dst []float32, o *operand, width, i0, i1, k0, k1 int)
	step     int
	// direct is micro for a left factor that is not packed: rows of slots, lda bytes apart.
	direct func(k int, a *float32, lda int, b, c *float32, ldc int, acc bool)
	row    func(k int, a left, b *float32, nextB int, c *float32, ldc, cols int, acc bool) // multiplyRow, instead of both

	softmaxRow func(dst, x *float32, n int, scale, top float32) (newTop, sum float32)
	gradRow    func(p, ds, s, dp, lse, delta *float32, n int, scale float32)
}

// multiplyRow is C = A·Bᵀ (with acc, C += A·Bᵀ) for mr rows of A, packed or as they lie, and as many panels of B as fill cols columns; the sum
// runs over k slots, and panels are nextB slots apart.
func (t *tileKernels) multiplyRow(k int, a left, b []float32, nextB int, c []float32, ldc, cols int, acc bool) {
	panels := cols / t.nr
	if t.row != nil {
		t.row(k, a, &b[0], nextB, &c[0], ldc, panels, acc)
		return
	}
	for j := range panels {
		if a.lda > 0 {
			t.direct(k, a.at, a.lda, &b[j*nextB], &c[j*t.nr], ldc, acc)
		} else {
			t.micro(k, a.at, &b[j*nextB], &c[j*t.nr], ldc, acc)
		}
	}
}

// genericTiles are the kernels of the generic level; the matrix product's are the definition of pack and micro.
func genericTiles() *tileKernels {
	return &tileKernels{unit: 1, mr: 4, nr: 4, pack: packGeneric, micro: microGeneric, direct: directGeneric,
		softmaxRow: softmaxRowGeneric, gradRow: gradRowGeneric}
}

// directGeneric is microGeneric with a[i·lda/4+k] for the element (i, k) of the left factor.
func directGeneric(k int, a *float32, lda int, b, c *float32, ldc int, acc bool) {
	pb, pc := floatsAt(b, 4*k), floatsAt(c, 3*ldc+4)
	for i := range 4 {
		var s [4]float32
		for at, x := range floatsAt((*float32)(unsafe.Add(unsafe.Pointer(a), i*lda)), k) {
			for j := range s {
				s[j] += float32(x * pb[4*at+j])
			}
		}
		row := pc[i*ldc:][:4]
		for j, v := range s {
			if acc {
				v += row[j]
			}
			row[j] = v
		}
	}
}

// The exponentials of attention are powers of two: 2^t = 2ⁿ·2^f with |f| ≤ ½ and a polynomial of degree 6 whose relative error is
// 2e-9; with the roundings of its steps the error is below 2 ulp (measured 1.15), plus that of t.
var exp2Poly = [7]float32{1.5353362e-4, 1.3398875e-3, 9.618437e-3, 5.5503323e-2, 2.4022648e-1, 6.9314718e-1, 1}

func exp2f(t float32) float32 {
	if t < -160 {
		t = -160
	}
	if t > 129 {
		t = 129
	}
	n := float32(t+expRound) - expRound
	f := t - n
	p := exp2Poly[0]
	for _, c := range exp2Poly[1:] {
		p = float32(p*f) + c
	}
	i := int32(n) // not used for NaN, where p is NaN whatever it is multiplied by
	half := i >> 1
	return p * pow2(half) * pow2(i-half)
}

// log2 is the logarithm of a normal x > 0 to base 2 with an error below 1e-12 (math.Log2 takes several times as long): of x = 2ⁿ·m with m between √½
// and √2 it is n + 2/ln 2·artanh s, s = (m−1)/(m+1), |s| < 0.172. What is not finite gives NaN.
func log2(x float32) float64 {
	bits := math.Float32bits(x)
	n := int32(bits-0x3f3504f3) >> 23 // of √½
	m := float64(math.Float32frombits(bits - uint32(n)<<23))
	s := (m - 1) / (m + 1)
	z := s * s
	return float64(n) + float64(x-x) + 2/math.Ln2*s*(1+z*(1./3+z*(1./5+z*(1./7+z*(1./9+z*(1./11+z*(1./13)))))))
}

// unseen stands in the place of a score that does not count: its exponential is 0 under any maximum of others.
const unseen = -1e30

// softmaxRowGeneric is dst = 2^(x·scale − newTop), newTop = max(top, max(x)·scale); it returns that and the sum of the powers. dst may be x.
func softmaxRowGeneric(dst, x *float32, n int, scale, top float32) (newTop, sum float32) {
	out, in := floatsAt(dst, n), floatsAt(x, n)
	top = max(top, maximumGeneric(in)*scale)
	var s [4]float32
	for i, v := range in {
		e := exp2f(float32(v*scale) - top)
		out[i] = e
		s[i&3] += e
	}
	return top, (s[0] + s[1]) + (s[2] + s[3])
}

// gradRowGeneric is p = 2^(s·scale − lse), ds = p·(dp − delta). p may be s and ds may be dp.
func gradRowGeneric(p, ds, s, dp, lse, delta *float32, n int, scale float32) {
	pv, dsv := floatsAt(p, n), floatsAt(ds, n)
	sv, dpv, lv, dv := floatsAt(s, n), floatsAt(dp, n), floatsAt(lse, n), floatsAt(delta, n)
	for i := range pv {
		e := exp2f(float32(sv[i]*scale) - lv[i])
		d := e * (dpv[i] - dv[i])
		pv[i], dsv[i] = e, d
	}
}

// softmaxRowRounded is softmaxRowGeneric with dst rounded to BF16 from what is summed.
func softmaxRowRounded(dst, x *float32, n int, scale, top float32) (newTop, sum float32) {
	newTop, sum = softmaxRowGeneric(dst, x, n, scale, top)
	roundGeneric(floatsAt(dst, n))
	return newTop, sum
}

// gradRowRounded is gradRowGeneric with p and ds rounded to BF16 at the end.
func gradRowRounded(p, ds, s, dp, lse, delta *float32, n int, scale float32) {
	gradRowGeneric(p, ds, s, dp, lse, delta, n, scale)
	roundGeneric(floatsAt(p, n))
	roundGeneric(floatsAt(ds, n))
}

func roundGeneric(x []float32) {
	for i, v := range x {
		x[i] = tensor.BF16ToF32(tensor.F32ToBF16(v))
	}
}

// rounded is tiles of float32 slots whose rows are those given: the same numbers as in tiles of pairs.
func (t *tileKernels) rounded(softmaxRow func(dst, x *float32, n int, scale, top float32) (newTop, sum float32),
	gradRow func(p, ds, s, dp, lse, delta *float32, n int, scale float32)) *tileKernels {
	r := *t
	r.softmaxRow, r.gradRow = softmaxRow, gradRow
	return &r
}

// tilesFor chooses the kernels for tensors of one call: where all are BF16, pairs if a row's pairs do not straddle heads, or float32 of the
// same values.
func (k *kernels) tilesFor(hd int, all ...floats) *tileKernels {
	for _, v := range all {
		if !v.half {
			return k.floatTiles
		}
	}
	if k.pairTiles == nil || hd%2 != 0 {
		return k.roundedTiles
	}
	return k.pairTiles
}

// leftDepth is the slots of n positions in a panel of micro's left factor.
func (t *tileKernels) leftDepth(n int) int { return roundUp(ceilDiv(n, t.unit), max(1, t.step)) }

// slots is memory for n positions of a factor.
func (t *tileKernels) slots(ws *workspace, n int) []float32 { return ws.floats(ceilDiv(n, t.unit)) }

// factor is n positions from slot 0 on as the elements of an operand.
func (t *tileKernels) factor(slots []float32, n int) floats {
	if t.unit == 1 {
		return floats{f: slots[:n]}
	}
	return floats{h: unsafe.Slice((*uint16)(unsafe.Pointer(&slots[0])), n), half: true}
}

// leftRows is rows [i0, i1) of an operand along the sum as direct takes them, hd positions each: in place, or a copy in buf that is
// filled up with zeros to whole panels.
func (k *kernels) leftRows(t *tileKernels, o *operand, i0, i1, hd int, buf []float32) (rows *float32, lda int) {
	n := i1 - i0
	if whole := n%t.mr == 0; whole && o.v.half && t.unit == 2 {
		return (*float32)(unsafe.Pointer(&o.v.h[i0*o.ld])), 2 * o.ld
	} else if whole && !o.v.half {
		return &o.v.f[i0*o.ld], 4 * o.ld
	}
	size := ceilDiv(hd, t.unit)
	buf = buf[:roundUp(n, t.mr)*size]
	clear(buf[n*size:])
	for i := range n {
		row := buf[i*size:][:size]
		off := (i0 + i) * o.ld
		switch {
		case t.unit == 2:
			copy(t.factor(row, hd).h, o.v.h[off:])
		case o.v.half:
			k.widen(row, o.v.h[off:off+hd])
		default:
			copy(row, o.v.f[off:])
		}
	}
	return &buf[0], 4 * size
}

// skipRows is the address of row i.
func skipRows(rows *float32, lda, i int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(rows), i*lda))
}

// log2e turns a natural logarithm into one to base 2.
const log2e = math.Log2E
