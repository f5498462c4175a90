package cpukern

import (
	"math/rand/v2"
	"testing"

	"lomo/internal/device"
	"lomo/internal/memdev"
	"lomo/internal/tensor"
)

// TestFactorsBoundTheWorkspace: what operations pack into is no more than a plan counts for them, at every level and of every shape.
func TestFactorsBoundTheWorkspace(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, level := range Levels() {
		d, err := Open(Options{Level: level, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close() //nolint:errcheck // a device of a test
		for range 40 {
			n, out, in := 1+rnd.IntN(300), 1+rnd.IntN(500), 1+rnd.IntN(500)
			dt := []tensor.DType{tensor.BF16, tensor.F32}[rnd.IntN(2)]
			x, y, w := tensor.NewHost("x", dt, n, in), tensor.NewHost("y", dt, n, out), tensor.NewHost("w", dt, out, in)
			g, gain, sum := tensor.NewHost("g", tensor.F32, out, in), tensor.NewHost("gain", dt, in), tensor.NewHost("sum", tensor.F64, 1)
			rstd, dgain := tensor.NewHost("rstd", tensor.F32, n), tensor.NewHost("dgain", tensor.F32, in)
			for name, f := range map[string]func(device.Device){
				"MatMul":              func(d device.Device) { d.MatMul(y, x, w, false) },
				"MatMulBackwardInput": func(d device.Device) { d.MatMulBackwardInput(x, y, w, false) },
				"OuterAdd":            func(d device.Device) { d.OuterAdd(g, y, x, false) },
				"OuterUpdate":         func(d device.Device) { d.OuterUpdate(w, y, x, device.Step{}) },
				"OuterSumSq":          func(d device.Device) { d.OuterSumSq(sum, y, x) },
				"RMSNormBackward":     func(d device.Device) { d.RMSNormBackward(x, dgain, x, x, gain, rstd, device.Norm{}, true, false) },
				"ColumnSum":           func(d device.Device) { d.ColumnSum(dgain, x, false) },
			} {
				plan := memdev.Open(0)
				f(plan)
				d.packed.used = 0
				f(d)
				if used := int64(d.packed.used); used > plan.Factors() {
					t.Errorf("%s at %s, %d x %d x %d in %v: packed %d bytes, planned %d", name, level, n, out, in, dt, used, plan.Factors())
				}
			}
		}
	}
}
