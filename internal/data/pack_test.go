package data

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lomo/internal/rng"
)

// By hand, rows of 10: 6 opens row 0 (4 left); 5 opens row 1 (5 left); 4 fits both and fills row 0; 3 goes into row 1
// (2 left); 3 opens row 2 (7 left); 2 fills row 1; 8 opens row 3 (2 left); 2 fits rows 2 and 3 and fills row 3.
func TestBestFit(t *testing.T) {
	d := ofLengths(6, 5, 4, 3, 3, 2, 8, 2)
	rowOf, n := bestFit([]int32{0, 1, 2, 3, 4, 5, 6, 7}, d.c.length, 10)
	if diff := cmp.Diff([]int32{0, 1, 0, 1, 2, 1, 3, 3}, rowOf); diff != "" || n != 4 {
		t.Errorf("%d rows (-want +got):\n%s", n, diff)
	}
}

// By hand, rows of 10: 6+4, 5+3, 3+2 (8 does not fit), 8+2, 11 alone.
func TestNextFit(t *testing.T) {
	d := ofLengths(6, 4, 5, 3, 3, 2, 8, 2, 11)
	got := nextFit([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8}, d.c.length, 10)
	if diff := cmp.Diff([]int32{0, 2, 4, 6, 8, 9}, got); diff != "" {
		t.Errorf("rows begin (-want +got):\n%s", diff)
	}
}

// The fast search for the fullest row with room agrees with looking at every row: as many rows, as full.
func TestBestFitIsBest(t *testing.T) {
	lengths := randomLengths(500)
	d := ofLengths(lengths...)
	order := make([]int32, len(lengths))
	for i := range order {
		order[i] = int32(i)
	}
	const size = 64
	rowOf, n := bestFit(order, d.c.length, size)
	used := make([]int, n)
	for i, r := range rowOf {
		need := lengths[i]
		best := -1 // the least room among rows that take it, before it is placed
		for _, u := range used {
			if left := size - u; u > 0 && left >= need && (best < 0 || left < best) {
				best = left
			}
		}
		switch {
		case best < 0 && used[r] != 0:
			t.Fatalf("document %d of %d tokens went into row %d, which has %d", i, need, r, used[r])
		case best >= 0 && size-used[r] != best:
			t.Fatalf("document %d of %d tokens: row %d has room for %d, another one for %d", i, need, r, size-used[r], best)
		}
		used[r] += need
	}
	l := NewLoader(d, Options{SequenceLen: size, Packing: true, Shuffle: true, MicroBatch: 1})
	if s := l.PackedSequences(); s.Fill < 0.95 || s.Tokens != d.Stats().Tokens || s.Rows != l.BatchesPerEpoch() {
		t.Errorf("rows are not well filled: %+v", s)
	}
}

// A document that is longer than a row is a row of its own.
func TestOverlong(t *testing.T) {
	for _, shuffle := range []bool{false, true} {
		d := ofLengths(9, 3, 3)
		p := newPlan(d, Options{SequenceLen: 6, Packing: true, Shuffle: shuffle}, 0)
		if p.len() != 2 {
			t.Errorf("shuffle %v: %d rows, want 2", shuffle, p.len())
		}
	}
}

// TestOrders: samples, and packed rows beside them, come in another order with another seed and in another epoch. Every document fills a row, so that
// without the order of the samples, which is known, that of the rows is left.
func TestOrders(t *testing.T) {
	lengths := make([]int, 40)
	for i := range lengths {
		lengths[i] = 8
	}
	d := ofLengths(lengths...)
	for _, packing := range []bool{false, true} {
		samples, rows := map[string]string{}, map[string]string{}
		for _, seed := range []uint64{7, 8, 7 + 1<<32} {
			for epoch := range 3 {
				name := fmt.Sprintf("seed %d, epoch %d", seed, epoch)
				o := Options{SequenceLen: 8, Seed: seed, Shuffle: true, Packing: packing}
				order := newPlan(d, o, epoch).order
				drawn := rng.Perm(seed, rng.Shuffle, uint32(epoch), len(lengths))
				var of []int
				for _, s := range order {
					of = append(of, slices.Index(drawn, s))
				}
				for what, key := range map[string]string{"samples": fmt.Sprint(order), "rows": fmt.Sprint(of)} {
					seen := samples
					if what == "rows" {
						seen = rows
					}
					if other, ok := seen[key]; ok && (packing || what == "samples") {
						t.Errorf("packing %v: %s of %s are in the order of %s", packing, what, name, other)
					}
					seen[key] = name
				}
				if !packing && !slices.IsSorted(of) {
					t.Errorf("%s: the samples are not in the order that was drawn", name)
				}
			}
		}
	}
}
