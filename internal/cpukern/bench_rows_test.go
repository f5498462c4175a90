//go:build unix

package cpukern

import (
	"testing"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// BenchmarkRows is everything that is not a product, at SmolLM2-135M's sizes, in bytes of its tensors a second.
func BenchmarkRows(b *testing.B) {
	const n, c, f = 1024, 576, 1536
	d := openTest(b, Options{})
	defer d.Close() //nolint:errcheck // a device of a benchmark
	act := func(cols int) tensor.Tensor { return benchTensor(b, d, tensor.BF16, n, cols) }
	f32 := func(shape ...int) tensor.Tensor { return benchTensor(b, d, tensor.F32, shape...) }
	x, y, w, rstd, dw := act(c), act(c), benchTensor(b, d, tensor.BF16, c), f32(n), f32(c)
	act0, turned, dbias := act(c), act(c), f32(f)
	gate, up, out, out2, dact := act(f), act(f), act(f), act(f), act(f)
	head, f32n9 := benchTensor(b, d, tensor.BF16, 64), f32(n*9)
	pos, _ := d.Alloc("bench", "pos", tensor.I32, n)
	cos, sin := f32(n, 32), f32(n, 32)
	d.Zero(sin)
	weight, grad, r, col, stats := benchTensor(b, d, tensor.BF16, f, c), f32(f, c), f32(f), f32(c), benchTensor(b, d, tensor.F64, 4)
	m, v := f32(f, c), f32(f, c)
	z, targets, lse, st := f32(256, 8192), pos.View(n).Slice(0, 256), f32(256), f32(256, 3)
	step := device.Step{LR: 1e-9, Round: device.Stochastic, Seed: 1}
	for i := range cos.F32s() {
		cos.F32s()[i] = 1 // repeated turning must not grow
	}
	for _, op := range []struct {
		name  string
		bytes int64
		f     func()
	}{
		{"AddRow", gate.Bytes() * 2, func() { d.AddRow(gate, up.View(n*f).Slice(0, f)) }},
		{"ColumnSum", gate.Bytes(), func() { d.ColumnSum(dbias, gate, false) }},
		{"AddScaled", x.Bytes() * 3, func() { d.AddScaled(x, act0, 0) }},
		{"RMSNorm", x.Bytes() * 2, func() { d.RMSNorm(y, rstd, x, w, device.Norm{Eps: 1e-5}) }},
		{"RMSNormBackward", x.Bytes() * 4, func() { d.RMSNormBackward(y, dw, x, x, w, rstd, device.Norm{}, true, false) }},
		{"RMSNorm of heads", x.Bytes() * 2, func() {
			d.RMSNorm(y.View(n*9, 64), f32n9, x.View(n*9, 64), head, device.Norm{PlusOne: true})
		}},
		{"RMSNormBackward of heads", x.Bytes() * 3, func() {
			d.RMSNormBackward(y.View(n*9, 64), dw.Slice(0, 64), x.View(n*9, 64), x.View(n*9, 64), head, f32n9, device.Norm{PlusOne: true}, false, false)
		}},
		{"RoPE", x.Bytes() * 2, func() { d.RoPE(turned, pos, cos, sin, 64, false) }},
		{"SwiGLU", gate.Bytes() * 3, func() { d.SwiGLU(out, gate, up) }},
		{"SwiGLUBackward", gate.Bytes() * 5, func() { d.SwiGLUBackward(out, out2, dact, gate, up) }},
		{"GeGLU", gate.Bytes() * 3, func() { d.GeGLU(out, gate, up) }},
		{"GeGLUBackward", gate.Bytes() * 5, func() { d.GeGLUBackward(out, out2, dact, gate, up) }},
		{"Copy", x.Bytes() * 3, func() { d.Copy(m.Slice(0, n).View(n, c), act0) }},
		{"SumSq", grad.Bytes(), func() { d.SumSq(stats.Slice(0, 1), grad) }},
		{"Update", grad.Bytes() * 2, func() { d.Update(weight, grad, step) }},
		{"FactorSums", grad.Bytes() + weight.Bytes(), func() { d.FactorSums(r, col, stats, weight, grad, 1e-30, step) }},
		{"FactorNorm", grad.Bytes(), func() { d.FactorNorm(stats, grad, r, col, step) }},
		{"FactorUpdate", grad.Bytes() + 2*weight.Bytes(), func() { d.FactorUpdate(weight, grad, r, col, stats, 1e-3, 1, step) }},
		{"AdamW", grad.Bytes()*5 + 2*weight.Bytes(), func() {
			d.AdamW(weight, m, v, tensor.Tensor{}, grad, device.AdamW{Beta1: .9, Beta2: .99, Eps: 1e-8, T: 1}, step)
		}},
		{"SGD", grad.Bytes()*3 + 2*weight.Bytes(), func() { d.SGD(weight, m, grad, device.Momentum{Momentum: .9}, step) }},
		{"SoftmaxStats", z.Bytes(), func() { d.SoftmaxStats(st, z, targets, 0, true) }},
		{"SoftmaxGrad", z.Bytes() * 2, func() { d.SoftmaxGrad(z, z, lse, targets, 0, 1, 0) }},
		{"SoftCap", z.Bytes() * 2, func() { d.SoftCap(z, 30) }},
		{"SoftmaxGrad of capped", z.Bytes() * 2, func() { d.SoftmaxGrad(z, z, lse, targets, 0, 1, 30) }},
	} {
		b.Run(op.name, func(b *testing.B) {
			b.SetBytes(op.bytes)
			for b.Loop() {
				op.f()
			}
			if err := d.Sync(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
