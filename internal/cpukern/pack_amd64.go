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
		case 14:
			packAcross14x16(p, src, o.ld, depth)
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
	case 14:
		packAcross14x32(p, src, o.ld, depth)
	case 16:
		packAcross16x32(p, src, o.ld, depth)
	case 32:
		packAcross32x32(p, src, o.ld, depth)
	}
}

// packPanelAlong goes by groups of eight rows, the six that may remain first: their stores reach into the two elements beyond, which
// the groups and panels stored later overwrite. Positions beyond a multiple of eight come last.
func packPanelAlong(panel []float32, o *operand, width, i, k0, k1 int) {
	whole := (k1 - k0) &^ 7
	if whole > 0 {
		full := width &^ 7
		if full < width {
			packGroup(panel[full:], o, 6, (i+full)*o.ld+k0, whole, width)
		}
		for g := 0; g < full; g += 8 {
			packGroup(panel[g:], o, 8, (i+g)*o.ld+k0, whole, width)
		}
	}
	if k0+whole < k1 {
		packPanel(panel[whole*width:], o, width, i, i+width, k0+whole, k1)
	}
}

func packGroup(dst []float32, o *operand, rows, off, depth, width int) {
	switch {
	case o.v.half && rows == 8:
		packAlong8x16(&dst[0], &o.v.h[off], o.ld, depth, width)
	case o.v.half:
		packAlong6x16(&dst[0], &o.v.h[off], o.ld, depth, width)
	case rows == 8:
		packAlong8x32(&dst[0], &o.v.f[off], o.ld, depth, width)
	default:
		packAlong6x32(&dst[0], &o.v.f[off], o.ld, depth, width)
	}
}
