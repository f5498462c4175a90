package comm

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"lomo/internal/tensor"
)

// ranks runs f on every rank of a group at once.
func ranks(t *testing.T, size int, f func(c Comm) error) []Comm {
	t.Helper()
	group := NewLocal(size)
	errs := make([]error, size)
	var wg sync.WaitGroup
	for r, c := range group {
		wg.Go(func() { errs[r] = f(c) })
	}
	wg.Wait()
	for r, err := range errs {
		if err != nil {
			t.Fatalf("rank %d of %d: %v", r, size, err)
		}
	}
	return group
}

// matrix is rows × 3 with a value of its own in every element, times scale.
func matrix(rows int, scale float32) tensor.Tensor {
	m := tensor.NewHost("m", tensor.F32, rows, 3)
	for i := range m.F32s() {
		m.F32s()[i] = scale * float32(i+1)
	}
	return m
}

func TestRows(t *testing.T) {
	for _, n := range []int{1, 5, 8, 24, 49152} {
		for _, size := range []int{1, 2, 3, 8} {
			at := 0
			for r := range size {
				r0, r1 := Rows(n, size, r)
				if r0 != at || r1 < r0 {
					t.Fatalf("%d rows on %d: rank %d owns [%d, %d), the one before ends at %d", n, size, r, r0, r1, at)
				}
				at = r1
			}
			if at != n {
				t.Errorf("%d rows on %d: %d are owned", n, size, at)
			}
		}
	}
}

func TestCollectives(t *testing.T) {
	for _, size := range []int{1, 2, 3, 8} {
		for _, rows := range []int{1, 7, 16, 40000} { // fewer than ranks; uneven; even; several pieces
			t.Run(fmt.Sprintf("%d ranks, %d rows", size, rows), func(t *testing.T) {
				group := ranks(t, size, func(c Comm) error { return collect(c, rows) })
				want := int64(0)
				for r, c := range group {
					r0, r1 := Rows(rows, size, r)
					bytes := int64(4 * 3)
					want = int64(size-1)*int64(r1-r0)*bytes + // gather: own rows to each other rank
						int64(rows-(r1-r0))*bytes + // reduce-scatter: the others' rows
						int64(size-1)*int64(rows)*bytes // all-reduce
					if c.Sent() != want {
						t.Errorf("rank %d sent %d bytes, planned %d", r, c.Sent(), want)
					}
				}
			})
		}
	}
}

// collect tries each collective and compares with what all ranks together must make.
func collect(c Comm, rows int) error {
	size := float32(c.Size())
	r0, r1 := Rows(rows, c.Size(), c.Rank())
	whole := matrix(rows, 1)
	full := tensor.NewHost("full", tensor.F32, rows, 3)
	if err := c.Gather(full, whole.Slice(r0, r1)); err != nil {
		return err
	}
	if err := same("gather", full, whole); err != nil {
		return err
	}
	part := tensor.NewHost("part", tensor.F32, r1-r0, 3)
	if err := c.ReduceScatter(part, matrix(rows, float32(c.Rank()+1))); err != nil {
		return err
	}
	if err := same("reduce-scatter", part, matrix(rows, size*(size+1)/2).Slice(r0, r1)); err != nil {
		return err
	}
	all := matrix(rows, float32(c.Rank()+1))
	if err := c.AllReduce(all); err != nil {
		return err
	}
	return same("all-reduce", all, matrix(rows, size*(size+1)/2))
}

func same(what string, got, want tensor.Tensor) error {
	for i, w := range want.F32s() {
		if got.F32s()[i] != w {
			return fmt.Errorf("%s: element %d is %v, want %v", what, i, got.F32s()[i], w)
		}
	}
	return nil
}

// TestSumsAreTheSameBitsEverywhere: float addition in one order on every rank.
func TestSumsAreTheSameBitsEverywhere(t *testing.T) {
	var mu sync.Mutex
	seen := map[float32]bool{}
	ranks(t, 8, func(c Comm) error {
		x := tensor.NewHost("x", tensor.F32, 1)
		x.F32s()[0] = 1 / float32(3+c.Rank()*c.Rank()*7919)
		if err := c.AllReduce(x); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		seen[x.F32s()[0]] = true
		return nil
	})
	if len(seen) != 1 {
		t.Errorf("ranks disagree: %v", seen)
	}
}

// TestAbort: a rank that fails ends the calls the others wait in.
func TestAbort(t *testing.T) {
	cause := errors.New("the card is lost")
	group := NewLocal(3)
	errs := make(chan error)
	for _, c := range group[1:] {
		go func() {
			x := tensor.NewHost("x", tensor.F64, 1)
			errs <- c.AllReduce(x)
		}()
	}
	group[0].Abort(cause)
	for range group[1:] {
		if err := <-errs; !errors.Is(err, ErrAborted) || !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
	}
}
