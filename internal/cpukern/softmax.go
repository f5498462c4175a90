package cpukern

import (
	"math"

	"lomo/internal/tensor"
)

var negInf = float32(math.Inf(-1))

// SoftmaxStats folds the logits of a vocabulary block into each row's (maximum, sum of exponentials under it, target's logit).
func (d *Device) SoftmaxStats(stats, z, targets tensor.Tensor, v0 int, first bool) {
	rows, n := rowsCols(z)
	wantRows("SoftmaxStats", stats, rows, 3)
	wantLen("SoftmaxStats", targets, rows)
	if !d.ready() {
		return
	}
	st, zv, tv := stats.F32s(), z.F32s(), targets.I32s()
	d.pool.blocks(rows, rowBlock, func(ws *workspace, _, lo, hi int) {
		buf := ws.floats(chunk)
		for i := lo; i < hi; i++ {
			s := st[3*i : 3*i+3]
			if first {
				s[0], s[1], s[2] = negInf, 0, 0
			}
			row := zv[i*n : (i+1)*n]
			if t := int(tv[i]) - v0; t >= 0 && t < n {
				s[2] = row[t]
			}
			for len(row) > 0 {
				m := min(chunk, len(row))
				d.k.foldExp(s, row[:m], buf[:m])
				row = row[m:]
			}
		}
	})
}

// foldExp adds a piece of a row to its running maximum s[0] and sum s[1].
func (k *kernels) foldExp(s, z, buf []float32) {
	m := max(s[0], k.maximum(z))
	if m == negInf { // nothing but −Inf so far: the sum stays 0
		return
	}
	s[1] = float32(s[1]*exp32(s[0]-m)) + k.expSum(buf, z, m)
	s[0] = m
}

// SoftmaxLoss is lse = max + ln(sum), loss = lse − target logit.
func (d *Device) SoftmaxLoss(loss, lse, stats tensor.Tensor) {
	rows := stats.Rows()
	wantLen("SoftmaxLoss", loss, rows)
	wantLen("SoftmaxLoss", lse, rows)
	wantRows("SoftmaxLoss", stats, rows, 3)
	if !d.ready() {
		return
	}
	out, l, st := loss.F32s(), lse.F32s(), stats.F32s()
	for i := range rows {
		v := float64(st[3*i]) + math.Log(float64(st[3*i+1]))
		l[i], out[i] = float32(v), float32(v-float64(st[3*i+2]))
	}
}

// SoftCap is z = limit·tanh(z/limit).
func (d *Device) SoftCap(z tensor.Tensor, limit float32) {
	v := z.F32s()
	if d.ready() {
		d.chunks(len(v), func(_ *workspace, off, n int) { d.k.softCap(v[off:off+n], 1/limit, limit) })
	}
}

// SoftmaxGrad is dz = (exp(z − lse) − [column is the target])·scale, with a limit times 1 − (z/limit)².
func (d *Device) SoftmaxGrad(dz, z, lse, targets tensor.Tensor, v0 int, scale, limit float32) {
	rows, n := rowsCols(z)
	wantRows("SoftmaxGrad", dz, rows, n)
	wantLen("SoftmaxGrad", lse, rows)
	wantLen("SoftmaxGrad", targets, rows)
	if !d.ready() {
		return
	}
	dv, zv, l, tv := floatsOf("SoftmaxGrad", dz), z.F32s(), lse.F32s(), targets.I32s()
	d.pool.blocks(rows, rowBlock, func(ws *workspace, _, lo, hi int) {
		buf, capped := ws.floats(chunk), ws.floats(chunk)
		for i := lo; i < hi; i++ {
			target := int(tv[i]) - v0
			for j := 0; j < n; j += chunk {
				m := min(chunk, n-j)
				out, z := dv.dst(i*n+j, m, buf), zv[i*n+j:][:m]
				if limit > 0 {
					copy(capped, z) // dz may be z
				}
				d.k.expSum(out, z, l[i])
				if target >= j && target < j+m {
					out[target-j]--
				}
				d.k.scale(out, scale)
				if limit > 0 {
					d.k.softCapBackward(out, capped, 1/limit)
				}
				d.k.store(dv, i*n+j, out)
			}
		}
	})
}
