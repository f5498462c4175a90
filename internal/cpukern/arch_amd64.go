//go:build amd64 && !noasm

package cpukern

import "github.com/klauspost/cpuid/v2"

//go:generate go run -C _gen . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg cpukern
//go:generate go run lomo/scripts/operations -root ../..

var hasAVX512 = cpuid.CPU.Supports(cpuid.AVX512F)

// archKernels are the levels with assembly that this machine and its system can run.
func archKernels() []*kernels {
	var all []*kernels
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3) {
		all = append(all, avx2Kernels())
		if hasAVX512 {
			all = append(all, avx512Kernels())
		}
		if hasAMX() {
			all = append(all, amxKernels(all[len(all)-1]))
		}
	}
	return all
}

// avx2Kernels are 256-bit vectors with fused multiply-adds: x86-64-v3, machines since about 2013.
func avx2Kernels() *kernels {
	return &kernels{
		level: "avx2", name: "avx2+fma",
		mr: 6, nr: 16, blockK: 384, micro: microAVX2, direct: directAVX2, peak: registers(spinAVX2, 2*8*12), pack: packAVX2, prefetch: prefetchRows,
		floatTiles: avx2Tiles(), roundedTiles: avx2Tiles().rounded(softmaxRowRoundedVec, gradRowRoundedVec),
		philox: philoxAVX2, sumSq: sumSqAVX2, rowKernels: avx2Rows(),
	}
}

// avx512Kernels have wider matrix products and what their tiles go through, wider exponentials, and products of BF16 pairs where the
// machine knows them; other rows are bound by memory and stay as they are.
func avx512Kernels() *kernels {
	k := avx2Kernels()
	k.level, k.name = "avx512", "avx512f"
	k.mr, k.nr, k.micro, k.direct, k.peak = 12, 32, microAVX512, directAVX512, registers(spinAVX512, 2*16*24)
	k.floatTiles, k.roundedTiles = avx512Tiles(), avx512Tiles().rounded(softmaxRowRoundedVec512, gradRowRoundedVec512)
	k.philox, k.rowKernels = philoxAVX512, avx512Rows()
	if cpuid.CPU.Supports(cpuid.AVX512BF16, cpuid.AVX512VL) {
		k.name = "avx512f+bf16"
		k.pairs = &kernels{mr: k.mr, nr: k.nr, blockK: k.blockK, micro: microBF16, direct: directBF16, peak: registers(spinBF16, 2*32*24), pack: packPairsAVX512, prefetch: prefetchRows}
		k.pairTiles = pairTiles()
	}
	return k
}
