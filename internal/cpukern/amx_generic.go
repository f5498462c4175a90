package cpukern

import "math"

// packTileGeneric is the definition of AMX's panels of A: 16 rows [i0, i1) by steps of 32 positions, each 16 lines of 16 pairs of
// positions, the lower one in the low half, and 512 elements from one step to the next. Rows and positions that are not there are zero.
func packTileGeneric(dst []float32, o *operand, i0, i1, k0, k1 int) {
	stepI, stepK := 1, o.ld
	if o.along {
		stepI, stepK = o.ld, 1
	}
	half := func(i, k int) uint32 {
		if i >= i1 || k >= k1 {
			return 0
		}
		return uint32(o.v.h[i*stepI+k*stepK])
	}
	for k := k0; k < k1; k += 32 {
		tile := dst[(k-k0)/32*512:][:256]
		for at := range tile {
			i, p := i0+at/16, k+at%16*2
			tile[at] = math.Float32frombits(half(i, p) | half(i, p+1)<<16)
		}
	}
}
