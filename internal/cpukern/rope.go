package cpukern

import (
	"fmt"

	"lomo/internal/tensor"
)

// RoPE rotates every head of x in place: with h pairs, elements j and j+h of a head turn by the angle of the
// row's position and frequency j, and those from 2h on stay.
func (d *Device) RoPE(x, pos, cos, sin tensor.Tensor, headDim int, inverse bool) {
	n, width := rowsCols(x)
	wantLen("RoPE", pos, n)
	if headDim <= 0 || headDim%2 != 0 || width%headDim != 0 || cos.Cols() > headDim/2 {
		panic(fmt.Sprintf("RoPE: head size %d does not fit %v and %v", headDim, x, cos))
	}
	wantSame("RoPE", cos, sin)
	if !d.ready() {
		return
	}
	v, p, cs, sn := floatsOf("RoPE", x), pos.I32s(), cos.F32s(), sin.F32s()
	half := cos.Cols()
	sign := float32(1)
	if inverse {
		sign = -1
	}
	d.pool.blocks(n, rowBlock, func(_ *workspace, _, lo, hi int) {
		for i := lo; i < hi; i++ {
			at := int(p[i]) * half
			c, s := cs[at:at+half], sn[at:at+half]
			for h := i * width; h < (i+1)*width; h += headDim {
				if v.half {
					d.k.rotateHalves(v.h[h:h+half], v.h[h+half:h+2*half], c, s, sign)
				} else {
					d.k.rotate(v.f[h:h+half], v.f[h+half:h+2*half], c, s, sign)
				}
			}
		}
	})
}

// rotateGeneric is (a, b) ← (a·cos − b·sin, b·cos + a·sin), sin times sign.
//
//kernel:row
func rotateGeneric(a, b, cos, sin []float32, sign float32) {
	b, cos, sin = b[:len(a)], cos[:len(a)], sin[:len(a)]
	for j := range a {
		c, s := cos[j], sin[j]*sign
		x, y := a[j], b[j]
		a[j] = float32(x*c) - float32(y*s)
		b[j] = float32(y*c) + float32(x*s)
	}
}
