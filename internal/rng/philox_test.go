package rng

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// TestKnownAnswers: the three vectors of Random123's kat_vectors for philox4x32, 10 rounds.
func TestKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		key       uint64
		ctr, want [4]uint32
	}{
		{0, [4]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{math.MaxUint64, [4]uint32{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{0x299f31d0a4093822, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := Philox4x32(c.key, c.ctr); got != c.want {
			t.Errorf("key %x: %08x, want %08x", c.key, got, c.want)
		}
	}
}

func TestPermIsAPermutation(t *testing.T) {
	for _, n := range []int{0, 1, 2, 17, 1000} {
		p := Perm(42, Shuffle, 3, n)
		q := slices.Clone(p)
		slices.Sort(q)
		for i, v := range q {
			if int(v) != i {
				t.Fatalf("n=%d: %v", n, p)
			}
		}
	}
	if slices.Equal(Perm(42, Shuffle, 0, 100), Perm(42, Shuffle, 1, 100)) || slices.Equal(Perm(42, Shuffle, 0, 100), Perm(43, Shuffle, 0, 100)) {
		t.Error("another epoch or seed gives the same order")
	}
}

// TestPermIsUniform: over many epochs every order of a few samples comes as often as any other, so also those in which a sample keeps its place.
func TestPermIsUniform(t *testing.T) {
	for n, orders := range map[int]int{2: 2, 3: 6, 4: 24} {
		const each = 400
		count := map[string]int{}
		for epoch := range each * orders {
			count[fmt.Sprint(Perm(42, Shuffle, uint32(epoch), n))]++
		}
		if len(count) != orders {
			t.Errorf("%d samples come in %d orders, there are %d", n, len(count), orders)
		}
		for order, k := range count { // five standard errors
			if math.Abs(float64(k-each)) > 5*math.Sqrt(each) {
				t.Errorf("%d samples: order %s came %d times, want about %d", n, order, k, each)
			}
		}
	}
}

// TestUint16x8IsUniform: the mean of many draws, and that streams of other tensors, steps and purposes differ.
func TestUint16x8IsUniform(t *testing.T) {
	sum, n := 0.0, 0
	for b := uint64(0); b < 20000; b++ {
		for _, v := range Uint16x8(1, Rounding, 2, 3, b) {
			sum += float64(v)
			n++
		}
	}
	// The standard error of the mean is 65536/√12/√n = 47.
	if mean := sum / float64(n); math.Abs(mean-32767.5) > 5*47 {
		t.Errorf("mean %v of %d draws", mean, n)
	}
	base := Uint16x8(1, Rounding, 2, 3, 4)
	for _, other := range [][8]uint16{Uint16x8(2, Rounding, 2, 3, 4), Uint16x8(1, Sample, 2, 3, 4), Uint16x8(1, Rounding, 1, 3, 4),
		Uint16x8(1, Rounding, 2, 4, 4), Uint16x8(1, Rounding, 2, 3, 5), Uint16x8(1, Rounding, 2, 3, 4+1<<32)} {
		if base == other {
			t.Error("two streams agree")
		}
	}
}
