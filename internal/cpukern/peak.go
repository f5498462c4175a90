package cpukern

import (
	"fmt"
	"time"

	"lomo/internal/tensor"
)

const (
	spinDepth = 256 // steps of one tile: its panels stay in the first-level cache
	spinTimes = 500 // tiles a task: under a millisecond, so that some tasks are not interrupted

	peakRounds, bandwidthRounds = 100, 20 // the fastest counts: the others were disturbed
)

// spin makes spinTimes tiles of the matrix product from panels that never leave the first-level cache: the multiply-adds of
// the level and as little else as a kernel can have. It is called on the kernels that forMatrices returns.
func (k *kernels) spin(ws *workspace) {
	if k.spinning != nil {
		k.spinning()
		return
	}
	pa, pb, c := ws.floats(spinDepth*k.mr), ws.floats(spinDepth*k.nr), ws.floats(k.mr*k.nr)
	clear(pa)
	clear(pb)
	for range spinTimes {
		k.micro(spinDepth, &pa[0], &pb[0], &c[0], k.nr, false)
	}
}

// spinOps is the floating-point operations of one spin: two a multiply-add; unit is forMatrices'.
func (k *kernels) spinOps(unit int) float64 { return 2 * float64(k.mr*k.nr*spinDepth*spinTimes*unit) }

// PeakFLOPS is the measured peak of all threads for products of two factors of dt, in floating-point operations a second.
func (d *Device) PeakFLOPS(dt tensor.DType) float64 {
	half := floats{half: dt == tensor.BF16}
	k, unit := d.k.forMatrices(half, half)
	took := fastest(peakRounds, func() { d.pool.run(d.Threads(), func(ws *workspace, _ int) { k.spin(ws) }) })
	return k.spinOps(unit) * float64(d.Threads()) / took.Seconds()
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
