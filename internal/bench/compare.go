package bench

import (
	"encoding/binary"
	"fmt"
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Comparison is one kernel's results beside its twin's.
type Comparison struct {
	Kernel, Shape string
	DType         tensor.DType
	Tensor        int     // the worst one, in the order they were made
	Error, Bound  float64 // its largest error, as a share of the element and of the mean element, and what it may be
	Got, Want     float64 // there
	Differ        float64 // share of BF16 elements that differ at all, in the tensor where it is largest
}

// OK reports whether the kernel agrees with its twin.
func (c Comparison) OK() bool {
	return c.Error <= c.Bound && (c.Differ <= boundNoise || !draws[c.Kernel])
}

// draws are the kernels that round stochastically: with the same noise hardly an element comes out different, with other noise a third does.
var draws = map[string]bool{"OuterUpdate": true, "Update": true, "RowsUpdate": true, "FactorUpdate": true, "VectorUpdate": true, "AdamW": true, "SGD": true}

// moving is an update that moves its weights by a tenth and more, so that one that is left out shows. Its noise has the same bits everywhere.
var moving = device.Step{LR: 0.25, Round: device.Stochastic, Seed: 1, Number: 3, Tensor: 5, Base: 7}

// Bounds of Comparison.Error. Sums in other orders differ by float32 rounding; a BF16 result may round to the other neighbour, and where factors
// are BF16 probabilities are rounded to it too. Measured for kernels of cudakern against cpukern: 4e-6 and 7e-3.
const (
	boundF32  = 1.5e-5
	boundBF16 = 2e-2

	boundNoise = 0.02
)

// Compare calls every kernel on d and on twin with the same tensors and gives each comparison to report. Every kernel begins with what the twin had
// before it, so that an error shows where it is made. It fails when a device does, or report.
func Compare(d, twin device.Device, o Options, report func(Comparison) error) error {
	return eachGroup(o.Model, func(g group, dt tensor.DType) error { return compareGroup(d, twin, o, g, dt, report) })
}

func compareGroup(d, twin device.Device, o Options, g group, dt tensor.DType, report func(Comparison) error) error {
	defer d.Memory().Release(d.Memory().Mark())
	defer twin.Memory().Release(twin.Memory().Mark())
	a, b := &bed{d: d, o: o, dt: dt, step: moving}, &bed{d: twin, o: o, dt: dt, step: moving}
	got, want := g.kernels(a), g.kernels(b)
	for _, err := range []error{a.err, b.err} {
		if err != nil {
			return err
		}
	}
	for i := range got {
		got[i].call()
		want[i].call()
		c := Comparison{Kernel: got[i].name, Shape: got[i].shape, DType: dt}
		if err := compareBeds(a, b, &c); err != nil {
			return fmt.Errorf("%s: %w", c.Kernel, err)
		}
		if err := report(c); err != nil {
			return err
		}
	}
	return nil
}

// compareBeds finds the worst tensor, and makes those of a equal to those of b.
func compareBeds(a, b *bed, c *Comparison) error {
	for i := range a.made {
		x, y := make([]byte, a.made[i].Bytes()), make([]byte, b.made[i].Bytes())
		a.d.CopyOut(x, a.made[i])
		b.d.CopyOut(y, b.made[i])
		for _, d := range []device.Device{a.d, b.d} {
			if err := d.Sync(); err != nil {
				return err
			}
		}
		one := compareTensors(values(x, a.made[i].DType), values(y, b.made[i].DType), a.made[i].DType)
		if one.Bound > 0 && (c.Bound == 0 || one.Error/one.Bound > c.Error/c.Bound) {
			c.Tensor, c.Error, c.Bound, c.Got, c.Want = i, one.Error, one.Bound, one.Got, one.Want
		}
		c.Differ = max(c.Differ, one.Differ)
		a.d.CopyIn(a.made[i], y)
	}
	return nil
}

// compareTensors is the largest error; an infinity or NaN on one side alone is an infinite one.
func compareTensors(got, want []float64, dt tensor.DType) Comparison {
	c := Comparison{Bound: boundF32}
	if dt == tensor.BF16 {
		c.Bound = boundBF16
	}
	mean, finite := 0.0, 0 // of what is finite: an infinity among them would make every error 0
	for _, w := range want {
		if !math.IsNaN(w) && !math.IsInf(w, 0) {
			mean += math.Abs(w)
			finite++
		}
	}
	mean /= float64(max(1, finite))
	for i, w := range want {
		if got[i] == w || math.IsNaN(w) && math.IsNaN(got[i]) {
			continue
		}
		if dt == tensor.BF16 {
			c.Differ += 1 / float64(len(want))
		}
		e := math.Abs(got[i]-w) / (math.Abs(w) + mean)
		if math.IsNaN(e) {
			e = math.Inf(1)
		}
		if e > c.Error {
			c.Error, c.Got, c.Want = e, got[i], w
		}
	}
	return c
}

func values(raw []byte, dt tensor.DType) []float64 {
	vals := make([]float64, len(raw)/dt.Size())
	for i := range vals {
		switch dt {
		case tensor.BF16:
			vals[i] = float64(tensor.BF16ToF32(binary.LittleEndian.Uint16(raw[2*i:])))
		case tensor.F32:
			vals[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
		case tensor.F64:
			vals[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		case tensor.I32:
			vals[i] = float64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
		default:
			panic("bench: no values of " + dt.String())
		}
	}
	return vals
}
