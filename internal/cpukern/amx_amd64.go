//go:build amd64 && !noasm

package cpukern

import (
	"github.com/klauspost/cpuid/v2"
)

// The level of AMX: products of two BF16 matrices on tiles of 16 rows × 64 bytes, everything else as the level below it does.
//
// A panel is 32 rows, in steps of 32 positions of the sum. A's step is two tiles, rows 0–15 and 16–31, a row's 32 positions side by side. B's
// is 16 pairs of positions (pairs_amd64.go), in each the 32 rows, so that its two tiles lie beside each other. What is not a whole step or
// panel is filled up with zeros.
const (
	tileRows  = 32
	tileStep  = 16 // pairs
	tileBlock = 12 * tileStep
)

// amxKernels is base with products on tiles.
func amxKernels(base *kernels) *kernels {
	k := *base
	k.level, k.name = "amx", "amx-bf16"
	k.tiles = &kernels{level: k.level, mr: tileRows, nr: tileRows, step: tileStep, blockK: tileBlock,
		packA: packTilesA, pack: packTilesB, whole: multiplyAMX, peak: registers(spinAMX, 2*4*16*16*32), prefetch: prefetchRows}
	if base.pairTiles != nil {
		t := *base.pairTiles
		t.mr, t.nr, t.step = tileRows, tileRows, tileStep
		t.packLeft, t.row, t.micro, t.direct = packTilesA, rowAMX, nil, nil
		k.pairTiles = &t
	}
	return &k
}

// tileConfigs are the sizes of the tiles (LDTILECFG) for steps of n pairs: four of sums, two of A, two of B.
var tileConfigs = func() (all [tileStep + 1][64]byte) {
	for n := range all {
		c := &all[n]
		c[0] = 1 // the palette
		for tile := range 8 {
			bytes, rows := 64, 16
			switch {
			case tile >= 6:
				rows = n
			case tile >= 4:
				bytes = 4 * n
			}
			c[16+2*tile], c[48+tile] = byte(bytes), byte(rows)
		}
	}
	return all
}()

// rowAMX is attention's multiplyRow: whole steps of pairs, then those that remain with smaller tiles, so that nothing beside them is read.
func rowAMX(k int, a left, b *float32, nextB int, c *float32, ldc, cols int, acc bool) {
	const stepB = 4 * tileRows * tileStep
	lda, stepA := a.lda, 4*tileStep
	if lda == 0 { // packTilesA's
		lda, stepA = 4*tileStep, 4*tileRows*tileStep
	}
	nextB *= 4
	steps, rest := k/tileStep, k%tileStep
	if steps > 0 {
		blocksAMX(&tileConfigs[tileStep][0], steps, a.at, lda, stepA, b, nextB-steps*stepB, c, ldc, cols, acc)
	}
	if rest > 0 {
		blocksAMX(&tileConfigs[rest][0], 1, skipRows(a.at, stepA, steps), lda, stepA, skipRows(b, stepB, steps), nextB-stepB, c, ldc, cols, acc || steps > 0)
	}
}

// hasAMX says whether the processor has the instructions and the system lets this process use them.
func hasAMX() bool {
	if amxEmulated {
		return true
	}
	const tiles = 1<<17 | 1<<18 // of XCR0: configuration and data
	return cpuid.CPU.Supports(cpuid.AMXTILE, cpuid.AMXBF16, cpuid.AVX512F, cpuid.AVX512BF16, cpuid.OSXSAVE) &&
		xgetbv()&tiles == tiles && requestTiles()
}

// multiplyAMX is multiplyPanel.
func multiplyAMX(c []float32, ld int, a left, pb []float32, rows, depth int, acc bool) {
	steps := depth / tileStep
	lda, step, next := 4*tileStep, 4*tileRows*tileStep, 0 // of packed rows
	if a.lda > 0 {
		lda, step, next = a.lda, 4*tileStep, tileRows*a.lda-steps*4*tileStep
	}
	tilesAMX(&c[0], a.at, &pb[0], ld, rows/tileRows, steps, lda, step, next, acc)
}

// packTilesB packs pairs as micro of pairs wants them, to whole steps.
func packTilesB(dst []float32, o *operand, width, i0, i1, k0, k1 int) {
	pairs := ceilDiv(k1-k0, 2)
	depth := roundUp(pairs, tileStep)
	for i := i0; i < i1; i += width {
		panel := dst[(i-i0)*depth:][:width*depth]
		clear(panel[width*pairs:])
		done := 0
		if i+width <= i1 {
			done = packWholePairs(panel, o, width, i, k0, k1)
		}
		packPairsGeneric(panel[done*width:], o, width, i, min(i1, i+width), k0+2*done, k1)
	}
}

// packTilesA packs A's panels.
func packTilesA(dst []float32, o *operand, width, i0, i1, k0, k1 int) {
	depth := roundUp(ceilDiv(k1-k0, 2), tileStep)
	for i := i0; i < i1; i += width {
		panel := dst[(i-i0)*depth:][:width*depth]
		for half := range 2 {
			packTile(panel[half*16*tileStep:], o, i+16*half, min(i1, i+16*half+16), k0, k1)
		}
	}
}

// packTile packs up to 16 rows, steps of a whole panel apart: whole steps of 16 rows by assembly.
func packTile(dst []float32, o *operand, i0, i1, k0, k1 int) {
	whole := (k1 - k0) / (2 * tileStep)
	if i1-i0 < 16 || !hasAVX512 {
		whole = 0
	}
	switch {
	case whole == 0:
	case o.along:
		packTileRows(&dst[0], &o.v.h[i0*o.ld+k0], o.ld, whole)
	default:
		packTileColumns(&dst[0], &o.v.h[k0*o.ld+i0], o.ld, whole)
	}
	packTileGeneric(dst[min(len(dst), whole*tileRows*tileStep):], o, i0, i1, k0+whole*2*tileStep, k1)
}
