// Package bench measures a device: its limits, and every kernel of the device seam at the shapes of a model, as a share of
// them. It sees device.Device alone, so that it measures any backend.
//
// Times are the fastest of several rounds by the wall clock: what the machine can do, not what it does beside other work. A
// kernel runs again and again on the same tensors; at small shapes these stay in the caches, and a kernel bound by memory may
// then show more than the memory's bandwidth.
package bench

import (
	"fmt"
	"time"

	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/tensor"
)

// Machine is a device that can measure what its hardware does at most.
type Machine interface {
	device.Device
	PeakFLOPS(tensor.DType) float64                            // products of two factors of this type, floating-point operations a second
	Bandwidth(bytes int64) (copying, triad float64, err error) // bytes a second, with buffers of so many bytes
}

// DTypes are the types of weights and activations that are measured, in the order of the results.
var DTypes = []tensor.DType{tensor.BF16, tensor.F32}

// Limits are what a machine does at most.
type Limits struct {
	FLOPS       map[tensor.DType]float64 // floating-point operations a second
	Copy, Triad float64                  // bytes a second
}

// Measure takes the limits of m; each buffer of the memory's test has so many bytes.
func Measure(m Machine, buffer int64) (Limits, error) {
	l := Limits{FLOPS: map[tensor.DType]float64{}}
	for _, dt := range DTypes {
		l.FLOPS[dt] = m.PeakFLOPS(dt)
	}
	var err error
	l.Copy, l.Triad, err = m.Bandwidth(buffer)
	return l, err
}

// Bandwidth is the larger of the two, in bytes a second.
func (l Limits) Bandwidth() float64 { return max(l.Copy, l.Triad) }

// Options say what is measured.
type Options struct {
	Model  *model.Config
	Tokens int           // rows of activations; Rows gives a number the machine is fast enough for
	Budget time.Duration // for one kernel at one shape, after a first call that is not counted
}

// Rows is a number of tokens up to want for which the largest product of c takes at most a quarter of a second at flops.
func Rows(c *model.Config, flops float64, want int) int {
	const seconds, least = 0.25, 16
	largest := 2 * float64(c.HiddenSize) * float64(max(c.HiddenSize, c.IntermediateSize))
	for want > least && float64(want)*largest > seconds*flops {
		want /= 2
	}
	return want
}

// Result is one kernel at one shape.
type Result struct {
	Kernel string // a method of device.Device
	Shape  string // 1024x576x1536: tokens, input, output of a product; the main tensor of another kernel
	DType  tensor.DType
	Time   time.Duration // of one call, at least 1 ns
	FLOPs  float64       // of one call; 0: what it does is bound by memory
	Bytes  int64         // of one call: its tensors, each as often as it must be read or written
}

// Rate is floating-point operations a second, for a kernel without any bytes a second.
func (r Result) Rate() float64 {
	if r.FLOPs > 0 {
		return r.FLOPs / r.Time.Seconds()
	}
	return float64(r.Bytes) / r.Time.Seconds()
}

// Share is the rate as a share of the machine's peak or bandwidth.
func (r Result) Share(l Limits) float64 {
	if r.FLOPs > 0 {
		return r.Rate() / l.FLOPS[r.DType]
	}
	return r.Rate() / l.Bandwidth()
}

// Run measures every kernel and gives each result to report as it comes. Memory is taken for one group of kernels at a time,
// the largest holds four matrices of the MLP in float32. It fails when the device does, or report.
func Run(d device.Device, o Options, report func(Result) error) error {
	return eachGroup(o.Model, func(g group, dt tensor.DType) error { return runGroup(d, o, g, dt, report) })
}

func eachGroup(c *model.Config, f func(group, tensor.DType) error) error {
	for _, g := range groups(c) {
		for _, dt := range DTypes {
			if g.only != tensor.Invalid && g.only != dt {
				continue
			}
			if err := f(g, dt); err != nil {
				return fmt.Errorf("%s in %v: %w", g.name, dt, err)
			}
		}
	}
	return nil
}

func runGroup(d device.Device, o Options, g group, dt tensor.DType, report func(Result) error) error {
	defer d.Memory().Release(d.Memory().Mark())
	b := &bed{d: d, o: o, dt: dt, step: still}
	kernels := g.kernels(b)
	if b.err != nil {
		return b.err
	}
	for _, k := range kernels {
		took, err := fastest(d, o.Budget, k.call)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		r := Result{Kernel: k.name, Shape: k.shape, DType: dt, Time: took, FLOPs: k.flops, Bytes: k.bytes}
		if err := report(r); err != nil {
			return err
		}
	}
	return nil
}

// fastest is the shortest time of one call within the budget. A round is many calls where one is short, for the clock and for
// devices that queue; there is always one round.
func fastest(d device.Device, budget time.Duration, call func()) (time.Duration, error) {
	call() // pages and caches
	if err := d.Sync(); err != nil {
		return 0, err
	}
	const round = time.Millisecond
	calls, best := 1, time.Duration(0)
	for end := time.Now().Add(budget); best == 0 || time.Now().Before(end); {
		began := time.Now()
		for range calls {
			call()
		}
		if err := d.Sync(); err != nil {
			return 0, err
		}
		took := max(time.Since(began)/time.Duration(calls), 1)
		if best == 0 || took < best {
			best = took
		}
		calls = max(1, int(round/best))
	}
	return best, nil
}
