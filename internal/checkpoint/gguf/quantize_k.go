package gguf

import "math"

// Scales of the K formats are searched: a number of them around the one that just covers a sub-block are tried, each with the steps
// that it rounds the elements to; of those steps the best scale (and minimum) follows by least squares, and the pair with the
// smallest weighted error is kept. Which are tried, and how errors are weighted, is as in ggml.

// nearest rounds |x| < 2²² to an integer, halves to even: behind 3·2²² the spacing of float32 is 1, and the low bits are the integer.
func nearest(x float32) int {
	return int(math.Float32bits(x+3<<22)&(1<<23-1)) - 1<<22
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) } // correctly rounded

func clamp(x, lo, hi int) int { return max(lo, min(hi, x)) }

// encodeQ4_K: x ≈ (d·sc)·q − dmin·mn. Each sub-block of 32 has its scale and minimum, rounded to 6 bits of the largest of the block;
// the steps are then chosen anew for the rounded ones.
func encodeQ4_K(dst []byte, src []float32) bool {
	const top = 63
	var scales, mins [8]float32
	maxScale, maxMin := float32(0), float32(0)
	for j := range scales {
		scales[j], mins[j] = scaleAndMinimum((*[32]float32)(src[32*j:]))
		maxScale, maxMin = max(maxScale, scales[j]), max(maxMin, mins[j])
	}
	perScale, perMin := topOver(top, maxScale), topOver(top, maxMin)
	packed := dst[4:16]
	clear(packed)
	for j := range scales {
		sc := byte(clamp(nearest(perScale*scales[j]), 0, top))
		mn := byte(clamp(nearest(perMin*mins[j]), 0, top))
		if j < 4 {
			packed[j], packed[j+4] = sc, mn
			continue
		}
		packed[j+4] = sc&15 | mn&15<<4
		packed[j-4] |= sc >> 4 << 6
		packed[j] |= mn >> 4 << 6
	}
	okScale, okMin := putHalf(dst, maxScale/top), putHalf(dst[2:], maxMin/top)
	d, dmin := half(dst), half(dst[2:])
	qs := dst[16:144]
	clear(qs)
	for j := range scales {
		sc, mn := scaleMin(packed, j)
		a, b := d*float32(sc), dmin*float32(mn)
		if a == 0 {
			continue // all elements are the minimum, whatever the steps
		}
		shift, out := 4*(j&1), qs[32*(j/2):][:32]
		for l, v := range src[32*j:][:32] {
			out[l] |= byte(clamp(nearest((v+b)/a), 0, 15)) << shift
		}
	}
	return okScale && okMin
}

// topOver is top/x, 0 for 0.
func topOver(top, x float32) float32 {
	if x > 0 {
		return top / x
	}
	return 0
}

// scaleAndMinimum finds scale and minimum ≥ 0 such that scale·q − minimum with q of 0 to 15 is near x. Large elements weigh more: |x| and the
// root of the mean square.
func scaleAndMinimum(x *[32]float32) (scale, minimum float32) {
	const (
		steps        = 15
		tries        = 21
		first, apart = -1, 0.1 // the tries cover steps + first … steps + first + 20·apart
	)
	squares := float32(0)
	for _, v := range x {
		squares += float32(v * v)
	}
	rms := sqrt(squares / 32)
	var w [32]float32
	var sumW, sumX float32
	lo, hi := x[0], x[0]
	for i, v := range x {
		w[i] = rms + abs(v)
		sumW += w[i]
		sumX += float32(w[i] * v)
		lo, hi = min(lo, v), max(hi, v)
	}
	lo = min(lo, 0) // the minimum is subtracted, and not negative
	if hi == lo {
		return 0, -lo
	}
	var q [32]float32
	quantise := func(perStep, from float32) {
		for i, v := range x {
			q[i] = float32(clamp(nearest(perStep*float32(v-from)), 0, steps))
		}
	}
	failure := func(scale, from float32) (sum float32) {
		for i, v := range x {
			d := float32(scale*q[i]) + from - v
			sum += float32(w[i] * float32(d*d))
		}
		return sum
	}
	span, from := hi-lo, lo
	perStep := steps / span
	quantise(perStep, lo)
	scale = 1 / perStep
	best := failure(scale, lo)
	for try := range tries {
		quantise((float32(apart*float32(try))+first+steps)/span, from)
		var sumQ, sumQ2, sumXQ float32
		for i, v := range x {
			wq := w[i] * q[i]
			sumQ += wq
			sumQ2 += float32(wq * q[i])
			sumXQ += float32(wq * v)
		}
		det := float32(sumW*sumQ2) - float32(sumQ*sumQ)
		if !(det > 0) {
			continue
		}
		s := (float32(sumW*sumXQ) - float32(sumX*sumQ)) / det
		m := (float32(sumQ2*sumX) - float32(sumQ*sumXQ)) / det
		if m > 0 {
			m, s = 0, sumXQ/sumQ2
		}
		if e := failure(s, m); e < best {
			best, scale, from = e, s, m
			span = hi - from // the next tries begin at this minimum
		}
	}
	return scale, -from
}

// tooSmall is what counts as a sub-block of zeros.
const tooSmall = 1e-15

// encodeQ6_K: x ≈ (d·sc)·(q − 32). The 16 scales of 16 elements each are signed and rounded to 8 bits, the largest becoming −128.
func encodeQ6_K(dst []byte, src []float32) bool {
	low, high, rounded := dst[:128], dst[128:192], dst[192:208]
	clear(dst[:210])
	var scales [16]float32
	for j := range scales {
		if scales[j] = symmetricScale((*[16]float32)(src[16*j:])); scales[j] != scales[j] {
			return false // the squares are beyond float32, the scale beyond float16 by far
		}
	}
	most := largest(scales[:])
	if abs(most) < tooSmall {
		return true // all zero
	}
	perScale := -128 / most
	fine := putHalf(dst[208:], 1/perScale)
	d := half(dst[208:])
	for j, s := range scales {
		sc := int8(min(127, nearest(perScale*s)))
		rounded[j] = byte(sc)
		a := d * float32(sc)
		for l, v := range src[16*j:][:16] {
			q := 0 // means nothing under a scale of 0
			if a != 0 {
				q = clamp(nearest(v/a), -32, 31) + 32
			}
			i := 16*j + l
			h, k, at := i/128, i/32%4, i%32
			low[64*h+32*(k&1)+at] |= byte(q&15) << (4 * (k / 2))
			high[32*h+at] |= byte(q>>4) << (2 * k)
		}
	}
	return fine
}

// symmetricScale finds the scale such that scale·q with q of −32 to 31 is near x, weighted by x². It has the sign that makes the
// largest element negative steps, of which there is one more.
func symmetricScale(x *[16]float32) float32 {
	const (
		steps = 32
		tries = 9 // to either side, a tenth of a step apart
	)
	most := largest(x[:])
	if abs(most) < tooSmall {
		return 0
	}
	sums := func(perStep float32) (xq, q2 float32) {
		for _, v := range x {
			q := float32(clamp(nearest(perStep*v), -steps, steps-1))
			w := v * v
			xq += float32(float32(w*v) * q)
			q2 += float32(float32(w*q) * q)
		}
		return xq, q2
	}
	xq, q2 := sums(-steps / most)
	scale, best := float32(0), float32(0)
	if q2 != 0 {
		scale = xq / q2
		best = scale * xq
	}
	for try := -tries; try <= tries; try++ {
		if try == 0 {
			continue
		}
		if xq, q2 := sums(-(steps + float32(0.1*float32(try))) / most); q2 > 0 && float32(xq*xq) > float32(best*q2) {
			scale = xq / q2
			best = scale * xq
		}
	}
	return scale
}
