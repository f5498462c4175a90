package cpukern

import (
	"unsafe"

	"lomo/internal/tensor"
)

// packGeneric copies rows [i0, i1), positions [k0, k1) of an operand as float32 in the order micro reads: panels of width
// rows, in a panel position by position, and within a position row by row. The last panel is filled up with zeros.
func packGeneric(dst []float32, o *operand, width, i0, i1, k0, k1 int) {
	depth := k1 - k0
	for i := i0; i < i1; i += width {
		panel := dst[(i-i0)*depth:][:width*depth]
		packPanel(panel, o, width, i, min(i1, i+width), k0, k1)
	}
}

func packPanel(panel []float32, o *operand, width, i0, i1, k0, k1 int) {
	n := i1 - i0
	if n < width {
		clear(panel)
	}
	if !o.along {
		for k := k0; k < k1; k++ {
			out := panel[(k-k0)*width:][:n]
			if o.v.half {
				widenGeneric(out, o.v.h[k*o.ld+i0:][:n])
			} else {
				copy(out, o.v.f[k*o.ld+i0:][:n])
			}
		}
		return
	}
	for i := i0; i < i1; i++ {
		at := i - i0
		if o.v.half {
			for _, b := range o.v.h[i*o.ld+k0 : i*o.ld+k1] {
				panel[at] = tensor.BF16ToF32(b)
				at += width
			}
		} else {
			for _, f := range o.v.f[i*o.ld+k0 : i*o.ld+k1] {
				panel[at] = f
				at += width
			}
		}
	}
}

// floatsAt is the n elements from p on: kernels take pointers because assembly does.
func floatsAt(p *float32, n int) []float32 { return unsafe.Slice(p, n) }
