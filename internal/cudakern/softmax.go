package cudakern

import "lomo/internal/tensor"

// SoftmaxStats folds the logits of a vocabulary block into each row's (maximum, sum of exponentials under it, target's logit).
func (d *Device) SoftmaxStats(stats, z, targets tensor.Tensor, v0 int, first bool) {
	rows, n := rowsCols(z)
	wantRows("SoftmaxStats", stats, rows, 3)
	wantLen("SoftmaxStats", targets, rows)
	wantType("SoftmaxStats", tensor.F32, stats, z)
	wantType("SoftmaxStats", tensor.I32, targets)
	if d.ready() {
		grid, block := rowsOf(rows, n)
		d.launch("SoftmaxStats", "softmax_stats", grid, block, 0, stats, z, targets, rows, n, v0, first)
	}
}

// SoftmaxLoss is lse = max + ln(sum), loss = lse − target logit.
func (d *Device) SoftmaxLoss(loss, lse, stats tensor.Tensor) {
	rows := stats.Rows()
	wantLen("SoftmaxLoss", loss, rows)
	wantLen("SoftmaxLoss", lse, rows)
	wantRows("SoftmaxLoss", stats, rows, 3)
	wantType("SoftmaxLoss", tensor.F32, loss, lse, stats)
	if d.ready() {
		d.launch("SoftmaxLoss", "softmax_loss", each(rows), flatBlock, 0, loss, lse, stats, rows)
	}
}

// SoftCap is z = limit·tanh(z/limit).
func (d *Device) SoftCap(z tensor.Tensor, limit float32) {
	wantType("SoftCap", tensor.F32, z)
	if d.ready() {
		d.launch("SoftCap", "soft_cap", flat(int64(z.Len())), flatBlock, 0, z, z.Len(), 1/limit, limit)
	}
}

// SoftmaxGrad is z ← (exp(z − lse) − [column is the target])·scale, with a limit times 1 − (z/limit)².
func (d *Device) SoftmaxGrad(dz, z, lse, targets tensor.Tensor, v0 int, scale, limit float32) {
	rows, n := rowsCols(z)
	wantLen("SoftmaxGrad", lse, rows)
	wantLen("SoftmaxGrad", targets, rows)
	wantType("SoftmaxGrad", tensor.F32, z, lse)
	wantType("SoftmaxGrad", tensor.I32, targets)
	if d.ready() {
		inverse := float32(0)
		if limit > 0 {
			inverse = 1 / limit
		}
		_, block := rowsOf(rows, n)
		grid := dim{ceilDiv(n, 8*block[0]), min(rows, tallBlocks), 1}
		d.launch("SoftmaxGrad", "softmax_grad", grid, block, 0, z, lse, targets, rows, n, v0, scale, inverse)
		if dz.Addr != z.Addr {
			d.Copy(dz, z)
		}
	}
}
