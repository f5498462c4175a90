//go:build unix

package cpukern

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// The peak a benchmark is compared with is PeakFLOPS's. Both are taken per second of processor time, so that other work on the
// machine disturbs the share less than the wall clock.
var peaks sync.Map // level and type → floating-point operations a processor nanosecond

func peak(b *testing.B, d *Device, dt tensor.DType) float64 {
	b.Helper()
	k, unit := d.k.forMatrices(floats{half: dt == tensor.BF16}, floats{half: dt == tensor.BF16})
	key := fmt.Sprint(d.k.name, unit)
	if p, ok := peaks.Load(key); ok {
		return p.(float64)
	}
	best := 0.0
	for _, s := range k.spinners(unit) {
		turns := s.turns(d.pool.ws[0])
		for range peakRounds {
			d.pool.ws[0].reset()
			began := processorTime()
			s.turn(d.pool.ws[0], turns)
			best = max(best, float64(turns*s.ops)/float64(processorTime()-began))
		}
	}
	peaks.Store(key, best)
	return best
}

// BenchmarkPeak is the peak itself, of one thread.
func BenchmarkPeak(b *testing.B) {
	d := openTest(b, Options{})
	defer d.Close() //nolint:errcheck // a device of a benchmark
	for _, dt := range []tensor.DType{tensor.BF16, tensor.F32} {
		b.Run(dt.String(), func(b *testing.B) { b.ReportMetric(peak(b, d, dt), "GFLOP/s/thread") })
	}
}

// processorTime is what all threads of the process have used.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs f in the benchmark's loop and reports GFLOP/s by the wall clock and the share of the peak by processor time.
func measure(b *testing.B, d *Device, dt tensor.DType, flops float64, f func()) {
	b.Helper()
	top, began, times := peak(b, d, dt), processorTime(), 0.0
	for b.Loop() {
		f()
		times++
	}
	b.ReportMetric(flops*times/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
	b.ReportMetric(100*flops*times/float64(processorTime()-began)/top, "%peak")
}

// benchTensor is filled with something that is not zero.
func benchTensor(b *testing.B, d *Device, dt tensor.DType, shape ...int) tensor.Tensor {
	b.Helper()
	t, err := d.Alloc("bench", "t", dt, shape...)
	if err != nil {
		b.Fatal(err)
	}
	row := make([]float32, t.Cols())
	for r := range t.Rows() {
		for i := range row {
			row[i] = float32((r*31+i*7)%17+1) / 16
		}
		switch dt {
		case tensor.F32:
			copy(t.F32s()[r*len(row):], row)
		case tensor.BF16:
			narrowGeneric(t.U16s()[r*len(row):][:len(row)], row)
		}
	}
	return t
}

type benchShape struct{ n, in, out int }

func (s benchShape) flops() float64 { return 2 * float64(s.n) * float64(s.in) * float64(s.out) }

var benchShapes = []benchShape{
	{1024, 576, 576}, {1024, 576, 1536}, {1024, 1536, 576}, {1024, 576, 192}, {4096, 576, 1536}, {256, 576, 8192}, {1024, 2048, 2048}, {512, 4096, 4096}, {512, 4096, 11008},
}

// eachLinear runs f for the shapes of SmolLM2-135M's layers, a part of its head, a larger square one, and LLaMA-7B's.
func eachLinear(b *testing.B, f func(b *testing.B, d *Device, s benchShape, dt tensor.DType)) {
	for _, s := range benchShapes {
		for _, dt := range []tensor.DType{tensor.BF16, tensor.F32} {
			b.Run(fmt.Sprintf("%dx%dx%d/%s", s.n, s.in, s.out, map[tensor.DType]string{tensor.BF16: "bf16", tensor.F32: "f32"}[dt]), func(b *testing.B) {
				d := openTest(b, Options{})
				defer d.Close() //nolint:errcheck // a device of a benchmark
				f(b, d, s, dt)
			})
		}
	}
}

func BenchmarkMatMul(b *testing.B) {
	eachLinear(b, func(b *testing.B, d *Device, s benchShape, dt tensor.DType) {
		x, w, y := benchTensor(b, d, dt, s.n, s.in), benchTensor(b, d, dt, s.out, s.in), benchTensor(b, d, dt, s.n, s.out)
		measure(b, d, dt, s.flops(), func() { d.MatMul(y, x, w, false) })
	})
}

func BenchmarkMatMulBackwardInput(b *testing.B) {
	eachLinear(b, func(b *testing.B, d *Device, s benchShape, dt tensor.DType) {
		x, w, y := benchTensor(b, d, dt, s.n, s.in), benchTensor(b, d, dt, s.out, s.in), benchTensor(b, d, dt, s.n, s.out)
		measure(b, d, dt, s.flops(), func() { d.MatMulBackwardInput(x, y, w, false) })
	})
}

func BenchmarkOuterUpdate(b *testing.B) {
	eachLinear(b, func(b *testing.B, d *Device, s benchShape, dt tensor.DType) {
		x, w, y := benchTensor(b, d, dt, s.n, s.in), benchTensor(b, d, dt, s.out, s.in), benchTensor(b, d, dt, s.n, s.out)
		step := device.Step{LR: 1e-9, Round: device.Stochastic, Seed: 1}
		measure(b, d, dt, s.flops(), func() { d.OuterUpdate(w, y, x, step) })
	})
}

// BenchmarkOuterSumSq is counted as the product whose norm it gives, also where pairs of tokens give it (ghost.go).
func BenchmarkOuterSumSq(b *testing.B) {
	for _, s := range []benchShape{{256, 576, 1536}, {1024, 576, 1536}, {512, 4096, 4096}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s.n, s.in, s.out), func(b *testing.B) {
			d := openTest(b, Options{})
			defer d.Close() //nolint:errcheck // a device of a benchmark
			x, y, sum := benchTensor(b, d, tensor.BF16, s.n, s.in), benchTensor(b, d, tensor.BF16, s.n, s.out), benchTensor(b, d, tensor.F64, 1)
			measure(b, d, tensor.BF16, s.flops(), func() { d.OuterSumSq(sum, y, x) })
		})
	}
}

// BenchmarkGenerate is the product of one token with a layer's weights, bound by reading them.
func BenchmarkGenerate(b *testing.B) {
	d := openTest(b, Options{})
	defer d.Close() //nolint:errcheck // a device of a benchmark
	x, w, y := benchTensor(b, d, tensor.BF16, 1, 4096), benchTensor(b, d, tensor.BF16, 16384, 4096), benchTensor(b, d, tensor.F32, 1, 16384)
	b.SetBytes(w.Bytes())
	for b.Loop() {
		d.MatMul(y, x, w, false)
	}
}

func BenchmarkAttention(b *testing.B) {
	for _, t := range []int{256, 1024, 4096} {
		for _, backward := range []bool{false, true} {
			b.Run(fmt.Sprintf("1x%dx9x3x64/backward=%v", t, backward), func(b *testing.B) {
				d := openTest(b, Options{})
				defer d.Close() //nolint:errcheck // a device of a benchmark
				const hq, hkv, hd = 9, 3, 64
				q, o := benchTensor(b, d, tensor.BF16, 1, t, hq*hd), benchTensor(b, d, tensor.BF16, 1, t, hq*hd)
				k, v := benchTensor(b, d, tensor.BF16, 1, t, hkv*hd), benchTensor(b, d, tensor.BF16, 1, t, hkv*hd)
				start, _ := d.Alloc("bench", "start", tensor.I32, 1, t)
				lse := benchTensor(b, d, tensor.F32, 1, hq, t)
				products := 2.0
				if backward {
					products = 5
				}
				// Half of the square, two operations each; padding and the second making of the scores do not count as work.
				measure(b, d, tensor.F32, products*float64(t)*float64(t)*hq*hd, func() {
					if backward {
						d.AttentionBackward(q, k, v, o, o, lse, q, k, v, start, device.Heads{Dim: hd})
					} else {
						d.Attention(o, lse, q, k, v, start, device.Heads{Dim: hd})
					}
				})
			})
		}
	}
}
