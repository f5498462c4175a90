package cpukern

import (
	"fmt"
	"time"

	"lomo/internal/tensor"
)

const (
	spinTime = time.Millisecond // of a task, about: long enough for the clock to settle, short enough that some are not interrupted

	peakRounds, bandwidthRounds = 30, 20 // the fastest counts: the others were disturbed
)

// spinner is a loop of multiply-adds: n turns of so many floating-point operations, two a multiply-add.
type spinner struct {
	turn func(ws *workspace, n int)
	ops  int
}

// spinners are the loops that may be the fastest. Multiply-adds of registers alone are it on most processors. The product's kernel, on panels
// that never leave the first-level cache, is it where so many in a row make the clock slower: Zen 4 does 15 % less of BF16 pairs.
func (k *kernels) spinners(unit int) (all []spinner) {
	if k.peak != nil {
		all = append(all, *k.peak)
	}
	if k.micro != nil {
		all = append(all, spinner{func(ws *workspace, n int) {
			a, b, c := ws.floats(spinDepth*k.mr), ws.floats(spinDepth*k.nr), ws.floats(k.mr*k.nr)
			clear(a)
			clear(b)
			for range n {
				k.micro(spinDepth, &a[0], &b[0], &c[0], k.nr, false)
			}
		}, 2 * k.mr * k.nr * spinDepth * unit})
	}
	return all
}

const spinDepth = 256 // steps of a tile

// turns is how many take spinTime.
func (s *spinner) turns(ws *workspace) int {
	for n := 1; ; n *= 2 {
		ws.reset()
		began := time.Now()
		if s.turn(ws, n); time.Since(began) >= spinTime/2 {
			return n * 2
		}
	}
}

// registers is a spinner that needs no memory.
func registers(turn func(n int), ops int) *spinner {
	return &spinner{func(_ *workspace, n int) { turn(n) }, ops}
}

// PeakFLOPS is the measured peak of all threads for products of two factors of dt, in floating-point operations a second.
func (d *Device) PeakFLOPS(dt tensor.DType) (peak float64) {
	half := floats{half: dt == tensor.BF16}
	k, unit := d.k.forMatrices(half, half)
	for _, s := range k.spinners(unit) {
		turns := s.turns(d.pool.ws[0])
		took := fastest(peakRounds, func() { d.pool.run(d.Threads(), func(ws *workspace, _ int) { s.turn(ws, turns) }) })
		peak = max(peak, float64(turns*s.ops)*float64(d.Threads())/took.Seconds())
	}
	return peak
}

// Bandwidth is the measured speed of the memory, of all threads, in bytes a second read and written: of copying (one read, one
// write) and of the triad y += a·x in float32 (two reads, one write). Each buffer has so many bytes: several times the caches.
// It fails when the arena has no room for two buffers.
func (d *Device) Bandwidth(bytes int64) (copying, triad float64, err error) {
	defer d.arena.Release(d.arena.Mark())
	var xy [2][]float32
	for i := range xy {
		t, err := d.Scratch("bandwidth", fmt.Sprintf("buffer %d", i), tensor.F32, int(bytes/4))
		if err != nil {
			return 0, 0, err
		}
		xy[i] = t.F32s()
		clear(xy[i]) // the pages must be there before the clock starts
	}
	x, y := xy[0], xy[1]
	each := func(f func(y, x []float32)) float64 { // blocks are short, so that no thread waits long for the last one
		took := fastest(bandwidthRounds, func() {
			d.pool.blocks(len(x), sumBlock, func(_ *workspace, _, lo, hi int) { f(y[lo:hi], x[lo:hi]) })
		})
		return float64(4*len(x)) / took.Seconds()
	}
	copying = 2 * each(func(y, x []float32) { copy(y, x) })
	triad = 3 * each(func(y, x []float32) { d.k.axpy(y, x, 0.5) })
	return copying, triad, nil
}

// fastest is the shortest time f takes in so many rounds.
func fastest(rounds int, f func()) time.Duration {
	var best time.Duration
	for i := range rounds {
		began := time.Now()
		f()
		if took := time.Since(began); i == 0 || took < best {
			best = took
		}
	}
	return max(best, 1) // a clock may be coarse
}

// Threads is how many threads share an operation.
func (d *Device) Threads() int { return len(d.pool.ws) }
