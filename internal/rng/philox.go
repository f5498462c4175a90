// Package rng is the project's only source of noise: Philox4x32-10 (Salmon et al. 2011), a counter
// generator. A draw is a function of (seed, purpose, step, tensor, index) and of nothing else, so it is
// the same for every thread count, shard and restart (design.md 2.5).
package rng

// Purpose keeps the uses of one seed apart.
type Purpose uint32

const (
	Rounding Purpose = iota + 1 // stochastic rounding of updated weights
	Shuffle                     // order of the samples of an epoch
	Split                       // which samples go to the validation set
	Init                        // weights of a new model
	Sample                      // tokens drawn by generate
)

// Philox4x32 is ten rounds of Philox on a 128-bit counter under a 64-bit key.
func Philox4x32(key uint64, c [4]uint32) [4]uint32 {
	k0, k1 := uint32(key), uint32(key>>32)
	for i := 0; i < 10; i++ {
		p0 := uint64(0xD2511F53) * uint64(c[0])
		p1 := uint64(0xCD9E8D57) * uint64(c[2])
		c = [4]uint32{uint32(p1>>32) ^ c[1] ^ k0, uint32(p1), uint32(p0>>32) ^ c[3] ^ k1, uint32(p0)}
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return c
}

// Counter is the counter of block number block (of eight 16-bit or four 32-bit draws) of a stream:
// {block low, block high 16 bits | purpose<<16, tensor, step}.
func Counter(p Purpose, tensor, step uint32, block uint64) [4]uint32 {
	return [4]uint32{uint32(block), uint32(block>>32)&0xffff | uint32(p)<<16, tensor, step}
}

// Uint16x8 is the draws of elements 8·block … 8·block+7 of a stream: low half, then high half of each word.
func Uint16x8(seed uint64, p Purpose, tensor, step uint32, block uint64) [8]uint16 {
	w := Philox4x32(seed, Counter(p, tensor, step, block))
	return [8]uint16{uint16(w[0]), uint16(w[0] >> 16), uint16(w[1]), uint16(w[1] >> 16),
		uint16(w[2]), uint16(w[2] >> 16), uint16(w[3]), uint16(w[3] >> 16)}
}

// Uint32 is draw number i of a stream.
func Uint32(seed uint64, p Purpose, tensor, step uint32, i uint64) uint32 {
	return Philox4x32(seed, Counter(p, tensor, step, i/4))[i%4]
}

// Float64 is draw i of a stream, uniform in [0, 1) with 32 bits.
func Float64(seed uint64, p Purpose, tensor, step uint32, i uint64) float64 {
	return float64(Uint32(seed, p, tensor, step, i)) / (1 << 32)
}

// Perm is a permutation of 0 … n−1: Fisher–Yates with the draws of (seed, purpose, epoch).
func Perm(seed uint64, p Purpose, epoch uint32, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	for i := n - 1; i > 0; i-- {
		// 32 random bits scaled to [0, i]: the bias is below i/2³².
		j := int(uint64(Uint32(seed, p, 0, epoch, uint64(i))) * uint64(i+1) >> 32)
		out[i], out[j] = out[j], out[i]
	}
	return out
}
