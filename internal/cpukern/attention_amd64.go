//go:build amd64 && !noasm

package cpukern

func avx2Tiles() *tileKernels {
	return &tileKernels{unit: 1, mr: 6, nr: 16, pack: packAVX2, micro: microAVX2, direct: directAVX2,
		softmaxRow: softmaxRowVec, gradRow: gradRowVec}
}

func avx512Tiles() *tileKernels {
	return &tileKernels{unit: 1, mr: 12, nr: 32, pack: packAVX2, micro: microAVX512, direct: directAVX512,
		softmaxRow: softmaxRowVec512, gradRow: gradRowVec512}
}

func pairTiles() *tileKernels {
	return &tileKernels{unit: 2, mr: 12, nr: 32, pack: packPairsAVX512, micro: microBF16, direct: directBF16,
		softmaxRow: softmaxRowBF16Vec512, gradRow: gradRowBF16Vec512}
}
