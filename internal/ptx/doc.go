// Package ptx runs NVIDIA's PTX on the host, to prove kernels where there is no GPU. It is test code of the CUDA path: the lomo
// program does not link it. Parse reads the text, Kernel.Run executes one launch over a Memory that the caller owns.
//
// A block runs as warps of 32 lanes, one instruction over all lanes that stand at it. Lanes that diverge go on separately,
// the ones furthest behind first, and join again where their program counters meet. Between two instructions that must
// wait for others (barriers, warp collectives) nothing is promised about order, as on a card since compute capability 7.0.
//
// The checks (on unless Options.Unchecked) make an error of what a card leaves undefined: an address outside every
// allocation, a misaligned one, a read of shared memory that nothing has written, two threads that touch a byte of shared
// or global memory with no barrier between them and one of them writing, a copy of cp.async read before it was waited for, blocks of one
// grid that touch a byte and one of them writes it otherwise than by an atomic, a barrier that can never complete. In global memory a
// plain read may meet an atomic: a flag that says stop.
//
// What a card leaves open is taken at its worst or at its best: shared memory starts as NaN; cp.async lands only in the wait that forces it;
// approximate functions are exact; the sum inside mma is taken in float64 and rounded once, so that comparisons with
// other orders need a tolerance. Subnormal numbers are kept unless the instruction says .ftz.
//
// Source of all semantics: NVIDIA, Parallel Thread Execution ISA, versions 7.8 to 8.5.
package ptx
