//go:build amd64 && !noasm

package cpukern

// packAVX2 is packGeneric. Full panels go through assembly; the last, when it is not full, does not.
func packAVX2(dst []float32, o *operand, width, i0, i1, k0, k1 int) {
	depth := k1 - k0
	for i := i0; i < i1; i += width {
		panel := dst[(i-i0)*depth:][:width*depth]
		switch {
		case i+width > i1:
			packPanel(panel, o, width, i, i1, k0, k1)
		case o.along:
			packPanelAlong(panel, o, width, i, k0, k1)
		default:
			packPanelAcross(panel, o, width, i, k0, depth)
		}
	}
}

func packPanelAcross(panel []float32, o *operand, width, i, k0, depth int) {
	p, off := &panel[0], k0*o.ld+i
	if o.v.half {
		src := &o.v.h[off]
		switch width {
		case 6:
			packAcross6x16(p, src, o.ld, depth)
		case 12:
			packAcross12x16(p, src, o.ld, depth)
		case 16:
			packAcross16x16(p, src, o.ld, depth)
		case 32:
			packAcross32x16(p, src, o.ld, depth)
		}
		return
	}
	src := &o.v.f[off]
	switch width {
	case 6:
		packAcross6x32(p, src, o.ld, depth)
	case 12:
		packAcross12x32(p, src, o.ld, depth)
	case 16:
		packAcross16x32(p, src, o.ld, depth)
	case 32:
		packAcross32x32(p, src, o.ld, depth)
	}
}

// packPanelAlong goes by groups of eight rows and one of the four or six that may remain. Positions beyond a multiple of eight come
// last.
func packPanelAlong(panel []float32, o *operand, width, i, k0, k1 int) {
	whole := (k1 - k0) &^ 7
	if width == 32 && !o.v.half && whole >= 16 && hasAVX512 {
		whole &^= 15
		packAlong16(&panel[0], &o.v.f[i*o.ld+k0], o.ld, whole, width)
		packAlong16(&panel[16], &o.v.f[(i+16)*o.ld+k0], o.ld, whole, width)
	} else if whole > 0 {
		for g := 0; g < width; g += 8 {
			packGroup(panel[g:], o, min(8, width-g), (i+g)*o.ld+k0, whole, width)
		}
	}
	if k0+whole < k1 {
		packPanel(panel[whole*width:], o, width, i, i+width, k0+whole, k1)
	}
}

func packGroup(dst []float32, o *operand, rows, off, depth, width int) {
	if o.v.half {
		src := &o.v.h[off]
		switch rows {
		case 4:
			packAlong4x16(&dst[0], src, o.ld, depth, width)
		case 6:
			packAlong6x16(&dst[0], src, o.ld, depth, width)
		case 8:
			packAlong8x16(&dst[0], src, o.ld, depth, width)
		}
		return
	}
	src := &o.v.f[off]
	switch rows {
	case 4:
		packAlong4x32(&dst[0], src, o.ld, depth, width)
	case 6:
		packAlong6x32(&dst[0], src, o.ld, depth, width)
	case 8:
		packAlong8x32(&dst[0], src, o.ld, depth, width)
	}
}
