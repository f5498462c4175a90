package bench

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// optimizers are the updates of a matrix of the MLP, and of a norm's vector, from a float32 gradient.
func optimizers(b *bed) []kernel {
	rows, cols := b.o.Model.IntermediateSize, b.o.Model.HiddenSize
	w, g, m, v := b.of(rows, cols), b.f32(rows, cols), b.f32(rows, cols), b.f32(rows, cols)
	r, c, stats := b.f32(rows), b.f32(cols), b.varied(tensor.F64, 4)
	vec, dvec, second := b.of(cols), b.f32(cols), b.f32(cols)
	const eps1, eps2, clip = 1e-30, 1e-3, 1
	return []kernel{
		moves("Update", w, func() { b.d.Update(w, g, b.step) }, g, w, w),
		moves("FactorSums", w, func() { b.d.FactorSums(r, c, stats, w, g, eps1, b.step) }, g, w, r, c),
		moves("FactorUpdate", w, func() { b.d.FactorUpdate(w, g, r, c, stats, eps2, clip, b.step) }, g, w, w, r, c),
		moves("VectorStats", vec, func() { b.d.VectorStats(second, stats, vec, dvec, 0.99, eps1, b.step) }, dvec, vec, second, second),
		moves("VectorUpdate", vec, func() { b.d.VectorUpdate(vec, dvec, second, stats, eps2, clip, b.step) }, dvec, vec, vec, second),
		moves("AdamW", w, func() {
			b.d.AdamW(w, m, v, tensor.Tensor{}, g, device.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, T: 1}, b.step)
		}, g, w, w, m, m, v, v),
		moves("SGD", w, func() { b.d.SGD(w, m, g, device.Momentum{Momentum: 0.9}, b.step) }, g, w, w, m, m),
	}
}

// gradient is what looks at a float32 gradient without the weights.
func gradient(b *bed) []kernel {
	rows, cols := b.o.Model.IntermediateSize, b.o.Model.HiddenSize
	g, r, c, rowSums, colSums := b.f32(rows, cols), b.f32(rows), b.f32(cols), b.f32(rows), b.f32(cols)
	stats, sum, most := b.varied(tensor.F64, 4), b.full(tensor.F64, 0, 1), b.f32(1)
	return []kernel{
		moves("SumSq", g, func() { b.d.SumSq(sum, g) }, g),
		moves("Sum", g, func() { b.d.Sum(sum, g) }, g),
		moves("AbsMax", g, func() { b.d.AbsMax(most, g) }, g),
		moves("FactorEMA", r, func() { b.d.FactorEMA(r, c, stats, rowSums, colSums, 0.99, rows) }, r, r, c, c, rowSums, colSums),
		moves("FactorNorm", g, func() { b.d.FactorNorm(stats, g, r, c, b.step) }, g, r, c),
	}
}
