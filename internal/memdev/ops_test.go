package memdev

import (
	"testing"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// TestBytes: operations that go element by element count each tensor as often as it is read or written.
func TestBytes(t *testing.T) {
	const n, c = 6, 10
	d := Open(0)
	at := func(dt tensor.DType, shape ...int) tensor.Tensor { return tensor.Tensor{DType: dt, Shape: shape} }
	f, h, v := at(tensor.F32, n, c), at(tensor.BF16, n, c), at(tensor.F32, c)
	const wide, half = 4 * n * c, 2 * n * c
	for name, k := range map[string]struct {
		call func()
		want int64
	}{
		"AddRow":                        {func() { d.AddRow(h, v) }, 2 * half},
		"ColumnSum":                     {func() { d.ColumnSum(v, h, true) }, half},
		"AddScaled":                     {func() { d.AddScaled(f, h, 2) }, 2*wide + half},
		"RMSNorm":                       {func() { d.RMSNorm(h, v, f, v, device.Norm{}) }, half + wide},
		"RMSNormBackward that adds":     {func() { d.RMSNormBackward(f, v, h, h, v, v, device.Norm{}, true, false) }, 2*wide + 2*half},
		"RMSNormBackward that does not": {func() { d.RMSNormBackward(f, v, h, h, v, v, device.Norm{}, false, true) }, wide + 2*half},
		"SwiGLU":                        {func() { d.SwiGLU(h, h, h) }, 3 * half},
		"GeGLU":                         {func() { d.GeGLU(h, h, h) }, 3 * half},
		"SwiGLUBackward":                {func() { d.SwiGLUBackward(h, h, h, h, h) }, 5 * half},
		"GeGLUBackward":                 {func() { d.GeGLUBackward(h, h, h, h, h) }, 5 * half},
		"SoftCap":                       {func() { d.SoftCap(f, 30) }, 2 * wide},
		"SoftmaxGrad in place":          {func() { d.SoftmaxGrad(f, f, v, v, 0, 1, 30) }, 2 * wide},
		"SoftmaxGrad and then in BF16":  {func() { d.SoftmaxGrad(h, f, v, v, 0, 1, 0) }, 3*wide + half},
		"Zero":                          {func() { d.Zero(f) }, wide},
		"Copy":                          {func() { d.Copy(f, h) }, wide + half},
		"RoPE":                          {func() { d.RoPE(h, v, v, v, 2, false) }, 2 * half},
	} {
		d.TakeWork()
		d.TakeCalls()
		k.call()
		work, calls := d.TakeWork(), d.TakeCalls()
		sum := 0.0
		for _, b := range calls {
			sum += b
		}
		if len(work) != 1 || work[0].Elements != k.want || sum != float64(k.want) {
			t.Errorf("%s: %d bytes counted, %v in calls, want %d", name, work[0].Elements, sum, k.want)
		}
	}
}
