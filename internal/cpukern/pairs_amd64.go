//go:build amd64 && !noasm

package cpukern

import (
	"math"
	"unsafe"
)

// Products of two BF16 factors need no widening where the processor multiplies pairs of BF16 and adds them to a float32. Panels
// are as for float32, but an element is a pair of positions of the sum, the first in its low half; a last odd one is
// paired with zero. Pairs stay bits: nothing reads them as numbers.

// packPairsAVX512 packs pairs from positions k0 … k1−1.
func packPairsAVX512(dst []float32, o *operand, width, i0, i1, k0, k1 int) {
	depth := ceilDiv(k1-k0, 2)
	for i := i0; i < i1; i += width {
		panel := dst[(i-i0)*depth:][:width*depth]
		done := 0
		if i+width <= i1 {
			done = packWholePairs(panel, o, width, i, k0, k1)
		}
		packPairsGeneric(panel[done*width:], o, width, i, min(i1, i+width), k0+2*done, k1)
	}
}

// packWholePairs packs a full panel as far as assembly can, and returns how many pairs that is.
func packWholePairs(panel []float32, o *operand, width, i, k0, k1 int) int {
	pairs := (k1 - k0) / 2
	if o.along {
		// A row's pairs are neighbours already, so this is the packing of float32 with half the positions.
		if pairs &^= 7; pairs == 0 || o.ld%2 != 0 {
			return 0
		}
		row := func(g int) *float32 { return (*float32)(unsafe.Pointer(&o.v.h[(i+g)*o.ld+k0])) }
		if width == 32 && pairs >= 16 && hasAVX512 {
			pairs &^= 15
			packAlong16(&panel[0], row(0), o.ld/2, pairs, width)
			packAlong16(&panel[16], row(16), o.ld/2, pairs, width)
			return pairs
		}
		for g := 0; g < width; g += 8 {
			if width-g == 4 {
				packAlong4x32(&panel[g], row(g), o.ld/2, pairs, width)
			} else {
				packAlong8x32(&panel[g], row(g), o.ld/2, pairs, width)
			}
		}
		return pairs
	}
	if pairs == 0 {
		return 0
	}
	src := &o.v.h[k0*o.ld+i]
	if width == 12 {
		packPairs12(&panel[0], src, o.ld, pairs)
	} else {
		packPairs32(&panel[0], src, o.ld, pairs)
	}
	return pairs
}

// packPairsGeneric is the definition, for panels that are not full and for what remains of others.
func packPairsGeneric(panel []float32, o *operand, width, i0, i1, k0, k1 int) {
	stepI, stepK := 1, o.ld
	if o.along {
		stepI, stepK = o.ld, 1
	}
	for k := k0; k < k1; k += 2 {
		row := panel[(k-k0)/2*width:][:width]
		clear(row[i1-i0:])
		for i := i0; i < i1; i++ {
			at := i*stepI + k*stepK
			pair := uint32(o.v.h[at])
			if k+1 < k1 {
				pair |= uint32(o.v.h[at+stepK]) << 16
			}
			row[i-i0] = math.Float32frombits(pair)
		}
	}
}
