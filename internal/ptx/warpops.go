package ptx

import "math/bits"

var warpOps = map[string]func(*decoder){
	"shfl": shfl, "vote": vote, "match": match, "redux": redux, "activemask": activemask, "elect": elect,
}

var typB32 = typ{kind: 'b', bits: 32}

// memberMask needs all lanes of the masks that the group's lanes give.
func memberMask(reg int) func(w *warp, m uint32) uint32 {
	return func(w *warp, m uint32) uint32 {
		need := uint32(0)
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			mask := uint32(w.r[reg][i])
			if mask>>i&1 == 0 {
				w.fault(i, ErrDeadlock, "lane %d is not in its own member mask %#x", i, mask)
			}
			need |= mask
		}
		return need
	}
}

// syncLanes orders the lanes that share a member mask.
func (w *warp) syncLanes(reg int, m uint32) {
	for rest := m; rest != 0; {
		mask := uint32(w.r[reg][bits.TrailingZeros32(rest)])
		w.sync(mask & m)
		rest &^= mask
	}
}

// collective makes the instruction one for all lanes of a member mask; run sees each mask's lanes at once.
func collective(d *decoder, mask int, run func(w *warp, lanes uint32)) {
	d.in.kind, d.in.need = together, memberMask(mask)
	d.in.run = func(w *warp, m uint32) {
		for rest := m; rest != 0; {
			lanes := uint32(w.r[mask][bits.TrailingZeros32(rest)]) & m
			run(w, lanes)
			w.sync(lanes)
			rest &^= lanes
		}
	}
}

// shfl decodes  shfl.sync.mode.b32 d|p, a, b, c, membermask.
func shfl(d *decoder) {
	if !d.has("sync") {
		d.fail("without .sync")
	}
	mode := d.one("up", "down", "bfly", "idx")
	d.last()
	d.args(5)
	dst, p := d.dst(0, typB32), -1
	if q := d.arg(0).pair; q != nil {
		p = d.predDst(*q)
	}
	a, b, c, members := d.src(1, typB32), d.src(2, typB32), d.src(3, typB32), d.src(4, typB32)
	collective(d, members, func(w *warp, m uint32) {
		from := w.r[a]
		for rest := m; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros32(rest)
			j, ok := shflLane(mode, i, int(w.r[b][i]&31), int(w.r[c][i]))
			if m>>j&1 == 0 {
				w.fault(i, ErrDeadlock, "reads lane %d, which is not in the member mask or has exited", j)
			}
			w.r[dst][i] = from[j] & mask(32)
			if p >= 0 {
				w.setPred(p, 1<<i, uint32(truth(ok))<<i)
			}
		}
	})
}

// shflLane is the lane that lane i reads, and whether it is within the segment; if not it is i itself.
func shflLane(mode string, i, b, c int) (lane int, ok bool) {
	segment, clamp := c>>8&31, c&31
	high := i&segment | clamp&^segment
	low := i & segment
	j := 0
	switch mode {
	case "up":
		j = i - b
		ok = j >= high
	case "down":
		j = i + b
		ok = j <= high
	case "bfly":
		j = i ^ b
		ok = j <= high
	default:
		j = low | b&^segment
		ok = j <= high
	}
	if !ok {
		return i, false
	}
	return j, true
}

// vote decodes all, any, uni and ballot.
func vote(d *decoder) {
	if !d.has("sync") {
		d.fail("without .sync")
	}
	mode := d.one("all", "any", "uni", "ballot")
	d.last()
	d.args(3)
	p, negated := d.pred(d.arg(1))
	members := d.src(2, typB32)
	if mode == "ballot" {
		dst := d.dst(0, typB32)
		collective(d, members, func(w *warp, m uint32) {
			v := w.guard(p, negated) & m
			for rest := m; rest != 0; rest &= rest - 1 {
				w.r[dst][bits.TrailingZeros32(rest)] = uint64(v)
			}
		})
		return
	}
	dst := d.predDst(d.arg(0))
	collective(d, members, func(w *warp, m uint32) {
		v := w.guard(p, negated) & m
		yes := mode == "all" && v == m || mode == "any" && v != 0 || mode == "uni" && (v == m || v == 0)
		w.setPred(dst, m, -uint32(truth(yes)))
	})
}

// match decodes match.any: the lanes with my value, and match.all: the lanes if all values are equal, else 0.
func match(d *decoder) {
	all := d.one("any", "all") == "all"
	d.has("sync")
	t := d.last()
	d.args(3)
	dst, p := d.dst(0, typB32), -1
	if q := d.arg(0).pair; q != nil {
		p = d.predDst(*q)
	}
	a, members := d.src(1, t), d.src(2, typB32)
	collective(d, members, func(w *warp, m uint32) {
		for rest := m; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros32(rest)
			var same uint32
			for other := m; other != 0; other &= other - 1 {
				if j := bits.TrailingZeros32(other); (w.r[a][j]^w.r[a][i])&mask(t.bits) == 0 {
					same |= 1 << j
				}
			}
			if all && same != m {
				same = 0
			}
			w.r[dst][i] = uint64(same)
			if p >= 0 {
				w.setPred(p, 1<<i, -uint32(truth(same != 0)))
			}
		}
	})
}

// redux decodes the reduction of a value over the member mask.
func redux(d *decoder) {
	d.has("sync")
	op := d.one("add", "min", "max", "and", "or", "xor")
	t := d.last()
	d.args(3)
	dst, a, members := d.dst(0, t), d.src(1, t), d.src(2, typB32)
	f := atomicFunc(d, op, t)
	collective(d, members, func(w *warp, m uint32) {
		v := w.r[a][bits.TrailingZeros32(m)]
		for rest := m & (m - 1); rest != 0; rest &= rest - 1 {
			v = f(v, w.r[a][bits.TrailingZeros32(rest)], 0)
		}
		for rest := m; rest != 0; rest &= rest - 1 {
			w.r[dst][bits.TrailingZeros32(rest)] = v & mask(32)
		}
	})
}

func activemask(d *decoder) {
	d.last()
	dst := d.dst(0, typB32)
	d.in.run = func(w *warp, m uint32) {
		for rest := m; rest != 0; rest &= rest - 1 {
			w.r[dst][bits.TrailingZeros32(rest)] = uint64(m)
		}
	}
}

// elect decodes elect.sync d|p, membermask: one lane of the mask, the lowest.
func elect(d *decoder) {
	d.has("sync")
	d.args(2)
	dst, members := d.dst(0, typB32), d.src(1, typB32)
	p := -1
	if q := d.arg(0).pair; q != nil {
		p = d.predDst(*q)
	}
	collective(d, members, func(w *warp, m uint32) {
		leader := bits.TrailingZeros32(m)
		for rest := m; rest != 0; rest &= rest - 1 {
			w.r[dst][bits.TrailingZeros32(rest)] = uint64(leader)
		}
		if p >= 0 {
			w.setPred(p, m, 1<<leader)
		}
	})
}
