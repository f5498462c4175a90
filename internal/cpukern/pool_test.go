package cpukern

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestPool: every task of many short operations runs once, and is over when run returns, with more threads than processors and pauses in
// which they fall asleep.
func TestPool(t *testing.T) {
	for _, threads := range []int{2, 3, 7} {
		p, err := newPool(threads)
		if err != nil {
			t.Fatal(err)
		}
		var running atomic.Int64
		counts := make([]int, 16)
		for round := range 4000 {
			n := 1 + round%len(counts)
			p.run(n, func(_ *workspace, i int) {
				running.Add(1)
				counts[i]++
				for range round % 7 * 100 {
					running.Load()
				}
				running.Add(-1)
			})
			if r := running.Load(); r != 0 {
				t.Fatalf("%d threads, round %d: %d tasks still run", threads, round, r)
			}
			for i, c := range counts {
				if i < n && c != 1 {
					t.Fatalf("%d threads, round %d: task %d ran %d times", threads, round, i, c)
				}
				counts[i] = 0
			}
			if round%97 == 0 {
				time.Sleep(200 * time.Microsecond)
			}
		}
		p.close()
	}
}

// TestPoolLateWake: a wake-up that comes when the helper has already taken part in the operation changes nothing.
func TestPoolLateWake(t *testing.T) {
	p, err := newPool(2)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	h := p.helpers[0]
	for range 50 {
		var ran atomic.Int64
		p.run(4, func(*workspace, int) { ran.Add(1) })
		for !h.sleeping.CompareAndSwap(true, false) {
			time.Sleep(10 * time.Microsecond)
		}
		h.wake <- struct{}{} // as a caller does that was held up before it woke anybody
		for !h.sleeping.Load() {
			time.Sleep(10 * time.Microsecond) // it looks, and falls asleep again
		}
		if left := p.busy.left.Load(); ran.Load() != 4 || left != 0 {
			t.Fatalf("%d tasks ran, want 4; %d helpers are waited for, want 0", ran.Load(), left)
		}
	}
}
