package cudakern

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// AdaLomo in the parts device.Device lists; kernels/adalomo.cu says what each computes.

// factored checks the shapes of a matrix gradient g (m, n) and the factors of its second moment.
func factored(op string, g, r, c tensor.Tensor) (m, n int) {
	m, n = rowsCols(g)
	wantLen(op, r, m)
	wantLen(op, c, n)
	wantType(op, tensor.F32, g, r, c)
	return m, n
}

func wantStats(op string, stats tensor.Tensor) {
	wantLen(op, stats, 4)
	wantType(op, tensor.F64, stats)
}

// FactorSums is rows[i] = Σ_j (h²+eps1), cols[j] = Σ_i (h²+eps1), stats[0] = Σw².
func (d *Device) FactorSums(rows, cols, stats, w, g tensor.Tensor, eps1 float32, s device.Step) {
	const op = "FactorSums"
	m, n := factored(op, g, rows, cols)
	wantLen(op, w, g.Len())
	wantStats(op, stats)
	if !d.ready() {
		return
	}
	warps := min(ceilDiv(n, 256), rowWarps)
	blocks := ceilDiv(n, 256*warps)
	ranges, perRange := split(m, n)
	rowPart := d.partials(m*blocks+ranges*n, 4)
	colPart := rowPart + uint64(4*m*blocks+15)&^15
	word, number := d.failure(op, w)
	args := append([]any{rowPart, colPart, g, m, n, perRange, eps1, word, number}, stepArgs(s)...)
	d.launch(op, "factor_sums", dim{blocks, ranges, 1}, dim{32 * warps, 1, 1}, 0, args...)
	d.launch(op, "add_rows", each(m), flatBlock, 0, rows, rowPart, m, blocks)
	d.launch(op, "add_ranges", each(n), flatBlock, 0, cols, colPart, ranges, n, false)
	d.squares(op, w) // over the same scratch: the partial sums above have been read
	d.addPartials(op, stats, reduceBlocks(w.Len()), false)
}

// FactorEMA is r ← β·r + (1−β)·rows/n, c ← β·c + (1−β)·cols/wholeRows, stats[1] = Σr, stats[3] = wholeRows.
func (d *Device) FactorEMA(r, c, stats, rows, cols tensor.Tensor, beta float32, wholeRows int) {
	const op = "FactorEMA"
	m, n := r.Len(), c.Len()
	wantLen(op, rows, m)
	wantLen(op, cols, n)
	wantStats(op, stats)
	wantType(op, tensor.F32, r, c, rows, cols)
	if d.ready() {
		d.launch(op, "factor_ema", dim{1, 1, 1}, loneBlock, 0, r, rows, m, beta, float32(n), stats, float64(wholeRows))
		d.launch(op, "factor_ema", each(n), flatBlock, 0, c, cols, n, beta, float32(wholeRows), uint64(0), float64(0))
	}
}

// rootsAt is where the roots of the factors lie in the scratch, behind the partial sums of FactorNorm.
const rootsAt = 64 << 10

// factorRoots leaves the roots of the factors and the step's two numbers in the scratch.
func (d *Device) factorRoots(op string, r, c, stats tensor.Tensor, m, n int, eps2, dd float32, s device.Step) uint64 {
	roots := d.partials(m+n+2+rootsAt/4, 4) + rootsAt
	d.launch(op, "factor_roots", each(m+n+1), flatBlock, 0, roots, r, c, stats, m, n, s.LR, s.Decay, eps2, dd)
	return roots
}

// FactorNorm is stats[2] = Σu².
func (d *Device) FactorNorm(stats, g, r, c tensor.Tensor, s device.Step) {
	const op = "FactorNorm"
	m, n := factored(op, g, r, c)
	wantStats(op, stats)
	if !d.ready() {
		return
	}
	roots := d.factorRoots(op, r, c, stats, m, n, 0, 1, s)
	_, block := rowsOf(m, n)
	blocks := min(m, normMost)
	d.launch(op, "factor_norm", dim{blocks, 1, 1}, block, 0, append([]any{d.scratch, g, roots, m, n}, stepArgs(s)...)...)
	d.addPartials(op, stats.Slice(2, 3), blocks, false)
}

// FactorUpdate is w ← w·(1−a·Decay) − a·u/max(1, rms(u)/d), a = LR·max(eps2, rms(w)).
func (d *Device) FactorUpdate(w, g, r, c, stats tensor.Tensor, eps2, dd float32, s device.Step) {
	const op = "FactorUpdate"
	m, n := factored(op, g, r, c)
	wantLen(op, w, g.Len())
	wantStats(op, stats)
	if !d.ready() {
		return
	}
	roots := d.factorRoots(op, r, c, stats, m, n, eps2, dd, s)
	grid, block := rowsOf(m, n)
	d.launch(op, "factor_update", grid, block, 0, append([]any{w, g, roots, m, n, halves(op, w)}, stepArgs(s)...)...)
}

// VectorStats is v ← β·v + (1−β)(h²+eps1), stats[0] = Σw², stats[2] = Σ(h·v^−½)².
func (d *Device) VectorStats(v, stats, w, g tensor.Tensor, beta, eps1 float32, s device.Step) {
	const op = "VectorStats"
	wantLen(op, v, g.Len())
	wantLen(op, w, g.Len())
	wantStats(op, stats)
	wantType(op, tensor.F32, v, g)
	if d.ready() {
		word, number := d.failure(op, w)
		args := []any{v, stats, w, g, g.Len(), beta, eps1, halves(op, w), word, number}
		d.launch(op, "vector_stats", dim{1, 1, 1}, loneBlock, 0, append(args, stepArgs(s)...)...)
	}
}

// VectorUpdate is FactorUpdate for a vector.
func (d *Device) VectorUpdate(w, g, v, stats tensor.Tensor, eps2, dd float32, s device.Step) {
	const op = "VectorUpdate"
	wantLen(op, v, g.Len())
	wantLen(op, w, g.Len())
	wantStats(op, stats)
	wantType(op, tensor.F32, v, g)
	if d.ready() {
		args := []any{w, g, v, stats, w.Len(), s.Decay, eps2, dd, halves(op, w)}
		d.launch(op, "vector_update", flat(int64(w.Len())), flatBlock, 0, append(args, stepArgs(s)...)...)
	}
}
