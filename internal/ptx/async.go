package ptx

import "math/bits"

// copyOp is a cp.async of a warp that lanes of mask have not waited for.
type copyOp struct {
	mask  uint32
	size  int        // bytes written
	n     [32]int    // bytes read, the rest becomes zero
	group [32]uint32 // number of the lane's group it belongs to
	dst   [32]uint64
	src   [32]uint64
	in    *instr
}

// copies are a warp's copies in flight and the number of each lane's group that is being filled.
type copies struct {
	list  []*copyOp
	group [32]uint32
	spare []*copyOp
}

func (c *copies) reset() {
	c.spare = append(c.spare, c.list...)
	c.list = c.list[:0]
	c.group = [32]uint32{}
}

// cpAsync decodes cp.async and its commit and wait instructions. A copy lands in the wait that forces it, no sooner.
func cpAsync(d *decoder) {
	if !d.has("async") {
		d.fail("form")
	}
	switch d.one("commit_group", "wait_group", "wait_all") {
	case "commit_group":
		d.args(0)
		d.in.run = func(w *warp, m uint32) {
			for ; m != 0; m &= m - 1 {
				w.copies.group[bits.TrailingZeros32(m)]++
			}
		}
	case "wait_group":
		d.args(1)
		if d.arg(0).kind != opNumber {
			d.fail("the count is no constant")
		}
		n := uint32(d.arg(0).num.bits)
		d.in.run = func(w *warp, m uint32) { w.landCopies(m, n, false) }
	case "wait_all":
		d.args(0)
		d.in.run = func(w *warp, m uint32) { w.landCopies(m, 0, true) }
	default:
		copyAsync(d)
	}
}

// copyAsync decodes  cp.async.cg.shared.global [dst], [src], size, srcSize.
func copyAsync(d *decoder) {
	first := d.one("ca", "cg")
	d.ignore("L2::64B", "L2::128B", "L2::256B", "shared", "shared::cta", "global")
	n := d.args(3, 4)
	to, _ := d.addr(0)
	from, _ := d.addr(1)
	if d.arg(2).kind != opNumber {
		d.fail("the size is no constant")
	}
	size := int(d.arg(2).num.bits)
	if size != 16 && (first == "cg" || size != 4 && size != 8) {
		d.fail("%d bytes", size)
	}
	read := d.fn.constant(uint64(size))
	if n == 4 {
		read = d.src(3, typ{kind: 'u', bits: 32})
	}
	d.in.run = func(w *warp, m uint32) {
		c := w.copies.newOp()
		c.mask, c.size, c.in = m, size, w.in
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			c.dst[i], c.src[i] = w.r[to.base][i]+to.off, w.r[from.base][i]+from.off
			c.n[i], c.group[i] = int(w.r[read][i]), w.copies.group[i]
			if c.n[i] > size {
				w.fault(i, ErrBounds, "source size %d of a copy of %d bytes", c.n[i], size)
			}
			if c.n[i] > 0 && c.src[i]&uint64(size-1) != 0 {
				w.fault(i, ErrMisaligned, "global address %#x for a copy of %d bytes", c.src[i], size)
			}
			w.copySource(c, i, nil)
			w.sharedAt(i, c.dst[i], size, issue)
		}
	}
}

func (c *copies) newOp() *copyOp {
	var op *copyOp
	if n := len(c.spare); n > 0 {
		op, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		op = new(copyOp)
	}
	c.list = append(c.list, op)
	return op
}

// copySource reads a lane's source bytes into dst, or only checks them where dst is nil.
func (w *warp) copySource(c *copyOp, lane int, dst []byte) {
	n := c.n[lane]
	if n == 0 {
		return
	}
	step := n & -n
	for at := 0; at < n; at += step {
		b := w.globalAt(lane, c.src[lane]+uint64(at), step, load)
		if dst != nil {
			copy(dst[at:], b)
		}
	}
}

// landCopies lets the copies of all but the latest n groups of each lane of m land, with all those not yet in a group too.
func (w *warp) landCopies(m, n uint32, all bool) {
	kept := w.copies.list[:0]
	in := w.in
	for _, c := range w.copies.list {
		w.in = c.in
		for rest := m & c.mask; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros32(rest)
			if !all && c.group[i]+n >= w.copies.group[i] {
				continue
			}
			b := w.sharedAt(i, c.dst[i], c.size, land)
			clear(b)
			w.copySource(c, i, b)
			c.mask &^= 1 << i
		}
		if c.mask != 0 {
			kept = append(kept, c)
		} else {
			w.copies.spare = append(w.copies.spare, c)
		}
	}
	w.copies.list = kept
	w.in = in
}
